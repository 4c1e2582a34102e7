"""The background tasks of a server: the spool, the syncs, the backups, the settings."""

import asyncio
import logging
import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import anyio
import anyio.to_thread

from khive_persist.capture.finished_sessions import size_of
from khive_persist.capture.spool import Spool
from khive_persist.errors import KhiveError
from khive_persist.maintenance.budget_warnings import run as budget_warnings
from khive_persist.mirror.packing import is_due
from khive_persist.project import RESERVED_DATABASES, Project
from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.recorder.logs import LOGGER
from khive_persist.search_index import index_file
from khive_persist.search_index.follow import catch_up
from khive_persist.search_index.semantic.embedding import embed_new
from khive_persist.server.context import ServerContext
from khive_persist.team import run as pushing
from khive_persist.trust.processes import environment_for, module_command

_log = logging.getLogger(LOGGER)
_NICENESS: Final = 10
# More than these are taken in by another process.
_MANY_CHANGES: Final = 2_000
_DRAINER_SECONDS: Final = 2.0
_EMBEDDING_SECONDS: Final = 5.0
# A source of vectors that failed is left alone for so long.
_RECOVERY_SECONDS: Final = 60.0


class Intervals(NamedTuple):
    """The intervals of the background tasks, in seconds.

    Attributes:
        settings: The interval between looks for a change of config.toml.
        spool: The interval between looks for events in the spool that no drainer takes.
        backup: The interval between looks for a backup that is due by the schedule.
        sync: The interval between looks for transcripts of sessions that have stopped.
        packing: The interval between looks for streams of finished sessions to pack.
        budgets: The interval between looks for budgets that are reached.
        search: The interval between looks for what the index of the search lacks.
        vectors: The interval between looks for passages without a vector.
        team: The interval between looks for a push to the team that is due.
    """

    settings: float = 2.0
    spool: float = 5.0
    backup: float = 600.0
    sync: float = 2.0
    packing: float = 600.0
    budgets: float = 60.0
    search: float = 0.5
    vectors: float = 2.0
    team: float = 5.0


async def keep_settings(
    live: LiveSettings,
    seconds: float,
    reload_requested: asyncio.Event,
    on_change: Callable[[], None],
) -> None:
    """Follow config.toml until cancelled: when it has changed, or when it is asked for."""
    while True:
        with anyio.move_on_after(seconds):
            await reload_requested.wait()
        if reload_requested.is_set() or live.has_changed():
            reload_requested.clear()
            _reload(live, on_change)


def _reload(live: LiveSettings, on_change: Callable[[], None]) -> None:
    """Read config.toml anew; a wrong one is reported, and what was in force stays."""
    previous = live.settings
    try:
        is_changed = live.reload()
    except KhiveError as error:
        _log.error("settings_wrong", extra={"fields": {"reason": str(error), "kept": "the old"}})
        return
    if not is_changed:
        return
    on_change()
    current = live.settings
    names = [name for name in current._fields if getattr(current, name) != getattr(previous, name)]
    _log.info("settings_changed", extra={"fields": {"names": ",".join(names)}})
    if {"server_address", "server_port"} & set(names):
        _log.warning("restart_needed", extra={"fields": {"for": "server.address, server.port"}})


async def keep_spool_empty(context: ServerContext, seconds: float) -> None:
    """Wake a drainer until cancelled, whenever events lie in the spool."""
    spool = Spool(context.project)
    root = str(context.project.root)
    while True:
        if not await anyio.to_thread.run_sync(spool.is_empty):
            await anyio.to_thread.run_sync(context.intake.event_fallback.wake_drainer, root)
        await anyio.sleep(seconds)


async def keep_backups(context: ServerContext, seconds: float) -> None:
    """Make backups until cancelled, by the schedule of config.toml."""
    while True:
        if context.live.settings.backup_every_hours:
            await _back_up(context)
        await anyio.sleep(seconds)


async def keep_packed(context: ServerContext, seconds: float) -> None:
    """Wake a drainer until cancelled, when it is time to pack: it does so before it leaves."""
    root = str(context.project.root)
    while True:
        await anyio.sleep(seconds)
        if await anyio.to_thread.run_sync(is_due, context.project, context.live.settings):
            await anyio.to_thread.run_sync(context.intake.event_fallback.wake_drainer, root)


async def keep_synced(context: ServerContext, seconds: float) -> None:
    """Read the transcripts of sessions that have stopped, until cancelled.

    A tool may write the end of a transcript after its last hook: one that has grown since it was
    read is read again.
    """
    sizes: dict[Path, int] = {}
    while True:
        await anyio.sleep(seconds)
        grown = [path for path, size in sizes.items() if size_of(path) not in (size, None)]
        transcripts = [*dict.fromkeys([*context.stopped_transcripts, *grown])]
        context.stopped_transcripts.clear()
        sizes = {path: size for path in transcripts if (size := size_of(path)) is not None}
        if sizes and context.live.settings.sync_at_stop:
            code, _, reason = await _run(context, "sync", "--", *map(str, sizes))
            if code:
                _log.error("sync_failed", extra={"fields": {"reason": reason}})


