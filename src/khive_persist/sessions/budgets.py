"""Budgets: the limits of cost and tokens in config.toml, and what is spent of each.

A limit is for a day in UTC, for one session, or for all that is recorded of a project. It is
reached once what has a price costs as much: messages without a price are counted beside it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.models.purposes import CONVERSATIONS
from khive_persist.models.query import column, field
from khive_persist.opening import reading
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions.token_totals import TokenTotal, token_totals
from khive_persist.settings import Settings
from khive_persist.store.reader import Reader

Scope = Literal["day", "session", "project"]
Unit = Literal["usd", "tokens"]

# A session that did nothing for longer is over: nobody is warned of what it cost.
ACTIVE: Final = timedelta(hours=24)
DAY: Final = timedelta(days=1)
SESSIONS_SHOWN: Final = 5
_NAMES: Final[tuple[tuple[Scope, Unit], ...]] = (
    ("day", "usd"), ("day", "tokens"), ("session", "usd"), ("session", "tokens"),
    ("project", "usd"), ("project", "tokens"),
)  # fmt: skip


class Budget(NamedTuple):
    """A limit.

    Attributes:
        warns: Whether reaching it runs the command and calls the webhook of the home's settings: it
            does not where the limit came with a project's config.toml that nobody has trusted.
    """

    scope: Scope
    unit: Unit
    limit: float
    warns: bool


class Spending(NamedTuple):
    """The cost of messages, in USD, and their tokens of all classes.

    Attributes:
        cost: The cost of those that have a price; None where none has.
        unpriced: The number of those that have none, and are not in `cost`.
    """

    cost: float | None = None
    tokens: int = 0
    unpriced: int = 0


class Spendings(NamedTuple):
    """The sums that are spent of every scope.

    Attributes:
        day: The spending of the day in UTC.
        sessions: The spending of each session that is active, by its id.
        project: All that is recorded of the project; None where no limit asks for it.
    """

    day: Spending
    sessions: Mapping[str, Spending]
    project: Spending | None


class BudgetState(NamedTuple):
    """A limit, and what is spent of it.

    Attributes:
        subject: The day, the session's id or the project's directory; None where no session is
            active.
        spent: In `unit`.
        share: `spent` of `limit`, 1 for all of it.
        unpriced: The number of messages that have no price, and are not in `spent`.
        is_reached: Whether all of it is spent.
        warns: As of the `Budget`.
    """

    scope: Scope
    subject: str | None
    unit: Unit
    limit: float
    spent: float
    share: float
    unpriced: int
    is_reached: bool
    warns: bool


def budgets_of(project: Project, settings: Settings) -> list[Budget]:
    """Return the limits of a project: those that count, and those that its file only proposes.

    Raises:
        InvalidSettingsError: config.toml is wrong.
    """
    values = settings._asdict()
    names = {f"budget_{scope}_{unit}": (scope, unit) for scope, unit in _NAMES}
    proposed = configuration.untrusted_values(project.config, names)
    limits = [(name, values[name], True) for name in names]
    limits += [(name, limit, False) for name, limit in proposed.items()]
    return [Budget(*names[name], limit, warns) for name, limit, warns in limits if limit]


async def budget_states(
    project: Project, settings: Settings, budgets: Sequence[Budget]
) -> list[BudgetState]:
    """Return what is spent of limits of a project, read from its messages.

    Raises:
        InvalidSettingsError: config.toml is wrong.
        StoreError: As its subclasses say.
    """
    if not budgets:
        return []
    instant = clock.now()
    async with reading(project, CONVERSATIONS) as reader:
        spendings = await read_spendings(reader, PriceTable(settings.cost_prices), budgets, instant)
    return states_of(project, budgets, spendings, instant)


async def read_spendings(
    reader: Reader, prices: PriceTable, budgets: Iterable[Budget], instant: datetime
) -> Spendings:
    """Add up what the limits are of; what none is of is not read."""
    scopes = {budget.scope for budget in budgets}
    day = project = None
    sessions: dict[str, Spending] = {}
    at = column("created_at")
    if "day" in scopes:
        since = midnight(instant)
        day = _sum(await token_totals(reader, "day", prices, at >= since, at < since + DAY))
    if "session" in scopes:
        active = await token_totals(reader, "session", prices, at >= instant - ACTIVE)
        ids = [total.group for total in active if total.group]
        totals = await token_totals(reader, "session", prices, field("session_id").in_(ids))
        sessions = {total.group: _sum([total]) for total in totals if total.group}
    if "project" in scopes:
        project = _sum(await token_totals(reader, "day", prices))
    return Spendings(day or Spending(), sessions, project)


def states_of(
    project: Project, budgets: Sequence[Budget], spendings: Spendings, instant: datetime
) -> list[BudgetState]:
    """Return what is spent of each limit: of sessions those that have reached it, or the nearest.

    Nothing is asked for again: the server has the spendings in memory.
    """
    states: list[BudgetState] = []
    for budget in budgets:
        if budget.scope == "day":
            states.append(_state(budget, str(instant.date()), spendings.day))
        elif budget.scope == "project":
            spending = spendings.project or Spending()
            states.append(_state(budget, str(project.root), spending))
        else:
            of_sessions = [
                _state(budget, id, spending) for id, spending in spendings.sessions.items()
            ]
            of_sessions.sort(key=lambda state: (-state.spent, state.subject or ""))
            reached = [state for state in of_sessions if state.is_reached]
            states += reached or of_sessions[:1] or [_state(budget, None, Spending())]
    return states


def midnight(instant: datetime) -> datetime:
    """Return the begin of the day in UTC that an instant is in."""
    return instant.replace(hour=0, minute=0, second=0, microsecond=0)


def sentence(state: BudgetState) -> str:
    """Say in words what is spent of a limit."""
    spent, limit = (_amount(state.unit, value) for value in (state.spent, state.limit))
    subject = {
        "day": f"the day {state.subject} (UTC)",
        "session": "no session is active" if state.subject is None else f"session {state.subject}",
        "project": f"project {state.subject}",
    }[state.scope]
    text = f"{subject} has spent {spent} of its limit of {limit} ({state.share:.0%})"
    return f"{text}, and {state.unpriced} messages have no price" if state.unpriced else text


def _amount(unit: Unit, value: float) -> str:
    return f"${value:,.2f}" if unit == "usd" else f"{value:,.0f} tokens"


def _state(budget: Budget, subject: str | None, spending: Spending) -> BudgetState:
    is_money = budget.unit == "usd"
    spent = (spending.cost or 0.0) if is_money else spending.tokens
    return BudgetState(
        scope=budget.scope,
        subject=subject,
        unit=budget.unit,
        limit=budget.limit,
        spent=spent,
        share=spent / budget.limit,
        unpriced=spending.unpriced if is_money else 0,
        is_reached=spent >= budget.limit,
        warns=budget.warns,
    )


def _sum(totals: Iterable[TokenTotal]) -> Spending:
    spending = Spending()
    for total in totals:
        cost = spending.cost if total.cost is None else (spending.cost or 0.0) + total.cost
        spending = Spending(
            cost, spending.tokens + total.tokens, spending.unpriced + total.unpriced
        )
    return spending


def document_of(state: BudgetState, project: Project, instant: datetime) -> dict[str, Any]:
    """Return what a command and a webhook are told of a limit that is reached."""
    names = ("scope", "subject", "unit", "limit", "spent", "unpriced")
    return {
        "text": sentence(state),
        "project": str(project.root),
        "at": clock.to_text(instant),
        **{name: getattr(state, name) for name in names},
    }
