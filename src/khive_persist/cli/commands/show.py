"""`khive-persist show`."""

import sys
from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from typing import Any

import anyio
import click

from khive_persist import settings as configuration
from khive_persist.cli import completions
from khive_persist.cli.options import drained_project, with_output, with_project, with_times
from khive_persist.cli.output import print_documents, print_fields, print_json
from khive_persist.cli.timeline_lines import TimelineLines
from khive_persist.cli.times import times
from khive_persist.errors import NotFoundError
from khive_persist.models.as_document import document
from khive_persist.models.node import Node
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.models.purposes import APPLICATION_SESSIONS, BUILT_IN, CONVERSATIONS, Purpose
from khive_persist.models.query import Filter, column, field
from khive_persist.opening import reading
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions.read import Session, is_known, read_own_kinds, read_session
from khive_persist.sessions.reported_costs import DIFFERENCE, ReportedCost, reported_costs
from khive_persist.sessions.timeline.build import build_timeline
from khive_persist.sessions.timeline.entry import content_of
from khive_persist.store.codec import dump_lossy
from khive_persist.store.kinds import find_records

MAX_NAMED = 3


@click.command("show")
@click.argument("id", shell_complete=completions.sessions)
@click.option("--thinking", is_flag=True, help="Also what the model thought.")
@click.option("--no-pager", is_flag=True, help="Print a long story at once, on a terminal too.")
@with_project
@with_output
@with_times
def command(id: str, thinking: bool, no_pager: bool, form: str) -> None:
    """Show a record, or a whole session.

    ID is a record's id or a session's, or the beginning of one. A session is told as one story:
    its plan, prompts and answers, each tool call with its outcome, edits as diffs, subagents
    indented, to-dos, gaps, and tokens and costs as they grow. What was said comes from the tool's
    transcript: see `sync`. JSON is all records of the session,
    those of your own kinds under their names.

    \b
      khive-persist show 01a1fbc0 --json
      khive-persist show 3aeaa724-c75a-4fc5-9e77-8feafee36ced
      khive-persist show 3aeaa724 --thinking | less -R
    """
    project = drained_project()
    # The id of an application's session is that of the session, which is shown as a whole.
    built_in = [purpose for purpose in BUILT_IN if purpose != APPLICATION_SESSIONS]
    # Kinds of a user's own may have the ids of sessions, too.
    own_kinds = [purpose for purpose in known_purposes(project) if purpose not in BUILT_IN]
    is_session = anyio.run(is_known, project, id)
    records = anyio.run(_of_id, project, built_in, id)
    if not records and not is_session:
        records = anyio.run(_of_id, project, own_kinds, id) or anyio.run(
            _beginning, project, built_in, id
        )
    session = Session() if records else anyio.run(read_session, project.root, id)
    if not records and not any(session) and not is_session:
        records = anyio.run(_beginning, project, own_kinds, id)
    if records:
        _print_record(records[0], form)
        return
    kinds = anyio.run(read_own_kinds, project, id)
    if not any(session) and not kinds:
        if is_session:
            raise NotFoundError(f"nothing but a verdict is recorded of the session {id!r}")
        raise NotFoundError(f"no record or session has an id that begins with {id!r}")
    if form == "jsonl":
        every = chain(session, kinds.values())
        print_documents(form, (document(record) for records in every for record in records))
    elif form == "json":
        names = session._asdict() | kinds
        print_json({name: [*map(document, records)] for name, records in names.items()})
    else:
        prices = PriceTable(configuration.load(project.config).cost_prices)
        timeline = TimelineLines()
        entries = build_timeline(session, prices, thinking=thinking)
        lines = (line for entry in entries for line in timeline.render(entry))
        if sys.stdout.isatty() and not no_pager:
            click.echo_via_pager(f"{line}\n" for line in lines)
        else:
            for line in lines:
                click.echo(line)
        for cost in anyio.run(_reported, project, prices, session):
            click.echo(cost_line(cost))
        for name, of_kind in kinds.items():
            click.echo(f"{len(of_kind)} records of {name}: --json shows them", err=True)


async def _of_id(project: Project, purposes: Sequence[Purpose], id: str) -> list[Node]:
    return await _find(project, purposes, column("id") == id)


async def _beginning(project: Project, purposes: Sequence[Purpose], id: str) -> list[Node]:
    begins_so = (column("id") >= id) & (column("id") <= id + "\U0010ffff")
    records = await _find(project, purposes, begins_so)
    if len(records) > 1:
        ids = ", ".join(record.id for record in records[:MAX_NAMED])
        raise NotFoundError(f"several ids begin with {id!r}: {ids}", hint="write more of it")
    return records


async def _find(project: Project, purposes: Sequence[Purpose], id_filter: Filter) -> list[Node]:
    files = [(project.database(purpose.file), purpose) for purpose in purposes]
    kinds = await find_records(files, id_filter, limit=MAX_NAMED + 1)
    return [record for records in kinds.values() for record in records]


async def _reported(project: Project, prices: PriceTable, session: Session) -> list[ReportedCost]:
    ids = {str(content_of(message).get("session_id")) for message in session.messages}
    if not ids:
        return []
    async with reading(project, CONVERSATIONS) as reader:
        return await reported_costs(reader, prices, field("session_id").in_(sorted(ids)))


def cost_line(cost: ReportedCost) -> str:
    """Return what a session cost by our count and by the client's, on one line."""
    computed = "nothing" if cost.computed is None else f"${cost.computed:.4f}"
    unpriced = f" and {cost.unpriced} messages without a price" if cost.unpriced else ""
    guess = ", part of it a guess of the client" if cost.is_guess else ""
    return (
        f"cost: {computed} computed{unpriced}; ${cost.reported:.4f} reported by the client{guess};"
        f" difference ${cost.difference:.4f}" + (f" ({DIFFERENCE})" if cost.difference else "")
    )


def _print_record(record: Node, form: str) -> None:
    if form == "jsonl":
        print_documents(form, [document(record)])
    elif form == "json":
        print_json(document(record))
    else:
        content: dict[str, Any] = record.content if isinstance(record.content, dict) else {}
        fields = {name: value for name, value in content.items() if name != "payload"}
        print_fields({"id": record.id, "created_at": _exact(record.created_at)} | fields)
        if "payload" in content:
            click.echo("payload")
            click.echo(dump_lossy(content["payload"], indent=True))


def _exact(instant: datetime) -> str:
    form = times()
    # A short time would leave out what a single record is looked at for.
    return form._replace(style="iso" if form.style == "local" else form.style).text(instant)