async def keep_budgets(context: ServerContext, seconds: float) -> None:
    """Look for budgets that are reached until cancelled, whenever something was recorded.

    A sync does so, too; messages that come over HTTP need none.
    """
    version = -1
    while True:
        await anyio.sleep(seconds)
        if context.readers.rollup.version == version:
            continue
        version = context.readers.rollup.version
        try:
            await anyio.to_thread.run_sync(
                budget_warnings.start, context.project, context.live.settings
            )
        except (KhiveError, OSError) as error:
            _log.error("budgets_failed", extra={"fields": {"reason": str(error)}})


async def keep_pushed(context: ServerContext, seconds: float) -> None:
    """Start a push to the team until cancelled, whenever it is due."""
    while True:
        await anyio.sleep(seconds)
        try:
            if await anyio.to_thread.run_sync(
                pushing.is_due, context.project, context.live.settings
            ):
                await anyio.to_thread.run_sync(pushing.start, context.project)
        except (KhiveError, OSError) as error:
            _log.error("push_failed", extra={"fields": {"reason": str(error)}})


async def keep_searchable(context: ServerContext, seconds: float) -> None:
    """Bring the index of the search up to date until cancelled, where there is one.

    What is new is taken in here, within a second of its commit; much of it by a drainer before it
    leaves, which has a lower priority than the requests.
    """
    project = context.project
    root = str(project.root)
    previous: list[tuple[str, int, int]] = []
    behind: int | None = 0
    reason = ""
    while True:
        await anyio.sleep(seconds)
        versions = await anyio.to_thread.run_sync(_versions, project)
        if not index_file.exists(project) or (versions == previous and behind == 0):
            continue
        previous = versions
        follow = partial(catch_up, project, seconds=seconds, is_made=False)
        try:
            behind = await anyio.to_thread.run_sync(follow)
        except (KhiveError, OSError) as error:
            if str(error) != reason:
                _log.error("search_index_failed", extra={"fields": {"reason": str(error)}})
            behind, reason = 0, str(error)
            continue
        if behind is None or behind > _MANY_CHANGES:
            await anyio.to_thread.run_sync(context.intake.event_fallback.wake_drainer, root)
            await anyio.sleep(_DRAINER_SECONDS)


async def keep_vectors(context: ServerContext, seconds: float) -> None:
    """Make vectors of what is new in the index until cancelled, where `search.semantic` is set."""
    previous: tuple[int, int] | None = None
    reason = ""
    while True:
        await anyio.sleep(seconds)
        settings = context.live.settings
        version = await anyio.to_thread.run_sync(_index_version, context.project)
        if settings.search_semantic == "off" or version in (None, previous):
            continue
        work = partial(embed_new, context.project, settings, _EMBEDDING_SECONDS)
        try:
            state = await anyio.to_thread.run_sync(work)
            problem = state.problem if state else ""
        except (KhiveError, OSError) as error:
            problem = str(error)
        if problem and problem != reason:
            _log.error("vectors_failed", extra={"fields": {"reason": problem}})
        reason = problem
        if problem:
            await anyio.sleep(_RECOVERY_SECONDS)
        elif state is None or not state.waiting:
            # What came meanwhile is another one.
            previous = version


def _index_version(project: Project) -> tuple[int, int] | None:
    """Return what is another one after each commit to the index; None where there is none."""
    for path in (project.search_index.with_name(f"{project.search_index.name}-wal"),
                 project.search_index):  # fmt: skip
        with suppress(OSError):
            status = os.lstat(path)
            if status.st_size:
                return status.st_size, status.st_mtime_ns
    return None


def _versions(project: Project) -> list[tuple[str, int, int]]:
    """Return what is another list after a commit to any database that the index follows."""
    versions = []
    with os.scandir(project.khive) as entries:
        for entry in entries:
            has_no_records = entry.name.startswith(tuple(RESERVED_DATABASES))
            if has_no_records or not entry.name.endswith((".db", ".db-wal")):
                continue
            # Others end, and take the log of a database with them.
            with suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                versions.append((entry.name, status.st_size, status.st_mtime_ns))
    return sorted(versions)


async def _back_up(context: ServerContext) -> None:
    began = time.monotonic()
    code, out, reason = await _run(context, "backup", "create", "--if-due", "--json")
    seconds = round(time.monotonic() - began, 1)
    if code:
        _log.error("backup_failed", extra={"fields": {"reason": reason, "seconds": seconds}})
    elif out:
        _log.info("backup_made", extra={"fields": {"seconds": seconds}})


async def _run(context: ServerContext, *words: str) -> tuple[int, bytes, str]:
    """Run a command of ours, and return its exit code, its output, and the reason of a failure.

    The process has a lower priority than the requests: it reads and packs whole files.
    """
    command = module_command("khive_persist.cli", *words)
    environment = environment_for(context.project.root)
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
