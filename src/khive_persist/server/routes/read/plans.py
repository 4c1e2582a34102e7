"""`GET /v1/plans/points` and `/v1/plans/{id}`: many plans in short, and all there is of one."""

from contextlib import aclosing
from functools import partial
from typing import Any, Final, NamedTuple

from khive_persist.analytics.outcomes import PlanOutcome, joined
from khive_persist.analytics.plan_standing import PlanStanding, plan_standing
from khive_persist.analytics.similar import DEFAULT_LIMIT, MAX_LIMIT, SimilarPlan, plans_like
from khive_persist.errors import NotFoundError
from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.models.query import column
from khive_persist.project import Project
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.routes.read import parameters
from khive_persist.server.routes.read.filters import of_plans, of_times
from khive_persist.server.routes.read.operations import Operation, ReadRequest
from khive_persist.server.routes.read.parameters import Parameter
from khive_persist.sessions.plan_detail import PlanDetail, find_plan, plan_detail
from khive_persist.sessions.plan_points import PlanPoint, plan_points

ID: Final = {"id": "A plan's id, or its session's, or the beginning of one."}
LIMIT: Final = Parameter(
    "limit", "integer", "At most so many.",
    minimum=1, maximum=MAX_LIMIT, default=DEFAULT_LIMIT,
)  # fmt: skip
MOST_POINTS: Final = LIMIT._replace(default=1_000)


class PlanPoints(NamedTuple):
    """Plans by their confidence and cost, the latest first.

    Attributes:
        points: The plans that have both.
        is_cut: Whether there are more.
    """

    points: list[PlanPoint]
    is_cut: bool


class PlanAnswer(NamedTuple):
    """A plan and its outcome."""

    plan: PlanDetail
    outcome: PlanOutcome


class SimilarPlans(NamedTuple):
    """The plans that are most like one, the most like it first."""

    plans: list[SimilarPlan]


def operations(project: Project, readers: ReaderPool) -> list[Operation]:
    """Return what this group answers."""

    async def points(query: ReadRequest) -> Any:
        filters, limit = [*of_plans(query), *of_times(query)], query["limit"]
        async with readers.reader(PLANNER_SESSIONS) as reader:
            plan_list = await plan_points(reader, filters, limit + 1)
        return PlanPoints(plan_list[:limit], len(plan_list) > limit)

    async def plan(query: ReadRequest) -> Any:
        async with readers.reader(PLANNER_SESSIONS) as reader:
            detail = await plan_detail(reader, await find_plan(reader, query.path["id"]))
        if detail is None:
            raise _deleted()
        return PlanAnswer(detail, await _outcome(detail.plan_id))

    async def standing(query: ReadRequest) -> Any:
        outcome = await _outcome(await _id(query))
        return await readers.run_heavy(partial(plan_standing, outcome, dir=project.root))

    async def similar(query: ReadRequest) -> Any:
        outcome = await _outcome(await _id(query))
        work = partial(plans_like, outcome, limit=query["limit"], dir=project.root)
        return SimilarPlans(await readers.run_heavy(work))

    async def _id(query: ReadRequest) -> str:
        async with readers.reader(PLANNER_SESSIONS) as reader:
            return await find_plan(reader, query.path["id"])

    async def _outcome(id: str) -> PlanOutcome:
        async def read() -> list[PlanOutcome]:
            async with aclosing(joined(project, [column("id") == id], 1)) as plans:
                return [plan async for plan in plans]

        outcomes = await readers.run_heavy(read)
        if not outcomes:
            raise _deleted()
        return outcomes[0]

    filters = (
        parameters.SINCE, parameters.UNTIL, parameters.COMPLEXITY, parameters.MIN_CONFIDENCE,
        parameters.MAX_COST, MOST_POINTS,
    )  # fmt: skip
    of_one = partial(Operation, path_words=ID)
    points_summary = "Plans by their confidence and cost, the latest first."
    plan_summary = "One plan: its phases, evaluations, consensus, and its outcome."
    standing_summary = "The place of a plan among all: those as sure, and those of its kind."
    similar_summary = "The plans that are most like one, and their outcomes."
    return [
        Operation("/v1/plans/points", points, points_summary, filters, PlanPoints),
        of_one("/v1/plans/{id}", plan, plan_summary, (), PlanAnswer),
        of_one("/v1/plans/{id}/calibration", standing, standing_summary, (), PlanStanding),
        of_one("/v1/plans/{id}/similar", similar, similar_summary, (LIMIT,), SimilarPlans),
    ]


def _deleted() -> NotFoundError:
    return NotFoundError("the plan was deleted just now")
