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
from khive_persist.mirror.database_builder import DatabaseBuilder
from khive_persist.mirror.mirror import Mirror
from khive_persist.mirror.rewrite import remove_unfinished
from khive_persist.mirror.verify import Comparison, Tally, compared
from khive_persist.mirror.write_locks import LOCK_SECONDS, sharing, turn
from khive_persist.models.purposes import Purpose
from khive_persist.project import Project, make_directory, sync_directory
from khive_persist.settings import Settings
from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite import atomic_switch, rows
from khive_persist.store.sqlite.comparison_index import Entry
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.staging import staging
from khive_persist.threads import Advance

# Each is synced by itself; others wait for the turn.
_BATCH_DOCUMENTS: Final = 50
# Of a session they are synced together.
_BATCH_LINES: Final = 2_000
_PENDING_CHARACTERS: Final = 8 << 20
_KINDS: Final = ("twice_in_mirror", "missing_in_database", "differs", "missing_in_mirror")


class Rebuilt(NamedTuple):
    """The result of a rebuild.

    Attributes:
        tallies: The present counts of both copies, by the name of the purpose.
        rebuilt: The purposes of which something was made anew.
        is_equal: Whether both copies are proven equal.
        only_there: Of `rebuild_databases`: the number of records of the old database alone, now
            below `set_aside`.
        set_aside: The folder of what was replaced, or None where nothing was.
        index_is_clean: Whether the index of the search has nothing of what was replaced.
    """

    tallies: dict[str, Tally]
    rebuilt: tuple[str, ...]
    is_equal: bool
    only_there: int
    set_aside: Path | None
    index_is_clean: bool = True


def rebuild_databases(
    project: Project,
    purposes: Sequence[Purpose],
    advance: Advance = lambda _: None,
    *,
    may_discard: Callable[[int], bool] = lambda _: False,
) -> Rebuilt:
    """Make the databases what the mirror is, as `copies.make_anew` does.

    Only those that are not equal to the mirror are replaced, each as a whole, once its successor is
    complete; writers wait for that moment only, and go on with the new file. A
    purpose that the mirror has nothing of is left as it is. Killed at any point, the old databases
    are there, or the new ones; running it again changes nothing more.
    """
    with compared(project, purposes, advance) as comparison:
        unequal = [p for p in purposes if comparison.ledger.counts(p.name)[1]]
        if not unequal:
            raise NotFoundError(f"{project.sessions} has no record to rebuild a database from")
        unequal = [
            p
            for p in unequal
            if not comparison.tallies[p.name].is_equal or p.name in comparison.unreadable
        ]
        only_there = sum(comparison.tallies[p.name].missing_in_mirror for p in unequal)
    if only_there and not may_discard(only_there):
        raise MirrorError(
            f"{only_there} records are in a database and not in {project.sessions}",
            hint="bring them there with rebuild --from-database, or set them aside with --yes",
        )
    outgoing = project.quarantine / f"rebuild.{clock.new_id()}"
    if unequal:
        with (
            staging(project) as folder,
            translated(folder),
            closing(DatabaseBuilder(project, unequal, folder, advance)) as building,
        ):
            building.read()
            make_directory(project.quarantine)
            atomic_switch.perform(
                project.khive,
                building.incoming,
                outgoing,
                removes_others=False,
                prepare=building.finish,
            )
    return _verified(project, purposes, unequal, only_there, outgoing, advance)


def rebuild_mirror(
    project: Project, purposes: Sequence[Purpose], advance: Advance = lambda _: None
) -> Rebuilt:
    """Make the mirror what the databases are, as `copies.make_anew` does.

    Only what differs is written. A file that is replaced, or has no record in the database any
    more, goes to quarantine; a stream that is damaged keeps its sound lines. A purpose that has no
    database is left as it is. Writers go on meanwhile. Killed at any point, each file is the
    old or the new one; running it again goes on.
    """
    outgoing = project.quarantine / f"rebuild.{clock.new_id()}"
    with compared(project, purposes, advance) as comparison:
        present = [p for p in purposes if project.database(p.file).exists()]
        if not present and any(tally.copies for tally in comparison.tallies.values()):
            raise NotFoundError(f"{project.khive} has no database to rebuild the mirror from")
        quarantine = _Quarantine(comparison, outgoing)
        rewritten = []
        for purpose in present:
            remove_unfinished(project, purpose, LOCK_SECONDS)
            if purpose.name not in comparison.unreadable:
                is_mended = quarantine.take_damaged(purpose)
                if is_mended or not comparison.tallies[purpose.name].is_equal:
                    _MirrorRepair(comparison, purpose, quarantine).run(advance)
                    rewritten.append(purpose)
        quarantine.sync()
    return _verified(project, purposes, rewritten, 0, outgoing, advance)


