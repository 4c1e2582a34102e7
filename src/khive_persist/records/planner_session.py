"""`PlannerSession`: one plan, as a planner service saved it."""

from typing import Annotated, Any, ClassVar, Required, Self

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from khive_persist.purposes import PLANNER_SESSIONS, Purpose
from khive_persist.records.binding import bound
from khive_persist.records.node import Node

Confidence = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@with_config(ConfigDict(extra="allow"))
class Evaluation(TypedDict, total=False):
    """What one planner said. Unknown fields are kept."""

    config: Any
    response_time_ms: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    cost: Dollars
    evaluation: Any


@with_config(ConfigDict(extra="allow"))
class PlannerSessionContent(TypedDict, total=False):
    """The content of a planner session. Unknown fields are kept.

    `agent_session_id` is the session of the agent that carries it out, where that is another.
    `complexity` is one of simple, medium, complex, very_complex by custom; others are kept.
    `planning_cost` is in US dollars, `confidence` from 0 to 1.
    """

    session_id: Required[str]
    task_description: Required[str]
    complexity: str | None
    agent_count: Annotated[int, Field(ge=0)] | None
    workflow_pattern: str | None
    confidence: Confidence | None
    planning_cost: Dollars | None
    evaluations: list[Evaluation]
    consensus: dict[str, Any]
    execution_plan: Any
    phases: list[Any]
    agent_session_id: str | None
    metadata: dict[str, Any]


class PlannerSession(Node):
    """One plan."""

    purpose: ClassVar[Purpose] = PLANNER_SESSIONS

    content: PlannerSessionContent

    @classmethod
    async def get_by_session_id(cls, session_id: str) -> list[Self]:
        """The plans of one session, oldest first."""
        async with bound(cls) as store:
            return await store.get_by_session_id(session_id)

    @classmethod
    async def get_by_complexity(cls, complexity: str, limit: int | None = None) -> list[Self]:
        """The plans of one complexity, newest first."""
        async with bound(cls) as store:
            return await store.get_by_complexity(complexity, limit)

    @classmethod
    async def get_stats(cls) -> dict[str, Any]:
        """Counts, averages and the sum of costs over all plans. See `PlannerSessionStore`."""
        async with bound(cls) as store:
            return await store.get_stats()
