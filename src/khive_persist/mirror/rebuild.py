"""Making one copy anew from the other. What is replaced goes to `quarantine/`."""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby, islice
from pathlib import Path
from typing import Final, NamedTuple

from khive_persist import clock
from khive_persist.errors import MirrorError, NotFoundError
from khive_persist.mirror import names, scan
from khive_persist.mirror.mirror import Mirror
from khive_persist.mirror.verify import Advance, Comparison, Tally, compared
from khive_persist.place import Place, make_directory, sync_directory, sync_file
from khive_persist.purposes import Purpose
from khive_persist.settings import Settings
from khive_persist.staging import staging
from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite import lock, rows, statements, switch
from khive_persist.store.sqlite.connection import make, open_writer
from khive_persist.store.sqlite.ledger import Entry

_BATCH: Final = 500
_LOCK_SECONDS: Final = 30.0


class Rebuilt(NamedTuple):
    """What a rebuild did.

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
    place: Place,
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
        place: Where.
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
    with compared(place, purposes, advance) as before:
        wanted = [p for p in purposes if before.ledger.counts(p.name)[1]]
        if not wanted:
            raise NotFoundError(f"{place.sessions} has no record to rebuild a database from")
        wanted = [
            p for p in wanted if not before.tallies[p.name].is_equal or p.name in before.unreadable
        ]
        only_there = sum(before.tallies[p.name].missing_in_mirror for p in wanted)
    if only_there and not may_discard(only_there):
        raise MirrorError(
            f"{only_there} records are in a database and not in {place.sessions}",
            hint="bring them there with rebuild --from-database, or set them aside with --yes",
        )
    outgoing = place.quarantine / f"rebuild.{clock.new_id()}"
    if wanted:
        with staging(place) as folder:
            incoming = folder / "incoming"
            make_directory(incoming)
            building = _Building(place, wanted, incoming, advance)
            try:
                building.read()
                make_directory(place.quarantine)
                switch.perform(
                    place.khive, incoming, outgoing, whole=False, prepare=building.finish
                )
            finally:
                building.close()
    return _proven(place, purposes, wanted, only_there, outgoing, advance)


def rebuild_mirror(
    place: Place, purposes: Sequence[Purpose], advance: Advance = lambda _: None
) -> Rebuilt:
    """Make the mirror what the databases are: synced and proven on return.

    Only what differs is written. A file that is replaced, or has no record in the database any
    more, goes to quarantine; a stream that is damaged keeps its sound lines. Who writes meanwhile
    goes on. Killed at any point, each file is the old or the new one; running it again goes on.

    Raises:
        StoreError: A database cannot be read, or its writers did not give it up.
        MirrorError: A file cannot be written.
        OSError: As the file system says.
    """
    outgoing = place.quarantine / f"rebuild.{clock.new_id()}"
    with compared(place, purposes, advance) as before:
        aside = _Aside(place, outgoing)
        aside.take_damaged(before)
        wanted = []
        for purpose in purposes:
            tally = before.tallies[purpose.name]
            _remove_unfinished(place, purpose)
            if purpose.name not in before.unreadable and not tally.is_equal:
                _Copying(place, purpose, aside).run(before, advance)
                wanted.append(purpose)
        aside.sync()
    return _proven(place, purposes, wanted, 0, outgoing, advance)


def _proven(
    place: Place,
    purposes: Sequence[Purpose],
    rebuilt: Iterable[Purpose],
    only_there: int,
    outgoing: Path,
    advance: Advance,
) -> Rebuilt:
    with compared(place, purposes, advance) as after:
        return Rebuilt(
            after.tallies,
            tuple(purpose.name for purpose in rebuilt),
            after.is_equal,
            only_there,
            outgoing if outgoing.exists() else None,
        )


class _Building:
    """Databases made from the mirror, in a folder of their own."""

    def __init__(
        self, place: Place, purposes: Sequence[Purpose], incoming: Path, advance: Advance
    ) -> None:
        self._place = place
        self._advance = advance
        self._incoming = incoming
        self._purposes = {purpose.name: purpose for purpose in purposes}
        self._read_at: dict[str, tuple[int, int, int]] = {}
        self._connections: dict[str, sqlite3.Connection] = {}
        self._open()

    def read(self) -> None:
        """Take in every file, while others may write to them."""
        for file in scan.files(self._place.sessions):
            self._take(file)

    def finish(self) -> None:
        """Take in what has changed since, now that nobody writes, and close the databases."""
        present = scan.files(self._place.sessions)
        if not self._read_at.keys() <= set(present):
            # A record was deleted since: what it was cannot be told from its file any more.
            self.close()
            for purpose in self._purposes.values():
                (self._incoming / purpose.file).unlink()
            self._read_at.clear()
            self._open()
        for file in present:
            if self._read_at.get(file) != _state(self._place.sessions / file):
                self._take(file)
        self.close()
        for path in self._incoming.iterdir():
            sync_file(path)
        sync_directory(self._incoming)

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _open(self) -> None:
        for purpose in self._purposes.values():
            path = self._incoming / purpose.file
            make(path)
            connection = open_writer(path, purpose)
            lock.lock_path(path).unlink()
            # Nothing is lost with an unfinished file, and a finished one is synced as a whole.
            connection.execute("PRAGMA journal_mode = MEMORY")
            connection.execute("PRAGMA synchronous = OFF")
            self._connections[purpose.name] = connection

    def _take(self, file: str) -> None:
        named = names.parse(file)
        if named is None or all(named[0] != p.document for p in self._purposes.values()):
            return
        self._read_at[file] = _state(self._place.sessions / file)
        copies = scan.read(self._place.sessions, file)
        while some := list(islice(copies, _BATCH)):
            for name, mine in groupby(some, key=lambda copy: copy.purpose):
                if name in self._connections:
                    self._put(self._purposes[name], mine)
            self._advance(len(some))

    def _put(self, purpose: Purpose, copies: Iterator[scan.Copy]) -> None:
        connection = self._connections[purpose.name]
        connection.execute("BEGIN")
        for copy in copies:
            if copy.problem:
                continue
            if copy.row is None:
                connection.execute(statements.delete(purpose.table), (copy.id,))
            else:
                connection.execute(statements.replace(purpose.table), copy.row)
        connection.execute("COMMIT")


class _Aside:
    """The folder in quarantine that takes what a rebuild replaces."""

    def __init__(self, place: Place, folder: Path) -> None:
        self._sessions = place.sessions
        self._quarantine = place.quarantine
        self._folder = folder

    def keep(self, file: str) -> None:
        """Give a file a second name there, for it will be replaced."""
        self._make()
        with suppress(FileExistsError, FileNotFoundError):
            os.link(self._sessions / file, self._folder / file, follow_symlinks=False)

    def move(self, file: str) -> None:
        """Move a file there."""
        self.keep(file)
        with suppress(FileNotFoundError):
            os.unlink(self._sessions / file)

    def take_damaged(self, comparison: Comparison) -> None:
        """Move documents that cannot be read there, and mend streams, which keep sound lines."""
        damaged = {
            problem.file
            for problem in comparison.problems
            if problem.kind in ("damaged", "torn") and names.parse(problem.file)
        }
        for file in sorted(damaged):
            mine = [
                p
                for p in comparison.purposes.values()
                if names.parse(file) == (p.document, p.is_stream)
            ]
            for purpose in mine:
                path = comparison.place.database(purpose.file)
                with lock.held(lock.lock_path(path), _LOCK_SECONDS):
                    if purpose.is_stream:
                        self._mend(file)
                    else:
                        self.move(file)
                break

    def sync(self) -> None:
        """Make durable what was moved."""
        for folder in (self._folder, self._quarantine, self._sessions):
            with suppress(FileNotFoundError):
                sync_directory(folder)

    def _mend(self, file: str) -> None:
        self.keep(file)
        path = self._sessions / file
        with suppress(FileNotFoundError):
            scan.rewrite(path, scan.sound_lines(path))

    def _make(self) -> None:
        make_directory(self._quarantine)
        make_directory(self._folder)


class _Copying:
    """Brings the mirror of one purpose to what its database has."""

    def __init__(self, place: Place, purpose: Purpose, aside: _Aside) -> None:
        self._place = place
        self._purpose = purpose
        self._database = place.database(purpose.file)
        self._mirror = Mirror(place, Settings())
        self._aside = aside

    def run(self, comparison: Comparison, advance: Advance) -> None:
        """Go through the differences, a batch at a time in the turn of the writers."""
        name = self._purpose.name
        for kind in ("twice_in_mirror", "missing_in_database", "differs", "missing_in_mirror"):
            entries = comparison.ledger.found(kind, name)
            while some := list(islice(entries, _BATCH)):
                with lock.held(lock.lock_path(self._database), _LOCK_SECONDS):
                    present = self._rows([entry.id for entry in some])
                    if self._purpose.is_stream:
                        self._settle_streams(kind, some, present)
                    else:
                        self._settle_documents(kind, some, present)
                advance(len(some))

    def _rows(self, ids: list[str]) -> dict[str, StoredRow]:
        if not self._database.exists():
            return {}
        found = rows.read_ids(self._database, self._purpose.table, ids)
        return {row[0]: row for row in found}

    def _settle_documents(
        self, kind: str, entries: list[Entry], present: dict[str, StoredRow]
    ) -> None:
        for entry in entries:
            row = present.get(entry.id)
            if kind == "differs" and row is not None:
                own = self._mirror.path(self._purpose, row)
                if own is not None and own.name == entry.file:
                    self._aside.keep(entry.file)
                    continue
            if entry.file and (kind != "missing_in_database" or row is None):
                self._aside.move(entry.file)
        if kind != "twice_in_mirror":
            self._mirror.written(self._purpose, list(present.values()))

    def _settle_streams(
        self, kind: str, entries: list[Entry], present: dict[str, StoredRow]
    ) -> None:
        gone = [
            entry
            for entry in entries
            if kind == "twice_in_mirror" or (entry.file and entry.id not in present)
        ]
        for file, some in groupby(gone, key=lambda entry: entry.file):
            self._mirror.retract(self._purpose, file, [entry.id for entry in some])
        if kind != "twice_in_mirror":
            self._mirror.written(self._purpose, list(present.values()))


def _remove_unfinished(place: Place, purpose: Purpose) -> None:
    """Remove what killed writers left of files that never got their name."""
    with lock.held(lock.lock_path(place.database(purpose.file)), _LOCK_SECONDS):
        for name in scan.unfinished(place.sessions):
            if names.parse(name[1:].removesuffix(".tmp")) == (purpose.document, purpose.is_stream):
                (place.sessions / name).unlink()


def _state(path: Path) -> tuple[int, int, int]:
    """Changes when a file is written to or replaced."""
    found = os.stat(path, follow_symlinks=False)
    return found.st_ino, found.st_mtime_ns, found.st_size
