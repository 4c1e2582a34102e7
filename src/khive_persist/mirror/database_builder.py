"""Databases made from the mirror, in a folder of their own, while others write to it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from khive_persist.mirror import names, packed_streams, scan
from khive_persist.mirror.consumer import MirrorFollower
from khive_persist.mirror.syncing import sync_tree
from khive_persist.models.purposes import Purpose
from khive_persist.project import Project, make_directory
from khive_persist.store.sqlite.comparison_index import Entry, FileOffset, Ledger
from khive_persist.store.sqlite.new_database import NewDatabase
from khive_persist.threads import Advance

_BATCH_ROWS: Final = 2_000
_BATCH_CHARACTERS: Final = 16 << 20


class DatabaseBuilder:
    """New databases of some purposes.

    Which file each row came from is noted in a ledger beside them, so that the end, for which the
    writers wait, has to look only at what changed.

    Attributes:
        incoming: The folder of the databases.
    """

    def __init__(
        self, project: Project, purposes: Sequence[Purpose], folder: Path, advance: Advance
    ) -> None:
        """Create empty databases in an empty folder."""
        self.incoming = folder / "incoming"
        self._sessions = project.sessions
        self._advance = advance
        self._purposes = {purpose.name: purpose for purpose in purposes}
        self._databases: dict[str, NewDatabase] = {}
        self._waiting_rows = self._waiting_characters = 0
        self._sources = Ledger(folder / "sources.db")
        try:
            make_directory(self.incoming)
            for purpose in purposes:
                path = self.incoming / purpose.file
                self._databases[purpose.name] = NewDatabase(path, purpose)
        except BaseException:
            self.close()
            raise

    def read(self) -> None:
        """Load every file of the mirror, while others may write to them."""
        for file in scan.files(self._sessions):
            self._take(file)
        self._commit()
        for database in self._databases.values():
            database.make_indexes()

    def finish(self) -> None:
        """Load what has changed since, while no other process writes, and close the databases."""
        present = scan.files(self._sessions)
        for file in {*self._sources.files_with_offset()}.difference(present):
            self._forget(file)
        # Once more what the first round has shown to be read too early.
        for _ in range(2):
            changed_files = [file for file in present if self._has_changed(file)]
            for file in changed_files:
                if not names.is_stream(file):
                    self._forget(file)
            for file in changed_files:
                self._take(file)
        self._commit()
        for name, database in self._databases.items():
            # The mirror that it is made of follows it: the first writer finds it so.
            database.finish(MirrorFollower(self._sessions, self._purposes[name]).set_epoch)
        self.close()
        sync_tree(self.incoming)

    def close(self) -> None:
        """Close the databases."""
        for database in self._databases.values():
            database.close()
        self._databases.clear()
        self._sources.close()

    def _state(self, file: str) -> tuple[str, int]:
        """Return the version of a file, and its size.

        The version of a document changes with each write, that of a stream when it is rewritten.
        """
        if names.is_stream(file):
            return packed_streams.state(self._sessions / file)
        status = os.stat(self._sessions / file, follow_symlinks=False)
        return f"{status.st_ino} {status.st_mtime_ns} {status.st_size}", 0

    def _has_changed(self, file: str) -> bool:
        if not self._is_of_these(file):
            return False
        state, size = self._state(file)
        previous = self._sources.read_offset(file)
        return previous is None or previous.state != state or previous.end != size

    def _is_of_these(self, file: str) -> bool:
        return any(names.split(file, purpose) for purpose in self._purposes.values())

    def _take(self, file: str) -> None:
        """Load a file; of a stream, what was added to it since."""
        if not self._is_of_these(file):
            return
        try:
            state, size = self._state(file)
        except FileNotFoundError:
            self._forget(file)
            return
        previous = self._sources.read_offset(file) or FileOffset(state)
        offset = scan.ReadOffset(previous.line, previous.end)
        if previous.state != state or size < offset.end:
            self._forget(file)
            offset = scan.START
        deletions = scan.deletions(self._sessions, file, offset) if names.is_stream(file) else {}
        for copy in scan.read(self._sessions, file, offset):
            # What is deleted further down does not come at all: in another file its id may live on.
            if copy.row is None or copy.line > deletions.get(copy.id, -1):
                self._put(copy)
            offset = offset.after(copy)
        self._sources.set_read_offset(file, state, *offset)

    def _put(self, copy: scan.Copy) -> None:
        database = self._databases.get(copy.purpose)
        if database is None or copy.problem:
            return
        if names.split(copy.file, self._purposes[copy.purpose]) is None:
            return
        if copy.row is None:
            self._drop(copy.purpose, copy.id, copy.file)
            return
        database.put(copy.row)
        self._sources.add_copy(Entry(copy.purpose, copy.id, copy.file, copy.line), b"")
        self._waiting_rows += 1
        self._waiting_characters += len(copy.row[1] or "") + len(copy.row[4] or "")
        if self._waiting_rows >= _BATCH_ROWS or self._waiting_characters >= _BATCH_CHARACTERS:
            self._commit()

    def _commit(self) -> None:
        for database in self._databases.values():
            database.commit()
        self._advance(self._waiting_rows)
        self._waiting_rows = self._waiting_characters = 0

    def _forget(self, file: str) -> None:
        for purpose, id in self._sources.copies_in(file):
            self._drop(purpose, id, file)
        self._sources.drop_file(file)

    def _drop(self, purpose: str, id: str, file: str) -> None:
        """Delete the record that a file had."""
        files = self._sources.files_of(purpose, id)
        if file not in files:
            return
        self._sources.drop_copy(purpose, id, file)
        others = [other for other in files if other != file]
        for other in others:
            # What is there may be what this file had: the other is read once more in the end.
            self._sources.drop_read_offset(other)
        if not others:
            self._databases[purpose].delete(id)
