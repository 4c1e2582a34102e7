"""Plans counted by complexity, workflow pattern, day or session."""

from functools import partial
from typing import Final, Literal, NamedTuple, get_args

from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.models.query import Filter
from khive_persist.sessions.definitions import (
    confidence_sql,
    plan_field_sql,
    plan_order_sql,
    plan_session_sql,
)
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement, named, select

PlansBy = Literal["complexity", "pattern", "day", "session"]

PLANS_BY: Final = get_args(PlansBy)


class PlanTotal(NamedTuple):
    """The plans of one group. An average is over the plans that have a number there.

    Attributes:
        group: The complexity, workflow pattern, day in UTC or session; None for those of none.
        plans: Their number.
        avg_agent_count: The average number of planned agents, or None.
        avg_confidence: The average confidence, of those from 0 to 1, or None.
        planning_cost: The sum of what they cost, in USD; None where none says it.
    """

    group: str | None
    plans: int
    avg_agent_count: float | None
    avg_confidence: float | None
    planning_cost: float | None


class _PlanOfSession(NamedTuple):
    complexity: str | None
    workflow_pattern: str | None


async def plan_totals(reader: Reader, by: PlansBy, *filters: Filter) -> list[PlanTotal]:
    """Return the counts of the plans that pass every filter, most plans first; days in order."""
    return await reader.fetch_as(PlanTotal, partial(_totals, by, filters))


async def plan_groups(
    reader: Reader, by: Literal["complexity", "pattern"]
) -> dict[str, str | None]:
    """Return the complexity or the workflow pattern of each session's plan, by session."""
    plans = await reader.fetch_by_key("session", _PlanOfSession, _plans_of_sessions)
    name = _FIELDS[by]
    return {session: getattr(plan, name) for session, plan in plans}


_FIELDS: Final = {"complexity": "complexity", "pattern": "workflow_pattern"}


def _totals(by: PlansBy, filters: tuple[Filter, ...], source: Source) -> Statement:
    if by == "day":
        group = f"substr({source.created_at}, 1, 10)"
    elif by == "session":
        group = f"nullif({plan_session_sql(source)}, '')"
    else:
        group = f"nullif({plan_field_sql(source, _FIELDS[by])}, '')"
    columns = {
        '"group"': group,
        "plans": "count(*)",
        "avg_agent_count": f"avg({plan_field_sql(source, 'agent_count')})",
        "avg_confidence": f"avg({confidence_sql(source)})",
        "planning_cost": f"sum({plan_field_sql(source, 'planning_cost')})",
    }
    plans = source.only(PLANNER_SESSIONS.name)
    sql, values = select(plans, filters, columns=named(columns))
    order = "1" if by == "day" else "2 DESC, 1"
    return Statement(f"{sql} GROUP BY 1 ORDER BY {order}", values)


def _plans_of_sessions(source: Source) -> Statement:
    session = plan_session_sql(source)
    columns = [
        f"{session} AS session",
        *(f"{plan_field_sql(source, name)} AS {name}" for name in _FIELDS.values()),
        f"max({plan_order_sql(source)}) AS place",
    ]
    # SQLite gives the fields of the row that has the maximum.
    latest = f"SELECT {', '.join(columns)} FROM {source.only(PLANNER_SESSIONS.name).sql} GROUP BY 1"
    return Statement(f"SELECT session, {', '.join(_FIELDS.values())} FROM ({latest})", [])
