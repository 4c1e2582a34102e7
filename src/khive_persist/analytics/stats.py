"""The counts of `stats`: events and failures, tokens and costs, plans, own kinds."""

from typing import Any

from khive_persist import settings as configuration
from khive_persist.models.planner_session import PlannerSession
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.models.purposes import BUILT_IN_NAMES, CONVERSATIONS, HOOK_EVENTS
from khive_persist.models.query import Filter
from khive_persist.opening import open_store, reading
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions.event_counts import count_events
from khive_persist.sessions.projects import ProjectResults, read_everywhere
from khive_persist.sessions.reported_costs import reported_costs
from khive_persist.sessions.token_totals import By, token_totals
from khive_persist.store.kinds import count_records


async def read_stats(
    project: Project,
    event_filters: list[Filter],
    message_filters: list[Filter],
    by: By,
    prices: PriceTable,
    session_filters: list[Filter] | None,
) -> dict[str, Any]:
    """Return counts of events by tool and type, of tokens and costs, of plans, and of own kinds.

    With them stand the costs of sessions that the clients themselves report.

    Args:
        project: The project; what waits in its spool is brought in first.
        by: The groups in which tokens and costs are counted.
        session_filters: The filters of the clients' totals; None where these would be of another
            time than the rest.

    Raises:
        StoreError: As its subclasses say.
    """
    async with reading(project, *HOOK_EVENTS.values()) as reader:
        events = await count_events(reader, *event_filters)
    async with reading(project, CONVERSATIONS) as reader:
        totals = await token_totals(reader, by, prices, *message_filters)
        reported = []
        if session_filters is not None:
            reported = await reported_costs(reader, prices, *session_filters)
    tokens = [{by: total.group} | dict(list(total._asdict().items())[1:]) for total in totals]
    async with open_store(PlannerSession, dir=project.root, read_only=True) as plans:
        of_plans = await plans.get_stats()
    own_kinds = [kind for kind in known_purposes(project) if kind.name not in BUILT_IN_NAMES]
    kinds = await count_records((project.database(kind.file), kind) for kind in own_kinds)
    return {
        "events": events,
        "tokens": tokens,
        "reported": [cost._asdict() for cost in reported],
        "plans": of_plans,
        "kinds": [kind._asdict() for kind in kinds],
    }


async def stats_everywhere(
    event_filters: list[Filter],
    message_filters: list[Filter],
    by: By,
    session_filters: list[Filter] | None,
) -> ProjectResults[dict[str, Any]]:
    """Return what `read_stats` counts, of each project by itself, at the project's own prices."""

    async def read(project: Project) -> dict[str, Any]:
        prices = PriceTable(configuration.load(project.config).cost_prices)
        return await read_stats(
            project, event_filters, message_filters, by, prices, session_filters
        )

    return await read_everywhere(read)
