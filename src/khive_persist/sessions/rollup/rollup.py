"""`Rollup`: a project's sums by session and hour, in memory, and what is answered from them."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from khive_persist import clock
from khive_persist.models.purposes import CONVERSATIONS, HOOK_EVENTS, OUTCOMES
from khive_persist.sessions.rollup.groups import PICODOLLARS, PLAN_FIELDS, Group
from khive_persist.store import codec
from khive_persist.store.sqlite.connection import open_memory

_KEY: Final = "session, file, hour, tool, project, model"
_SUMS: Final = (
    "rows", "others", "calls", "failures", "input", "cache_read", "cache_write", "output", "cost",
    "priced", "unpriced",
)  # fmt: skip
_CELLS: Final = f"""
CREATE TABLE {{name}} (
    session TEXT, file TEXT, hour TEXT, tool TEXT, project TEXT, model TEXT,
    rows INTEGER, first TEXT, last TEXT, others INTEGER, calls INTEGER, failures INTEGER,
    input INTEGER, cache_read INTEGER, cache_write INTEGER, output INTEGER, cost INTEGER,
    priced INTEGER, unpriced INTEGER,
    prompt TEXT, plan TEXT, verdict TEXT,
    PRIMARY KEY ({_KEY})
) WITHOUT ROWID"""
_SESSIONS: Final = """
CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY, tool TEXT, tools TEXT, project TEXT, model TEXT, started TEXT,
    last TEXT, duration REAL, events INTEGER, failures INTEGER, messages INTEGER, tokens INTEGER,
    cost REAL, unpriced INTEGER, task_description TEXT, complexity TEXT, agent_count, confidence,
    planning_cost, verdict TEXT, title TEXT
) WITHOUT ROWID"""
# What comes later is added; the least and the largest of several are the first and the latest.
_ADD: Final = (
    "INSERT INTO {name} VALUES (" + ", ".join("?" * len(Group._fields)) + ")"
    f" ON CONFLICT ({_KEY}) DO UPDATE SET "
    + ", ".join(
        [
            *(f"{name} = {name} + excluded.{name}" for name in _SUMS),
            "first = min(first, excluded.first)",
            "last = max(last, excluded.last)",
            "prompt = coalesce(min(prompt, excluded.prompt), prompt, excluded.prompt)",
            "plan = coalesce(max(plan, excluded.plan), plan, excluded.plan)",
            "verdict = coalesce(max(verdict, excluded.verdict), verdict, excluded.verdict)",
        ]
    )
)
_SAMPLE: Final = 2_000
_ONE_IN: Final = 20
_TIME: Final = clock.CREATED_AT_CHARACTERS
_EVENTS: Final = ", ".join(f"'{one.name}'" for one in HOOK_EVENTS.values())
_MESSAGES: Final = f"'{CONVERSATIONS.name}'"
_VERDICTS: Final = f"'{OUTCOMES.name}'"


def _after_time(expression: str) -> str:
    return f"nullif(substr({expression}, {_TIME + 1}), '')"


def _plan_field(name: str) -> str:
    path = f"$[{PLAN_FIELDS.index(name) + 1}]"
    value = f"json_extract(substr(plan, {_TIME + 1}), '{path}')"
    kinds = "('text')" if name in ("task_description", "complexity") else "('integer', 'real')"
    return f"CASE WHEN typeof({value}) IN {kinds} THEN {value} END AS {name}"


_SUMMED: Final = f"""
SELECT session,
    {
    _after_time(
        f"coalesce(min(iif(file IN ({_EVENTS}), first || tool, NULL)),"
        f" min(iif(file = {_MESSAGES}, first || tool, NULL)))"
    )
} AS tool,
    ',' || group_concat(DISTINCT tool) || ',' AS tools,
    {_after_time("min(iif(project <> '', first || project, NULL))")} AS project,
    {_after_time("max(iif(model <> '', last || model, NULL))")} AS model,
    min(iif(file <> {_VERDICTS}, first, NULL)) AS started,
    max(iif(file <> {_VERDICTS}, last, NULL)) AS last,
    sum(iif(file IN ({_EVENTS}), rows, 0)) AS events,
    sum(failures) AS failures,
    sum(iif(file = {_MESSAGES}, rows - others, 0)) AS messages,
    sum(input + cache_read + cache_write + output) AS tokens,
    iif(sum(priced) > 0, sum(cost) / {PICODOLLARS}.0, NULL) AS cost,
    sum(unpriced) AS unpriced,
    max(plan) AS plan,
    {_after_time("max(verdict)")} AS verdict,
    {_after_time(f"coalesce(min(iif(file IN ({_EVENTS}), prompt, NULL)), min(prompt))")} AS title
