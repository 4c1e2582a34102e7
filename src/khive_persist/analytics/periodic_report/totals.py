"""The totals of a period and the one before it: in all, by day, by group; the dearest sessions.

Events and messages come in order of their session, so that one session after the other is added
up: memory holds the days, the groups and the dearest sessions, however many sessions there are.
"""

import heapq
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import AsyncExitStack, aclosing
from typing import Final, Literal, NamedTuple, get_args

from khive_persist.analytics.periodic_report.period import Period
from khive_persist.models.purposes import CONVERSATIONS, EVENT_FILES
from khive_persist.opening import reading
from khive_persist.prices import PICODOLLARS, PriceTable
from khive_persist.project import Project
from khive_persist.sessions.activity import DAY_CHARACTERS, EventPart, Time, event_parts
from khive_persist.sessions.definitions import ModelUse, main_model
from khive_persist.sessions.rollup.groups import Group, groups_within

By = Literal["model", "project", "tool"]

BY: Final[tuple[By, ...]] = get_args(By)


class Totals:
    """The totals of a session, a day, a group or a period."""

    __slots__ = ("calls", "events", "failures", "messages", "pico", "priced", "sessions", "tokens",
                 "unpriced")  # fmt: skip

    def __init__(self) -> None:
        self.events = self.calls = self.failures = self.messages = self.sessions = 0
        self.tokens = self.pico = self.priced = self.unpriced = 0

    @property
    def cost(self) -> float | None:
        """In USD, of the messages that have a price; None where none has."""
        return self.pico / PICODOLLARS if self.priced else None

    def add(self, part: "EventPart | Group | Totals") -> None:
        """Count a part of a session, or another sum; only the latter counts sessions."""
        if isinstance(part, EventPart):
            self.events += part.events
            self.calls += part.calls
            self.failures += part.failures
        elif isinstance(part, Group):
            self.messages += part.rows - part.others
            self.calls += part.calls
            self.failures += part.failures
            self.tokens += _tokens(part)
            self.pico += part.cost
            self.priced += part.priced
            self.unpriced += part.unpriced
        else:
            for name in Totals.__slots__:
                setattr(self, name, getattr(self, name) + getattr(part, name))


class SessionCost(NamedTuple):
    """The cost and the failures of a session in the period, and its first and last record.

    Attributes:
        cost: The cost of what has a price, in USD; the first field, which they are ordered by.
        session_id: The session's id.
        tool: The AI tool; an empty text where it is not known.
        project: The directory that it was at work in first; an empty text where it is not known.
        unpriced: The number of messages without a price, which are not in the cost.
        failures: The number of tool calls that failed.
        first: The time of its first event or message in the period, text in UTC.
        last: The time of its last one, text in UTC.
    """

    cost: float
    session_id: str
    tool: str
    project: str
    unpriced: int
    failures: int
    first: str
    last: str


class PeriodTotals(NamedTuple):
    """The totals of a period and of the one before.

    Attributes:
        current: The totals of the period.
        previous: The totals of the one before.
        days: The totals by day, of both; a day without anything is missing.
        groups: The totals by kind of group and by group, of the period and of the one before. An
            empty text stands for no group. For models messages count alone: few events tell one.
            A session counts on its first day of a period, and in one group: that of the tool and
            the project in which it began there, of the model that used most tokens there.
        dearest: The sessions that cost most, the dearest first.
    """

    current: Totals
    previous: Totals
    days: dict[str, Totals]
    groups: dict[By, dict[str, tuple[Totals, Totals]]]
    most_expensive: list[SessionCost]


