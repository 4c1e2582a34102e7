"""`PlannerSession`: one plan, as a planner service saved it."""

from typing import Annotated, Any, ClassVar, Final, Required, Self

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from khive_persist.models.active_store import bound
from khive_persist.models.node import Node
from khive_persist.models.odd_number import Bounds, find_odd
from khive_persist.models.purposes import PLANNER_SESSIONS, Purpose

_BOUNDS: Final = {
    "agent_count": Bounds(is_whole=True),
    "confidence": Bounds(highest=1),
    "planning_cost": Bounds(),
}
_EVALUATION_BOUNDS: Final = {"response_time_ms": Bounds(), "cost": Bounds()}
_MOST_MARKS: Final = 20


@with_config(ConfigDict(extra="allow"))
class Evaluation(TypedDict, total=False):
    """The answer of one planner. Unknown fields are kept."""

    config: Any
    response_time_ms: Annotated[float, Bounds()]
    cost: Annotated[float, Bounds()]
    evaluation: Any


@with_config(ConfigDict(extra="allow"))
class PlannerSessionContent(TypedDict, total=False):
    """The content of a planner session. Unknown fields are kept.

    `agent_session_id` is the session of the agent that carries it out, where that is another.
    `complexity` is one of simple, medium, complex, very_complex by custom; others are kept.
    `planning_cost` is in US dollars, `confidence` from 0 to 1. A number that is not, or is none at
    all, is kept as it is, and `odd_numbers` in `node_metadata` names it.
    """

    session_id: Required[str]
    task_description: Required[str]
    complexity: str | None
    agent_count: Annotated[int | None, Bounds(is_whole=True)]
    workflow_pattern: str | None
    confidence: Annotated[float | None, Bounds(highest=1)]
    planning_cost: Annotated[float | None, Bounds()]
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
    def odd_numbers(cls, content: Any) -> dict[str, str]:
        odd = find_odd(content, _BOUNDS)
        evaluations = content.get("evaluations") if isinstance(content, dict) else None
        for number, evaluation in enumerate(evaluations if isinstance(evaluations, list) else ()):
            for name, reason in find_odd(evaluation, _EVALUATION_BOUNDS).items():
                if len(odd) < _MOST_MARKS:
                    odd[f"evaluations[{number}].{name}"] = reason
        return odd

    @classmethod
    async def get_by_session_id(cls, session_id: str) -> list[Self]:
        """Return the plans of one session, oldest first."""
        async with bound(cls) as store:
            return await store.get_by_session_id(session_id)

    @classmethod
    async def get_by_complexity(cls, complexity: str, limit: int | None = None) -> list[Self]:
        """Return the plans of one complexity, newest first."""
        async with bound(cls) as store:
            return await store.get_by_complexity(complexity, limit)

    @classmethod
    async def get_stats(cls) -> dict[str, Any]:
        """Return counts, averages and the sum of costs of all plans. See `PlannerSessionStore`."""
        async with bound(cls) as store:
            return await store.get_stats()