FROM cells WHERE session IN (SELECT value FROM json_each(?)) AND session <> ''
GROUP BY session HAVING sum(file <> {_VERDICTS}) > 0"""
_SECONDS: Final = (
    "round(strftime('%s', substr(last, 1, 19)) - strftime('%s', substr(started, 1, 19))"
    " + CAST(substr(last, 20) AS REAL) - CAST(substr(started, 20) AS REAL), 6)"
)
_TEXTS: Final = (
    "SELECT session_id, title, task_description, project FROM sessions"
    " WHERE session_id IN (SELECT value FROM json_each(?))"
)
_PLANNED: Final = ", ".join(_plan_field(name) for name in PLAN_FIELDS)
_SUMMARISE: Final = f"""
INSERT INTO sessions SELECT session, tool, tools, project, model, started, last, {_SECONDS}, events,
    failures, messages, tokens, cost, unpriced, task_description, complexity, agent_count,
    confidence, planning_cost, verdict, title
FROM (SELECT *, {_PLANNED} FROM ({_SUMMED}))"""


class Rollup:
    """The sums of a project. It may be used from any thread.

    Its memory grows with the sessions and the hours in which they did something, not with events:
    about 1.5 KB a session and hour.

    Attributes:
        version: Another number whenever something has changed.
        updated_at: When that was, text in UTC.
    """

    def __init__(self) -> None:
        self.version = 0
        self.updated_at = clock.to_text(clock.now())
        self._lock = threading.Lock()
        self._stale: set[str] = set()
        self._connection = open_memory()
        self._words: dict[str, str] = {}
        self._wanted: tuple[tuple[str, str], ...] = ()
        self._connection.create_function("has_words", 1, self._has_words)
        self._connection.execute(_CELLS.format(name="cells"))
        self._connection.execute("CREATE INDEX cells_by_file ON cells (file, session)")
        self._connection.execute("CREATE INDEX cells_by_hour ON cells (hour)")
        self._connection.execute(_SESSIONS)
        for name in ("last", "started", "events", "failures", "coalesce(cost, -1)", "duration"):
            word = name.removeprefix("coalesce(").partition(",")[0]
            self._connection.execute(
                f"CREATE INDEX sessions_by_{word} ON sessions ({name}, session_id)"
            )

    def close(self) -> None:
        """Give the memory back."""
        with self._lock:
            self._connection.close()

    def ask(self, sql: str, values: Sequence[Any] = (), words: Sequence[str] = ()) -> list[Any]:
        """The rows of a SELECT over `cells` and `sessions`, all of one moment.

        In it, `has_words(session_id)` is whether each word is in the texts of a session, or what
        its id begins with; in whatever case.
        """
        with self._lock:
            self._wanted = _folded(words)
            return self._connection.execute(sql, values).fetchall()

    def find(self, words: Sequence[str]) -> list[str] | None:
        """The sessions of which `has_words` holds; None where they are many.

        To look through all at once is ten times as fast as row by row, but where one in
        twenty has the words, a page of them is sooner found in order.
        """
        with self._lock:
            items = list(self._words.items())
        wanted = _folded(words)
        some = items[:_SAMPLE]
        if len(_matching(some, wanted)) * _ONE_IN >= _SAMPLE:
            return None
        return [id for id, _ in _matching(items, wanted)]

    def _has_words(self, session: str) -> bool:
        return bool(_matching([(session, self._words.get(session, ""))], self._wanted))

    def stale_hours(self) -> tuple[int, list[Any]]:
        """The version, and of each hour that has changed since the last call its cells.

        Before the columns of a cell comes the hour; one in which nothing is left has a row of None.
        """
        with self._lock:
            hours, self._stale = self._stale, set()
            rows = self._connection.execute(
                "SELECT value, cells.* FROM json_each(?) LEFT JOIN cells ON hour = value",
                (codec.dump([*hours]),),
            ).fetchall()
            return self.version, rows

    def add(self, groups: Iterable[Group]) -> None:
        """Add the sums of rows that were not counted yet."""
        added = list(groups)
        with self._changing({one.session for one in added}, {one.hour for one in added}):
            self._connection.executemany(_ADD.format(name="cells"), added)

    def replace(self, file: str, session: str, groups: Iterable[Group]) -> None:
        """Put these sums in the place of all that a file was counted for a session."""
        with self._changing({session}):
            self._connection.execute(
                "DELETE FROM cells WHERE session = ? AND file = ?", (session, file)
            )
            self._connection.executemany(_ADD.format(name="cells"), groups)

    def forget(self, file: str) -> None:
        """Take out all that a file was counted."""
        with self._lock:
            found = "SELECT DISTINCT session FROM cells WHERE file = ?"
            sessions = {row[0] for row in self._connection.execute(found, (file,))}
        with self._changing(sessions):
            self._connection.execute("DELETE FROM cells WHERE file = ?", (file,))

    def counted(self, file: str) -> int:
        """How many rows of a file are counted."""
        return int(
            self.ask("SELECT coalesce(sum(rows), 0) FROM cells WHERE file = ?", (file,))[0][0]
        )

    def begin_recount(self) -> None:
        """Begin to count a file once more, beside what is answered meanwhile."""
        with self._lock:
            self._connection.execute("DROP TABLE IF EXISTS fresh")
            self._connection.execute(_CELLS.format(name="fresh"))

    def recount(self, groups: Iterable[Group]) -> None:
        """Add to the second count."""
        with self._lock, self._transaction():
            self._connection.executemany(_ADD.format(name="fresh"), groups)

    def end_recount(self, file: str, settled: set[str]) -> int:
        """Let the second count of a file hold from now on.

        Args:
            file: Its purpose's name.
            settled: Sessions for which the first one holds: they were counted since.

        Returns:
            For how many sessions it was another one.
        """
        different = "SELECT session FROM (SELECT * FROM {} EXCEPT SELECT * FROM {})".format
        own = "(SELECT * FROM cells WHERE file = ?)"
        with self._lock:
            sessions = {
                row[0]
                for sql in (different(own, "fresh"), different("fresh", own))
                for row in self._connection.execute(sql, (file,))
            } - settled
        ids = codec.dump_lossy([*sessions])
        if sessions:
            some = "SELECT value FROM json_each(?)"
            with self._changing(sessions):
                self._connection.execute(
                    f"DELETE FROM cells WHERE file = ? AND session IN ({some})", (file, ids)
                )
                self._connection.execute(
                    f"INSERT INTO cells SELECT * FROM fresh WHERE session IN ({some})", (ids,)
                )
        with self._lock:
            self._connection.execute("DROP TABLE fresh")
        return len(sessions)

    @contextmanager
    def _changing(self, sessions: set[str], hours: set[str] | None = None) -> Iterator[None]:
        """Change the cells of these sessions in one transaction, and what is said of them with it.

        Without `hours`, those change in which they have a cell before or after.
        """
        ids = codec.dump_lossy([*sessions])
        with self._lock, self._transaction():
            changed = self._hours(ids) if hours is None else hours
            yield
            self._stale |= changed if hours is not None else changed | self._hours(ids)
            self._connection.execute(
                "DELETE FROM sessions WHERE session_id IN (SELECT value FROM json_each(?))", (ids,)
            )
            self._connection.execute(_SUMMARISE, (ids,))
            for session in sessions:
                self._words.pop(session, None)
            for session, *texts in self._connection.execute(_TEXTS, (ids,)):
                self._words[session] = "\n".join(t.casefold() for t in texts if t)
            self.version += 1
            self.updated_at = clock.to_text(clock.now())

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
    items: list[tuple[str, str]], wanted: tuple[tuple[str, str], ...]
) -> list[tuple[str, str]]:
    for word, folded in wanted:
        items = [one for one in items if folded in one[1] or one[0].startswith(word)]
    return items
