"""`khive-persist hooks capture`, which `commands/hooks.py` has among its own."""

import os
from collections.abc import Callable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import IO, Any, Final

import anyio
import click

from khive_persist import settings as configuration
from khive_persist.capture.hook_config.versions import known_versions
from khive_persist.cli.commands.tail import keep_draining
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import drained_project, with_project
from khive_persist.cli.output import warn
from khive_persist.files import PRIVATE_FILE
from khive_persist.models.criteria import filters_of
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.query import column
from khive_persist.opening import open_store
from khive_persist.project import Project
from khive_persist.store.redacting import load_redactor
from khive_persist.tools import TOOLS
from khive_persist.transfer.sample import Sample, counted

Take = Callable[[HookEvent], None]

_LOOK: Final = (
    "Secrets that look like such are replaced, and the paths of your home and of this project, and"
    " e-mail addresses.",
    "What you typed, and what tools were given and answered, is in it: look at it before you send"
    " it.",
)


@click.command("capture")
@click.argument("client", type=click.Choice(list(TOOLS)))
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="The file to make; else CLIENT-sample.jsonl here.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0, min_open=True),
              help="End after so long, and not only at Ctrl-C.")  # fmt: skip
@click.option("--last", type=click.IntRange(1), metavar="N",
              help="Take the latest so many that are recorded already, and end.")  # fmt: skip
@with_project
def command(client: str, output: Path | None, seconds: float | None, last: int | None) -> int:
    """Write a sample of a client's events into a file that you can send.

    \b
      khive-persist hooks install cursor
      khive-persist hooks capture cursor

    Events are taken as they are recorded, until Ctrl-C: work with the client meanwhile. Each line
    of the file is one of them as JSON: the client and its version, how the hook was started, and
    the payload. Secrets are taken out, the paths of your home and of the project are replaced, and
    e-mail addresses; nothing else is. A file that is there already stays as it is.

    Exit code 1 where no event came.
    """
    if last is not None and seconds is not None:
        raise click.UsageError("--last and --seconds exclude each other")
    project = drained_project()
    settings = configuration.load(project.config)
    redactor = load_redactor(project, settings._replace(redaction_enabled=True))
    assert redactor is not None
    sample = Sample(project.root, redactor)
    installed = known_versions(TOOLS[client]).installed
    version = installed[-1].version if installed else ""
    path = output or Path(f"{client}-sample.jsonl")
    lines: list[bytes] = []
    with _made(path) as file:

        def take(event: HookEvent) -> None:
            content: Any = event.content
            lines.append(sample.line(content if isinstance(content, dict) else {}, version))
            file.write(lines[-1])
            file.flush()

        if last is None:
            click.echo(f"recording {TOOLS[client].title} into {path} until Ctrl-C", err=True)
        # That is how this ends: what came is in the file.
        with suppress(KeyboardInterrupt):
            anyio.run(_take, project, client, last, seconds, take)
    return _tell(client, path, lines)


def _made(path: Path) -> IO[bytes]:
    """Make a file that only this user can read, and that was not there."""
    try:
        descriptor = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE_FILE
        )
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from error
    return open(descriptor, "wb")


async def _take(
    project: Project, client: str, last: int | None, seconds: float | None, take: Take
) -> None:
    of_client = filters_of(tool=client)
    async with open_store(HookEvent, dir=project.root, read_only=True) as events:
        if last is not None:
            newest = -column("created_at")
            for event in reversed(await events.find(*of_client, order_by=newest, limit=last)):
                take(event)
            return
        async with aclosing(await events.follow(*of_client)) as new:
            with anyio.move_on_after(seconds):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(keep_draining, project)
                    async for event in new:
                        take(event)


def _tell(client: str, path: Path, lines: list[bytes]) -> int:
    if not lines:
        path.unlink(missing_ok=True)
        warn(f"no event of {TOOLS[client].title} came: khive-persist hooks status says why")
        return FAILED
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(counted(lines).items()))
    click.echo(f"{len(lines)} events of {TOOLS[client].title} are in {path}: {kinds}")
    for line in _LOOK:
        click.echo(line)
    return DONE
