"""The confidence and the cost of plans, as little of each as a chart of many needs."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.models.query import Filter, column
from khive_persist.sessions.definitions import plan_field_sql
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement, select

_TITLE_CHARACTERS: Final = 60


class PlanPoint(NamedTuple):
    """A plan that has a confidence and a cost.

    Attributes:
        plan_id: The plan's id.
        title: The beginning of its task.
        complexity: As in simple or complex.
        confidence: 0 to 1 in a sound plan.
        planning_cost: In USD.
    """

    plan_id: str
    title: str | None
    complexity: str | None
    confidence: float
    planning_cost: float


async def plan_points(reader: Reader, filters: Sequence[Filter], limit: int) -> list[PlanPoint]:
    """Return the plans that pass and have both numbers, the latest first, up to a limit."""

    def build(source: Source) -> Statement:
        task = plan_field_sql(source, "task_description")
        names = ("complexity", "confidence", "planning_cost")
        columns = [
            "id AS plan_id",
            f"substr({task}, 1, {_TITLE_CHARACTERS}) AS title",
            *(f"{plan_field_sql(source, name)} AS {name}" for name in names),
        ]
        order = -column("created_at"), -column("id")
        plans = select(
            source.only(PLANNER_SESSIONS.name), filters, order, columns=", ".join(columns)
        )
        both = "confidence IS NOT NULL AND planning_cost IS NOT NULL"
        return Statement(f"SELECT * FROM ({plans.sql}) WHERE {both} LIMIT {limit}", plans.values)

    return await reader.fetch_as(PlanPoint, build)
