"""Changing or removing many records of the mirror, so that nothing of them is left in its files.

It comes after the database, and follows that: a copy whose record is there becomes what it is
there. So what is saved meanwhile stays in both copies.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain
from pathlib import Path

from khive_persist.errors import StoreDamagedError, StoreError
from khive_persist.mirror import names, packed_streams, scan
from khive_persist.mirror.document import to_document
from khive_persist.mirror.json_files import Documents
from khive_persist.mirror.stream_file import remove_empty, session_of
from khive_persist.models.purposes import Purpose
from khive_persist.project import Project, sync_directory
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite import rewrite as database
from khive_persist.store.sqlite import write_lock
from khive_persist.store.sqlite.connection import Connection, opened_reader
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.rewrite import Change
from khive_persist.store.sqlite.rows import fetch_ids

# Given a file and bytes of it that are no record, as of a damaged line: those that take their
# place, or None to remove them. A stream is named by its plain file.
Mend = Callable[[Path, bytes], bytes | None]


def _unchanged(_: Path, content: bytes) -> bytes:
    return content


def revise(
    project: Project,
    purpose: Purpose,
    change: Change,
    timeout_seconds: float,
    *,
    is_meant: Callable[[Path], bool] = lambda _: True,
    mend: Mend = _unchanged,
    with_unfinished: bool = False,
    is_synced: bool = True,
) -> Iterator[int]:
    """Change or remove records of which the database was changed before: synced when it ends.

    Only a file that will be another one is written, in the turn of the writers. Of a stream it
    loses, too, what no longer counts: lines of deleted records, and earlier lines of a record. A
    file without records goes.

    Args:
        change: The change made to the database. It also holds for records that are missing there.
        timeout_seconds: The longest wait for writers.
        is_meant: A test for the files to inspect; a stream is named by its plain file.
        mend: A function that gives the new content of a line or file that is no record.
        with_unfinished: Whether to remove the unfinished files of killed writers, too.
        is_synced: Whether the folder is synced; otherwise the caller does that.

    Yields:
        How many records were looked at, file by file.

    Raises:
        OSError: A file cannot be written; those before are done.
        StoreBusyError: The writers did not give up their lock.
    """
    if not os.path.lexists(project.sessions):
        return
    _await_copies(project, purpose, timeout_seconds)
    has_written = with_unfinished and remove_unfinished(project, purpose, timeout_seconds)
    with _table(project, purpose) as table:
        reviser = _FileReviser(project.sessions, purpose, change, mend, table)
        for file in scan.files(project.sessions):
            path = project.sessions / file
            if names.split(file, purpose) is None or not is_meant(path):
                continue
            is_other, count = reviser.look(path)
            if is_other:
                with write_lock.held_alone(project.database(purpose.file), timeout_seconds):
                    has_written |= reviser.write(path)
            yield count
    if has_written and is_synced:
        sync_directory(project.sessions)


def _await_copies(project: Project, purpose: Purpose, timeout_seconds: float) -> None:
    """Wait for processes that copy rows which are gone now; then their files can be listed."""
    with write_lock.held_alone(project.database(purpose.file), timeout_seconds):
        pass


def revise_both(
    project: Project,
    purpose: Purpose,
    change: Change,
    timeout_seconds: float,
    announce: database.Announce = database.silent,
) -> None:
    """Change or remove records of a database and of its mirror: committed and synced on return.

    Of a database that cannot be read, the mirror alone is changed.

    Args:
        announce: A function of the ids of rows of the database before they are changed.

    Raises:
        OSError: A file of the mirror cannot be written.
        StoreBusyError: The writers did not give up their lock.
    """
    path = project.database(purpose.file)
    if path.exists():
        with suppress(StoreDamagedError):
            for _ in database.revise(path, purpose, change, timeout_seconds, announce=announce):
                pass
    for _ in revise(project, purpose, change, timeout_seconds):
        pass


def remove_unfinished(project: Project, purpose: Purpose, timeout_seconds: float) -> bool:
    """Remove the unfinished files of killed writers, and return whether there were any.

    That is not synced.
    """
    if not scan.unfinished(project.sessions, purpose):
        return False
    with write_lock.held_alone(project.database(purpose.file), timeout_seconds):
        for name in scan.unfinished(project.sessions, purpose):
            (project.sessions / name).unlink()
    return True


def strip(folder: Path, purposes: Sequence[Purpose], change: Change) -> None:
    """Change or remove records in a mirror that follows no database, as one being restored."""
    for purpose in purposes:
        reviser = _FileReviser(folder, purpose, change, _unchanged, None)
        for file in scan.files(folder):
            path = folder / file
            if names.split(file, purpose) is not None and reviser.look(path)[0]:
                reviser.write(path)


@contextmanager
def _table(project: Project, purpose: Purpose) -> Iterator[Connection | None]:
    """Open the database for repeated reads; None where there is none that can be read."""
    path = project.database(purpose.file)
    with ExitStack() as stack:
        connection = None
        with suppress(StoreError):
            if path.exists():
                connection = stack.enter_context(opened_reader(path))
        yield connection


class _FileReviser:
    """Inspects the files of one purpose, and rewrites those that change."""

    def __init__(
        self,
        folder: Path,
        purpose: Purpose,
        change: Change,
        mend: Mend,
        table: Connection | None,
    ) -> None:
        self.purpose = purpose
        self._folder = folder
        self._change = change
        self._mend = mend
        self._table = table

    def look(self, path: Path) -> tuple[bool, int]:
        """Return whether a file may be rewritten, and how many records it has."""
        if self.purpose.is_stream:
            lines = _StreamRevision(path, self, self._change)
            return lines.is_other, lines.count
        return self._document(path, is_written=False)

    def write(self, path: Path) -> bool:
        """Rewrite a file while no other process writes, and return whether it has changed.

        The name is not synced.
        """
        if self.purpose.is_stream:
            lines = _StreamRevision(path, self, self.revise)
            if lines.is_other:
                lines.write()
            return lines.is_other
        return self._document(path, is_written=True)[0]

    def revise(self, row: StoredRow) -> StoredRow | None:
        """Return the new copy of a record: the same object where it stays, None where it goes."""
        revised = self._change(row)
        if revised == row:
            return row
        present = [] if self._table is None else self._present(self._table, row[0])
        if not present:
            return revised
        if self.purpose.is_stream and session_of(present[0]) != session_of(row):
            # It is another session's now, and has its copy there.
            return None
        return row if present[0] == row else present[0]

    def replacement(self, path: Path, content: bytes) -> bytes | None:
        """Return the new content of what is no record; the same object where it stays."""
        line = content.removesuffix(b"\n")
        replacement = self._mend(path, line)
        if replacement == line:
            return content
        return None if replacement is None else replacement + content[len(line) :]

    def _present(self, table: Connection, id: str) -> list[StoredRow]:
        with translated(self._folder):
            return fetch_ids(table, self.purpose.table, [id])

    def _document(self, path: Path, *, is_written: bool) -> tuple[bool, int]:
        if not packed_streams.is_file(path):
            return False, 0
        for copy in scan.read(path.parent, path.name):
            if copy.problem:
                return copy.problem != scan.NOT_OURS and self._damaged(path, is_written), 0
            if copy.row is None or copy.purpose != self.purpose.name:
                return False, 0
            revised = self.revise(copy.row)
            if revised == copy.row:
                return False, 1
            if is_written and revised is None:
                path.unlink()
            elif is_written and revised is not None:
                Documents(self._folder, self.purpose).write([revised])
            return True, 1
        return False, 0

    def _damaged(self, path: Path, is_written: bool) -> bool:
        content = path.read_bytes()
        replacement = self.replacement(path, content)
        if replacement is content:
            return False
        if is_written and replacement is None:
            path.unlink()
        elif is_written and replacement is not None:
            os.replace(scan.write_beside(path, [replacement], self.purpose), path)
        return True


class _StreamRevision:
    """The lines of a stream, and whether one of them is removed or changed.

    Attributes:
        is_other: Whether one of them is removed or changed.
        count: The number of records.
    """

    def __init__(self, path: Path, reviser: _FileReviser, change: Change) -> None:
        self._path = path
        self._purpose = reviser.purpose
        self._reviser = reviser
        self._change = change
        # Of several lines with one id the last counts; of a deleted record none.
        self._last: dict[str, int] = {}
        self._revised: dict[str, StoredRow | None] = {}
        self.is_other = False
        self._is_empty = False
        with suppress(FileNotFoundError):
            self._look()
        self.count = sum(line > 0 for line in self._last.values())

    def write(self) -> None:
        """Write the lines in the form that they have: packed where some of them are."""
        files = packed_streams.files(self._path)
        if not files:
            return
        if self._is_empty:
            remove_empty(self._path)
            return
        target, *others = files
        lines = self._revised_lines()
        first = next(lines, None)
        if first is None:
            for file in files:
                file.unlink()
            return
        # A packer may be at work on the packed file, under another name.
        temporary = scan.write_beside(
            self._path, chain([first], lines), self._purpose, is_packed=target != self._path
        )
        os.replace(temporary, target)
        for other in others:
            # What it had is in the other one, which must not be lost without it.
            sync_directory(self._path.parent)
            other.unlink()

    def _look(self) -> None:
        is_broken = False
        # A process that copied a record that went meanwhile has left it so.
        self._is_empty = self.is_other = next(scan.stream(self._path), None) is None
        for copy, line in scan.stream(self._path):
            if copy.problem:
                # Of a packed file that is damaged the rest would be lost, were it written anew.
                is_broken |= not line
                self.is_other |= self._reviser.replacement(self._path, line) is not line
                continue
            if copy.purpose != self._purpose.name:
                self._last.clear()
                self.is_other = False
                return
            self.is_other |= copy.row is None or copy.id in self._last
            self._last[copy.id] = copy.line if copy.row is not None else 0
            self._revised.pop(copy.id, None)
            if copy.row is not None and (revised := self._change(copy.row)) != copy.row:
                self._revised[copy.id] = revised
        self.is_other = (self.is_other or bool(self._revised)) and not is_broken

    def _revised_lines(self) -> Iterator[bytes]:
        for copy, line in scan.stream(self._path):
            if copy.problem:
                if (mended := self._reviser.replacement(self._path, line)) is not None:
                    yield mended
            elif copy.row is None or self._last[copy.id] != copy.line:
                continue
            elif copy.id not in self._revised:
                yield line
            elif (revised := self._revised[copy.id]) is not None:
                yield codec.dump(to_document(self._purpose, revised)).encode() + b"\n"
