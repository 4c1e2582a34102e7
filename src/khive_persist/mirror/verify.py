"""Row by row comparison of the databases and the mirror."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import islice
from typing import Final, NamedTuple

from khive_persist.errors import MirrorError, StoreDamagedError
from khive_persist.mirror import names, packed_streams, scan
from khive_persist.mirror.document import digest
from khive_persist.mirror.mirror import Mirror
from khive_persist.mirror.write_locks import sharing, turn
from khive_persist.models.purpose_registry import mirrored_purposes
from khive_persist.models.purposes import Purpose
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite import rows
from khive_persist.store.sqlite.comparison_index import KINDS, Difference, Entry, FileOffset, Ledger
from khive_persist.store.sqlite.connection import Connection
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.staging import staging
from khive_persist.threads import Advance

_BATCH: Final = 500


class Tally(NamedTuple):
    """Counts of what the two copies of one purpose have.

    Attributes:
        rows: The number of records in the database.
        copies: The number of records in the mirror.
        missing_in_mirror: The number in the database only.
        missing_in_database: The number in the mirror only.
        differs: The number in both, with another content, metadata, time or embedding.
        twice_in_mirror: The number in a second file of the mirror.
    """

    rows: int
    copies: int
    missing_in_mirror: int = 0
    missing_in_database: int = 0
    differs: int = 0
    twice_in_mirror: int = 0

    @property
    def is_equal(self) -> bool:
        """Return whether both copies have the same records."""
        return not any(self[2:])


class Comparison:
    """The databases and the mirror of a project, compared. Made by `compared`.

    Attributes:
        tallies: The counts, by the name of the purpose.
        unreadable: The names of the purposes whose database is damaged.
        is_equal: Whether every record is in both copies, the same, and nothing is damaged.
    """

    def __init__(self, project: Project, purposes: Sequence[Purpose], ledger: Ledger) -> None:
        self.project = project
        self.purposes = {purpose.name: purpose for purpose in purposes}
        self.known_purposes = {
            purpose.name: purpose for purpose in mirrored_purposes(project)
        } | self.purposes
        self.ledger = ledger
        self.tallies: dict[str, Tally] = {}
        self.unreadable: set[str] = set()
        self.is_equal = False

    def differences(self) -> Iterator[Difference]:
        """Yield each difference: of the purposes in turn, then of what is no record."""
        for name in self.tallies:
            if name not in self.unreadable:
                for kind in KINDS:
                    for entry in self.ledger.found(kind, name):
                        yield Difference(kind, **entry._asdict(), reason=_REASONS[kind])
        yield from self.ledger.problems()

    def read(self, advance: Advance) -> None:
        """Compare everything; then what differed once more, while no other process writes."""
        for purpose in self.purposes.values():
            self._read_database(purpose, advance)
        for file in scan.files(self.project.sessions):
            self._read_file(file, advance)
        for purpose in self.purposes.values():
            if not purpose.is_stream and purpose.name not in self.unreadable:
                self._recheck(purpose)
        streams = [purpose for purpose in self.purposes.values() if purpose.is_stream]
        for document in {purpose.document: None for purpose in streams}:
            self._catch_up([purpose for purpose in streams if purpose.document == document])
        for name in self.purposes:
            self.tallies[name] = self._tally(name)
        self.is_equal = all(tally.is_equal for tally in self.tallies.values()) and (
            not self.ledger.has_problem_but("not_ours")
        )

    def _tally(self, name: str) -> Tally:
        if name in self.unreadable:
            return Tally(0, self.ledger.counts(name)[1])
        rows, copies = self.ledger.counts(name)
        return Tally(rows, copies, **{kind: self.ledger.count(kind, name) for kind in KINDS})

    def _read_database(self, purpose: Purpose, advance: Advance) -> None:
        path = self.project.database(purpose.file)
        if not os.path.lexists(path):
            return
        try:
            for batch in rows.read_all(path, purpose.table):
                self.ledger.add_rows(purpose.name, [(row[0], digest(row)) for row in batch])
                advance(len(batch))
        except StoreDamagedError as error:
            self.unreadable.add(purpose.name)
            reason = " ".join(str(error).split())
            self.ledger.add_problem("damaged", purpose.name, "", purpose.file, 0, reason)

    def _read_file(self, file: str, advance: Advance) -> None:
        """Read a file; of a stream, what was added to it since."""
        offset = scan.START
        if names.is_stream(file):
            try:
                state = packed_streams.state(self.project.sessions / file)
            except FileNotFoundError:
                self.ledger.drop_file(file)
                return
            previous = self.ledger.read_offset(file) or FileOffset(state.identity, 0, -1)
            offset = scan.ReadOffset(previous.line, previous.end)
            if previous.state != state.identity or state.plain_bytes < offset.end:
                # It was written anew, or packed: what was read of it no longer counts.
                self.ledger.drop_file(file)
                offset = scan.START
            self.ledger.drop_problems(file, "torn")
            if state.plain_bytes == offset.end and previous.state == state.identity:
                return
            offset = offset._replace(end=max(offset.end, 0))
        count = 0
        for copy in scan.read(self.project.sessions, file, offset):
            self._note(copy)
            offset = offset.after(copy)
            count += 1
            if count % _BATCH == 0:
                advance(_BATCH)
        advance(count % _BATCH)
        if names.is_stream(file):
            self.ledger.set_read_offset(file, state.identity, *offset)

    def _note(self, copy: scan.Copy) -> None:
        purpose = self.known_purposes.get(copy.purpose)
        if copy.problem == scan.NOT_OURS or not self._can_be_of(copy, purpose):
            # Said once of the whole file. Its name can be of bytes that are no text.
            file = os.fsencode(copy.file).decode("utf-8", "backslashreplace")
            self.ledger.add_problem("not_ours", "", "", file, 0, scan.NOT_OURS)
        elif copy.problem:
            kind = "torn" if copy.problem == scan.TORN else "damaged"
            self.ledger.add_problem(kind, copy.purpose, copy.id, copy.file, copy.line, copy.problem)
        elif purpose is None:
            reason = f"the purpose {copy.purpose!r} is not known here"
            self.ledger.add_problem(
                "unknown_purpose", copy.purpose, copy.id, copy.file, copy.line, reason
            )
        elif copy.row is None:
            self.ledger.drop_copy(copy.purpose, copy.id, copy.file)
        elif copy.purpose in self.purposes:
            entry = Entry(copy.purpose, copy.id, copy.file, copy.line)
            self.ledger.add_copy(entry, digest(copy.row))

    def _can_be_of(self, copy: scan.Copy, purpose: Purpose | None) -> bool:
        """Return whether a file's name is one that the writer of a known purpose gives."""
        if purpose is not None:
            return names.split(copy.file, purpose) is not None
        return not copy.problem or any(
            names.split(copy.file, p) for p in self.known_purposes.values()
        )

    def _recheck(self, purpose: Purpose) -> None:
        """Settle differences of documents that exist only because of concurrent writes."""
        mirror = Mirror(self.project, Settings())
        for kind in KINDS:
            entries = self.ledger.found(kind, purpose.name)
            while chunk := list(islice(entries, _BATCH)):
                with turn(self.project, [purpose]):
                    self._settle(purpose, mirror, [entry.id for entry in chunk])

    def _catch_up(self, purposes: Sequence[Purpose]) -> None:
        """Read both sides of streams, which only grow, as of one moment.

        Purposes whose files begin alike come together: only then no process writes to one.
        """
        with ExitStack() as stack:
            snapshots = {}
            with turn(self.project, sharing(self.known_purposes.values(), purposes[0])):
                for purpose in purposes:
                    path = self.project.database(purpose.file)
                    if purpose.name not in self.unreadable and path.exists():
                        snapshots[purpose] = stack.enter_context(rows.snapshot(path))
                for file in sorted(
                    {*scan.files(self.project.sessions), *self.ledger.files_with_offset()}
                ):
                    if names.split(file, purposes[0]) is not None:
                        self._read_file(file, lambda _: None)
            for purpose in purposes:
                if purpose.name not in self.unreadable:
                    self._settle_rows(purpose, snapshots.get(purpose))

    def _settle_rows(self, purpose: Purpose, snapshot: Connection | None) -> None:
        for kind in KINDS:
            entries = self.ledger.found(kind, purpose.name)
            while ids := [entry.id for entry in islice(entries, _BATCH)]:
                records = rows.fetch_ids(snapshot, purpose.table, ids) if snapshot else []
                self._replace_rows(purpose, ids, records)

    def _settle(self, purpose: Purpose, mirror: Mirror, ids: Iterable[str]) -> None:
        """Read both sides of some records, and of all that share a file with them, as of now.

        A name that became free may have gone to another record since.
        """
        database = self.project.database(purpose.file)
        pending, settled, files_with_offset = set(ids), set[str](), set[str]()
        while pending:
            records = (
                rows.read_ids(database, purpose.table, [*pending]) if database.exists() else []
            )
            files = {file for id in pending for file in self.ledger.files_of(purpose.name, id)}
            for row in records:
                # All its names may be taken: then it has no file.
                with suppress(MirrorError):
                    if (path := mirror.path(purpose, row)) is not None:
                        files.add(path.name)
            self._replace_rows(purpose, [*pending], records)
            settled |= pending
            files -= files_with_offset
            pending = self._ids_in(purpose, files)
            for file in sorted(files):
                self.ledger.drop_file(file)
                self._read_file(file, lambda _: None)
            pending = (pending | self._ids_in(purpose, files)) - settled
            files_with_offset |= files

    def _ids_in(self, purpose: Purpose, files: Iterable[str]) -> set[str]:
        copies = (entry for file in files for entry in self.ledger.copies_in(file))
        return {id for name, id in copies if name == purpose.name}

    def _replace_rows(self, purpose: Purpose, ids: list[str], records: list[StoredRow]) -> None:
        for id in ids:
            self.ledger.drop_row(purpose.name, id)
        self.ledger.add_rows(purpose.name, [(row[0], digest(row)) for row in records])


