"""`Ledger`: the records that have left for a team, each with the version that it left in."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from khive_persist import clock
from khive_persist.store import codec
from khive_persist.store.sqlite.connection import (
    Connection,
)
from khive_persist.store.sqlite.named_rows import rows_as
from khive_persist.store.sqlite.statements import scalar
from khive_persist.store.sqlite.team.rows import BELOW_ALL

Withdrawal = Literal["purged", "deleted", "off", "moved"]

_IDS: Final = "(SELECT value FROM json_each(?))"
_DUE: Final = "withdrawal IS NOT NULL AND sent_at IS NULL"


class Position(NamedTuple):
    """The place up to which a file is followed.

    Attributes:
        manner: A digest of the settings by which its records were sent.
        epoch: The file's epoch; of a file without a log, which version of it was read.
        seq: The last entry of its change log that was read.
        scanned: The rowid up to which a look at the whole table has come; None for none.
        checked: The id up to which records that are gone were sought; None for no search.
    """

    manner: str
    epoch: str
    seq: int
    scanned: int | None
    checked: str | None

    @property
    def is_complete(self) -> bool:
        """Return whether all that the file had at `seq` was looked at."""
        return self.scanned is None and self.checked is None


class Place(NamedTuple):
    """The place that a record has at the team.

    Attributes:
        purpose: The name of its purpose.
        id: Its id here.
        sender: The number of the sender.
        session_id: Its session here; an empty text for none.
    """

    purpose: str
    id: str
    sender: int
    session_id: str


class Entry(NamedTuple):
    """A version of a record at its place.

    Attributes:
        place: Its place.
        version: The version.
        form: The form that it left in.
        created_at: The time of the record, as it left.
        digest: A digest of what left.
        withdrawal: The reason for which it is to be taken out there; None for none.
        sent_at: The time when it was acknowledged; None for not yet.
    """

    place: Place
    version: int
    form: str
    created_at: str | None
    digest: bytes
    withdrawal: Withdrawal | None = None
    sent_at: str | None = None


class Sender(NamedTuple):
    """The names that the team knows the records of one sender by.

    Attributes:
        machine: The machine's name, or its hash.
        project: The project's.
        is_hashed: Whether ids of records and sessions left as hashes.
    """

    machine: str
    project: str
    is_hashed: bool


class Total(NamedTuple):
    """The sum of the records of one kind that left in one form.

    A record that left in several versions counts as often. The form of those that were taken out
    again is `purged`.

    Attributes:
        purpose: The name of their purpose.
        form: The form.
        records: The number of records.
        bytes: Their size, before they were packed.
        first_day: The first day, in UTC.
        last_day: The last.
    """

    purpose: str
    form: str
    records: int
    bytes: int
    first_day: str
    last_day: str


class Unsent(NamedTuple):
    """The sum of what was there, and never left.

    Attributes:
        purpose: The name of the purpose.
        records: Records that were removed before they were sent.
        changes: Entries that the log had dropped before they were read, as there were too many:
            records that were removed in that time are among them.
    """

    purpose: str
    records: int
    changes: int


class OffSession(NamedTuple):
    """A session of which nothing leaves, since a time."""

    session_id: str
    since: str


class State(NamedTuple):
    """The state of the pushes: where they go, when the last one was, and why it failed."""

    destination: str
    pushed_at: str | None
    problem: str


class Ledger:
    """The ledger, through an open connection; what writes is part of a `LedgerFile.transaction`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def state(self) -> State:
        """Return when the last push was, and how it ended."""
        sql = "SELECT destination, pushed_at, problem FROM state"
        (row,) = rows_as(State, self._connection.execute(sql))
        return row

    def position(self, purpose: str) -> Position | None:
        """Return how far a file is followed; None where it is not."""
        cursor = self._connection.execute(
            "SELECT manner, epoch, seq, scanned, checked FROM positions WHERE purpose = ?",
            (purpose,),
        )
        return next(iter(rows_as(Position, cursor)), None)

    def entries(self, purpose: str, ids: Sequence[str]) -> list[Entry]:
        """Return what left of some records, at whichever places."""
        return self._entries("purpose = ? AND id IN " + _IDS, (purpose, codec.dump_lossy(ids)))

    def entries_after(self, purpose: str, id: str, limit: int) -> list[Entry]:
        """Return the next entries in the order of their ids, all of an id or none."""
        entries = self._entries(
            "purpose = ? AND id > ? ORDER BY id LIMIT ?", (purpose, id, limit + 1)
        )
        if len(entries) <= limit:
            return entries
        last = entries[-1].place.id
        complete = [entry for entry in entries if entry.place.id != last]
        return complete or self.entries(purpose, [last])

    def due(self, limit: int) -> list[Entry]:
        """Return entries that are to be taken out at the team, and are not yet."""
        return self._entries(f"{_DUE} ORDER BY purpose, id LIMIT ?", (limit,))

    def count_due(self, session_id: str | None = None) -> int:
        """Count the entries that are to be taken out at the team, and are not yet; of a session."""
        if session_id is None:
            return int(scalar(self._connection, f"SELECT count(*) FROM records WHERE {_DUE}"))
        sql = f"SELECT count(*) FROM records WHERE {_DUE} AND session = ?"
        return int(scalar(self._connection, sql, (self._session(session_id),)))

    def count_of_session(self, session_id: str) -> int:
        """Count the records of a session that the team has, or may have."""
        sql = (
            "SELECT count(*) FROM records WHERE session = ?"
            " AND (withdrawal IS NULL OR sent_at IS NULL)"
        )
        return int(scalar(self._connection, sql, (self._session(session_id),)))

    def senders(self) -> dict[int, Sender]:
        """Return all senders, by their numbers."""
        rows = self._connection.execute("SELECT number, machine, project, is_hashed FROM senders")
        return {
            number: Sender(machine, project, bool(is_hashed))
            for number, machine, project, is_hashed in rows.fetchall()
        }

    def off_sessions(self) -> list[OffSession]:
        """Return the sessions of which nothing leaves, the oldest first."""
        sql = "SELECT session_id, since FROM off_sessions ORDER BY since, session_id"
        return list(rows_as(OffSession, self._connection.execute(sql)))

    def totals(self) -> list[Total]:
        """Return what left, by kind and form."""
        cursor = self._connection.execute(
            "SELECT purpose, form, sum(records) AS records, sum(bytes) AS bytes,"
            " min(day) AS first_day, max(day) AS last_day FROM days"
            " GROUP BY purpose, form ORDER BY purpose, form"
        )
        return list(rows_as(Total, cursor))

    def unsent(self) -> list[Unsent]:
        """Return what never left, by kind."""
        sql = "SELECT purpose, records, changes FROM unsent ORDER BY purpose"
        return list(rows_as(Unsent, self._connection.execute(sql)))

    def next_version(self, version: int | None) -> int:
        """Return the version after one; of None, that of a record which never left."""
        base = int(scalar(self._connection, "SELECT base FROM state"))
        return max(version or 0, base) + 1

    def set_state(self, state: State) -> None:
        """Keep when the last push was, and how it ended."""
        sql = "UPDATE state SET destination = ?, pushed_at = ?, problem = ?"
        self._connection.execute(sql, state)

    def forget_positions(self) -> None:
        """Let every file be looked at from its beginning."""
        self._connection.execute("DELETE FROM positions")

    def look_again(self) -> None:
        """Let the whole table of every file be looked at, besides what is new."""
        self._connection.execute("UPDATE positions SET scanned = ?", (BELOW_ALL,))

    def forget_sent(self) -> None:
        """Let all be sent again, as to a team that has nothing."""
        self.forget_positions()
        self._connection.execute("UPDATE records SET digest = x'' WHERE withdrawal IS NULL")

    def set_position(self, purpose: str, position: Position) -> None:
        """Keep how far a file is followed."""
        self._connection.execute(
            "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?, ?, ?)", (purpose, *position)
        )

    def sender(self, sender: Sender) -> int:
        """Return the number of a sender, which is noted where it is new."""
        self._connection.execute(
            "INSERT OR IGNORE INTO senders (machine, project, is_hashed) VALUES (?, ?, ?)", sender
        )
        sql = "SELECT number FROM senders WHERE (machine, project, is_hashed) = (?, ?, ?)"
        return int(scalar(self._connection, sql, sender))

    def put(self, entries: Sequence[Entry]) -> None:
        """Keep versions of records; what was there at their places is replaced."""
        self._connection.executemany(
            "INSERT OR IGNORE INTO sessions (session_id) VALUES (?)",
            [(entry.place.session_id,) for entry in entries],
        )
        self._connection.executemany(
            "INSERT OR REPLACE INTO records (purpose, id, sender, session, version, form,"
            " created_at, digest, withdrawal, sent_at) VALUES"
            " (?, ?, ?, (SELECT number FROM sessions WHERE session_id = ?), ?, ?, ?, ?, ?, ?)",
            [(*entry.place, *entry[1:]) for entry in entries],
        )

    def drop(self, entries: Sequence[Entry]) -> None:
        """Forget entries, and sessions without any; a version that comes later is larger."""
        self._connection.execute(
            "UPDATE state SET base = max(base, ?)", (max(entry.version for entry in entries),)
        )
        self._connection.executemany(
            "DELETE FROM records WHERE purpose = ? AND id = ? AND sender = ?"
            " AND session = (SELECT number FROM sessions WHERE session_id = ?)",
            [entry.place for entry in entries],
        )
        self._connection.executemany(
            "DELETE FROM sessions WHERE session_id = ?"
            " AND NOT EXISTS (SELECT 1 FROM records WHERE session = sessions.number)",
            [(id,) for id in dict.fromkeys(entry.place.session_id for entry in entries)],
        )

    def withdraw(self, entry: Entry, reason: Withdrawal) -> None:
        """Let an entry be taken out at the team, in a version of its own."""
        version = self.next_version(entry.version)
        self.put([entry._replace(version=version, digest=b"", withdrawal=reason, sent_at=None)])

    def withdraw_session(self, session_id: str, reason: Withdrawal) -> int:
        """Let all of a session be taken out at the team; how many are to be by now.

        What is out, or is to be, stays so, and goes from here once it is purged.
        """
        number = self._session(session_id)
        self._connection.execute(
            "UPDATE records SET version = max(version, (SELECT base FROM state)) + 1,"
            " digest = x'', withdrawal = ?, sent_at = NULL WHERE session = ?"
            " AND withdrawal IS NULL",
            (reason, number),
        )
        if reason == "purged":
            self._connection.execute(
                "UPDATE records SET withdrawal = 'purged' WHERE session = ?", (number,)
            )
            self._connection.execute(
                "UPDATE state SET base = max(base, coalesce((SELECT max(version) FROM records"
                " WHERE session = ? AND sent_at IS NOT NULL), 0))",
                (number,),
            )
            self._connection.execute(
                "DELETE FROM records WHERE session = ? AND sent_at IS NOT NULL", (number,)
            )
            self._connection.execute(
                "DELETE FROM sessions WHERE number = ?"
                " AND NOT EXISTS (SELECT 1 FROM records WHERE session = sessions.number)",
                (number,),
            )
            self._connection.execute("DELETE FROM off_sessions WHERE session_id = ?", (session_id,))
        return self.count_due(session_id)

    def switch_off(self, session_id: str) -> bool:
        """Let nothing of a session leave; return whether something of it left until now."""
        return bool(
            self._connection.execute(
                "INSERT OR IGNORE INTO off_sessions VALUES (?, ?)",
                (session_id, clock.to_text(clock.now())),
            ).rowcount
        )

    def switch_on(self, session_id: str) -> bool:
        """Let a session leave again; return whether it did not."""
        sql = "DELETE FROM off_sessions WHERE session_id = ?"
        return bool(self._connection.execute(sql, (session_id,)).rowcount)

    def note_left(self, day: str, purpose: str, form: str, records: int, size: int) -> None:
        """Add to what left on a day."""
        self._connection.execute(
            "INSERT INTO days VALUES (?, ?, ?, ?, ?) ON CONFLICT (day, purpose, form) DO UPDATE"
            " SET records = records + excluded.records, bytes = bytes + excluded.bytes",
            (day, purpose, form, records, size),
        )

    def note_unsent(self, unsent: Unsent) -> None:
        """Add to what never left."""
        self._connection.execute(
            "INSERT INTO unsent VALUES (?, ?, ?) ON CONFLICT (purpose) DO UPDATE"
            " SET records = records + excluded.records, changes = changes + excluded.changes",
            unsent,
        )

    def _session(self, session_id: str) -> int | None:
        sql = "SELECT number FROM sessions WHERE session_id = ?"
        row = self._connection.execute(sql, (session_id,)).fetchone()
        return None if row is None else int(row[0])

    def _entries(self, condition: str, values: Sequence[object]) -> list[Entry]:
        rows = self._connection.execute(
            "SELECT purpose, id, sender, session_id, version, form, created_at, digest,"
            " withdrawal, sent_at FROM records JOIN sessions ON number = session"
            f" WHERE {condition}",
            values,
        ).fetchall()
        return [Entry(Place(*row[:4]), *row[4:]) for row in rows]
