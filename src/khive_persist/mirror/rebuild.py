"""Making one copy anew from the other. What is replaced goes to `quarantine/`."""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from itertools import groupby, islice
from pathlib import Path
from typing import Final, NamedTuple

from khive_persist import clock
from khive_persist.errors import MirrorError, NotFoundError
from khive_persist.mirror import names, packed_streams, scan
from khive_persist.mirror.database_builder import Building
from khive_persist.mirror.mirror import Mirror
from khive_persist.mirror.rewrite import remove_unfinished
from khive_persist.mirror.verify import Advance, Comparison, Tally, compared
from khive_persist.mirror.write_locks import LOCK_SECONDS, sharing, turn
from khive_persist.models.purposes import Purpose
from khive_persist.project import Project, make_directory, sync_directory
from khive_persist.settings import Settings
from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite import atomic_switch, rows
from khive_persist.store.sqlite.comparison_index import Entry
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.staging import staging

# Each is synced by itself; others wait for the turn.
_BATCH_DOCUMENTS: Final = 50
# Of a session they are synced together.
_BATCH_LINES: Final = 2_000
_WAITING_CHARACTERS: Final = 8 << 20
_KINDS: Final = ("twice_in_mirror", "missing_in_database", "differs", "missing_in_mirror")


class Rebuilt(NamedTuple):
    """The result of a rebuild.

    Attributes:
        tallies: How the copies compare now, by the name of the purpose.
        rebuilt: The purposes of which something was made anew.
        is_equal: Whether both copies are proven equal.
        only_there: Of `rebuild_databases`: how many records only the old database had. They are in
            it, below `set_aside`.
        set_aside: Where what was replaced lies, or None where nothing was.
    """

    tallies: dict[str, Tally]
    rebuilt: tuple[str, ...]
    is_equal: bool
    only_there: int
    set_aside: Path | None


def rebuild_databases(
    project: Project,
    purposes: Sequence[Purpose],
    advance: Advance = lambda _: None,
    *,
    may_discard: Callable[[int], bool] = lambda _: False,
) -> Rebuilt:
    """Make the databases what the mirror is: synced and proven on return.

    Only those that are not equal to the mirror are replaced, each as a whole, once its successor is
    complete; who writes meanwhile waits for that moment only, and goes on with the new file. A
    purpose that the mirror has nothing of is left as it is. Killed at any point, the old databases
    are there, or the new ones; running it again changes nothing more.

    Args:
        project: Where.
        purposes: Which records.
        advance: Called with the number of records that were looked at since.
        may_discard: Asked, with their number, whether records that the mirror has not may go to
            quarantine with their database.

    Raises:
        NotFoundError: The mirror has nothing of these purposes.
        MirrorError: The mirror lacks records that a database has, and they may not go; nothing was
            changed.
        StoreError: As its subclasses say; the old databases are there.
        OSError: The mirror cannot be read; the old databases are there.
    """
    with compared(project, purposes, advance) as before:
        wanted = [p for p in purposes if before.ledger.counts(p.name)[1]]
        if not wanted:
            raise NotFoundError(f"{project.sessions} has no record to rebuild a database from")
        wanted = [
            p for p in wanted if not before.tallies[p.name].is_equal or p.name in before.unreadable
        ]
        only_there = sum(before.tallies[p.name].missing_in_mirror for p in wanted)
    if only_there and not may_discard(only_there):
        raise MirrorError(
            f"{only_there} records are in a database and not in {project.sessions}",
            hint="bring them there with rebuild --from-database, or set them aside with --yes",
        )
    outgoing = project.quarantine / f"rebuild.{clock.new_id()}"
    if wanted:
        with (
            staging(project) as folder,
            translated(folder),
            closing(Building(project, wanted, folder, advance)) as building,
        ):
            building.read()
            make_directory(project.quarantine)
            atomic_switch.perform(
                project.khive, building.incoming, outgoing, whole=False, prepare=building.finish
            )
    return _proven(project, purposes, wanted, only_there, outgoing, advance)


