"""The sessions that are in progress: at work, waiting for a person, or stuck.

What each word means is in `definitions.py`; here it is told from the events of the last hours, in
order of their time.
"""

from collections.abc import Iterable
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from khive_persist import clock
from khive_persist.clock import InstantText
from khive_persist.models.event_types import POST, PRE
from khive_persist.sessions.definitions import (
    event_tables,
    has_session_sql,
    session_sql,
    stands_for_end_sql,
    text_sql,
    time_sql,
    tool_sql,
)
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement, union_all

Status = Literal["waits_for_permission", "stuck", "working", "waits_for_user"]

LOOK_BACK: Final = timedelta(hours=12)
STUCK_AFTER: Final = timedelta(minutes=10)
ORDER: Final[tuple[Status, ...]] = (
    "waits_for_permission", "stuck", "working", "waits_for_user"
)  # fmt: skip
# A turn is over, or none has begun yet.
_AT_REST: Final = frozenset({"stop", "stop_failure", "interrupt", "session_start"})
_ENDS_CALLS: Final = _AT_REST | {"prompt_submitted"}
# Ids say nothing of the order of one instant; by these a turn begins before it ends.
_FIRST: Final = ("session_start", "prompt_submitted", *PRE)
_LAST: Final = ("stop", "stop_failure", "interrupt", "session_end")


class SessionInProgress(NamedTuple):
    """A session that is in progress.

    Attributes:
        tool: The AI tool of its latest event.
        since: The time since which it is so: of the question, the call, the event.
        last: The time of its latest event.
        call: The name of the tool that is called, or that a permission is for; None where there is
            none, or where it has no name.
    """

    session_id: str
    tool: str
    status: Status
    since: InstantText
    last: InstantText
    call: str | None


class _Event(NamedTuple):
    """An event; `detail` is the kind of a notification, and the source of a session's start."""

    session: str
    tool: str
    type: str
    at: str
    agent: str
    name: str
    use_id: str
    detail: str
    has_ended: bool


class _Progress:
    """The state of one session, by its events so far."""

    def __init__(self) -> None:
        self.last: _Event | None = None
        self.calls: dict[tuple[str, str], _Event] = {}
        self.question: _Event | None = None
        # The event since which it rests; None in the midst of a turn.
        self.rest: _Event | None = None
        self.is_over = False

    def add(self, event: _Event) -> None:
        self.last, self.is_over = event, event.type == "session_end"
        if event.type == "permission_request" or (
            event.type == "notification" and "permission" in event.detail
        ):
            if event.name or self.question is None:
                self.question = event
            return
        if event.type == "notification":
            return
        if self.question is not None and self.question.agent == event.agent:
            self.question = None
        # What a subagent does in the background goes on while its session rests.
        if event.agent == "" or event.type in PRE:
            # After a compaction a session starts in the midst of its turn.
            is_at_rest = event.type in _AT_REST and event.detail != "compact"
            self.rest = event if is_at_rest else None
        if event.type in PRE and not event.has_ended:
            self.calls[_key(event)] = event
        elif event.type in POST:
            self.calls.pop(_key(event), None)
        elif event.type in _ENDS_CALLS:
            self.calls = {
                key: call for key, call in self.calls.items() if call.agent != event.agent
            }

    def at(self, instant: str, is_silent: bool) -> SessionInProgress | None:
        """Return the session as it is at an instant, after which its latest event is not."""
        if self.last is None or self.is_over:
            return None
        call = min(self.calls.values(), key=lambda event: event.at, default=None)
        status: Status
        if self.question is not None:
            status, since, call = "waits_for_permission", self.question, self.question
        elif self.rest is not None and call is None:
            status, since = "waits_for_user", self.rest
        else:
            status, since = "stuck" if is_silent else "working", call or self.last
        name = call.name if call is not None and call.name else None
        return SessionInProgress(
            self.last.session, self.last.tool, status, since.at, min(self.last.at, instant), name
        )


async def sessions_in_progress(reader: Reader, instant: datetime) -> list[SessionInProgress]:
    """Return the sessions in progress at an instant, those that want a person first.

    The reader is of the files of events.
    """
    sessions: dict[str, _Progress] = {}
    since, until = clock.to_text(instant - LOOK_BACK), clock.to_text(instant)
    async with aclosing(
        reader.stream_as(_Event, lambda source: _statement(source, since, until))
    ) as events:
        async for event in events:
            sessions.setdefault(event.session, _Progress()).add(event)
    silent_since = clock.to_text(instant - STUCK_AFTER)
    return _ordered(
        progress.at(until, progress.last is not None and progress.last.at < silent_since)
        for progress in sessions.values()
    )


def _ordered(sessions: Iterable[SessionInProgress | None]) -> list[SessionInProgress]:
    latest_first = sorted(
        (session for session in sessions if session is not None),
        key=lambda session: (session.last, session.session_id),
        reverse=True,
    )
    return sorted(latest_first, key=lambda session: ORDER.index(session.status))


def _key(event: _Event) -> tuple[str, str]:
    return ("", event.use_id) if event.use_id else (event.agent, event.name)


def _statement(source: Source, since: str, until: str) -> Statement:
    at = source.created_at
    detail = (
        f"CASE {source.extract('$.event_type')} WHEN 'notification' THEN lower(coalesce("
        f"{source.extract('$.payload.notification_type')}, {source.extract('$.output')}, ''))"
        f" WHEN 'session_start' THEN coalesce({source.extract('$.payload.source')}, '')"
        " ELSE '' END"
    )
    selects = [
        # With a limit SQLite makes the columns first: it would sort the whole of content otherwise.
        f"SELECT {session_sql(source)} AS session, {tool_sql(source, client)} AS tool,"
        f" {text_sql(source, 'event_type')} AS type, {time_sql(source)} AS at,"
        f" {text_sql(source, 'agent_id')} AS agent, {text_sql(source, 'tool_name')} AS name,"
        f" {text_sql(source, 'tool_use_id')} AS use_id, {detail} AS detail,"
        f" {stands_for_end_sql(source)} AS has_ended, id"
        f" FROM {table} WHERE {at} >= ? AND {at} <= ? AND {has_session_sql(source)} LIMIT -1"
        for client, table in event_tables(source)
    ]
    names = ", ".join(_Event._fields)
    places = [f"WHEN '{name}' THEN {place}" for place, name in enumerate(_FIRST)]
    places += [f"WHEN '{name}' THEN {place}" for place, name in enumerate(_LAST, len(_FIRST) + 1)]
    return union_all(
        [f"SELECT * FROM ({select})" for select in selects],
        [since, until],
        f"SELECT {names} FROM ({{}})"
        f" ORDER BY at, CASE type {' '.join(places)} ELSE {len(_FIRST)} END, id",
    )
