"""`PlannerSession`: one plan, as a planner service saved it."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Annotated, Any, ClassVar, Final, Required, Self

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from khive_persist.purposes import PLANNER_SESSIONS, Purpose
from khive_persist.records.binding import bound
from khive_persist.records.node import Node
from khive_persist.records.odd_number import Range, kept

Count = Annotated[int | None, Field(ge=0), *kept("A whole number from 0")]
Confidence = Annotated[
    float | None, Field(ge=0, le=1, allow_inf_nan=False), *kept("A number from 0 to 1")
]
Dollars = Annotated[float | None, Field(ge=0, allow_inf_nan=False), *kept("US dollars, from 0")]
Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False), *kept("Milliseconds, from 0")]

_RANGES: Final = {
    "agent_count": Range(is_whole=True),
    "confidence": Range(highest=1),
    "planning_cost": Range(),
}
_EVALUATION_RANGES: Final = {"response_time_ms": Range(), "cost": Range()}
_MOST_MARKS: Final = 20


@with_config(ConfigDict(extra="allow"))
class Evaluation(TypedDict, total=False):
    """What one planner said. Unknown fields are kept."""

    config: Any
    response_time_ms: Milliseconds
    cost: Dollars
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
    agent_count: Count
    workflow_pattern: str | None
    confidence: Confidence
    planning_cost: Dollars
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
        return dict(islice(_odd_numbers(content), _MOST_MARKS)) if _is_object(content) else {}

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


def _odd_numbers(content: Any) -> Iterator[tuple[str, str]]:
    yield from _objections(content, _RANGES, "")
    evaluations = content.get("evaluations")
    for number, evaluation in enumerate(evaluations if isinstance(evaluations, list) else ()):
        if _is_object(evaluation):
            yield from _objections(evaluation, _EVALUATION_RANGES, f"evaluations[{number}].")


def _objections(
    values: Mapping[str, Any], ranges: Mapping[str, Range], prefix: str
) -> Iterator[tuple[str, str]]:
    for name, allowed in ranges.items():
        if objection := allowed.objection(values.get(name)):
            yield prefix + name, objection


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping)
