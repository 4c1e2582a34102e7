"""Reading what is new of one file for a team: by its change log, or by its whole table.

The log is followed under the name `push`, as `search_index.follow` does: a file that is new here,
has another epoch, was written to by others, or is followed by other settings is gone through once.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from khive_persist.models.purposes import Purpose
from khive_persist.search_index import unchanged
from khive_persist.store.change import Change
from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite import change_log, consumer_position
from khive_persist.store.sqlite.change_log import BEHIND
from khive_persist.store.sqlite.connection import Connection, open_reader
from khive_persist.store.sqlite.consumer_position import LogPosition
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.team.ledger import Ledger, Position, Unsent
from khive_persist.store.sqlite.team.rows import (
    BELOW_ALL,
    count_after,
    count_changed,
    rows_after,
    rows_of,
)

CONSUMER: Final = "push"

_MOST_RECORDS: Final = 500
_MOST_CHARACTERS: Final = 4 << 20
# What was changed is read so many at once.
_READ_AT_ONCE: Final = 20
_CHECKED_AT_ONCE: Final = 2_000
# A file's log is told now and then: until then it keeps entries that nobody needs.
_ACKNOWLEDGED_AT: Final = 1_000


class Chunk(NamedTuple):
    """The next part of a file.

    Attributes:
        position: The position behind it; that before it where the file was replaced meanwhile.
        rows: The records that are there, in order.
        removals: The last changes of those that are there no longer.
        checked: The ids of records that have left and were looked for in the table: those that it
            has no longer. Nobody says when they went.
        is_last: Whether the file has nothing more.
    """

    position: Position
    rows: Sequence[StoredRow] = ()
    removals: Sequence[Change] = ()
    checked: Sequence[str] = ()
    is_last: bool = False


class Following:
    """One file, followed for a team.

    Attributes:
        unsent: The entries of its log that were dropped before they were read, where there are any.
    """

    def __init__(
        self, path: Path, purpose: Purpose, manner: str, timeout_seconds: float, *, may_write: bool
    ) -> None:
        """Prepare it; nothing is opened.

        Args:
            path: The file.
            purpose: Its purpose.
            manner: A digest of the settings by which its records are sent.
            timeout_seconds: The longest wait for others who write to it.
            may_write: Whether its log is told how far it was read.
        """
        self.unsent: Unsent | None = None
        self._path = path
        self._purpose = purpose
        self._manner = manner
        self._timeout = timeout_seconds
        self._may_write = may_write

    def begin(self, position: Position | None) -> Position:
        """Return the position from which to read on; that of the whole table where it has to be."""
        with reading(self._path) as reader:
            if position is not None and self._is_followed(reader, position):
                return position
            if position is not None:
                self._note_dropped(reader, position)
            is_logged = change_log.is_there(reader)
            if not (is_logged and self._may_write):
                epoch = change_log.state(reader).epoch if is_logged else _version(self._path)
                seq = change_log.last(reader) if is_logged else 0
                return Position(self._manner, epoch, seq, BELOW_ALL, None)
        epoch, seq = consumer_position.register(self._path, self._purpose, CONSUMER, self._timeout)
        return Position(self._manner, epoch, seq, BELOW_ALL, None)

    def read(self, position: Position, ledger: Ledger) -> Chunk:
        """Return the next part of the file, as it is at one moment."""
        with reading(self._path) as reader:
            if not self._is_same(reader, position):
                return Chunk(position, is_last=True)
            if position.scanned is not None:
                return self._scanned(reader, position, position.scanned)
            if position.checked is not None:
                return self._checked(reader, position, position.checked, ledger)
            return self._followed(reader, position)

    def tell(self, position: Position, *, at_least: int = _ACKNOWLEDGED_AT) -> None:
        """Let the file's log drop what was read, where that is so many entries."""
        if not self._may_write or not position.is_complete:
            return
        with reading(self._path) as reader:
            if not change_log.is_there(reader) or not self._is_same(reader, position):
                return
            acknowledged = change_log.positions(reader).get(CONSUMER, BEHIND)
        if not BEHIND < acknowledged <= position.seq - at_least:
            return
        place = LogPosition(position.epoch, position.seq)
        consumer_position.tell(self._path, self._purpose, CONSUMER, place, self._timeout)

    def count_pending(self, position: Position | None) -> int:
        """Count the records that are not looked at yet."""
        with reading(self._path) as reader:
            if position is None or not self._is_followed(reader, position):
                return count_after(reader, self._purpose, BELOW_ALL)
            count = count_changed(reader, position.seq) if change_log.is_there(reader) else 0
            if position.scanned is not None:
                count += count_after(reader, self._purpose, position.scanned)
            return count

    def _scanned(self, reader: Connection, position: Position, rowid: int) -> Chunk:
        rows: list[StoredRow] = []
        size = 0
        with closing(rows_after(reader, self._purpose, rowid)) as following:
            for rowid, row in following:
                rows.append(row)
                size += len(row[1] or "")
                if len(rows) == _MOST_RECORDS or size >= _MOST_CHARACTERS:
                    return Chunk(position._replace(scanned=rowid), rows)
        return Chunk(position._replace(scanned=None, checked=""), rows)

    def _checked(
        self, reader: Connection, position: Position, last_id: str, ledger: Ledger
    ) -> Chunk:
        entries = ledger.entries_after(self._purpose.name, last_id, _CHECKED_AT_ONCE)
        ids = list(dict.fromkeys(entry.place.id for entry in entries))
        if not ids:
            return Chunk(position._replace(checked=None))
        present = change_log.present(reader, self._purpose.table, ids)
        missing_ids = [id for id in ids if id not in present]
        return Chunk(position._replace(checked=ids[-1]), checked=missing_ids)

    def _followed(self, reader: Connection, position: Position) -> Chunk:
        last = change_log.last(reader) if change_log.is_there(reader) else position.seq
        first = change_log.first_after(reader, position.seq) if last > position.seq else None
        if first is None:
            return Chunk(position._replace(seq=last), is_last=True)
        until = min(last, first + _MOST_RECORDS)
        seqs: dict[str, int] = {}
        changes: dict[str, Change] = {}
        for seq, change in change_log.changes(reader, position.seq, until).items():
            seqs.setdefault(change.id, seq)
            changes[change.id] = change
        ids = list(seqs)
        rows: list[StoredRow] = []
        removals: list[Change] = []
        size = 0
        for start in range(0, len(ids), _READ_AT_ONCE):
            some_ids = ids[start : start + _READ_AT_ONCE]
            present = rows_of(reader, self._purpose, some_ids)
            rows += [present[id] for id in some_ids if id in present]
            removals += [changes[id] for id in some_ids if id not in present]
            size += sum(len(row[1] or "") for row in present.values())
            following_ids = ids[start + _READ_AT_ONCE :]
            if size >= _MOST_CHARACTERS and following_ids:
                # What comes before the first of those that are left was read.
                until = seqs[following_ids[0]] - 1
                break
        return Chunk(position._replace(seq=until), rows, removals, is_last=until == last)

    def _is_followed(self, reader: Connection, position: Position) -> bool:
        """Return whether the file can be read on from a position."""
        if position.manner != self._manner or not self._is_same(reader, position):
            return False
        if not change_log.is_there(reader):
            return True
        acknowledged = change_log.positions(reader).get(CONSUMER, BEHIND)
        has_others_rows = change_log.state(reader).last_rowid != change_log.last_rowid(
            reader, self._purpose.table
        )
        return BEHIND < acknowledged <= position.seq and not has_others_rows

    def _is_same(self, reader: Connection, position: Position) -> bool:
        """Return whether the file is the one that a position is of."""
        if change_log.is_there(reader):
            return change_log.state(reader).epoch == position.epoch
        return position.epoch == _version(self._path)

    def _note_dropped(self, reader: Connection, position: Position) -> None:
        if not change_log.is_there(reader) or not self._is_same(reader, position):
            return
        if change_log.positions(reader).get(CONSUMER) != BEHIND:
            return
        last = change_log.last(reader)
        first = change_log.first_after(reader, position.seq)
        dropped = (last if first is None else first - 1) - position.seq
        if dropped > 0:
            self.unsent = Unsent(self._purpose.name, 0, dropped)


@contextmanager
def reading(path: Path) -> Iterator[Connection]:
    """Open a file for a look at one moment of it."""
    with closing(open_reader(path)) as reader, translated(path):
        reader.execute("BEGIN")
        yield reader


def _version(path: Path) -> str:
    return unchanged.version_of(path)
