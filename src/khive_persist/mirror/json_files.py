"""Records that are a file each, as plans are."""

import os
import stat
from collections.abc import Iterator, Sequence, Set
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from khive_persist.errors import MirrorError
from khive_persist.mirror import file_locks, names
from khive_persist.mirror.document import to_document
from khive_persist.mirror.stream_file import write_all
from khive_persist.mirror.syncing import TOGETHER, sync_together
from khive_persist.models.purposes import Purpose
from khive_persist.project import PRIVATE_FILE, make_directory, sync_directory
from khive_persist.store import codec
from khive_persist.store.change import Change, Lines
from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite.connection import Connection
from khive_persist.store.sqlite.rows import fetch_ids

_BATCH: Final = 1_000


class Documents:
    """The files of one purpose in `sessions/`."""

    def __init__(self, folder: Path, purpose: Purpose) -> None:
        self._folder = folder
        self._purpose = purpose

    def path(self, id: str, created_at: object) -> Path:
        """Return the path of a record's file, with a longer name where the short one is taken.

        Raises:
            MirrorError: All its names are taken.
        """
        return Path(self._path(id, created_at))

    def follow(
        self,
        connection: Connection,
        changes: Sequence[Change],
        lines: Lines,
        *,
        may_be_there: bool,
    ) -> None:
        """Bring the files of some records to what the table has: see `Consumer`.

        Of two processes that save one record, the last holder of its name's lock reads it last.
        """
        for start in range(0, len(changes), _BATCH):
            batch = changes[start : start + _BATCH]
            ids = list(dict.fromkeys(change.id for change in batch))
            with file_locks.held(self._folder, map(self._lock_name, ids)):
                rows = fetch_ids(connection, self._purpose.table, ids)
                new_ids = set() if may_be_there else {c.id for c in batch if c.kind == "insert"}
                if rows:
                    self._write(rows, new_ids)
                days = {row[0]: names.day(row[3]) for row in rows}
                outdated = {
                    (change.id, names.day(change.created_at)): change.created_at
                    for change in batch
                    if change.created_at is not None
                }
                # Not before: killed in between, one of the two places must have the record.
                self._remove(
                    [(id, at) for (id, day), at in outdated.items() if days.get(id) != day]
                )

    def write(self, rows: Sequence[StoredRow]) -> None:
        """Write records: all of them, synced, each file as a whole or not at all.

        The caller keeps others from writing them. One that is there is written over.

        Raises:
            OSError: They cannot be written; some may be.
            MirrorError: The names that a file could have are taken by others.
        """
        make_directory(self._folder)
        for start in range(0, len(rows), _BATCH):
            self._write(rows[start : start + _BATCH], frozenset())

    def _write(self, rows: Sequence[StoredRow], new_ids: Set[str]) -> None:
        """Write records. New ones have no file yet, unless others deleted their rows."""
        is_together = len(rows) >= TOGETHER
        unfinished: dict[str, str] = {}
        try:
            for row in rows:
                path = self._path(row[0], row[3], is_new=row[0] in new_ids)
                if path in unfinished:
                    # Two of one short name in this very batch: the second has to see the first.
                    self._finish(unfinished, is_synced=not is_together)
                    path = self._path(row[0], row[3])
                unfinished[path] = self._write_beside(path, row, is_synced=not is_together)
            self._finish(unfinished, is_synced=not is_together)
        finally:
            for temporary in unfinished.values():
                with suppress(FileNotFoundError):
                    os.unlink(temporary)

    def _remove(self, records: Sequence[tuple[str, object]]) -> None:
        if not records or not os.path.lexists(self._folder):
            return
        make_directory(self._folder)
        for id, created_at in records:
            for path in self._paths(id, created_at):
                if _holder(path) == (self._purpose.name, id):
                    os.unlink(path)
        sync_directory(self._folder)

    def _path(self, id: str, created_at: object, *, is_new: bool = False) -> str:
        if is_new:
            # To read the owners of names takes long where many share one.
            first, *others = self._paths(id, created_at)
            if not any(map(os.path.lexists, (first, *others))):
                return first
        free = None
        for path in self._paths(id, created_at):
            holder = _holder(path)
            # A short name may have become free since the record got a longer one.
            if holder == (self._purpose.name, id):
                return path
            if holder is None and free is None:
                free = path
        if free is None:
            raise MirrorError(f"{path} is not the record that it is named for", hint="move it away")
        return free

    def _paths(self, id: str, created_at: object) -> Iterator[str]:
        prefix = f"{self._folder}/{self._purpose.document}_{names.day(created_at)}_"
        for ending in names.endings(id, self._purpose.name):
            yield f"{prefix}{ending}.json"

    def _lock_name(self, id: str) -> str:
        """Return the part of a name that is common to all records whose names may collide."""
        return f"{self._purpose.document}_{names.short(id)}"

    def _write_beside(self, path: str, row: StoredRow, *, is_synced: bool) -> str:
        # It was read from JSON: nothing in it has no spelling there.
        text = codec.dump_lossy(to_document(self._purpose, row), indent=True)
        folder, _, name = path.rpartition("/")
        temporary = f"{folder}/{names.unfinished(name, self._purpose)}"
        descriptor = _create(temporary)
        try:
            os.fchmod(descriptor, PRIVATE_FILE)
            write_all(descriptor, text.encode() + b"\n")
            if is_synced:
                os.fsync(descriptor)
        except BaseException:
            os.unlink(temporary)
            raise
        finally:
            os.close(descriptor)
        return temporary

    def _finish(self, unfinished: dict[str, str], *, is_synced: bool) -> None:
        """Rename files to their final names: the contents are synced before, the names after."""
        if not is_synced:
            sync_together(self._folder, map(Path, unfinished.values()))
        for path, temporary in list(unfinished.items()):
            os.replace(temporary, path)
            del unfinished[path]
        sync_directory(self._folder)


def _create(temporary: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(temporary, flags, PRIVATE_FILE)
    except FileExistsError:
        # A killed writer's; an earlier version's may be the finished file under a second name.
        os.unlink(temporary)
        return os.open(temporary, flags, PRIVATE_FILE)


def _holder(path: str) -> Any:
    """Return the purpose and the id in a file; None without a file, its path where it has none."""
    try:
        # A link, a folder or a pipe in the way is not ours, and not to be read.
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return path
        document = codec.load(Path(path).read_bytes())
        return document["purpose"], document["id"]
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        # Not ours, or damaged: it is left alone, and its name is taken.
        return path
