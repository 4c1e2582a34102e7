"""Merging a project into another one, as `khive-persist projects merge` does.

The old `.khive` is renamed before it is read, so that nothing is recorded there meanwhile. Killed
before the end, the next merge goes on from there: records are known by their ids.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import anyio
import anyio.to_thread

from khive_persist import clock, tombstones
from khive_persist.capture import record_file
from khive_persist.capture.drain import drain
from khive_persist.capture.spool import DRAIN_LOCK, Spool, counted, parse
from khive_persist.errors import CaptureError, ProjectError, StoreBusyError
from khive_persist.hints import command_in
from khive_persist.maintenance.running_server import without_server
from khive_persist.maintenance.trust.accept import accept, origin
from khive_persist.mirror.write_locks import LOCK_SECONDS, turn
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.models.purposes import BUILT_IN
from khive_persist.project import Project
from khive_persist.store.sqlite import write_lock
from khive_persist.store.sqlite.catalogue import databases_in
from khive_persist.tombstones import Tombstones
from khive_persist.transfer.import_ import Imported, import_rows
from khive_persist.trust import marks, records, search

MERGING: Final = ".khive.merging"
MERGED: Final = ".khive.merged"
# No hook takes longer: what one had begun is there by then.
_HOOK_SECONDS: Final = 2.0
_TRIES: Final = 3


class Merged(NamedTuple):
    """The result of a merge.

    Attributes:
        imported: The result of the import from the old project.
        former_khive: The new path of the old `.khive`; None where something was refused, and the
            projects are not merged.
    """

    imported: Imported
    former_khive: Path | None


async def merge(
    old: Project, target: Project, advance: Callable[[int], None] | None = None
) -> Merged:
    """Bring all records of a project into another one, which takes its place from then on.

    The old `.khive` stays on the disk under another name. What is recorded below its directory goes
    where it would without it; what waits for it in the home's spool comes into the other project.
    Sessions that were purged in either do not come back. Settings, backups and what is quarantined
    stay behind.

    Args:
        old: The project to merge. One that was moved and not trusted since is trusted first.
        target: The project that takes the records.
        advance: A callback, given the number of rows each time some were examined.

    Raises:
        ProjectError: One of them is not there or not trusted, or the old one is the home.
        CaptureError: Something waits in the old project's spool that cannot be stored.
        StoreBusyError: A server or another program works there, or it was made anew meanwhile.
        StoreError: As its subclasses say; both projects are then as before, but for records that
            came in.
        OSError: A file cannot be read or written.
    """
    await anyio.to_thread.run_sync(_check, old, target)
    purposes = tuple(await anyio.to_thread.run_sync(known_purposes, target))[len(BUILT_IN) :]
    for _ in range(_TRIES):
        digits, merging = await anyio.to_thread.run_sync(_set_aside, old, target)
        start = time.monotonic()
        is_whole = False
        try:
            imported = Imported({}, 0, [], "")
            if await anyio.to_thread.run_sync(databases_in, merging):
                imported = await import_rows(target, merging, purposes=purposes, advance=advance)
            if not imported.refused:
                await anyio.sleep(max(_HOOK_SECONDS - (time.monotonic() - start), 0))
                is_whole = _is_quiet(merging)
        finally:
            if not is_whole:
                os.rename(merging, old.khive)
        if imported.refused:
            return Merged(imported, None)
        if is_whole:
            return Merged(imported, _finish(old, target, digits))
    raise StoreBusyError(
        f"{old.khive} was written to all the time", hint="end what records there, and try again"
    )


def _check(old: Project, target: Project) -> None:
    merging = old.root / MERGING
    if os.path.lexists(merging):
        if os.path.lexists(old.khive):
            raise ProjectError(
                f"{merging} is of a merge that was stopped, and {old.khive} was made since",
                hint=f"{command_in(target.root, 'import', str(merging))}, and move it away",
            )
        os.rename(merging, old.khive)
    if marks.is_state(old.khive):
        raise ProjectError(f"{old.khive} is the home's: it is merged into none")
    for project in (old, target):
        if not project.exists():
            raise ProjectError(
                f"{project.khive} is not there", hint="khive-persist projects lists what there is"
            )
    if os.path.samefile(old.khive, target.khive):
        raise ProjectError(f"{old.root} and {target.root} are one project")
    if not marks.is_trusted(target.khive):
        raise search.untrusted(target.khive)
    if not marks.is_trusted(old.khive):
        if not origin(old).has_moved:
            raise search.untrusted(old.khive)
        accept(old, keep=False)


def _set_aside(old: Project, target: Project) -> tuple[str, Path]:
    """Rename a `.khive` of which nothing waits and to which nobody writes; return mark and path."""
    Spool(old).make()
    drained = drain(old)
    if drained.waiting_count:
        reasons = "; ".join(map(str, drained.errors)) or "they cannot be read"
        raise CaptureError(f"{drained.waiting_count} events of {old.root} wait: {reasons}")
    stones = Tombstones.load(old)
    if stones.has_sessions:
        tombstones.note(target, lambda existing: existing.with_merged(stones))
    digits, merging = marks.digits(old.khive), old.root / MERGING
    purposes = [p for p in known_purposes(old) if old.database(p.file).exists()]
    with (
        without_server(old),
        write_lock.held(old.spool / DRAIN_LOCK, LOCK_SECONDS),
        turn(old, purposes),
    ):
        if pending := Spool(old).waiting():
            raise StoreBusyError(f"{counted(pending)} came into {old.spool}", hint="try again")
        os.rename(old.khive, merging)
    return digits, merging


def _is_quiet(khive: Path) -> bool:
    """Return whether no hook that began before has put an event there, or is about to."""
    return not any(
        name.endswith(".tmp") or parse(name) or record_file.parse(name)
        for name in os.listdir(khive / "spool")
    )


def _finish(old: Project, target: Project, digits: str) -> Path:
    """Name the old project as merged, and return what its `.khive` is now."""
    former_khive = old.root / MERGED
    if os.path.lexists(former_khive):
        former_khive = old.root / f"{MERGED}.{clock.new_id()}"
    os.rename(old.root / MERGING, former_khive)
    if os.path.lexists(old.khive):
        raise StoreBusyError(
            f"{old.khive} was made anew meanwhile", hint="end what records there, and merge again"
        )
    marks.forget(old.khive, target.khive, is_merged=True)
    records.drop(digits)
    return former_khive
