"""`khive-persist export`."""

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
import click

from khive_persist.cli import completions
from khive_persist.cli.merged import print_merged
from khive_persist.cli.options import drained_project, with_filters, with_project
from khive_persist.cli.progress import is_watched, progress
from khive_persist.errors import InvalidFileError
from khive_persist.models.criteria import filters_of
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.node import Node
from khive_persist.models.planner_session import PlannerSession
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.models.purposes import (
    BUILT_IN,
    PLANNER_SESSIONS,
    Purpose,
)
from khive_persist.models.records import RECORDS
from khive_persist.project import Project
from khive_persist.sessions.read import find_session
from khive_persist.store.postgres import SCHEMES
from khive_persist.transfer.databases import copy_to_database
from khive_persist.transfer.export import FORMS, ExportPart, Form, count_rows, export
from khive_persist.transfer.transfer import form_of

_STDOUT: Final = "-"


@click.command("export")
@click.option("--purpose", metavar="NAME", default="all", show_default=True,
              shell_complete=completions.purposes,
              help="What to export: planner_sessions, claude_hooks, one of your own; events are"
              " those of all tools.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(FORMS),
              help="Else by the ending of FILE, else jsonl.")  # fmt: skip
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    default=_STDOUT,
    help="Else stdout, as is -; or postgresql://… for a database, all records.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@with_project
@with_filters("session", "type", "tool", "since", "until", "complexity", "min_confidence",
              "max_cost", "limit")  # fmt: skip
def command(
    purpose: str,
    form: Form | None,
    output: str,
    force: bool,
    limit: int | None,
    **filter_options: Any,
) -> None:
    """Export records to a file for other programs.

    \b
      khive-persist export --purpose planner_sessions --complexity complex -o plans.xlsx
      khive-persist export --purpose events --since 7d -o week.parquet
      khive-persist export --session 3aeaa724 | jq .content

    JSON, JSON Lines, CSV and Parquet hold all of a record, and `import` takes them back; Excel cuts
    cells of more than 32,767 characters. A filter that only plans or only events have leaves out
    the others. The file is there as a whole or not at all.
    """
    project = drained_project()
    if output.startswith(SCHEMES):
        if (
            purpose != "all"
            or form is not None
            or limit is not None
            or any(filter_options.values())
        ):
            raise click.UsageError("a database takes all records")
        counts = anyio.run(partial(copy_to_database, output, dir=project.root))
        print_merged(counts, project)
        return
    own_purposes = known_purposes(project)[len(BUILT_IN) :]
    names = [*(kind.name for kind in (*BUILT_IN, *own_purposes)), "events", "all"]
    if purpose not in names:
        raise click.UsageError(f"{purpose!r} is none of " + ", ".join(names))
    parts = _parts(project, purpose, own_purposes, **filter_options)
    if not parts:
        raise click.UsageError(f"no {purpose} can pass these filters together")
    target = None if output == _STDOUT else Path(output)
    if form is None:
        form = _form(target)
    anyio.run(partial(_export, project, parts, target, form, limit=limit, force=force))


def _parts(
    project: Project,
    purpose: str,
    own_purposes: tuple[Purpose, ...],
    session_id: str | None,
    event_type: str | None,
    tool: str | None,
    since: datetime | None,
    until: datetime | None,
    complexity: str | None,
    min_confidence: float | None,
    max_cost: float | None,
) -> list[ExportPart]:
    common = [] if session_id is None else [anyio.run(find_session, project, session_id)]
    common += filters_of(since=since, until=until)
    of_plans = filters_of(complexity=complexity, min_confidence=min_confidence, max_cost=max_cost)
    of_events, of_tool = filters_of(type=event_type), filters_of(tool=tool)
    parts = []
    if not of_events and tool is None and purpose in (PLANNER_SESSIONS.name, "all"):
        parts.append(ExportPart(PlannerSession, PLANNER_SESSIONS, (*common, *of_plans)))
    if not of_plans:
        parts += [
            ExportPart(HookEvent, events, (*common, *of_events, *HookEvent.filters_of(tool)))
            for events in HookEvent.purposes_of(tool)
            if purpose in (events.name, "events", "all")
        ]
    if not of_plans and not of_events:
        parts += [
            ExportPart(record, record.purpose, (*common, *of_tool))
            for record in RECORDS
            if record not in (PlannerSession, HookEvent)
            and (tool is None or "tool" in record.purpose.fields)
            and purpose in (record.purpose.name, "all")
        ]
    if not of_plans and not of_events and tool is None:
        parts += [
            ExportPart(Node, kind, tuple(common))
            for kind in own_purposes
            if purpose in (kind.name, "all")
        ]
    return parts


def _form(target: Path | None) -> Form:
    try:
        return "jsonl" if target is None else form_of(target)
    except InvalidFileError as error:
        raise click.UsageError(str(error)) from error


async def _export(
    project: Project,
    parts: list[ExportPart],
    target: Path | None,
    form: Form,
    *,
    limit: int | None,
    force: bool,
) -> None:
    total = None
    if is_watched():
        total = await count_rows(project, parts)
        total = total if limit is None else min(total, limit)
    with progress("rows", total) as advance:
        count = await export(
            project, parts, target, form, limit=limit, force=force, advance=advance
        )
    if target is not None:
        click.echo(f"{count} exported to {target}", err=True)
