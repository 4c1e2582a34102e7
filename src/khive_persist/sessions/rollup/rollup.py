"""`Rollup`: a project's sums by session and hour, in memory, and the answers from them."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist.models.purposes import (
    APPLICATION_SESSIONS,
    CONVERSATIONS,
    EVENT_FILES,
    OUTCOMES,
    PLANNER_SESSIONS,
)
from khive_persist.prices import PICODOLLARS
from khive_persist.sessions.definitions import MODEL_ORDER, NO_TIME, PLAN_FIELDS, ruled_sql
from khive_persist.sessions.rollup.groups import Group
from khive_persist.sessions.rollup.session_item import INDEXED, KEYS, SessionItem
from khive_persist.sessions.titles import title_sql
from khive_persist.store import codec
from khive_persist.store.sqlite.connection import open_memory
from khive_persist.store.sqlite.named_rows import Record, rows_as, rows_by_key

_IDS: Final = "SELECT value FROM json_each(:ids)"
_SAMPLE: Final = 2_000
_ONE_IN: Final = 20
_TEXTS: Final = (
    "SELECT session_id, title, task_description, project FROM sessions"
    " WHERE session_id IN (SELECT value FROM json_each(?))"
)
_STALE_CELLS: Final = "SELECT * FROM cells WHERE hour IN (SELECT value FROM json_each(?))"
_STALE_SESSIONS: Final = (
    "SELECT session_id, tool, model, project FROM sessions WHERE session_id IN"
    " (SELECT session FROM cells WHERE hour IN (SELECT value FROM json_each(?)))"
)


class SessionNames(NamedTuple):
    """The tool, the model and the project of a whole session; None where it has none."""

    tool: str | None
    model: str | None
    project: str | None


def _sql(name: str, **words: object) -> str:
    return (files(__package__) / f"{name}.sql").read_text("utf-8").format(**words)


_CELLS: Final = _sql("cells", cells="cells")
_FRESH_CELLS: Final = _sql("cells", cells="fresh")
# Sessions are found by the tools and the planner's session, too.
_COLUMNS: Final = ", ".join((*SessionItem._fields, "tools", "planned_by"))
_SESSIONS: Final = _sql("sessions", columns=_COLUMNS)
_ADD: Final = _sql("add_cell", cells="cells")
_ADD_FRESH: Final = _sql("add_cell", cells="fresh")
_AFTER_TIME: Final = clock.CREATED_AT_CHARACTERS + 1
_SUMMARISE: Final = _sql(
    "summarise",
    columns=_COLUMNS,
    events=", ".join(f"'{purpose.name}'" for purpose in EVENT_FILES.values()),
    messages=f"'{CONVERSATIONS.name}'",
    plans=f"'{PLANNER_SESSIONS.name}'",
    verdicts=f"'{OUTCOMES.name}'",
    applications=f"'{APPLICATION_SESSIONS.name}'",
    no_time=NO_TIME,
    after_time=_AFTER_TIME,
    title=title_sql(
        f"substr(application, {_AFTER_TIME})",
        f"substr(first_prompt, {_AFTER_TIME})",
        "task_description",
    ),
    model_order=MODEL_ORDER,
    picodollars=PICODOLLARS,
    plan_fields=", ".join(
        f"json_extract(substr(plan, instr(plan, char(9)) + 1), '$[{number}]') AS {name}"
        for number, name in enumerate(("planned_by", *PLAN_FIELDS))
    ),
    ruled=ruled_sql("calls", "failures", ":rule"),
)


class Rollup:
    """The sums of a project. It may be used from any thread.

    Its memory grows with the sessions and the hours in which they did something, not with events:
    about 1.5 KB a session and hour.

    Attributes:
        version: A number that changes with the sums.
        updated_at: The time of the last change, text in UTC.
    """

    def __init__(self, rule: float | None = None) -> None:
        """Begin without sums. Without a verdict `rule` judges: see `definitions.ruled`."""
        self._rule = rule
        self.version = 0
        self.updated_at = clock.to_text(clock.now())
        self._lock = threading.Lock()
        self._stale: set[str] = set()
        self._connection = open_memory()
        self._words: dict[str, str] = {}
        self._query_words: tuple[tuple[str, str], ...] = ()
        self._connection.create_function("has_words", 1, self._has_words)
        self._connection.executescript(_CELLS + _SESSIONS)
        for word in INDEXED:
            self._connection.execute(
                f"CREATE INDEX sessions_by_{word} ON sessions ({KEYS[word].sql}, session_id)"
            )

    def close(self) -> None:
        """Free the memory."""
        with self._lock:
            self._connection.close()

    def query(self, sql: str, values: Sequence[Any] = (), words: Sequence[str] = ()) -> list[Any]:
        """Return the rows of a SELECT over `cells` and `sessions`, all of one moment.

        In it, `has_words(session_id)` tells whether each word is in the texts of a session, or its
        id begins with it; in whatever case.
        """
        with self._lock:
            self._query_words = _folded(words)
            return self._connection.execute(sql, values).fetchall()

    def query_as(
        self, record: type[Record], sql: str, values: Sequence[Any], words: Sequence[str] = ()
    ) -> list[Record]:
        """Return the rows of a `query` as records, made by the names of its columns."""
        with self._lock:
            self._query_words = _folded(words)
            return rows_as(record, self._connection.execute(sql, values))

    def query_by_key(
        self,
        key: str,
        record: type[Record],
        sql: str,
        values: Sequence[Any],
        words: Sequence[str] = (),
    ) -> list[tuple[Any, Record]]:
        """Return the rows of a `query` as pairs: the column of this name, and a record."""
        with self._lock:
            self._query_words = _folded(words)
            return rows_by_key(key, record, self._connection.execute(sql, values))

    def first_start(self) -> str | None:
        """Return when the first session started, text in UTC; None without any."""
        started: str | None = self.query("SELECT min(started) FROM sessions")[0][0]
        return started

    def find(self, words: Sequence[str]) -> list[str] | None:
        """Return the sessions of which `has_words` holds; None where they are many.

        To look through all at once is ten times as fast as row by row, but where one in
        twenty has the words, a page of them is sooner found in order.
        """
        with self._lock:
            items = list(self._words.items())
        folded = _folded(words)
        sample = items[:_SAMPLE]
        if len(_matching(sample, folded)) * _ONE_IN >= _SAMPLE:
            return None
        return [id for id, _ in _matching(items, folded)]

    def _has_words(self, session: str) -> bool:
        return bool(_matching([(session, self._words.get(session, ""))], self._query_words))

    def stale_hours(self) -> tuple[set[str], list[Group], dict[str, SessionNames]]:
        """Return the hours that have changed since the last call, their cells, and their sessions.

        An hour may have no cells any more.
        """
        with self._lock:
            hours, self._stale = self._stale, set()
            values = (codec.dump([*hours]),)
            cells = self._connection.execute(_STALE_CELLS, values)
            sessions = self._connection.execute(_STALE_SESSIONS, values)
            return (
                hours,
                rows_as(Group, cells),
                dict(rows_by_key("session_id", SessionNames, sessions)),
            )

    def set_rule(self, rule: float | None) -> None:
        """Judge by another rule from now on."""
        with self._lock, self._transaction():
            self._rule = rule
            rows = self._connection.execute("SELECT session_id FROM sessions")
            self._summarise(codec.dump_lossy([row[0] for row in rows]))
            self.version += 1
            self.updated_at = clock.to_text(clock.now())

    def add(self, groups: Iterable[Group]) -> None:
        """Add the sums of rows that are not counted yet."""
        added = list(groups)
        with self._changing({group.session for group in added}, {group.hour for group in added}):
            self._connection.executemany(_ADD, added)

    def replace(self, file: str, session: str, groups: Iterable[Group]) -> None:
        """Replace all sums of a file for a session by these."""
        with self._changing({session}):
            self._connection.execute(
                "DELETE FROM cells WHERE session = ? AND file = ?", (session, file)
            )
            self._connection.executemany(_ADD, groups)

    def forget(self, file: str) -> None:
        """Remove all sums of a file."""
        with self._lock:
            sql = "SELECT DISTINCT session FROM cells WHERE file = ?"
            sessions = {row[0] for row in self._connection.execute(sql, (file,))}
        with self._changing(sessions):
            self._connection.execute("DELETE FROM cells WHERE file = ?", (file,))

    def row_count(self, file: str) -> int:
        """Return the number of rows of a file that are counted."""
        sql = "SELECT coalesce(sum(rows), 0) FROM cells WHERE file = ?"
        return int(self.query(sql, (file,))[0][0])

    def begin_recount(self) -> None:
        """Begin to count a file once more; the first count answers meanwhile."""
        with self._lock:
            self._connection.execute("DROP TABLE IF EXISTS fresh")
            self._connection.execute(_FRESH_CELLS)

    def recount(self, groups: Iterable[Group]) -> None:
        """Add to the second count."""
        with self._lock, self._transaction():
            self._connection.executemany(_ADD_FRESH, groups)

    def end_recount(self, file: str, settled: set[str]) -> None:
        """Let the second count of a file hold from now on, but for the settled sessions."""
        different = "SELECT session FROM (SELECT * FROM {} EXCEPT SELECT * FROM {})".format
        of_file = "(SELECT * FROM cells WHERE file = ?)"
        with self._lock:
            sessions = {
                row[0]
                for sql in (different(of_file, "fresh"), different("fresh", of_file))
                for row in self._connection.execute(sql, (file,))
            } - settled
        ids = codec.dump_lossy([*sessions])
        if sessions:
            listed = "SELECT value FROM json_each(?)"
            with self._changing(sessions):
                self._connection.execute(
                    f"DELETE FROM cells WHERE file = ? AND session IN ({listed})", (file, ids)
                )
                self._connection.execute(
                    f"INSERT INTO cells SELECT * FROM fresh WHERE session IN ({listed})", (ids,)
                )
        with self._lock:
            self._connection.execute("DROP TABLE fresh")

    @contextmanager
    def _changing(self, sessions: set[str], hours: set[str] | None = None) -> Iterator[None]:
        """Change the cells of these sessions in one transaction, and their summaries with them.

        Without `hours`, those are stale in which they have a cell before or after.
        """
        ids = codec.dump_lossy([*sessions])
        with self._lock, self._transaction():
            # A verdict on a planner's own session counts for those that carried its plans out.
            sql = f"SELECT session_id FROM sessions WHERE planned_by IN ({_IDS})"
            sessions = sessions | {row[0] for row in self._connection.execute(sql, {"ids": ids})}
            ids = codec.dump_lossy([*sessions])
            stale = self._hours(ids) if hours is None else hours
            names = self._names_of(ids)
            yield
            self._stale |= stale if hours is not None else stale | self._hours(ids)
            self._summarise(ids)
            # By hour, what names no group itself counts with that of its session.
            renamed = [id for id, name in self._names_of(ids).items() if names.get(id) != name]
            self._stale |= self._hours(codec.dump_lossy(renamed))
            for session in sessions:
                self._words.pop(session, None)
            for session, *texts in self._connection.execute(_TEXTS, (ids,)):
                self._words[session] = "\n".join(t.casefold() for t in texts if t)
            self.version += 1
            self.updated_at = clock.to_text(clock.now())

    def _summarise(self, ids: str) -> None:
        values = {"ids": ids, "rule": self._rule}
        sql = f"DELETE FROM sessions WHERE session_id IN ({_IDS})"
        self._connection.execute(sql, {"ids": ids})
        self._connection.execute(_SUMMARISE, values)

    def _names_of(self, ids: str) -> dict[str, SessionNames]:
        sql = f"SELECT session_id, tool, model, project FROM sessions WHERE session_id IN ({_IDS})"
        rows = self._connection.execute(sql, {"ids": ids})
        return dict(rows_by_key("session_id", SessionNames, rows))

    def _hours(self, ids: str) -> set[str]:
        sql = "SELECT DISTINCT hour FROM cells WHERE session IN (SELECT value FROM json_each(?))"
        return {row[0] for row in self._connection.execute(sql, (ids,))}

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def _folded(words: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return tuple((word, word.casefold()) for word in words)


def _matching(
    items: list[tuple[str, str]], words: tuple[tuple[str, str], ...]
) -> list[tuple[str, str]]:
    for word, folded in words:
        items = [pair for pair in items if folded in pair[1] or pair[0].startswith(word)]
    return items
