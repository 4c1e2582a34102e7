"""Plans, and what sessions left behind, with times that a test can reckon with."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import anyio

from khive_persist.analytics.outcomes import PlanOutcome, outcomes
from khive_persist.models.planner_session import PlannerSession
from khive_persist.project import Project
from tests import factories
from tests.factories import NOON

event = partial(factories.event, tool="claude-code")


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def plan(id: str, minutes: float = 0, **content: Any) -> PlannerSession:
    content = {"session_id": f"session-of-{id}", "task_description": f"do {id}", **content}
    return factories.plan(id=id, at=minutes, **content)


def found(project: Project, **wanted: Any) -> list[PlanOutcome]:
    async def read() -> list[PlanOutcome]:
        return [one async for one in outcomes(dir=project.root, **wanted)]

    return anyio.run(read)