def rebuild_mirror(
    project: Project, purposes: Sequence[Purpose], advance: Advance = lambda _: None
) -> Rebuilt:
    """Make the mirror what the databases are: synced and proven on return.

    Only what differs is written. A file that is replaced, or has no record in the database any
    more, goes to quarantine; a stream that is damaged keeps its sound lines. A purpose that has no
    database is left as it is. Who writes meanwhile goes on. Killed at any point, each file is the
    old or the new one; running it again goes on.

    Raises:
        NotFoundError: There is no database of these purposes, but a mirror.
        StoreError: A database cannot be read, or its writers did not give it up.
        MirrorError: A file cannot be written.
        OSError: As the file system says.
    """
    outgoing = project.quarantine / f"rebuild.{clock.new_id()}"
    with compared(project, purposes, advance) as before:
        present = [p for p in purposes if project.database(p.file).exists()]
        if not present and any(tally.copies for tally in before.tallies.values()):
            raise NotFoundError(f"{project.khive} has no database to rebuild the mirror from")
        aside = _Aside(before, outgoing)
        wanted = []
        for purpose in present:
            remove_unfinished(project, purpose, LOCK_SECONDS)
            if purpose.name not in before.unreadable:
                is_mended = aside.take_damaged(purpose)
                if is_mended or not before.tallies[purpose.name].is_equal:
                    _Copying(before, purpose, aside).run(advance)
                    wanted.append(purpose)
        aside.sync()
    return _proven(project, purposes, wanted, 0, outgoing, advance)


def copy_missing(project: Project, purpose: Purpose, advance: Advance = lambda _: None) -> None:
    """Write what the mirror lacks of a purpose, or has otherwise: synced on return.

    A file that is replaced has a second name in quarantine. What only the mirror has, or what is
    damaged there, is left as it is. Who writes meanwhile goes on.

    Raises:
        StoreError: The database cannot be read, or its writers did not give it up.
        MirrorError: A file cannot be written.
        OSError: As the file system says.
    """
    with compared(project, [purpose], advance) as before:
        if purpose.name not in before.unreadable:
            aside = _Aside(before, project.quarantine / f"recovery.{clock.new_id()}")
            _Copying(before, purpose, aside).run(advance, kinds=("differs", "missing_in_mirror"))
            aside.sync()


def _proven(
    project: Project,
    purposes: Sequence[Purpose],
    rebuilt: Iterable[Purpose],
    only_there: int,
    outgoing: Path,
    advance: Advance,
) -> Rebuilt:
    with compared(project, purposes, advance) as after:
        return Rebuilt(
            after.tallies,
            tuple(purpose.name for purpose in rebuilt),
            after.is_equal,
            only_there,
            outgoing if outgoing.exists() else None,
        )


class _Aside:
    """The folder in quarantine that takes what a rebuild replaces."""

    def __init__(self, comparison: Comparison, folder: Path) -> None:
        self._comparison = comparison
        self._project = comparison.project
        self._sessions = comparison.project.sessions
        self._folder = folder

    def keep(self, *files: str) -> None:
        """Give files, or those of streams, a second name there, synced: they will be replaced."""
        if not files:
            return
        make_directory(self._project.quarantine)
        make_directory(self._folder)
        for file in files:
            for path in packed_streams.present(self._sessions / file):
                with suppress(FileExistsError, FileNotFoundError):
                    os.link(path, self._folder / path.name, follow_symlinks=False)
        sync_directory(self._folder)

    def move(self, *files: str) -> None:
        """Move files there."""
        self.keep(*files)
        for file in files:
            with suppress(FileNotFoundError):
                os.unlink(self._sessions / file)

    def take_damaged(self, purpose: Purpose) -> bool:
        """Move documents that cannot be read there, and mend streams, which keep sound lines.

        Returns:
            Whether there was one.
        """
        damaged = {
            problem.file: None
            for problem in self._comparison.problems()
            if problem.kind in ("damaged", "torn") and names.split(problem.file, purpose)
        }
        for file in damaged:
            with turn(self._project, sharing(self._comparison.known.values(), purpose)):
                # It may have been written anew since, or mended for another purpose.
                if any(map(scan.is_damaged, scan.read(self._sessions, file))):
                    if purpose.is_stream:
                        self._mend(file, purpose)
                    else:
                        self.move(file)
        return bool(damaged)

    def sync(self) -> None:
        """Make durable what was moved."""
        with suppress(FileNotFoundError):
            sync_directory(self._sessions)

    def _mend(self, file: str, purpose: Purpose) -> None:
        self.keep(file)
        path = self._sessions / file
        mended = scan.write_beside(path, scan.sound_lines(path), purpose)
        if mended.stat().st_size:
            os.replace(mended, path)
            sync_directory(self._sessions)
        else:
            mended.unlink()
            path.unlink(missing_ok=True)
        # Its sound lines are in the plain file now, to be packed again.
        if packed_streams.is_file(packed := packed_streams.packed_path(path)):
            packed.unlink()


