"""Records that are a file each, as plans are."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from khive_persist.errors import MirrorError
from khive_persist.mirror import names
from khive_persist.mirror.document import to_document
from khive_persist.place import PRIVATE_FILE, make_directory, sync_directory
from khive_persist.purposes import Purpose
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow


class _Written(NamedTuple):
    """A file that is written and has not got its name."""

    temporary: Path
    row: StoredRow
    is_new: bool


class Documents:
    """The files of one purpose in `sessions/`.

    Whoever writes holds the lock of the purpose's database, so that of two saves of one record both
    copies keep the same.
    """

    def __init__(self, folder: Path, purpose: Purpose) -> None:
        self._folder = folder
        self._purpose = purpose

    def path(self, id: str, created_at: object) -> Path:
        """Where a record's file lies, or will: under a longer name where the short one is taken.

        Raises:
            MirrorError: All its names are taken.
        """
        return self._find(id, created_at)[0]

    def place(self, row: StoredRow) -> str:
        """Tells apart where the copies of a record may lie: the day is in the name."""
        return names.day(row[3])

    def write(self, rows: Sequence[StoredRow]) -> None:
        """Write records: all of them, synced, each file as a whole or not at all.

        Raises:
            OSError: They cannot be written; some may be.
            MirrorError: The names that a file could have are taken by others.
        """
        make_directory(self._folder)
        waiting: dict[Path, _Written] = {}
        try:
            for row in rows:
                path, is_new = self._find(row[0], row[3])
                if path in waiting:
                    # Two of one short name in this very batch: the second has to see the first.
                    self._place(waiting)
                    path, is_new = self._find(row[0], row[3])
                waiting[path] = _Written(self._write_beside(path, row), row, is_new)
            self._place(waiting)
        finally:
            for written in waiting.values():
                written.temporary.unlink(missing_ok=True)

    def remove(self, rows: Sequence[StoredRow]) -> None:
        """Remove the files of records, where they are: synced on return."""
        if not os.path.lexists(self._folder):
            return
        make_directory(self._folder)
        for row in rows:
            for path in self._paths(row[0], row[3]):
                if _holder(path) == (self._purpose.name, row[0]):
                    path.unlink()
        sync_directory(self._folder)

    def _paths(self, id: str, created_at: object) -> Iterator[Path]:
        begin = f"{self._purpose.document}_{names.day(created_at)}_"
        for ending in names.endings(id, self._purpose.name):
            yield self._folder / f"{begin}{ending}.json"

    def _find(self, id: str, created_at: object) -> tuple[Path, bool]:
        """Where a record's file is or will be, and whether nothing is there yet."""
        free = None
        for path in self._paths(id, created_at):
            holder = _holder(path)
            # A short name may have become free since the record got a longer one.
            if holder == (self._purpose.name, id):
                return path, False
            if holder is None and free is None:
                free = path
        if free is None:
            raise MirrorError(f"{path} is not the record that it is named for", hint="move it away")
        return free, True

    def _write_beside(self, path: Path, row: StoredRow) -> Path:
        text = codec.dump(to_document(self._purpose, row), indent=True)
        temporary = path.with_name(names.unfinished(path.name, self._purpose))
        # A killed writer's may be the finished file, too, under a second name.
        temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        descriptor = os.open(temporary, flags, PRIVATE_FILE)
        try:
            os.fchmod(descriptor, PRIVATE_FILE)
            with open(descriptor, "wb", closefd=False) as file:
                file.write(text.encode() + b"\n")
            os.fsync(descriptor)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
        return temporary

    def _place(self, waiting: dict[Path, _Written]) -> None:
        for path, written in list(waiting.items()):
            if written.is_new:
                self._link(path, written)
                written.temporary.unlink()
            else:
                os.replace(written.temporary, path)
            del waiting[path]
        sync_directory(self._folder)

    def _link(self, path: Path, written: _Written) -> None:
        """Give a new file its name, and never the place of another's.

        Another purpose whose files begin with the same word has another lock.
        """
        while True:
            try:
                os.link(written.temporary, path, follow_symlinks=False)
            except FileExistsError:
                path = self.path(written.row[0], written.row[3])
            else:
                return


def _holder(path: Path) -> Any:
    """The purpose and the id in a file; None where there is no file, itself where it has none."""
    try:
        # A link, a folder or a pipe in the way is not ours, and not to be read.
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return path
        document = codec.load(path.read_bytes())
        return document["purpose"], document["id"]
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        # Not ours, or damaged: it is left alone, and its name is taken.
        return path
