"""The clients' own totals of what sessions cost, beside the costs computed from messages."""

from collections.abc import Iterable
from contextlib import aclosing
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.models.purposes import CONVERSATIONS
from khive_persist.models.query import Filter, field
from khive_persist.opening import reading
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions.token_totals import token_totals
from khive_persist.store import codec
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement, named, select

# The explanation of a difference between the two costs.
DIFFERENCE: Final = (
    "the difference is of requests that the transcript does not have, as that of a compaction, and"
    " of what has no price here"
)
# The client's clock starts when its process does, its transcript with the first prompt.
_START: Final = timedelta(seconds=1)


class ReportedCost(NamedTuple):
    """One session whose client wrote down its cost, in USD.

    Attributes:
        session_id: The session.
        tool: The AI tool.
        computed: The cost of its messages that have a price; None where none has.
        unpriced: The number of messages that have none, and are not in it.
        reported: The client's total, without what was spent before the session was forked.
        difference: `reported` less `computed`: requests that stand in no transcript, as that of a
            compaction, and what has no price here.
        is_guess: Whether the client does not know the price of all of it either.
    """

    session_id: str
    tool: str
    computed: float | None
    unpriced: int
    reported: float
    difference: float
    is_guess: bool


class _Row(NamedTuple):
    session: Any
    tool: Any
    created_at: Any
    reported: Any


class _State(NamedTuple):
    session: str
    tool: str
    at: datetime
    cost: float
    started_ms: float
    began_at: datetime | None
    is_guess: bool


async def reported_costs(
    reader: Reader, prices: PriceTable, *filters: Filter
) -> list[ReportedCost]:
    """Return the sessions whose client says what they cost, the most expensive first.

    Filters are conditions on the session of messages, and not on their time.
    """
    states = await _states(reader, *filters)
    latest = {state.session: state for state in states}
    if not latest:
        return []
    others = states
    if filters and any(map(_goes_on, latest.values())):
        # One may be a fork of a session that no filter names.
        others = await _states(reader)
    of_sessions = field("session_id").in_([*latest])
    totals = await token_totals(reader, "session", prices, of_sessions)
    computed = {total.group: total for total in totals}
    costs = []
    for session, state in latest.items():
        total = computed.get(session)
        reported = state.cost - _before(state, others)
        cost = total.cost if total else None
        costs.append(
            ReportedCost(
                session,
                state.tool,
                cost,
                total.unpriced if total else 0,
                round(reported, 12),
                round(reported - (cost or 0), 12),
                state.is_guess,
            )
        )
    return sorted(costs, key=lambda report: (-report.reported, report.session_id))


class SessionCost(NamedTuple):
    """The cost of one session in USD, computed and as its client says; see `ReportedCost`."""

    computed: float | None
    unpriced: int
    reported: float | None
    difference: float | None


async def session_cost(project: Project, session: str) -> SessionCost:
    """Return the cost of one session, computed and as its client says; None where it is unknown.

    Raises:
        InvalidSettingsError: config.toml is wrong.
        StoreError: As its subclasses say.
    """
    prices = PriceTable(configuration.load(project.config).cost_prices)
    of_session = field("session_id") == session
    async with reading(project, CONVERSATIONS) as reader:
        totals = await token_totals(reader, "session", prices, of_session)
        reported = await reported_costs(reader, prices, of_session)
    return SessionCost(
        totals[0].cost if totals else None,
        totals[0].unpriced if totals else 0,
        reported[0].reported if reported else None,
        reported[0].difference if reported else None,
    )


def _goes_on(state: _State) -> bool:
    if state.began_at is None:
        return False
    started = clock.from_ns(int(state.started_ms * 1_000_000))
    return state.began_at - started > _START


def _before(state: _State, states: Iterable[_State]) -> float:
    """Return the cost, at the time of the fork, of the session that this one is a fork of."""
    if state.began_at is None:
        return 0.0
    costs = [
        other.cost
        for other in states
        if other.session != state.session
        and other.started_ms == state.started_ms
        and other.at <= state.began_at
        and other.cost <= state.cost
    ]
    return max(costs, default=0.0)


async def _states(reader: Reader, *filters: Filter) -> list[_State]:
    """Return the states that clients wrote down, in order of time and of cost."""
    async with aclosing(reader.stream_as(_Row, partial(_statement, filters))) as rows:
        states = [
            _state(row, reported)
            async for row in rows
            if isinstance(reported := codec.column(row.reported), dict)
            if isinstance(row.session, str)
        ]
    return sorted(states, key=lambda state: (state.at, state.cost))


def _statement(filters: tuple[Filter, ...], source: Source) -> Statement:
    columns = {
        "session": source.extract("$.session_id"),
        "tool": source.extract("$.tool"),
        "created_at": source.created_at,
        "reported": source.extract("$.reported"),
    }
    return select(source, [*filters, ~field("reported").is_null()], columns=named(columns))


def _state(row: _Row, reported: dict[str, Any]) -> _State:
    return _State(
        row.session,
        str(row.tool),
        clock.from_column(row.created_at) or clock.unreadable(),
        float(reported.get("cost") or 0),
        float(reported.get("started_ms") or 0),
        clock.from_column(reported.get("began_at")),
        reported.get("is_guess") is True,
    )
