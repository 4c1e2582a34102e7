"""Records that are a file each, as plans are."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from khive_persist.errors import MirrorError
from khive_persist.mirror import names
from khive_persist.mirror.document import to_document
from khive_persist.place import PRIVATE_FILE, make_directory, sync_directory
from khive_persist.purposes import Purpose
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow


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
        begin = f"{self._purpose.document}_{names.day(created_at)}_"
        for ending in names.endings(id, self._purpose.name):
            path = self._folder / f"{begin}{ending}.json"
            if _holder(path) in (None, (self._purpose.name, id)):
                return path
        raise MirrorError(f"{path} is not the record that it is named for", hint="move it away")

    def write(self, rows: Sequence[StoredRow]) -> None:
        """Write records: all of them, synced, each file as a whole or not at all.

        Raises:
            OSError: They cannot be written; some may be.
            MirrorError: The names that a file could have are taken by others.
        """
        make_directory(self._folder)
        waiting: dict[Path, Path] = {}
        try:
            for row in rows:
                path = self.path(row[0], row[3])
                if path in waiting:
                    # Two of one short name in this very batch: the second has to see the first.
                    self._place(waiting)
                    path = self.path(row[0], row[3])
                waiting[path] = self._write_beside(path, row)
            self._place(waiting)
        finally:
            for temporary in waiting.values():
                temporary.unlink(missing_ok=True)

    def remove(self, rows: Sequence[StoredRow]) -> None:
        """Remove the files of records, where they are: synced on return."""
        paths = [self.path(row[0], row[3]) for row in rows]
        for path, row in zip(paths, rows, strict=True):
            if _holder(path) == (self._purpose.name, row[0]):
                path.unlink()
        with suppress(FileNotFoundError):
            sync_directory(self._folder)

    def _write_beside(self, path: Path, row: StoredRow) -> Path:
        text = codec.dump(to_document(self._purpose, row), indent=True)
        temporary = path.with_name(f".{path.name}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        descriptor = os.open(temporary, flags, PRIVATE_FILE)
        try:
            os.fchmod(descriptor, PRIVATE_FILE)
            with open(descriptor, "wb", closefd=False) as file:
                file.write(text.encode() + b"\n")
            os.fsync(descriptor)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
        return temporary

    def _place(self, waiting: dict[Path, Path]) -> None:
        for path in list(waiting):
            os.replace(waiting[path], path)
            del waiting[path]
        sync_directory(self._folder)


def _holder(path: Path) -> Any:
    """The purpose and the id in a file; None where there is no file, itself where it has none."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        document = codec.load(content)
        return document["purpose"], document["id"]
    except (ValueError, TypeError, KeyError):
        # Not ours, or damaged: it is left alone, and its name is taken.
        return path
