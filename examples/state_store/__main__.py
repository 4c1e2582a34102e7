"""python -m examples.state_store run|show|recover [--dir DIR] [--every SECONDS]

`run` reads lines from a terminal or a pipe, each answered by a line; what it saves and
loads goes to stderr:

    say USER TEXT · focus USER TASK · done USER TASK    change the state, in memory
    pause · resume                                      switch autosave off and on
    backup                                              save all, and back it up

The state is saved every SECONDS, and at the end, on SIGTERM and Ctrl-C; then a compressed copy for
other programs is in DIR/state.json.gz. `show` prints the state. `recover` brings the newest backup
back, in place of what is there or is lost.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.to_thread

from examples.state_store.state import State, open_state, say_failed, say_saved
from khive_persist import KhiveError, save_document
from khive_persist.maintenance.backup.catalogue import read_catalogue
from khive_persist.maintenance.backup.create import create_backup
from khive_persist.maintenance.backup.destination import Destination, open_destination
from khive_persist.maintenance.backup.restore import restore_backup
from khive_persist.project import Project


async def run(directory: Path, every_seconds: float) -> None:
    """Be the application, until its input ends or a signal comes."""
    # Outside of the state: a second signal must not kill the process while it saves.
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with (
            open_state(directory, every_seconds) as state,
            anyio.create_task_group() as group,
        ):
            group.start_soon(leave_on, signals, group.cancel_scope)
            print("ready", flush=True)
            await serve(state, directory)
            group.cancel_scope.cancel()
        path = directory / "state.json.gz"
        await save_document(
            path, state.document(), "json-gzip", on_save=say_saved, on_error=say_failed
        )


async def leave_on(signals: AsyncIterator[signal.Signals], scope: anyio.CancelScope) -> None:
    """Cancel what is in the scope at the first signal."""
    async for _ in signals:
        scope.cancel()


async def serve(state: State, directory: Path) -> None:
    """Do what the lines of stdin say."""
    async for line in lines():
        match line.split(maxsplit=2):
            case ["say", user, text]:
                state.say(user, text)
            case ["focus", user, task]:
                state.focus(user, task)
            case ["done", user, task]:
                state.done(user, task)
            case ["pause"]:
                state.autosave.enabled = False
            case ["resume"]:
                state.autosave.enabled = True
            case ["backup"]:
                await state.autosave.save_now()
                try:
                    await anyio.to_thread.run_sync(create_backup, *backups_of(directory))
                except KhiveError as error:
                    print(error, flush=True)
                    continue
            case _:
                print(f"what is {line!r}?", flush=True)
                continue
        print("ok", flush=True)


async def lines() -> AsyncIterator[str]:
    """The lines of stdin. Not in a thread: one that waits for a line would keep the process."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    async for line in reader:
        yield line.decode(errors="replace").strip()


async def show(directory: Path) -> None:
    """Print the state as it is saved."""
    async with open_state(directory, float("inf")) as state:
        print(json.dumps(state.document()))


def recover(directory: Path) -> None:
    """Bring the newest backup back. What it replaces is kept, in `.khive/quarantine`."""
    project, backups = backups_of(directory)
    catalogue = read_catalogue(backups)
    restored = restore_backup(project, backups, catalogue, catalogue.find("latest"))
    print(f"recovered the backup of {restored.manifest.created_at}")


def backups_of(directory: Path) -> tuple[Project, Destination]:
    """The project, and its backups: outside of `.khive`, so that they are there without it."""
    project = Project(directory)
    return project, open_destination(project, "backups")


def main() -> int:
    parser = argparse.ArgumentParser("python -m examples.state_store", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("command", choices=["run", "show", "recover"])
    parser.add_argument("--dir", type=Path, default=Path())
    parser.add_argument("--every", type=float, default=5.0, metavar="SECONDS")
    options = parser.parse_args()
    try:
        if options.command == "run":
            anyio.run(run, options.dir, options.every)
        elif options.command == "show":
            anyio.run(show, options.dir)
        else:
            recover(options.dir)
    except (KhiveError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
