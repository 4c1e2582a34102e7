"""Removing a session so that nothing of it is left in the files of a place."""

import gzip
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Final, NamedTuple

from khive_persist.capture.drain import drain
from khive_persist.capture.record_file import decode
from khive_persist.capture.spool import DRAIN_LOCK, Spool
from khive_persist.errors import InvalidRecordError
from khive_persist.mirror import names
from khive_persist.mirror import revise as copies
from khive_persist.place import Place, sync_directory
from khive_persist.purposes import Purpose
from khive_persist.settings import Settings
from khive_persist.staging import staging, sweep
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite import lock
from khive_persist.store.sqlite.revise import Revised, rehearse, revise
from khive_persist.store.sqlite.shrink import shrink

Advance = Callable[[int], None]

_READ_BYTES: Final = 1 << 20
_SHORTEST: Final = 4


class Purged(NamedTuple):
    """The result of purging a session; of a dry run, the one that there would be.

    Attributes:
        removed: How many records went, by the name of their purpose.
        spooled: How many events and records went that waited in the spool.
        left_in: Files of `.khive` that name the session still: of `quarantine/`, or of a database
            whose write-ahead log another program keeps; and packed files that cannot be read.
        backups: How many backups lie in `.khive/backups`; those that were made before have it.
    """

    removed: dict[str, int]
    spooled: int
    left_in: list[Path]
    backups: int


def purge(
    place: Place,
    session_id: str,
    purposes: Sequence[Purpose],
    settings: Settings,
    *,
    dry_run: bool = False,
    advance: Advance = lambda _: None,
) -> Purged:
    """Remove every record of a session from databases, mirror and spool: synced on return.

    The databases are written anew, so that no byte of what was removed stays in free space, an
    index or the write-ahead log. An event that could not be parsed goes if the session's id is
    in it. Records of other sessions that mention the id stay. Killed, the next purge of the session
    goes on.

    Args:
        place: Where.
        session_id: The session, as `sessions` lists it.
        purposes: Which records.
        settings: Those of the place.
        dry_run: Only count.
        advance: Called with the number of records that were looked at since.

    Raises:
        InvalidRecordError: The id is shorter than 4 characters: too much would name it.
        StoreError: As its subclasses say; what was done by then stays done.
        OSError: A file cannot be written.
    """
    if len(session_id) < _SHORTEST:
        raise InvalidRecordError(f"a session id has at least {_SHORTEST} characters")
    drain(place)
    needle = session_id.encode("utf-8", "surrogatepass")
    change = partial(_change, session_id)
    removed = {}
    for purpose in purposes:
        count = _purge_purpose(place, purpose, change, needle, settings, dry_run, advance)
        if count:
            removed[purpose.name] = count
    spooled = _purge_spool(place, change, needle, settings, dry_run=dry_run)
    if not dry_run:
        sweep(place)
    backups = len(os.listdir(place.backups)) if place.backups.is_dir() else 0
    return Purged(removed, spooled, [] if dry_run else sorted(_left(place, needle)), backups)


def _purge_purpose(
    place: Place,
    purpose: Purpose,
    change: Callable[[StoredRow], StoredRow | None],
    needle: bytes,
    settings: Settings,
    dry_run: bool,
    advance: Advance,
) -> int:
    path = place.database(purpose.file)
    timeout = settings.store_busy_timeout_seconds
    if not dry_run:
        is_gone = partial(_holds, needle)
        for looked_at in copies.revise(place, purpose, change, timeout, is_gone=is_gone):
            advance(looked_at)
        copies.remove_unfinished(place, purpose, timeout)
    if not path.exists():
        return 0
    work = rehearse(path, purpose, change) if dry_run else revise(path, purpose, change, timeout)
    total = Revised()
    for batch in work:
        total = total.plus(batch)
        advance(batch.looked_at)
    if not dry_run:
        # Also where nothing was removed: a purge that was killed may have left its pages.
        with staging(place) as folder:
            shrink(path, purpose, folder, timeout, thoroughly=True)
    return total.removed


def _change(session_id: str, row: StoredRow) -> StoredRow | None:
    if session_id not in (row[1] or ""):
        return row
    content = codec.column(row[1])
    if not isinstance(content, dict):
        return row
    is_its = content.get("session_id") == session_id or content.get("event_type") == "unparsed"
    return None if is_its else row


def _holds(needle: bytes, content: bytes) -> bool:
    return needle in content


def _purge_spool(
    place: Place,
    change: Callable[[StoredRow], StoredRow | None],
    needle: bytes,
    settings: Settings,
    *,
    dry_run: bool,
) -> int:
    """Events and records that no drain could bring in, as of a damaged database."""
    spool = Spool(place)
    if not (spool.events() or spool.records()):
        return 0
    count = 0
    with lock.held(spool.path / DRAIN_LOCK, settings.store_busy_timeout_seconds):
        for event in spool.events():
            if needle in spool.read(event):
                count += 1
                if not dry_run:
                    spool.remove(event)
        for file in spool.records():
            with suppress(ValueError):
                if change(decode(place.khive, file, spool.read(file)).row) is None:
                    count += 1
                    if not dry_run:
                        spool.remove(file)
        sync_directory(spool.path)
    return count


def _left(place: Place, needle: bytes) -> Iterator[Path]:
    """Files that have the id still, but for databases: to open one would drop its locks."""
    for folder, _, files in os.walk(place.khive):
        for name in files:
            path = Path(folder) / name
            if path.is_symlink() or not path.is_file():
                continue
            is_live = Path(folder) == place.khive and ".db" in name
            if is_live:
                if name.endswith(".db-wal") and path.stat().st_size:
                    yield path
            elif _file_holds(path, needle):
                yield path


def _file_holds(path: Path, needle: bytes) -> bool:
    with path.open("rb") as file:
        if names.stream_of(path.name) == path.name:
            return _stream_holds(file, needle)
        try:
            with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
                return _stream_holds(unpacked, needle)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            # What is behind the damage may be the session's.
            return True


def _stream_holds(file: IO[bytes] | gzip.GzipFile, needle: bytes) -> bool:
    rest = b""
    while chunk := file.read(_READ_BYTES):
        if needle in rest + chunk:
            return True
        rest = chunk[-len(needle) :]
    return False
