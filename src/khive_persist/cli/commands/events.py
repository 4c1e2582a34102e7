"""`khive-persist events`."""

from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import click

from khive_persist.cli.options import drained_project, with_filters, with_output, with_project
from khive_persist.cli.output import Documents, cell, print_table
from khive_persist.models.as_document import document
from khive_persist.models.criteria import filters_of
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.query import Filter, column
from khive_persist.opening import open_store
from khive_persist.project import Project
from khive_persist.sessions.event_subject import subject_of
from khive_persist.sessions.read import find_session

TABLE_LIMIT = 50
COLUMNS = ("time", "tool", "session", "event_type", "tool_name", "what")
EMPTY = "no events"


@click.command("events")
@with_project
@with_filters("session", "type", "tool", "tool_name", "since", "until", "limit")
@with_output
def command(form: str, limit: int | None, **filter_options: Any) -> None:
    """List hook events, newest first.

    \b
      khive-persist events --type pre_command --since 2h
      khive-persist events --session 3aeaa724 --jsonl | jq .content.command

    A table shows the newest 50 unless --limit says otherwise; JSON is all that match. A session may
    be named by the beginning of its id.
    """
    project = drained_project()
    anyio.run(_list, project.root, filters(project, **filter_options), form, limit)


def filters(
    project: Project, session_id: str | None, event_type: str | None = None, **criteria: Any
) -> list[Filter]:
    """Return the filters that these options mean; of a session, those of its beginning, too."""
    of_session = [] if session_id is None else [anyio.run(find_session, project, session_id)]
    return of_session + filters_of(type=event_type, **criteria)


def summary(content: dict[str, Any]) -> str:
    """Return what an event was about, on one line."""
    return cell(subject_of(content))


def row(event: HookEvent) -> tuple[Any, ...]:
    """Return an event as a row of the table."""
    content: dict[str, Any] = event.content if isinstance(event.content, dict) else {}  # type: ignore[assignment]
    failed = " failed" if content.get("success") is False else ""
    return (
        event.created_at,
        content.get("tool"),
        str(content.get("session_id", "-"))[:8],
        f"{content.get('event_type')}{failed}",
        content.get("tool_name"),
        summary(content),
    )


async def _list(root: Path, event_filters: list[Filter], form: str, limit: int | None) -> None:
    newest = -column("created_at")
    async with open_store(HookEvent, dir=root, read_only=True) as events:
        if form == "table":
            limit = TABLE_LIMIT if limit is None else limit
            latest = await events.find(*event_filters, order_by=newest, limit=limit)
            print_table(COLUMNS, map(row, latest), EMPTY)
            return
        output = Documents(form)
        async with aclosing(events.stream(*event_filters, order_by=newest, limit=limit)) as stream:
            async for event in stream:
                output.write(document(event))
        output.end()
