"""`similar_plans`: plans like the one that is to be made, and how they ended."""

from typing import Annotated

from pydantic import Field

from khive_persist.analytics.similar import similar_plans as find_similar
from khive_persist.errors import InvalidQueryError
from khive_persist.mcp_server.answers import Answer, Item
from khive_persist.mcp_server.envelope import Envelope, joined, later
from khive_persist.mcp_server.quoting import line
from khive_persist.mcp_server.tools.failures import checked_limit
from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.project import Project
from khive_persist.sessions.contradictions import Claim, contradictions

_MOST_CHARACTERS = 20_000


class PlanItem(Item):
    """A plan, and how it ended. What is not known is null."""

    likeness: Annotated[float, Field(description="How like it is, above 0 to 1.")]
    complexity: str
    pattern: str
    confidence: float | None
    planning_cost: float | None
    agent_session_id: Annotated[str, Field(description="The session that carried it out.")]
    is_superseded: Annotated[bool, Field(description="Whether a later plan was carried out.")]
    tool_calls: int | None
    failures: int | None
    duration_seconds: float | None
    actual_cost: float | None
    verdict: Annotated[str, Field(description="success, partial, failure; empty for none.")]
    verdict_source: Annotated[str, Field(description="person, or rule.")]


class PlansAnswer(Answer[PlanItem]):
    """Plans like a task, the most alike first."""


async def similar_plans(
    project: Project, task: str = "", complexity: str = "", pattern: str = "", limit: int = 5
) -> PlansAnswer:
    """Return the plans that are most like a task, as `analytics.similar` finds them.

    Raises:
        InvalidQueryError: Nothing is asked for, or a text or the limit is out of range.
    """
    if max(map(len, (task, complexity, pattern))) > _MOST_CHARACTERS:
        raise InvalidQueryError(f"a task has at most {_MOST_CHARACTERS} characters")
    limit = checked_limit(limit)
    plans = await find_similar(
        task, complexity=complexity or None, pattern=pattern or None, limit=1_000, dir=project.root
    )
    claims = [Claim(PLANNER_SESSIONS.name, similar.plan.plan_id) for similar in plans[:limit]]
    contradicted = await contradictions(project, claims)
    envelope = Envelope(project, lambda count: f"similar_plans(limit={min(100, count + 20)})")
    for rank, similar in enumerate(plans[:limit], 1):
        plan = similar.plan
        note = f"note to the verdict: {plan.note}" if plan.note else ""
        item = PlanItem(
            rank=rank,
            source=envelope.source(
                PLANNER_SESSIONS.name, plan.plan_id, plan.agent_session_id or plan.session_id or ""
            ),
            role="planner",
            time=plan.planned_at or "",
            client=line(plan.tool),
            contradicted_by=later(contradicted, PLANNER_SESSIONS.name, plan.plan_id),
            likeness=round(similar.score, 3),
            complexity=line(plan.complexity),
            pattern=line(plan.workflow_pattern),
            confidence=plan.confidence,
            planning_cost=plan.planning_cost,
            agent_session_id=line(plan.agent_session_id),
            is_superseded=plan.is_superseded,
            tool_calls=plan.tool_calls,
            failures=plan.failures,
            duration_seconds=plan.duration_seconds,
            actual_cost=plan.actual_cost,
            verdict=line(plan.verdict),
            verdict_source=line(plan.verdict_source),
            **envelope.quoted(joined((plan.task_description or "", note))),
        )
        if not envelope.add(item):
            break
    note = "matched counts to 1000" if len(plans) == 1_000 else ""
    return envelope.answer(PlansAnswer, len(plans), note)
