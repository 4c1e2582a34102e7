"""`Rollup`: a project's sums by session and hour, in memory, and the answers from them."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from khive_persist import clock
from khive_persist.models.purposes import CONVERSATIONS, HOOK_EVENTS, OUTCOMES, PLANNER_SESSIONS
from khive_persist.prices import PICODOLLARS
from khive_persist.sessions.definitions import MODEL_ORDER, NO_TIME, PLAN_FIELDS, ruled_sql
from khive_persist.sessions.rollup.groups import Group
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
    planning_cost, plans INTEGER, planned_by TEXT, verdict TEXT, title TEXT
) WITHOUT ROWID"""
# Later sums are added; the least and the largest of several are the first and the latest.
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
# The order keys of sessions. One without a value comes last where the largest come first.
KEYS: Final = {
    "last": "coalesce(last, '')",
    "started": "coalesce(started, '')",
    "events": "events",
    "failures": "failures",
    "cost": "coalesce(cost, -1)",
    "duration": "coalesce(duration, -1)",
}
_IDS: Final = "SELECT value FROM json_each(:ids)"
_SAMPLE: Final = 2_000
_ONE_IN: Final = 20
_TIME: Final = clock.CREATED_AT_CHARACTERS
_EVENTS: Final = ", ".join(f"'{purpose.name}'" for purpose in HOOK_EVENTS.values())
_MESSAGES: Final = f"'{CONVERSATIONS.name}'"
_PLANS: Final = f"'{PLANNER_SESSIONS.name}'"
_VERDICTS: Final = f"'{OUTCOMES.name}'"


def _after_time(expression: str) -> str:
    return f"nullif(substr({expression}, {_TIME + 1}), '')"


def _after_tab(expression: str) -> str:
    return f"substr({expression}, instr({expression}, char(9)) + 1)"


def _plan_value(number: int) -> str:
    return f"json_extract({_after_tab('plan')}, '$[{number}]')"


def _when(function: str, column: str) -> str:
    """Select the first or the last time of events and messages, else of plans."""
    is_known = f"{column} <> '{NO_TIME}'"
    work = f"{function}(iif(file IN ({_EVENTS}, {_MESSAGES}) AND {is_known}, {column}, NULL))"
    plans = f"{function}(iif(file = {_PLANS} AND {is_known}, {column}, NULL))"
    return f"coalesce({work}, {plans})"


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
    (SELECT model FROM (
        SELECT model, sum(input + cache_read + cache_write + output) AS tokens, max(last) AS last
        FROM cells AS named WHERE named.session = cells.session AND model <> '' GROUP BY model)
    ORDER BY {MODEL_ORDER} LIMIT 1) AS model,
    {_when("min", "first")} AS started,
    {_when("max", "last")} AS last,
    sum(file IN ({_EVENTS}, {_MESSAGES})) > 0 AS has_worked,
    sum(iif(file IN ({_EVENTS}), rows, 0)) AS events,
    sum(calls) AS calls,
    sum(failures) AS failures,
    sum(iif(file = {_MESSAGES}, rows - others, 0)) AS messages,
    sum(input + cache_read + cache_write + output) AS tokens,
    iif(sum(priced) > 0, sum(cost) / {PICODOLLARS}.0, NULL) AS cost,
    sum(unpriced) AS unpriced,
    sum(iif(file = {_PLANS}, rows, 0)) AS plans,
    max(plan) AS plan,
    max(verdict) AS verdict,
    {_after_time(f"coalesce(min(iif(file IN ({_EVENTS}), prompt, NULL)), min(prompt))")} AS title
