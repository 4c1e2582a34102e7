"""`GET /v1/today`: this day beside earlier ones, failures, sessions in progress, budgets."""

import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import anyio
from anyio import to_thread

from khive_persist import clock
from khive_persist.clock import InstantText
from khive_persist.errors import InvalidSettingsError
from khive_persist.models.purposes import CONVERSATIONS, EVENT_FILES
from khive_persist.prices import PICODOLLARS
from khive_persist.project import Project
from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.routes.read.operations import Operation, ReadRequest
from khive_persist.sessions.activity import Time
from khive_persist.sessions.budgets import (
    ACTIVE,
    DAY,
    Budget,
    BudgetState,
    Spending,
    Spendings,
    budgets_of,
    midnight,
    states_of,
)
from khive_persist.sessions.in_progress import (
    LOOK_BACK,
    STUCK_AFTER,
    SessionInProgress,
    Status,
    sessions_in_progress,
)
from khive_persist.sessions.rollup.groups import HOUR_CHARACTERS, groups_within
from khive_persist.sessions.rollup.hours import Sums
from khive_persist.sessions.rollup.session_item import SessionItem
from khive_persist.sessions.rollup.sessions import active_sessions, sessions_of
from khive_persist.sessions.tool_calls import (
    FailedCall,
    ToolFailures,
    ToolTimes,
    failing_tools,
    latest_failures,
    slowest_tools,
)
from khive_persist.store.reader import Reader

EARLIER_DAYS: Final = 7
TOOLS: Final = 10
CALLS: Final = 10
SESSIONS: Final = 50
# What was read is told for so many times the time that it took, and for as long as this at least.
_SHARE: Final = 20
_LEAST_SECONDS: Final = 2.0
_HOUR: Final = timedelta(hours=1)


class DayCost(NamedTuple):
    """The messages of a day, from midnight in UTC to one time of day.

    Attributes:
        day: The day.
        cost: The cost of the messages that have a price, in USD; None where none has.
        tokens: The tokens of all classes.
        unpriced: The number of the messages that have none, and are not in `cost`.
    """

    day: str
    cost: float | None
    tokens: int
    unpriced: int


class SessionNow(NamedTuple):
    """A session in progress, as `sessions/in_progress.py` tells it, and what lists show of it."""

    session_id: str
    title: str | None
    tool: str
    project: str | None
    model: str | None
    cost: float | None
    unpriced: int
    status: Status
    since: InstantText
    last: InstantText
    call: str | None


class TodayAnswer(NamedTuple):
    """This day so far, the last 24 hours, and this moment.

    Attributes:
        at: The present instant, which is the end of all times here.
        today: The day in UTC so far.
        earlier: The days before it, each to the same time of day, the latest first.
        usual_cost: The mean cost of those of them that have one; None where none has.
        since: The begin of the last 24 hours, which failures and tools are of.
        tools: The tools that took most time together, beside the 24 hours before.
        failures: The tools that failed most often, beside the 24 hours before.
        failed_calls: The latest calls that failed.
        sessions: The sessions in progress, those that want a person first.
        sessions_left_out: The number of those beyond the first 50.
        sessions_to_look_at: The number of all that wait for a permission or seem stuck.
        budgets: The limits of config.toml, and what is spent of each.
        stuck_after_seconds: The silence after which a session in a turn seems stuck.
        look_back_seconds: The silence after which it is no longer in progress.
    """

    at: InstantText
    today: DayCost
    earlier: list[DayCost]
    usual_cost: float | None
    since: InstantText
    tools: list[ToolTimes]
    failures: list[ToolFailures]
    failed_calls: list[FailedCall]
    sessions: list[SessionNow]
    sessions_left_out: int
    sessions_to_look_at: int
    budgets: list[BudgetState]
    stuck_after_seconds: float
    look_back_seconds: float


class _LastDay(NamedTuple):
    tools: list[ToolTimes]
    failures: list[ToolFailures]
    failed_calls: list[FailedCall]
    sessions: list[SessionInProgress]


class _Remembered:
    """An answer that is read again once it is older than the reading took, many times over."""

    def __init__(self, read: Callable[[datetime], Awaitable[_LastDay]]) -> None:
        self._read = read
        self._turn = anyio.Lock()
        self._until = 0.0
        self._answer: _LastDay | None = None

    async def get(self, instant: datetime) -> _LastDay:
        """Return the answer for an instant, or for one that was shortly before it."""
        async with self._turn:
            began = time.monotonic()
            if self._answer is None or began > self._until:
                self._answer = await self._read(instant)
                spent = time.monotonic() - began
                self._until = time.monotonic() + max(_SHARE * spent, _LEAST_SECONDS)
            return self._answer


