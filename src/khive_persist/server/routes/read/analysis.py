"""`GET /v1/plans/outcomes`, `/v1/calibration` and `/v1/stats`: the figures of many records."""

from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Final

from khive_persist.analytics.calibration import DEFAULT_BINS
from khive_persist.analytics.outcomes import Calibration, PlanOutcome, calibration, joined
from khive_persist.analytics.stats import Stats, read_stats
from khive_persist.models.query import Filter, column, field
from khive_persist.project import Project
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.routes.read import parameters
from khive_persist.server.routes.read.filters import (
    names_session,
    of_plans,
    of_session,
    of_times,
    of_type,
)
from khive_persist.server.routes.read.listing import Listing, Page
from khive_persist.server.routes.read.operations import Operation, ReadRequest
from khive_persist.server.routes.read.parameters import Parameter
from khive_persist.sessions import event_facts as facts
from khive_persist.sessions.token_totals import BY

BINS: Final = Parameter(
    "bins", "integer", "The number of intervals of confidence.",
    minimum=1, maximum=1_000, default=DEFAULT_BINS,
)  # fmt: skip
PARTIAL: Final = Parameter(
    "partial",
    "number",
    "The value of a partial success; success is 1.",
    minimum=0,
    maximum=1,
    default=0.5,
)
_PLAN_FILTERS: Final = ("since", "until", "complexity", "min_confidence", "max_cost")
GROUP: Final = Parameter(
    "by", "word", "The groups that tokens are counted in.", BY, default="model"
)


def operations(project: Project, readers: ReaderPool) -> list[Operation]:
    """Return what this group answers."""

    async def outcomes(query: ReadRequest) -> Listing:
        filters = [*of_plans(query), *of_times(query)]
        if query["session"] is not None:
            is_exact = await names_session(project, readers, query["session"])
            filters.append(facts.linked_to(query["session"], is_exact=is_exact))

        async def page(position: Sequence[Any] | None, limit: int) -> Page:
            page_filters = [*filters, *([] if position is None else [_after(*position)])]

            async def read() -> list[PlanOutcome]:
                async with aclosing(joined(project, page_filters, limit + 1)) as plans:
                    return [plan async for plan in plans]

            items = await readers.run_heavy(read)
            if len(items) <= limit:
                return Page(items, None)
            last = items[limit - 1]
            return Page(items[:limit], (last.planned_at or "", last.plan_id))

        columns = PlanOutcome._fields
        return Listing(page, (str, str), PlanOutcome._asdict, columns, tuple, name="plans")

    async def calibrated(query: ReadRequest) -> Any:
        filters = {name: query[name] for name in _PLAN_FILTERS} | {"session_id": query["session"]}
        work = partial(
            calibration,
            dir=project.root,
            bins=query["bins"],
            partial=query["partial"],
            **filters,
        )
        return await readers.run_heavy(work)

    async def stats(query: ReadRequest) -> Any:
        filters = await of_session(project, readers, query)
        if query["tool"] is not None:
            filters.append(field("tool") == query["tool"])
        times = of_times(query)
        of_sessions = None if times else [*filters]
        filters += times
        work = partial(
            read_stats,
            project,
            [*filters, *of_type(query)],
            filters,
            query["by"],
            readers.prices(),
            of_sessions,
            times,
        )
        return await readers.run_heavy(work)

    times = (parameters.SINCE, parameters.UNTIL)
    plans = (
        parameters.SESSION,
        *times,
        parameters.COMPLEXITY,
        parameters.MIN_CONFIDENCE,
        parameters.MAX_COST,
    )
    return [
        Operation(
            "/v1/plans/outcomes",
            outcomes,
            "Plans with their outcomes, the latest first.",
            plans,
            PlanOutcome,
            True,
        ),
        Operation(
            "/v1/calibration",
            calibrated,
            "Compare the confidence and the cost of plans with their outcomes.",
            (*plans, BINS, PARTIAL),
            Calibration,
        ),
        Operation(
            "/v1/stats",
            stats,
            "Counts of events, tokens, costs and plans.",
            (GROUP, parameters.SESSION, parameters.TOOL, parameters.TYPE, *times),
            Stats,
        ),
    ]


def _after(planned_at: str, id: str) -> Filter:
    """Return the plans after this one, the latest coming first."""
    created_at = column("created_at")
    if not planned_at:
        # Those without a time come last.
        return created_at.is_null() & (column("id") < id)
    earlier = created_at < planned_at
    same_time = (created_at == planned_at) & (column("id") < id)
    return earlier | same_time | created_at.is_null()
