"""`PlannerSessionStore`: what is asked of plans."""

from typing import Any

from khive_persist.query import column, field
from khive_persist.records.planner_session import PlannerSession
from khive_persist.store.sqlite.statements import Source, Statement
from khive_persist.store.store import Store


class PlannerSessionStore(Store[PlannerSession]):
    """The plans of `planner_sessions.db`."""

    async def get_by_session_id(self, session_id: str) -> list[PlannerSession]:
        """The plans of one session, oldest first."""
        return await self.find(field("session_id") == session_id, order_by=column("created_at"))

    async def get_by_complexity(
        self, complexity: str, limit: int | None = None
    ) -> list[PlannerSession]:
        """The plans of one complexity, newest first."""
        return await self.find(
            field("complexity") == complexity, order_by=-column("created_at"), limit=limit
        )

    async def get_stats(self) -> dict[str, Any]:
        """Counts, averages and a sum over all plans, computed in SQL from an index alone.

        Returns:
            `total_sessions`; `complexities`, the count of each; `avg_agent_count` and
            `avg_confidence` over the plans that have one, or None; `total_cost` in US dollars.
        """
        rows = await self._fetch(_by_complexity)
        total = sum(row[1] for row in rows)
        return {
            "total_sessions": total,
            "complexities": {row[0]: row[1] for row in rows if row[0] is not None},
            "avg_agent_count": _mean(rows, 2),
            "avg_confidence": _mean(rows, 4),
            "total_cost": sum(row[6] for row in rows),
        }


def _by_complexity(source: Source) -> Statement:
    complexity = source.extract("$.complexity")
    agents, confidence = source.extract("$.agent_count"), source.extract("$.confidence")
    cost = source.extract("$.planning_cost")
    return Statement(
        f"SELECT {complexity}, count(*), total({agents}), count({agents}),"
        f" total({confidence}), count({confidence}), total({cost})"
        f" FROM {source.sql} GROUP BY {complexity}",
        [],
    )


def _mean(rows: list[Any], at: int) -> float | None:
    count: int = sum(row[at + 1] for row in rows)
    return sum(row[at] for row in rows) / count if count else None