def operations(project: Project, live: LiveSettings, readers: ReaderPool) -> list[Operation]:
    """Return what this group answers."""

    async def read_last_day(instant: datetime) -> _LastDay:
        async with readers.reader(*EVENT_FILES.values()) as reader:
            return await _last_day(reader, instant)

    remembered = _Remembered(read_last_day)

    async def today(_query: ReadRequest) -> Any:
        await readers.wait_until_read()
        instant = clock.now()
        last_day = await remembered.get(instant)
        sums = await to_thread.run_sync(_whole_hours, readers, instant)
        async with readers.reader(CONVERSATIONS) as reader:
            days = [
                _day_cost(day, hours, await _spending(reader, readers, hour, end))
                for day, hours, hour, end in sums
            ]
        try:
            budgets = await to_thread.run_sync(budgets_of, project, live.settings)
        except InvalidSettingsError:
            # What is wrong with config.toml is said by the doctor.
            budgets = []
        states = await to_thread.run_sync(_budget_states, project, readers, budgets, instant)
        items = await to_thread.run_sync(
            sessions_of, readers.rollup, [s.session_id for s in last_day.sessions[:SESSIONS]]
        )
        costs = [day.cost for day in days[1:] if day.cost is not None]
        return TodayAnswer(
            at=clock.to_text(instant),
            today=days[0],
            earlier=days[1:],
            usual_cost=sum(costs) / len(costs) if costs else None,
            since=clock.to_text(instant - DAY),
            tools=last_day.tools,
            failures=last_day.failures,
            failed_calls=last_day.failed_calls,
            sessions=[_session(s, items.get(s.session_id)) for s in last_day.sessions[:SESSIONS]],
            sessions_left_out=max(len(last_day.sessions) - SESSIONS, 0),
            sessions_to_look_at=sum(
                session.status in ("waits_for_permission", "stuck") for session in last_day.sessions
            ),
            budgets=states,
            stuck_after_seconds=STUCK_AFTER.total_seconds(),
            look_back_seconds=LOOK_BACK.total_seconds(),
        )

    return [
        Operation(
            "/v1/today",
            today,
            "The cost of this day beside the same span of earlier ones, what failed and was slow in"
            " the last 24 hours, the sessions in progress, and the budgets.",
            (),
            TodayAnswer,
        )
    ]


async def _last_day(reader: Reader, instant: datetime) -> _LastDay:
    start, end = clock.to_text(instant - DAY), clock.to_text(instant)
    day, previous = Time(start, end), Time(clock.to_text(instant - 2 * DAY), start)
    return _LastDay(
        await slowest_tools(reader, day, previous, TOOLS),
        await failing_tools(reader, day, previous, TOOLS),
        await latest_failures(reader, day, CALLS),
        await sessions_in_progress(reader, instant),
    )


def _whole_hours(
    readers: ReaderPool, instant: datetime
) -> list[tuple[datetime, Sums, datetime, datetime]]:
    """Return the days with the sums of their whole hours, and the part of an hour that is left.

    Of today it is the whole hour, as nothing later is recorded yet.
    """
    days = []
    for number in range(EARLIER_DAYS + 1):
        end = instant - number * DAY
        hour = end.replace(minute=0, second=0, microsecond=0)
        if not number:
            hour = end = hour + _HOUR
        day = midnight(instant - number * DAY)
        overview = readers.hours.overview(_hour(day), _hour(hour), "day", "tool")
        days.append((day, overview.totals, hour, end))
    return days


async def _spending(
    reader: Reader, readers: ReaderPool, since: datetime, until: datetime
) -> Spending:
    """Add up a part of an hour."""
    if since == until:
        return Spending()
    pico = priced = tokens = unpriced = 0
    groups = groups_within(
        reader, CONVERSATIONS, clock.to_text(since), clock.to_text(until), readers.prices()
    )
    async with aclosing(groups):
        async for group in groups:
            pico += group.cost
            priced += group.priced
            tokens += group.input + group.cache_read + group.cache_write + group.output
            unpriced += group.unpriced
    return Spending(pico / PICODOLLARS if priced else None, tokens, unpriced)


def _day_cost(day: datetime, hours: Sums, rest: Spending) -> DayCost:
    costs = [cost for cost in (hours.cost, rest.cost) if cost is not None]
    return DayCost(
        str(day.date()),
        sum(costs) if costs else None,
        _spent(hours).tokens + rest.tokens,
        hours.unpriced + rest.unpriced,
    )


def _budget_states(
    project: Project, readers: ReaderPool, budgets: list[Budget], instant: datetime
) -> list[BudgetState]:
    """Return what is spent of each limit, by the sums in memory."""
    if not budgets:
        return []
    day = midnight(instant)
    active = active_sessions(readers.rollup, clock.to_text(instant - ACTIVE))
    spendings = Spendings(
        _spent(readers.hours.overview(_hour(day), _hour(day + DAY), "day", "tool").totals),
        {item.session_id: Spending(item.cost, item.tokens, item.unpriced) for item in active},
        _spent(readers.hours.overview(None, None, "day", "tool").totals),
    )
    return states_of(project, budgets, spendings, instant)


def _spent(sums: Sums) -> Spending:
    tokens = sums.input + sums.cache_read + sums.cache_write + sums.output
    return Spending(sums.cost, tokens, sums.unpriced)


def _session(session: SessionInProgress, item: SessionItem | None) -> SessionNow:
    return SessionNow(
        session_id=session.session_id,
        title=item and item.title,
        tool=session.tool,
        project=item and item.project,
        model=item and item.model,
        cost=item and item.cost,
        unpriced=item.unpriced if item else 0,
        status=session.status,
        since=session.since,
        last=session.last,
        call=session.call,
    )


def _hour(instant: datetime) -> str:
    return clock.to_text(instant)[:HOUR_CHARACTERS]
