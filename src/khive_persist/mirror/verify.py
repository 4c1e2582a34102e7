"""Proving that the databases and the mirror say the same, row by row."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import Final, NamedTuple

from khive_persist.errors import StoreError
from khive_persist.mirror import names, scan
from khive_persist.mirror.mirror import Mirror
from khive_persist.place import Place
from khive_persist.purposes import Purpose
from khive_persist.settings import Settings
from khive_persist.staging import staging
from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite import lock, rows
from khive_persist.store.sqlite.ledger import KINDS, Entry, Ledger

Advance = Callable[[int], None]

_BATCH: Final = 500
_LOCK_SECONDS: Final = 30.0


class Tally(NamedTuple):
    """How the two copies of one purpose compare.

    Attributes:
        rows: How many records the database has.
        copies: How many the mirror has.
        missing_in_mirror: In the database only.
        missing_in_database: In the mirror only.
        differs: In both, with another content, metadata, time or embedding.
        twice_in_mirror: In a second file of the mirror.
    """

    rows: int
    copies: int
    missing_in_mirror: int = 0
    missing_in_database: int = 0
    differs: int = 0
    twice_in_mirror: int = 0

    @property
    def is_equal(self) -> bool:
        """Whether both copies have the same records."""
        return not any(self[2:])


class Difference(NamedTuple):
    """One record, line or file in which the copies differ.

    Attributes:
        kind: `missing_in_mirror`, `missing_in_database`, `differs`, `twice_in_mirror`; `damaged`
            for a line, a file or a database that cannot be read; `torn` for a last line without an
            end; `unknown_purpose` for a record of a class that is not known here; `not_ours` for a
            file that the mirror did not write, which is no fault.
        purpose: The name of the purpose, or an empty string where it cannot be told.
        id: The record's id, or an empty string.
        file: Where it lies, or an empty string.
        line: The line in it, from 1; 0 where it is the whole file.
        reason: What is wrong, for a person.
    """

    kind: str
    purpose: str
    id: str
    file: str
    line: int
    reason: str


class Comparison:
    """The databases and the mirror of a place, compared. Made by `compared`.

    Attributes:
        tallies: By the name of the purpose.
        problems: What is no record, `not_ours` among it.
        unreadable: The purposes whose database cannot be read.
    """

    def __init__(self, place: Place, purposes: Sequence[Purpose], ledger: Ledger) -> None:
        self.place = place
        self.purposes = {purpose.name: purpose for purpose in purposes}
        self.ledger = ledger
        self.tallies: dict[str, Tally] = {}
        self.problems: list[Difference] = []
        self.unreadable: set[str] = set()
        self._marks: dict[str, tuple[int, scan.Mark]] = {}

    @property
    def is_equal(self) -> bool:
        """Whether every record is in both copies, the same, and nothing is damaged."""
        return all(tally.is_equal for tally in self.tallies.values()) and not any(
            problem.kind != "not_ours" for problem in self.problems
        )

    def differences(self) -> Iterator[Difference]:
        """Each difference: of the purposes in turn, then what is no record."""
        for name in self.tallies:
            for kind in KINDS:
                for entry in self.ledger.found(kind, name):
                    yield Difference(kind, *entry, _REASONS[kind])
        yield from self.problems

    def read(self, advance: Advance) -> None:
        """Look at everything; then once more, in the turn of the writers, at what differed."""
        for purpose in self.purposes.values():
            self._read_database(purpose, advance)
        for file in scan.files(self.place.sessions):
            self._read_file(file, advance)
        for purpose in self.purposes.values():
            if purpose.name not in self.unreadable:
                self._look_again(purpose)
        self.problems.sort()
        for name in self.purposes:
            self.tallies[name] = self._tally(name)

    def _tally(self, name: str) -> Tally:
        if name in self.unreadable:
            return Tally(0, self.ledger.counts(name)[1])
        return Tally(*self.ledger.counts(name), *(self.ledger.count(kind, name) for kind in KINDS))

    def _read_database(self, purpose: Purpose, advance: Advance) -> None:
        path = self.place.database(purpose.file)
        if not path.exists():
            return
        try:
            for batch in rows.read_all(path, purpose.table):
                self.ledger.add_rows(purpose.name, [(row[0], digest(row)) for row in batch])
                advance(len(batch))
        except StoreError as error:
            self.unreadable.add(purpose.name)
            self.problems.append(
                Difference("damaged", purpose.name, "", purpose.file, 0, str(error))
            )

    def _read_file(self, file: str, advance: Advance) -> None:
        """Read a file, or what was added to it since."""
        try:
            inode = os.stat(self.place.sessions / file, follow_symlinks=False).st_ino
        except FileNotFoundError:
            return
        known, mark = self._marks.get(file, (inode, scan.START))
        count = 0
        for copy in scan.read(self.place.sessions, file, mark if known == inode else scan.START):
            self._note(copy)
            if copy.problem != scan.TORN:
                self._marks[file] = inode, scan.Mark(copy.line, copy.end)
            count += 1
            if count % _BATCH == 0:
                advance(_BATCH)
        advance(count % _BATCH)

    def _note(self, copy: scan.Copy) -> None:
        if copy.problem:
            kind = _kind_of(copy.problem)
            self.problems.append(
                Difference(kind, copy.purpose, copy.id, copy.file, copy.line, copy.problem)
            )
        elif copy.row is None:
            self.ledger.drop_copy(copy.purpose, copy.id, copy.file)
        elif copy.purpose not in self.purposes:
            self.problems.append(
                Difference(
                    "unknown_purpose", copy.purpose, copy.id, copy.file, copy.line,
                    f"the purpose {copy.purpose!r} is not known here",
                )
            )  # fmt: skip
        else:
            entry = Entry(copy.purpose, copy.id, copy.file, copy.line)
            self.ledger.add_copy(entry, digest(copy.row))

    def _look_again(self, purpose: Purpose) -> None:
        """Settle what only differed because somebody wrote meanwhile."""
        if purpose.is_stream:
            self._catch_up(purpose)
            return
        mirror = Mirror(self.place, Settings())
        path = self.place.database(purpose.file)
        for kind in KINDS:
            entries = self.ledger.found(kind, purpose.name)
            while some := list(islice(entries, _BATCH)):
                with lock.held(lock.lock_path(path), _LOCK_SECONDS):
                    self._settle(purpose, mirror, [entry.id for entry in some])

    def _catch_up(self, purpose: Purpose) -> None:
        """Bring both sides of a purpose of streams, which only grow, to one moment."""
        path = self.place.database(purpose.file)
        with ExitStack() as stack:
            with lock.held(lock.lock_path(path), _LOCK_SECONDS):
                snapshot = stack.enter_context(rows.snapshot(path)) if path.exists() else None
                self.problems = [
                    problem
                    for problem in self.problems
                    if problem.kind != "torn" or not _is_of(problem.file, purpose)
                ]
                for file in scan.files(self.place.sessions):
                    if _is_of(file, purpose):
                        self._read_file(file, lambda _: None)
            for kind in KINDS:
                entries = self.ledger.found(kind, purpose.name)
                while some := [entry.id for entry in islice(entries, _BATCH)]:
                    found = rows.fetch_ids(snapshot, purpose.table, some) if snapshot else []
                    self._put_rows(purpose, some, found)

    def _settle(self, purpose: Purpose, mirror: Mirror, ids: list[str]) -> None:
        database = self.place.database(purpose.file)
        found = rows.read_ids(database, purpose.table, ids) if database.exists() else []
        files = {file for id in ids for file in self.ledger.files_of(purpose.name, id)}
        files |= {path.name for row in found if (path := mirror.path(purpose, row)) is not None}
        self._put_rows(purpose, ids, found)
        for id in ids:
            for file in self.ledger.files_of(purpose.name, id):
                self.ledger.drop_copy(purpose.name, id, file)
        self.problems = [problem for problem in self.problems if problem.file not in files]
        for file in sorted(files):
            self._read_file(file, lambda _: None)

    def _put_rows(self, purpose: Purpose, ids: list[str], found: list[StoredRow]) -> None:
        for id in ids:
            self.ledger.drop_row(purpose.name, id)
        self.ledger.add_rows(purpose.name, [(row[0], digest(row)) for row in found])


_REASONS: Final = {
    "missing_in_mirror": "only in the database",
    "missing_in_database": "only in the mirror",
    "differs": "the two copies differ",
    "twice_in_mirror": "in another file of the mirror, too",
}


@contextmanager
def compared(
    place: Place, purposes: Sequence[Purpose], advance: Advance = lambda _: None
) -> Iterator[Comparison]:
    """Compare the databases of a place with its mirror, while others write.

    What differs because somebody wrote just then is looked at again in the turn of the writers, so
    that every difference is one. Memory is flat: ids and digests lie in a file below `.khive`, for
    as long as the `with`.

    Args:
        place: What to look at.
        purposes: Which records; a record of another purpose in the mirror is an `unknown_purpose`.
        advance: Called with the number of records that were looked at since.

    Raises:
        PlaceError: The place cannot be written to, as the comparison has to.
        StoreError: The writers did not give up a database for the time of a look.
    """
    with staging(place) as folder:
        ledger = Ledger(folder / "ledger.db")
        try:
            comparison = Comparison(place, purposes, ledger)
            comparison.read(advance)
            yield comparison
        finally:
            ledger.close()


def digest(row: StoredRow) -> bytes:
    """Tells rows apart that differ in content, metadata, time or embedding."""
    hashed = hashlib.blake2b(digest_size=16)
    for value in row[1:]:
        # A length before each, so that no two rows give the same bytes; NULL is no text.
        part = b"" if value is None else str(value).encode("utf-8", "surrogatepass")
        kind = "null" if value is None else type(value).__name__
        hashed.update(f"{kind} {len(part)} ".encode())
        hashed.update(part)
    return hashed.digest()


def _is_of(file: str, purpose: Purpose) -> bool:
    return names.parse(file) == (purpose.document, True)


def _kind_of(problem: str) -> str:
    return {scan.NOT_OURS: "not_ours", scan.TORN: "torn"}.get(problem, "damaged")