class _Copying:
    """Brings the mirror of one purpose to what its database has."""

    def __init__(self, comparison: Comparison, purpose: Purpose, aside: _Aside) -> None:
        self._project = comparison.project
        self._ledger = comparison.ledger
        self._sharing = sharing(comparison.known.values(), purpose)
        self._purpose = purpose
        self._database = self._project.database(purpose.file)
        self._mirror = Mirror(self._project, Settings())
        self._aside = aside

    def run(self, advance: Advance, kinds: Sequence[str] = _KINDS) -> None:
        """Go through the differences, a batch at a time in the turn of the writers."""
        settle = self._settle_streams if self._purpose.is_stream else self._settle_documents
        batch = _BATCH_LINES if self._purpose.is_stream else _BATCH_DOCUMENTS
        for kind in kinds:
            entries = self._ledger.found(kind, self._purpose.name)
            while some := list(islice(entries, batch)):
                with turn(self._project, self._sharing):
                    settle(kind, some)
                advance(len(some))

    def _rows(self, entries: list[Entry]) -> list[StoredRow]:
        ids = [entry.id for entry in entries]
        return rows.read_ids(self._database, self._purpose.table, ids)

    def _settle_documents(self, kind: str, entries: list[Entry]) -> None:
        present = {row[0]: row for row in self._rows(entries)}
        replaced, moved = [], []
        for entry in entries:
            row = present.get(entry.id)
            if not entry.file or not self._holds(entry):
                continue
            if kind == "differs" and row is not None and self._own(row) == entry.file:
                replaced.append(entry.file)
            elif kind != "missing_in_database" or row is None:
                moved.append(entry.file)
        self._aside.keep(*replaced)
        self._aside.move(*moved)
        if kind != "twice_in_mirror":
            self._mirror.written(self._purpose, list(present.values()))

    def _settle_streams(self, kind: str, entries: list[Entry]) -> None:
        waiting: list[StoredRow] = []
        for begin in range(0, len(entries), _BATCH_DOCUMENTS):
            some = entries[begin : begin + _BATCH_DOCUMENTS]
            present = self._rows(some)
            own = {row[0]: self._own(row) for row in present}
            gone = [
                entry
                for entry in some
                if entry.file and (kind == "twice_in_mirror" or own.get(entry.id) != entry.file)
            ]
            for file, lines in groupby(gone, key=lambda entry: entry.file):
                self._mirror.retract(self._purpose, file, [entry.id for entry in lines])
            if kind != "twice_in_mirror":
                waiting += present
            if sum(len(row[1] or "") for row in waiting) > _WAITING_CHARACTERS:
                self._mirror.written(self._purpose, waiting)
                waiting = []
        self._mirror.written(self._purpose, waiting)

    def _own(self, row: StoredRow) -> str:
        path = self._mirror.path(self._purpose, row)
        return path.name if path is not None else ""

    def _holds(self, entry: Entry) -> bool:
        """Whether a document is still this record's."""
        copies = scan.read(self._project.sessions, entry.file)
        return any((copy.purpose, copy.id) == (entry.purpose, entry.id) for copy in copies)
