"""`PlannerSessionStore`: what is asked of plans."""

from typing import Any, Final, TypedDict

from khive_persist.models.planner_session import PlannerSession
from khive_persist.models.query import column, field
from khive_persist.store.source import Source, Statement
from khive_persist.store.store import Store

_NUMBERS: Final = ("agent_count", "confidence", "planning_cost")


class PlanStats(TypedDict):
    """The counts, averages and the sum of costs of all plans.

    Attributes:
        total_sessions: The number of plans.
        complexities: The number of each complexity.
        avg_agent_count: The average over the plans that have one, or None.
        avg_confidence: The average over the plans that have one from 0 to 1, or None.
        total_cost: The sum, in US dollars.
        not_numbers: By field, the number of plans that have something else there, as text: these
            are in no average and no sum.
    """

    total_sessions: int
    complexities: dict[str, int]
    avg_agent_count: float | None
    avg_confidence: float | None
    total_cost: float
    not_numbers: dict[str, int]


class PlannerSessionStore(Store[PlannerSession]):
    """The plans of `planner_sessions.db`."""

    async def get_by_session_id(self, session_id: str) -> list[PlannerSession]:
        """Return the plans of one session, oldest first."""
        return await self.find(field("session_id") == session_id, order_by=column("created_at"))

    async def get_by_complexity(
        self, complexity: str, limit: int | None = None
    ) -> list[PlannerSession]:
        """Return the plans of one complexity, newest first."""
        newest = -column("created_at")
        return await self.find(field("complexity") == complexity, order_by=newest, limit=limit)

    async def get_stats(self) -> PlanStats:
        """Compute counts, averages and a sum over all plans in SQL, from an index alone."""
        rows = await self._fetch(_by_complexity)
        return {
            "total_sessions": sum(row[1] for row in rows),
            "complexities": {row[0]: row[1] for row in rows if row[0] is not None},
            "avg_agent_count": _mean(rows, 2),
            "avg_confidence": _mean(rows, 6),
            "total_cost": sum(row[10] for row in rows),
            "not_numbers": {
                name: count
                for at, name in enumerate(_NUMBERS)
                if (count := sum(row[4 * at + 5] - row[4 * at + 4] for row in rows))
            },
        }


def _by_complexity(source: Source) -> Statement:
    complexity = field("complexity")
    columns = [source.group(complexity), "count(*)"]
    for name in _NUMBERS:
        number = source.number(field(name))
        summed = number
        if name == "confidence":
            # The same as in `sessions/definitions.py`: another number is no confidence.
            summed = f"CASE WHEN {number} BETWEEN 0 AND 1 THEN {number} END"
        columns += [
            source.total(summed),
            f"count({summed})",
            f"count({number})",
            f"count({source.operand(field(name))})",
        ]
    grouping = source.grouping([complexity])
    return Statement(f"SELECT {', '.join(columns)} FROM {source.sql}{grouping}", [])


def _mean(rows: list[Any], at: int) -> float | None:
    count: int = sum(row[at + 1] for row in rows)
    return sum(row[at] for row in rows) / count if count else None