_REASONS: Final = {
    "missing_in_mirror": "only in the database",
    "missing_in_database": "only in the mirror",
    "differs": "the two copies differ",
    "twice_in_mirror": "in another file of the mirror, too",
}


@contextmanager
def compared(
    project: Project, purposes: Sequence[Purpose], advance: Advance = lambda _: None
) -> Iterator[Comparison]:
    """Compare the databases of a project with its mirror, while others write.

    Differences of concurrent writes are compared again while no other process writes, so
    that every difference is one. Memory is flat: ids and digests lie in a file below `.khive`, for
    as long as the `with`.

    Args:
        purposes: The purposes to compare; any other one in the mirror is an `unknown_purpose`.
        advance: A callback, given the number of records that were examined since its last call.

    Raises:
        ProjectError: The project cannot be written to, as the comparison has to.
        InvalidRecordError: A file in `.khive/purposes/` is not one of ours.
        MirrorError: `sessions` is no folder.
        StoreError: The writers did not give up a database for the time of a look, or it cannot be
            read for another reason than damage, as a newer one.
    """
    with (
        staging(project) as folder,
        translated(folder / "ledger.db"),
        closing(Ledger(folder / "ledger.db")) as ledger,
    ):
        comparison = Comparison(project, purposes, ledger)
        comparison.read(advance)
        yield comparison
