"""What a server does beside answering: the spool, the syncs, the backups, the settings."""

import asyncio
import logging
import os
import subprocess
import time
from pathlib import Path
from typing import Final, NamedTuple

import anyio
import anyio.to_thread

from khive_persist.capture.finished_sessions import size_of
from khive_persist.capture.spool import Spool
from khive_persist.errors import KhiveError
from khive_persist.mirror.packing import is_due
from khive_persist.recorder.logs import LOGGER
from khive_persist.server.context import Serving
from khive_persist.trust.processes import environment_for, module_command

_log = logging.getLogger(LOGGER)
_NICENESS: Final = 10


class Rhythm(NamedTuple):
    """How often it looks, in seconds.

    Attributes:
        settings: Whether config.toml has changed.
        spool: Whether events lie in the spool that nobody drains.
        backup: Whether the schedule says that a backup is due.
        sync: Whether a session has stopped whose transcript is to be read.
        packing: Whether it is time to pack the streams of sessions that are over.
    """

    settings: float = 2.0
    spool: float = 5.0
    backup: float = 600.0
    sync: float = 2.0
    packing: float = 600.0


async def keep_settings(serving: Serving, seconds: float, asked: asyncio.Event) -> None:
    """Follow config.toml until cancelled: when it has changed, or when it is asked for."""
    while True:
        with anyio.move_on_after(seconds):
            await asked.wait()
        if asked.is_set() or serving.live.has_changed():
            asked.clear()
            reload(serving)


def reload(serving: Serving) -> None:
    """Read config.toml anew; a wrong one is reported, and what was in force stays."""
    before = serving.live.settings
    try:
        changed = serving.live.reload()
    except KhiveError as error:
        _log.error("settings_wrong", extra={"fields": {"reason": str(error), "kept": "the old"}})
        return
    if not changed:
        return
    serving.recorder.reload()
    serving.stores.renew()
    now = serving.live.settings
    names = [name for name in now._fields if getattr(now, name) != getattr(before, name)]
    _log.info("settings_changed", extra={"fields": {"names": ",".join(names)}})
    if {"server_address", "server_port"} & set(names):
        _log.warning("restart_needed", extra={"fields": {"for": "server.address, server.port"}})


async def keep_spool_empty(serving: Serving, seconds: float) -> None:
    """Wake a drainer until cancelled, whenever events lie in the spool."""
    spool = Spool(serving.project)
    root = str(serving.project.root)
    while True:
        if not await anyio.to_thread.run_sync(spool.is_empty):
            await anyio.to_thread.run_sync(serving.refuge.wake_drainer, root)
        await anyio.sleep(seconds)


async def keep_backups(serving: Serving, seconds: float) -> None:
    """Make backups until cancelled, by the schedule of config.toml."""
    while True:
        if serving.live.settings.backup_every_hours:
            await _back_up(serving)
        await anyio.sleep(seconds)


async def keep_packed(serving: Serving, seconds: float) -> None:
    """Wake a drainer until cancelled, when it is time to pack: it does so before it leaves."""
    root = str(serving.project.root)
    while True:
        await anyio.sleep(seconds)
        if await anyio.to_thread.run_sync(is_due, serving.project, serving.live.settings):
            await anyio.to_thread.run_sync(serving.refuge.wake_drainer, root)


async def keep_synced(serving: Serving, seconds: float) -> None:
    """Read the transcripts of sessions that have stopped, until cancelled.

    A tool may write the end of a transcript after its last hook: one that has grown since it was
    read is read again.
    """
    sizes: dict[Path, int] = {}
    while True:
        await anyio.sleep(seconds)
        grown = [path for path, size in sizes.items() if size_of(path) not in (size, None)]
        wanted = [*dict.fromkeys([*serving.ended, *grown])]
        serving.ended.clear()
        sizes = {path: size for path in wanted if (size := size_of(path)) is not None}
        if sizes and serving.live.settings.sync_at_stop:
            code, _, reason = await _run(serving, "sync", "--", *map(str, sizes))
            if code:
                _log.error("sync_failed", extra={"fields": {"reason": reason}})


async def _back_up(serving: Serving) -> None:
    began = time.monotonic()
    code, out, reason = await _run(serving, "backup", "create", "--if-due", "--json")
    seconds = round(time.monotonic() - began, 1)
    if code:
        _log.error("backup_failed", extra={"fields": {"reason": reason, "seconds": seconds}})
    elif out:
        _log.info("backup_made", extra={"fields": {"seconds": seconds}})


async def _run(serving: Serving, *words: str) -> tuple[int, bytes, str]:
    """Run a command of ours; its exit code, its output, and why it failed.

    In a process of its own that comes after whoever waits here: it reads and packs whole files.
    """
    command = module_command("khive_persist.cli", *words)
    environment = environment_for(serving.project.root)
    async with await anyio.open_process(
        command, stdin=subprocess.DEVNULL, env=environment
    ) as process:
        os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
        assert process.stdout is not None
        assert process.stderr is not None
        out = b"".join([piece async for piece in process.stdout])
        err = b"".join([piece async for piece in process.stderr])
        code = await process.wait()
    lines = err.decode("utf-8", "replace").strip().splitlines()
    return code, out.strip(), lines[-1] if lines else f"exit code {code}"