async def compute_totals(
    project: Project, period: Period, prices: PriceTable, most_expensive: int
) -> PeriodTotals:
    """Add up the events and messages of a period and of the one before.

    What waits in the project's spool is brought in first. So many of the most expensive sessions
    are told.

    Raises:
        StoreError: As its subclasses say.
    """
    totals = PeriodTotals(Totals(), Totals(), {}, {by: {} for by in BY}, [])
    time = Time(period.previous.time.since, period.time.until)
    start = period.time.since[:DAY_CHARACTERS]
    async with AsyncExitStack() as stack:
        events = await stack.enter_async_context(reading(project, *EVENT_FILES.values()))
        messages = await stack.enter_async_context(reading(project, CONVERSATIONS))
        of_events = await stack.enter_async_context(aclosing(event_parts(events, time)))
        groups = groups_within(messages, CONVERSATIONS, *time, prices)
        of_messages = await stack.enter_async_context(aclosing(groups))
        sessions = await stack.enter_async_context(aclosing(_by_session(of_events, of_messages)))
        async for session, parts in sessions:
            session_cost = _add_session(totals, session, parts, start)
            if session_cost is not None:
                heapq.heappush(totals.most_expensive, session_cost)
                if len(totals.most_expensive) > most_expensive:
                    heapq.heappop(totals.most_expensive)
    totals.most_expensive.sort(key=lambda session: (-session.cost, session.session_id))
    return totals


def _add_session(
    totals: PeriodTotals, session: str, parts: list[EventPart | Group], start: str
) -> SessionCost | None:
    """Add the parts of a session, and return its cost in the period, where that is known."""
    own_totals = Totals()
    for part in parts:
        day = _day(part)
        is_now = day >= start
        targets = [
            totals.current if is_now else totals.previous,
            totals.days.setdefault(day, Totals()),
        ]
        for by in BY:
            if by != "model" or isinstance(part, Group):
                pair = totals.groups[by].setdefault(getattr(part, by), (Totals(), Totals()))
                targets.append(pair[0 if is_now else 1])
        for total in targets:
            total.add(part)
        if is_now:
            own_totals.add(part)
    if not session:
        return None
    parts = sorted(parts, key=lambda part: (part.first, part.tool))
    mine = [part for part in parts if _day(part) >= start]
    _count_session(totals, mine, is_now=True)
    _count_session(totals, [part for part in parts if _day(part) < start], is_now=False)
    if own_totals.cost is None:
        return None
    return SessionCost(
        own_totals.cost, session, _first(part.tool for part in mine),
        _first(part.project for part in mine),
        own_totals.unpriced, own_totals.failures, mine[0].first,
        max(part.last for part in mine),
    )  # fmt: skip


def _count_session(totals: PeriodTotals, parts: list[EventPart | Group], *, is_now: bool) -> None:
    """Count a session once: in the period, on one day, and in one group of each kind."""
    if not parts:
        return
    uses = (ModelUse(_tokens(part), part.last, part.model) for part in parts)
    names: dict[By, str] = {
        "model": main_model(uses) or "",
        "project": _first(part.project for part in parts),
        "tool": _first(part.tool for part in parts),
    }
    (totals.current if is_now else totals.previous).sessions += 1
    totals.days[_day(parts[0])].sessions += 1
    for by, name in names.items():
        pair = totals.groups[by].setdefault(name, (Totals(), Totals()))
        pair[0 if is_now else 1].sessions += 1


def _tokens(part: EventPart | Group) -> int:
    if isinstance(part, EventPart):
        return 0
    return part.input + part.cache_read + part.cache_write + part.output


async def _by_session(
    events: AsyncIterator[EventPart], messages: AsyncIterator[Group]
) -> AsyncGenerator[tuple[str, list[EventPart | Group]], None]:
    """Yield the parts of each session together, of two streams that come in order of sessions."""
    event, message = await anext(events, None), await anext(messages, None)
    while event is not None or message is not None:
        session = min(part.session for part in (event, message) if part is not None)
        parts: list[EventPart | Group] = []
        while event is not None and event.session == session:
            parts.append(event)
            event = await anext(events, None)
        while message is not None and message.session == session:
            parts.append(message)
            message = await anext(messages, None)
        yield session, parts


def _day(part: EventPart | Group) -> str:
    return part.day if isinstance(part, EventPart) else part.hour[:DAY_CHARACTERS]


def _first(names: Iterable[str]) -> str:
    return next((name for name in names if name), "")
