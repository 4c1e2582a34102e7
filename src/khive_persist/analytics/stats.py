"""The counts of `stats`: events and failures, tokens and costs, plans, own kinds."""

from collections.abc import Sequence
from typing import Any, NotRequired

from typing_extensions import TypedDict

from khive_persist import settings as configuration
from khive_persist.models.planner_session import PlannerSession
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.models.purposes import (
    BUILT_IN_NAMES,
    CONVERSATIONS,
    EVENT_FILES,
    PLANNER_SESSIONS,
)
from khive_persist.models.query import Filter
from khive_persist.opening import open_store, reading
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions.budgets import BudgetState, budget_states, budgets_of
from khive_persist.sessions.event_counts import (
    EventCount,
    count_events,
    count_unreported_failures,
)
from khive_persist.sessions.plan_totals import PLANS_BY, PlanTotal, plan_groups, plan_totals
from khive_persist.sessions.projects import ProjectResults, read_everywhere
from khive_persist.sessions.reported_costs import ReportedCost, reported_costs
from khive_persist.sessions.token_totals import By, TokenTotal, token_totals
from khive_persist.store.kinds import KindCount, count_records
from khive_persist.store.planner_sessions import PlanStats


class TokenCount(TypedDict):
    """The tokens and costs of one group: the field of its name says what they are counted by."""

    day: NotRequired[str | None]
    project: NotRequired[str | None]
    tool: NotRequired[str | None]
    model: NotRequired[str | None]
    session: NotRequired[str | None]
    agent: NotRequired[str | None]
    complexity: NotRequired[str | None]
    pattern: NotRequired[str | None]
    messages: int
    input: int
    cache_read: int
    cache_write: int
    output: int
    cost: float | None
    unpriced: int


class Stats(TypedDict):
    """The counts of events by tool and type, of tokens and costs, of plans, and of own kinds.

    Attributes:
        unreported_failures: The number of failures that no event tells of, and messages do: with
            those of `events` they are all.
        reported: The costs of sessions that the clients themselves report.
        plan_groups: The plans by group, where they have what the groups are made by.
        budgets: The limits of config.toml and what is spent of them, whatever the filters.
    """

    events: list[EventCount]
    unreported_failures: int
    tokens: list[TokenCount]
    reported: list[ReportedCost]
    budgets: list[BudgetState]
    plans: PlanStats
    plan_groups: list[PlanTotal]
    kinds: list[KindCount]


async def read_stats(
    project: Project,
    event_filters: list[Filter],
    message_filters: list[Filter],
    by: By,
    prices: PriceTable,
    session_filters: list[Filter] | None,
    plan_filters: Sequence[Filter] = (),
) -> Stats:
    """Count what is recorded.

    Args:
        project: The project; what waits in its spool is brought in first.
        by: The groups in which tokens and costs are counted.
        session_filters: The filters of the clients' totals; None where these would be of another
            time than the rest.
        plan_filters: The filters of plans in groups.

    Raises:
        StoreError: As its subclasses say.
    """
    async with reading(project, *EVENT_FILES.values()) as reader:
        events = await count_events(reader, *event_filters)
    groups, plan_totals_by_group = None, []
    async with reading(project, PLANNER_SESSIONS) as reader:
        if by == "complexity" or by == "pattern":
            groups = await plan_groups(reader, by)
        for group in PLANS_BY:
            if group == by:
                plan_totals_by_group = await plan_totals(reader, group, *plan_filters)
    async with reading(project, CONVERSATIONS) as reader:
        totals = await token_totals(reader, by, prices, *message_filters, plan_groups=groups)
        unreported_failures = await count_unreported_failures(reader, *message_filters)
        reported = []
        if session_filters is not None:
            reported = await reported_costs(reader, prices, *session_filters)
    tokens: list[Any] = [
        dict(zip((by, *TokenTotal._fields[1:]), total, strict=True)) for total in totals
    ]
    async with open_store(PlannerSession, dir=project.root, read_only=True) as plans:
        of_plans = await plans.get_stats()
    settings = configuration.load(project.config)
    own_kinds = [kind for kind in known_purposes(project) if kind.name not in BUILT_IN_NAMES]
    kinds = await count_records((project.database(kind.file), kind) for kind in own_kinds)
    return {
        "events": events,
        "unreported_failures": unreported_failures,
        "tokens": tokens,
        "reported": reported,
        "budgets": await budget_states(project, settings, budgets_of(project, settings)),
        "plans": of_plans,
        "plan_groups": plan_totals_by_group,
        "kinds": kinds,
    }


async def stats_everywhere(
    event_filters: list[Filter],
    message_filters: list[Filter],
    by: By,
    session_filters: list[Filter] | None,
    plan_filters: Sequence[Filter] = (),
) -> ProjectResults[Stats]:
    """Return what `read_stats` counts, of each project by itself, at the project's own prices."""

    async def read(project: Project) -> Stats:
        prices = PriceTable(configuration.load(project.config).cost_prices)
        return await read_stats(
            project, event_filters, message_filters, by, prices, session_filters, plan_filters
        )

    return await read_everywhere(read)
