"""`GET /v1/plans/outcomes`, `/v1/calibration` and `/v1/stats`: what is made of many records."""

from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Final

from khive_persist.analytics.calibration import DEFAULT_BINS
from khive_persist.analytics.outcomes import PlanOutcome, calibration, joined
from khive_persist.analytics.stats import read_stats
from khive_persist.models.query import Filter, column, field
from khive_persist.server.context import Serving
from khive_persist.server.routes.read import parameters as given
from khive_persist.server.routes.read.filters import (
    names_session,
    of_plans,
    of_session,
    of_times,
    of_type,
)
from khive_persist.server.routes.read.listing import Listing, Page
from khive_persist.server.routes.read.operations import Asked, Operation
from khive_persist.server.routes.read.parameters import Parameter
from khive_persist.server.routes.read.schemas import CALIBRATION, OUTCOME, STATS
from khive_persist.sessions import event_facts as facts
from khive_persist.sessions.token_totals import BY
from khive_persist.transfer.writing.csv import line

BINS: Final = Parameter(
    "bins", "integer", "Into how many intervals confidence is parted.",
    minimum=1, maximum=1_000, default=DEFAULT_BINS,
)  # fmt: skip
PARTIAL: Final = Parameter(
    "partial", "number", "What partial counts; success is 1.", minimum=0, maximum=1, default=0.5
)
_PLAN_FILTERS: Final = ("since", "until", "complexity", "min_confidence", "max_cost")
GROUP: Final = Parameter("by", "word", "What tokens are counted by.", BY, default="model")


def operations(serving: Serving) -> list[Operation]:
    """Return what this group answers."""
    reading = serving.reading

    async def outcomes(asked: Asked) -> Listing:
        filters = [*of_plans(asked), *of_times(asked)]
        if asked["session"] is not None:
            is_exact = await names_session(serving, asked["session"])
            filters.append(facts.linked_to(asked["session"], is_exact=is_exact))

        async def page(after: Sequence[Any] | None, limit: int) -> Page:
            wanted = [*filters, *([] if after is None else [_before(*after)])]

            async def read() -> list[PlanOutcome]:
                async with aclosing(joined(serving.project, wanted, limit + 1)) as found:
                    return [one async for one in found]

            found = await reading.apart(read)
            if len(found) <= limit:
                return Page(found, None)
            last = found[limit - 1]
            return Page(found[:limit], (last.planned_at or "", last.plan_id))

        kinds = (str, str)
        return Listing(page, kinds, PlanOutcome._asdict, partial(line, PlanOutcome._fields), line)

    async def calibrated(asked: Asked) -> Any:
        wanted = {name: asked[name] for name in _PLAN_FILTERS} | {"session_id": asked["session"]}
        found = await reading.apart(
            partial(
                calibration,
                dir=serving.project.root,
                bins=asked["bins"],
                partial=asked["partial"],
                **wanted,
            )
        )
        return found.as_document()

    async def stats(asked: Asked) -> Any:
        both = await of_session(serving, asked)
        if asked["tool"] is not None:
            both.append(field("tool") == asked["tool"])
        times = of_times(asked)
        of_sessions = None if times else [*both]
        both += times
        work = partial(
            read_stats,
            serving.project,
            [*both, *of_type(asked)],
            both,
            asked["by"],
            reading.prices(),
            of_sessions,
        )
        return await reading.apart(work)

    times = (given.SINCE, given.UNTIL)
    plans = (given.SESSION, *times, given.COMPLEXITY, given.MIN_CONFIDENCE, given.MAX_COST)
    return [
        Operation(
            "/v1/plans/outcomes",
            outcomes,
            "Plans beside what became of them, the latest first.",
            plans,
            OUTCOME,
            True,
        ),
        Operation(
            "/v1/calibration",
            calibrated,
            "What the confidence and the cost of plans are worth.",
            (*plans, BINS, PARTIAL),
            CALIBRATION,
        ),
        Operation(
            "/v1/stats",
            stats,
            "Counts of events, tokens, costs and plans.",
            (GROUP, given.SESSION, given.TOOL, given.TYPE, *times),
            STATS,
        ),
    ]


def _before(planned_at: str, id: str) -> Filter:
    """The plans after this one, the latest coming first."""
    created_at = column("created_at")
    if not planned_at:
        # Those without a time come last.
        return created_at.is_null() & (column("id") < id)
    earlier = created_at < planned_at
    same = (created_at == planned_at) & (column("id") < id)
    return earlier | same | created_at.is_null()
