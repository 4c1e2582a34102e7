"""`khive-persist stats`."""

from datetime import datetime
from typing import Any

import anyio
import click

from khive_persist.cli.events import filters
from khive_persist.cli.options import drained_place, with_filters, with_place
from khive_persist.cli.output import print_fields, print_json, print_table
from khive_persist.opening import open_store, reading
from khive_persist.place import Place
from khive_persist.purposes import HOOK_EVENTS
from khive_persist.query import Filter
from khive_persist.records.planner_session import PlannerSession
from khive_persist.store.counts import count_events


@click.command("stats")
@with_place
@with_filters("session", "type", "tool", "since", "until")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_context
def command(
    context: click.Context,
    directory: str | None,
    as_json: bool,
    session_id: str | None,
    event_type: str | None,
    tool: str | None,
    since: datetime | None,
    until: datetime | None,
) -> None:
    """Count events, failures, plans and costs.

    The filters are for the events; the plans are counted as a whole.

    \b
      khive-persist stats --since 1d
      khive-persist stats --json | jq .plans.total_cost
    """
    place = drained_place(context, directory)
    wanted = filters(session_id, event_type, tool, since, until)
    found = anyio.run(_stats, place, wanted)
    if as_json:
        print_json(found)
        return
    rows = [tuple(entry.values()) for entry in found["events"]]
    print_table(("tool", "event_type", "events", "failures", "sessions"), rows, "no events")
    click.echo()
    print_fields({f"plans {name}": value for name, value in found["plans"].items()})


async def _stats(place: Place, wanted: list[Filter]) -> dict[str, Any]:
    async with reading(place, *HOOK_EVENTS.values()) as reader:
        events = await count_events(reader, *wanted)
    async with open_store(PlannerSession, dir=place.root) as plans:
        return {"events": events, "plans": await plans.get_stats()}
