"""`khive-persist show`."""

from pathlib import Path
from typing import Any

import anyio
import click

from khive_persist.cli import events as events_command
from khive_persist.cli.options import drained_place, with_output, with_place
from khive_persist.cli.output import (
    document,
    print_documents,
    print_fields,
    print_json,
    print_table,
)
from khive_persist.errors import NotFoundError
from khive_persist.opening import open_store
from khive_persist.query import column
from khive_persist.records.hook_event import HookEvent
from khive_persist.records.node import Node
from khive_persist.records.planner_session import PlannerSession
from khive_persist.store.codec import dump_lossy

MAX_NAMED = 3


@click.command("show")
@click.argument("id")
@with_place
@with_output
@click.pass_context
def command(context: click.Context, id: str, directory: str | None, form: str) -> None:
    """Show a record, or a whole session.

    ID is a record's id or a session's, or the beginning of one. Of a session: its plan, and its
    events in the order in which they arrived.

    \b
      khive-persist show 01a1fbc0 --json
      khive-persist show 3aeaa724-c75a-4fc5-9e77-8feafee36ced
    """
    place = drained_place(context, directory)
    records = anyio.run(_records, place.root, id)
    if records:
        _print_record(records[0], form)
        return
    plans, events = anyio.run(_session, place.root, id)
    if not plans and not events:
        raise NotFoundError(f"no record or session has an id that begins with {id!r}")
    if form == "jsonl":
        print_documents(form, map(document, [*plans, *events]))
    elif form == "json":
        print_json({"plans": [*map(document, plans)], "events": [*map(document, events)]})
    else:
        for plan in plans:
            _print_record(plan, form)
            click.echo()
        print_table(events_command.COLUMNS, map(events_command.row, events), "no events")


async def _records(root: Path, id: str) -> list[Node]:
    begins = (column("id") >= id) & (column("id") <= id + "\U0010ffff")
    found: list[Node] = []
    async with open_store(HookEvent, dir=root) as events:
        found += await events.find(begins, limit=MAX_NAMED + 1)
    async with open_store(PlannerSession, dir=root) as plans:
        found += await plans.find(begins, limit=MAX_NAMED + 1)
    if len(found) > 1 and (exact := [record for record in found if record.id == id]):
        return exact
    if len(found) > 1:
        some = ", ".join(record.id for record in found[:MAX_NAMED])
        raise NotFoundError(f"several ids begin with {id!r}: {some}", hint="write more of it")
    return found


async def _session(root: Path, id: str) -> tuple[list[PlannerSession], list[HookEvent]]:
    wanted = events_command.begins(id)
    order = column("created_at")
    async with open_store(HookEvent, dir=root) as store:
        events = await store.find(wanted, order_by=order)
    async with open_store(PlannerSession, dir=root) as store_of_plans:
        plans = await store_of_plans.find(wanted, order_by=order)
    sessions = {str(record.content["session_id"]) for record in [*events, *plans]}
    if len(sessions) > 1 and id not in sessions:
        some = ", ".join(sorted(sessions)[:MAX_NAMED])
        raise NotFoundError(f"several sessions begin with {id!r}: {some}", hint="write more of it")
    if id in sessions:
        events = [event for event in events if event.content.get("session_id") == id]
        plans = [plan for plan in plans if plan.content.get("session_id") == id]
    return plans, events


def _print_record(record: Node, form: str) -> None:
    if form == "jsonl":
        print_documents(form, [document(record)])
    elif form == "json":
        print_json(document(record))
    else:
        content: dict[str, Any] = record.content if isinstance(record.content, dict) else {}
        fields = {name: value for name, value in content.items() if name != "payload"}
        print_fields({"id": record.id, "created_at": record.created_at} | fields)
        if "payload" in content:
            click.echo("payload")
            click.echo(dump_lossy(content["payload"], indent=True))
