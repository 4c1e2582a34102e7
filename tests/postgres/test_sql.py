"""SQL by hand over the tables of PostgreSQL, and the indexes that serve `field(…)`."""

from typing import Any

import asyncpg
import pytest

from khive_persist import PlannerSession, field, open_store
from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.project import Project
from khive_persist.store.postgres.reader import numbered
from khive_persist.store.postgres.source import source_of
from khive_persist.store.source import select
from tests.factories import plan

pytestmark = pytest.mark.postgres


async def plans_in(database: str, project: Project, count: int = 30) -> Any:
    words = ("simple", "medium", "complex")
    async with open_store(PlannerSession, database, dir=project.root) as plans:
        await plans.save_many(
            plan(
                f"s{n}", n, complexity=words[n % 3], planning_cost=n / 7, confidence=n % 11 / 10,
                agent_count=n % 5,
            )
            for n in range(count)
        )  # fmt: skip
    return await asyncpg.connect(database)


async def test_the_examples_of_the_readme(database: str, project: Project) -> None:
    connection = await plans_in(database, project)
    rows = await connection.fetch(
        "SELECT * FROM planner_sessions WHERE content->>'complexity' = 'complex'"
    )
    assert len(rows) == 10
    rows = await connection.fetch(
        "SELECT * FROM planner_sessions WHERE (content->>'confidence')::float8 > 0.8"
    )
    assert len(rows) == sum(n % 11 / 10 > 0.8 for n in range(30))
    rows = await connection.fetch(
        "SELECT content->>'session_id' AS session, (content->>'planning_cost')::float8 AS cost,"
        " (content->>'agent_count')::int AS agents FROM planner_sessions ORDER BY cost DESC"
    )
    assert (rows[0]["session"], rows[0]["agents"]) == ("s29", 4)
    await connection.close()


async def test_an_index_serves_a_filter_and_its_order(database: str, project: Project) -> None:
    connection = await plans_in(database, project, 3_000)
    await connection.execute("ANALYZE planner_sessions")
    source = source_of({PLANNER_SESSIONS.name: "planner_sessions"})
    filters = [field("complexity") == "complex", field("confidence") > 0.8]
    sql, values = numbered(select(source, filters, -field("planning_cost"), 50))
    lines = [row[0] for row in await connection.fetch(f"EXPLAIN {sql}", *values)]
    await connection.close()
    text = "\n".join(lines)
    assert "Index Scan Backward" in text
    assert "Sort" not in text
