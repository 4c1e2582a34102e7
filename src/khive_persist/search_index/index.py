"""What an open index has: passages, what is found in them, and how far each file is followed.

All that writes is part of a transaction of `index_file.Writing`. Within one, no record is put or
taken out twice: FTS5 would keep terms of what came and went in one go.
"""

import zlib
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from khive_persist.search_index.passages import Indexed, Passage
from khive_persist.search_index.tokens import sub_tokens
from khive_persist.store import codec
from khive_persist.store.sqlite.connection import Connection
from khive_persist.store.sqlite.statements import scalar

# The kinds that are also found by any three characters of them, and how much of them.
SUBSTRING_KINDS: Final = frozenset({"command", "path", "error"})
SUBSTRING_CHARACTERS: Final = 4_096
# What is put is handed over in such portions.
_PORTION_CHARACTERS: Final = 1 << 20
_PORTION: Final = 500
_MOST_SESSIONS: Final = 10_000
# A better one costs more time than the index itself.
_COMPRESSION: Final = 1

_PUT_RECORD: Final = "INSERT INTO records (number, purpose, record_id, digest) VALUES (?, ?, ?, ?)"
_PUT_PASSAGE: Final = (
    "INSERT INTO passages (number, record, session, kind, role, client, tool_name, agent_id,"
    " created_at, failed, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_PUT_WORDS: Final = "INSERT INTO words (rowid, text, parts) VALUES (?, ?, ?)"
_PUT_SUBSTRINGS: Final = "INSERT INTO substrings (rowid, text) VALUES (?, ?)"
_TAKE_WORDS: Final = "INSERT INTO words (words, rowid, text, parts) VALUES ('delete', ?, ?, ?)"
_TAKE_SUBSTRINGS: Final = "INSERT INTO substrings (substrings, rowid, text) VALUES ('delete', ?, ?)"


class Position(NamedTuple):
    """How far a file is followed.

    Attributes:
        epoch: The file's epoch; of a file without a log, which version of it was read.
        seq: The last entry of its change log that is in the index.
        scanned: The rowid up to which a comparison with the whole table has come; None for none.
        checked: The record up to which those that are gone were sought; None for no search.
    """

    epoch: str
    seq: int
    scanned: int | None
    checked: int | None

    @property
    def is_complete(self) -> bool:
        """Return whether all that the file had at `seq` is in the index, and nothing else."""
        return self.scanned is None and self.checked is None


class Known(NamedTuple):
    """A record of the index: its number there, and the digest of the row that was read."""

    number: int
    digest: bytes


class Index:
    """The index, through a connection whose transaction is open.

    Attributes:
        taken_out: The number of passages that this transaction took out.
    """

    def __init__(self, connection: Connection) -> None:
        self.taken_out = 0
        self._connection = connection
        self._next_record = scalar(connection, "SELECT coalesce(max(number), 0) FROM records") + 1
        last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'passages'")
        self._next_passage = next((seq for (seq,) in last), 0) + 1
        self._sessions: dict[str, int] = {}
        self._records: list[tuple[int, str, str, bytes]] = []
        self._passages: list[tuple[object, ...]] = []
        self._words: list[tuple[int, str, str]] = []
        self._substrings: list[tuple[int, str]] = []
        self._characters = 0

    def known(self, purpose: str, ids: Sequence[str]) -> dict[str, Known]:
        """Return those of some records that are in the index, by id."""
        rows = self._connection.execute(
            "SELECT record_id, number, digest FROM records"
            " WHERE purpose = ? AND record_id IN (SELECT value FROM json_each(?))",
            (purpose, codec.dump_lossy(ids)),
        )
        return {id: Known(number, digest) for id, number, digest in rows.fetchall()}

    def put(self, purpose: str, id: str, digest: bytes, indexed: Indexed) -> None:
        """Put a record that is not there, with its passages."""
        record, self._next_record = self._next_record, self._next_record + 1
        self._records.append((record, purpose, id, digest))
        session = self._session(indexed.session_id) if indexed.passages else 0
        for passage in indexed.passages:
            self._put_passage(record, session, indexed.created_at, passage)
        if len(self._records) >= _PORTION or self._characters >= _PORTION_CHARACTERS:
            self.flush()

    def take_out(self, record: int) -> None:
        """Take a record out, with its passages."""
        rows = self._connection.execute(
            "SELECT number, kind, text FROM passages WHERE record = ?", (record,)
        ).fetchall()
        for number, kind, packed in rows:
            text = zlib.decompress(packed).decode()
            self._connection.execute(_TAKE_WORDS, (number, text, sub_tokens(text)))
            if kind in SUBSTRING_KINDS:
                self._connection.execute(_TAKE_SUBSTRINGS, (number, text[:SUBSTRING_CHARACTERS]))
        numbers = codec.dump([number for number, _, _ in rows])
        for table, column in (("passages", "number"), ("vectors", "passage")):
            self._connection.execute(
                f"DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(?))",
                (numbers,),
            )
        self._connection.execute("DELETE FROM records WHERE number = ?", (record,))
        self.taken_out += len(rows)

    def flush(self) -> None:
        """Write what was put and is not written yet."""
        for sql, rows in (
            (_PUT_RECORD, self._records),
            (_PUT_PASSAGE, self._passages),
            (_PUT_WORDS, self._words),
            (_PUT_SUBSTRINGS, self._substrings),
        ):
            self._connection.executemany(sql, rows)
            rows.clear()
        if self.taken_out:
            sql = "UPDATE state SET taken_out = taken_out + ?"
            self._connection.execute(sql, (self.taken_out,))
            self.taken_out = 0
        self._characters = 0

    def position(self, purpose: str) -> Position | None:
        """Return how far a file is followed; None for one that is not."""
        return positions(self._connection).get(purpose)

    def set_position(self, purpose: str, position: Position) -> None:
        """Keep how far a file is followed."""
        self._connection.execute(
            "INSERT OR REPLACE INTO positions (purpose, epoch, seq, scanned, checked)"
            " VALUES (?, ?, ?, ?, ?)",
            (purpose, *position),
        )

    def drop_position(self, purpose: str) -> None:
        """Forget a file that is there no longer."""
        for table in ("positions", "pending"):
            self._connection.execute(f"DELETE FROM {table} WHERE purpose = ?", (purpose,))

    def records_after(self, purpose: str, number: int, limit: int) -> list[tuple[int, str]]:
        """Return number and id of the next records of a purpose."""
        sql = (
            "SELECT number, record_id FROM records WHERE number > ? AND purpose = ?"
            f" ORDER BY number LIMIT {limit}"
        )
        return self._connection.execute(sql, (number, purpose)).fetchall()

    def has_any(self, purpose: str) -> bool:
        """Return whether there is a record of a purpose."""
        sql = "SELECT EXISTS (SELECT 1 FROM records WHERE purpose = ?)"
        return bool(scalar(self._connection, sql, (purpose,)))

    def pending(self, purpose: str, limit: int, remover: str = "") -> list[str]:
        """Return ids of records that a remover, or anybody, was about to change without a log."""
        sql = (
            "SELECT DISTINCT record_id FROM pending WHERE purpose = ? AND ? IN ('', remover)"
            f" LIMIT {limit}"
        )
        return [id for (id,) in self._connection.execute(sql, (purpose, remover))]

    def add_pending(self, purpose: str, ids: Iterable[str], remover: str) -> None:
        """Note records that a remover is about to change without a log."""
        sql = "INSERT OR IGNORE INTO pending (purpose, record_id, remover) VALUES (?, ?, ?)"
        self._connection.executemany(sql, [(purpose, id, remover) for id in ids])

    def add_session_pending(self, session_id: str, remover: str) -> None:
        """Note all records of a session that a remover removes."""
        self._connection.execute(
            "INSERT OR IGNORE INTO pending (purpose, record_id, remover)"
            " SELECT purpose, record_id, ? FROM passages"
            " JOIN sessions ON sessions.number = passages.session"
            " JOIN records ON records.number = passages.record WHERE session_id = ?",
            (remover, session_id),
        )

    def drop_pending(self, purpose: str, ids: Sequence[str], remover: str = "") -> None:
        """Forget records that were read anew since, of a remover or of anybody."""
        self._connection.execute(
            "DELETE FROM pending WHERE purpose = ? AND ? IN ('', remover)"
            " AND record_id IN (SELECT value FROM json_each(?))",
            (purpose, remover, codec.dump_lossy(ids)),
        )

    def put_vectors(self, model: str, vectors: Iterable[tuple[int, bytes, bytes]]) -> None:
        """Put the vectors of passages, each with number and packed text; not of what is gone."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO vectors (passage, model, vector)"
            " SELECT number, ?, ? FROM passages WHERE number = ? AND text = ?",
            [(model, vector, number, packed) for number, packed, vector in vectors],
        )

    def drop_vectors(self) -> None:
        """Take out all vectors: another model is to make them."""
        self._connection.execute("DELETE FROM vectors")

    def _put_passage(self, record: int, session: int, created_at: str, passage: Passage) -> None:
        number, self._next_passage = self._next_passage, self._next_passage + 1
        # JSON may hold lone surrogates as escapes; what is taken out is what was put.
        raw = passage.text.encode("utf-8", "replace")
        text = passage.text if passage.text.isascii() else raw.decode()
        self._passages.append((
            number, record, session, passage.kind, passage.role, passage.client, passage.tool_name,
            passage.agent_id, created_at, passage.failed, zlib.compress(raw, _COMPRESSION),
        ))  # fmt: skip
        self._words.append((number, text, sub_tokens(text)))
        if passage.kind in SUBSTRING_KINDS:
            self._substrings.append((number, text[:SUBSTRING_CHARACTERS]))
        self._characters += len(text)

    def _session(self, session_id: str) -> int:
        number = self._sessions.get(session_id)
        if number is None:
            sql = "INSERT OR IGNORE INTO sessions (session_id) VALUES (?)"
            session_id = session_id.encode("utf-8", "replace").decode()
            self._connection.execute(sql, (session_id,))
            sql = "SELECT number FROM sessions WHERE session_id = ?"
            number = int(scalar(self._connection, sql, (session_id,)))
            if len(self._sessions) >= _MOST_SESSIONS:
                self._sessions.clear()
            self._sessions[session_id] = number
        return number


def positions(connection: Connection) -> dict[str, Position]:
    """Return how far each file is followed, by purpose."""
    cursor = connection.execute("SELECT purpose, epoch, seq, scanned, checked FROM positions")
    return {purpose: Position(*position) for purpose, *position in cursor.fetchall()}


def purposes_pending(connection: Connection) -> set[str]:
    """Return the purposes of records that somebody was about to change without a log."""
    return {purpose for (purpose,) in connection.execute("SELECT DISTINCT purpose FROM pending")}