def copy_missing(project: Project, purpose: Purpose) -> None:
    """Write what the mirror lacks of a purpose, or has otherwise: synced on return.

    A file that is replaced has a second name in quarantine. What only the mirror has, or what is
    damaged there, is left as it is. Writers go on meanwhile.

    Raises:
        StoreError: The database cannot be read, or its writers did not give it up.
        MirrorError: A file cannot be written.
        OSError: As the file system says.
    """
    with compared(project, [purpose]) as comparison:
        if purpose.name not in comparison.unreadable:
            quarantine = _Quarantine(comparison, project.quarantine / f"recovery.{clock.new_id()}")
            kinds = "differs", "missing_in_mirror"
            _MirrorRepair(comparison, purpose, quarantine).run(lambda _: None, kinds)
            quarantine.sync()


def _verified(
    project: Project,
    purposes: Sequence[Purpose],
    rebuilt: Iterable[Purpose],
    only_there: int,
    outgoing: Path,
    advance: Advance,
) -> Rebuilt:
    with compared(project, purposes, advance) as comparison:
        return Rebuilt(
            comparison.tallies,
            tuple(purpose.name for purpose in rebuilt),
            comparison.is_equal,
            only_there,
            outgoing if outgoing.exists() else None,
        )


class _Quarantine:
    """The folder in quarantine that takes what a rebuild replaces."""

    def __init__(self, comparison: Comparison, folder: Path) -> None:
        self._comparison = comparison
        self._project = comparison.project
        self._sessions = comparison.project.sessions
        self._folder = folder

    def keep(self, *files: str) -> None:
        """Link files, or those of streams, into the folder before they are replaced: synced."""
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
        """Move files into the folder."""
        self.keep(*files)
        for file in files:
            with suppress(FileNotFoundError):
                os.unlink(self._sessions / file)

    def take_damaged(self, purpose: Purpose) -> bool:
        """Move unreadable documents into the folder, and mend streams, which keep sound lines.

        Returns:
            Whether there was one.
        """
        damaged = {
            problem.file: None
            for problem in self._comparison.ledger.problems()
            if problem.kind in ("damaged", "torn") and names.split(problem.file, purpose)
        }
        for file in damaged:
            with turn(self._project, sharing(self._comparison.known_purposes.values(), purpose)):
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
        mended = scan.write_beside(path, scan.readable_lines(path), purpose)
        if mended.stat().st_size:
            os.replace(mended, path)
            sync_directory(self._sessions)
        else:
            mended.unlink()
            path.unlink(missing_ok=True)
        # Its sound lines are in the plain file now, to be packed again.
        if packed_streams.is_file(packed := packed_streams.packed_path(path)):
            packed.unlink()


class _MirrorRepair:
    """Brings the mirror of one purpose in line with its database."""

    def __init__(self, comparison: Comparison, purpose: Purpose, quarantine: _Quarantine) -> None:
        self._project = comparison.project
        self._ledger = comparison.ledger
        self._sharing = sharing(comparison.known_purposes.values(), purpose)
        self._purpose = purpose
        self._database = self._project.database(purpose.file)
        self._mirror = Mirror(self._project, Settings())
        self._quarantine = quarantine

    def run(self, advance: Advance, kinds: Sequence[str] = _KINDS) -> None:
        """Settle the differences, a batch at a time, while no other process writes."""
        settle = self._settle_streams if self._purpose.is_stream else self._settle_documents
        batch = _BATCH_LINES if self._purpose.is_stream else _BATCH_DOCUMENTS
        for kind in kinds:
            entries = self._ledger.found(kind, self._purpose.name)
            while chunk := list(islice(entries, batch)):
                with turn(self._project, self._sharing):
                    settle(kind, chunk)
                advance(len(chunk))

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
            if kind == "differs" and row is not None and self._current_file(row) == entry.file:
                replaced.append(entry.file)
            elif kind != "missing_in_database" or row is None:
                moved.append(entry.file)
        self._quarantine.keep(*replaced)
        self._quarantine.move(*moved)
        if kind != "twice_in_mirror":
            self._mirror.write(self._purpose, list(present.values()))

    def _settle_streams(self, kind: str, entries: list[Entry]) -> None:
        pending: list[StoredRow] = []
        for start in range(0, len(entries), _BATCH_DOCUMENTS):
            chunk = entries[start : start + _BATCH_DOCUMENTS]
            present = self._rows(chunk)
            current_files = {row[0]: self._current_file(row) for row in present}
            outdated = [
                entry
                for entry in chunk
                if entry.file
                and (kind == "twice_in_mirror" or current_files.get(entry.id) != entry.file)
            ]
            for file, lines in groupby(outdated, key=lambda entry: entry.file):
                self._mirror.retract(self._purpose, file, [entry.id for entry in lines])
            if kind != "twice_in_mirror":
                pending += present
            if sum(len(row[1] or "") for row in pending) > _PENDING_CHARACTERS:
                self._mirror.write(self._purpose, pending)
                pending = []
        self._mirror.write(self._purpose, pending)

    def _current_file(self, row: StoredRow) -> str:
        path = self._mirror.path(self._purpose, row)
        return path.name if path is not None else ""

    def _holds(self, entry: Entry) -> bool:
        """Return whether a document still belongs to this record."""
        copies = scan.read(self._project.sessions, entry.file)
        return any((copy.purpose, copy.id) == (entry.purpose, entry.id) for copy in copies)
