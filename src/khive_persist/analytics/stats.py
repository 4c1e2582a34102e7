"""What `stats` counts: events and failures, tokens and costs, plans, own kinds."""

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
from khive_persist.sessions.projects import Everywhere, read_everywhere
from khive_persist.sessions.reported_costs import reported_costs
from khive_persist.sessions.token_totals import By, token_totals
from khive_persist.store.kinds import count_records


async def read_stats(
    project: Project,
    wanted: list[Filter],
    of_messages: list[Filter],
    by: By,
    prices: PriceTable,
    of_sessions: list[Filter] | None,
) -> dict[str, Any]:
    """Counts of events by tool and type, of tokens and costs, of plans, and of own kinds.

    Beside them stands what the clients themselves say that sessions cost.

    Args:
        project: The project; what waits in its spool is brought in first.
        wanted: Which events.
        of_messages: Which messages.
        by: What tokens and costs are counted by.
        prices: What tokens cost.
        of_sessions: Whose clients' totals; None where they would be of another time than the rest.

    Raises:
        StoreError: As its subclasses say.
    """
    async with reading(project, *HOOK_EVENTS.values()) as reader:
        events = await count_events(reader, *wanted)
    async with reading(project, CONVERSATIONS) as reader:
        totals = await token_totals(reader, by, prices, *of_messages)
        reported = [] if of_sessions is None else await reported_costs(reader, prices, *of_sessions)
    tokens = [{by: total.group} | dict(list(total._asdict().items())[1:]) for total in totals]
    async with open_store(PlannerSession, dir=project.root, read_only=True) as plans:
        of_plans = await plans.get_stats()
    own = (purpose for purpose in known_purposes(project) if purpose.name not in BUILT_IN_NAMES)
    kinds = await count_records((project.database(one.file), one) for one in own)
    return {
        "events": events,
        "tokens": tokens,
        "reported": [cost._asdict() for cost in reported],
        "plans": of_plans,
        "kinds": [kind._asdict() for kind in kinds],
    }


async def stats_everywhere(
    wanted: list[Filter], of_messages: list[Filter], by: By, of_sessions: list[Filter] | None
) -> Everywhere[dict[str, Any]]:
    """Return what `read_stats` counts, of each project by itself, at the project's own prices."""

    async def read(project: Project) -> dict[str, Any]:
        prices = PriceTable(configuration.load(project.config).cost_prices)
        return await read_stats(project, wanted, of_messages, by, prices, of_sessions)

    return await read_everywhere(read)