FROM cells WHERE session IN (SELECT value FROM json_each(:ids)) AND session <> ''
GROUP BY session HAVING sum(file <> {_VERDICTS}) > 0"""
_SECONDS: Final = (
    "round(strftime('%s', substr(last, 1, 19)) - strftime('%s', substr(started, 1, 19))"
    " + CAST(substr(last, 20) AS REAL) - CAST(substr(started, 20) AS REAL), 6)"
)
_TEXTS: Final = (
    "SELECT session_id, title, task_description, project FROM sessions"
    " WHERE session_id IN (SELECT value FROM json_each(?))"
)
_PLANNED: Final = ", ".join(
    f"{_plan_value(number)} AS {name}" for number, name in enumerate(("planned_by", *PLAN_FIELDS))
)
_ON_PLAN: Final = "(SELECT max(verdict) FROM cells AS own WHERE own.session = planned_by)"
_SUMMARISE: Final = f"""
INSERT INTO sessions SELECT session, tool, tools, project, model, started, last,
    iif(has_worked, {_SECONDS}, NULL), events, failures, messages, tokens, cost, unpriced,
    task_description, complexity, agent_count, confidence, planning_cost, plans, planned_by,
    coalesce({_after_tab("verdict")}, {_after_tab(_ON_PLAN)},
        {ruled_sql("calls", "failures", ":rule")}), title
FROM (SELECT *, {_PLANNED} FROM ({_SUMMED}))"""


class Rollup:
    """The sums of a project. It may be used from any thread.

    Its memory grows with the sessions and the hours in which they did something, not with events:
    about 1.5 KB a session and hour.

    Attributes:
        version: A number that changes with the sums.
        updated_at: The time of the last change, text in UTC.
    """

    def __init__(self, rule: float | None = None) -> None:
        """Begin without sums.

        Args:
            rule: The share of failures above which a session has failed that nobody has judged;
                None for no such rule.
        """
        self._rule = rule
        self.version = 0
        self.updated_at = clock.to_text(clock.now())
        self._lock = threading.Lock()
        self._stale: set[str] = set()
        self._connection = open_memory()
        self._words: dict[str, str] = {}
        self._query_words: tuple[tuple[str, str], ...] = ()
        self._connection.create_function("has_words", 1, self._has_words)
        self._connection.execute(_CELLS.format(name="cells"))
        self._connection.execute("CREATE INDEX cells_by_file ON cells (file, session)")
        self._connection.execute("CREATE INDEX cells_by_hour ON cells (hour)")
        self._connection.execute(_SESSIONS)
        self._connection.execute("CREATE INDEX sessions_by_planned_by ON sessions (planned_by)")
        for word, name in KEYS.items():
            self._connection.execute(
                f"CREATE INDEX sessions_by_{word} ON sessions ({name}, session_id)"
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

    def stale_hours(self) -> tuple[int, list[Any]]:
        """Return the version, and the cells of each hour that has changed since the last call.

        Before the columns of a cell comes the hour; an hour without cells has a row of None.
        After them come tool, model and project of the whole session.
        """
        with self._lock:
            hours, self._stale = self._stale, set()
            rows = self._connection.execute(
                "SELECT value, cells.*, of.tool, of.model, of.project FROM json_each(?)"
                " LEFT JOIN cells ON hour = value LEFT JOIN sessions AS of ON session_id = session",
                (codec.dump([*hours]),),
            ).fetchall()
            return self.version, rows

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
            self._connection.executemany(_ADD.format(name="cells"), added)

    def replace(self, file: str, session: str, groups: Iterable[Group]) -> None:
        """Replace all sums of a file for a session by these."""
        with self._changing({session}):
            self._connection.execute(
                "DELETE FROM cells WHERE session = ? AND file = ?", (session, file)
            )
            self._connection.executemany(_ADD.format(name="cells"), groups)

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
            self._connection.execute(_CELLS.format(name="fresh"))

    def recount(self, groups: Iterable[Group]) -> None:
        """Add to the second count."""
        with self._lock, self._transaction():
            self._connection.executemany(_ADD.format(name="fresh"), groups)

    def end_recount(self, file: str, settled: set[str]) -> int:
        """Let the second count of a file hold from now on.

        Args:
            file: Its purpose's name.
            settled: The sessions that keep the first count, as they were counted since.

        Returns:
            The number of sessions whose sums differ.
        """
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
        return len(sessions)

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
            yield
            self._stale |= stale if hours is not None else stale | self._hours(ids)
            self._summarise(ids)
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
