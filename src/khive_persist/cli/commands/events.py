"""`khive-persist events`."""

from collections.abc import Container, Iterable
from contextlib import aclosing
from typing import Any

import anyio
import click

from khive_persist.cli.empty import none_of
from khive_persist.cli.options import (
    drained_project,
    short_ids_on_screen,
    with_filters,
    with_output,
    with_project,
    with_times,
)
from khive_persist.cli.output import Documents, print_table
from khive_persist.models.as_document import document
from khive_persist.models.criteria import filters_of, has_failed
from khive_persist.models.event_types import PRE
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.purposes import EVENT_FILES
from khive_persist.models.query import Filter, HasText, column
from khive_persist.opening import open_store, reading
from khive_persist.project import Project
from khive_persist.sessions.definitions import stands_for_end
from khive_persist.sessions.event_subject import subject_of
from khive_persist.sessions.open_tool_calls import ended_calls
from khive_persist.sessions.read import find_session

TABLE_LIMIT = 50
COLUMNS = ("time", "tool", "session", "event_type", "tool_name", "result", "what")
FILTERS = ("session", "type", "tool", "tool_name", "failed", "text")


@click.command("events")
@with_project
@with_filters(*FILTERS, "since", "until", "limit")
@with_output
@with_times
def command(form: str, limit: int | None, **filter_options: Any) -> None:
    """List hook events, newest first.

    \b
      khive-persist events --type pre_command --since 2h
      khive-persist events --failed --tool-name Bash --since 1d
      khive-persist events --text "permission denied"
      khive-persist events --session 3aeaa724 --jsonl | jq .content.command

    A table shows the newest 50 unless --limit says otherwise; JSON is all that match. A session may
    be named by the beginning of its id, as the table shows it. Of a tool call, the result is ok,
    failed or denied; open is one without an end: it runs, or was interrupted.
    """
    project = drained_project()
    anyio.run(_list, project, filters(project, **filter_options), form, limit)


def filters(
    project: Project,
    session_id: str | None,
    event_type: str | None = None,
    *,
    failed: bool = False,
    text: str | None = None,
    **criteria: Any,
) -> list[Filter]:
    """Return the filters that these options mean; of a session, those of its beginning, too."""
    of_session = [] if session_id is None else [anyio.run(find_session, project, session_id)]
    of_events = [has_failed()] if failed else []
    of_events += [] if text is None else [HasText(text)]
    return of_session + filters_of(type=event_type, **criteria) + of_events


def row(event: HookEvent, open_calls: Container[Any] = ()) -> tuple[Any, ...]:
    """Return an event as a row of the table; `open_calls` are the calls without an end."""
    content = _content(event)
    return (
        event.created_at,
        content.get("tool"),
        content.get("session_id"),
        content.get("event_type"),
        content.get("tool_name"),
        _result(content, open_calls),
        subject_of(content),
    )


def _content(event: HookEvent) -> dict[str, Any]:
    return event.content if isinstance(event.content, dict) else {}  # type: ignore[return-value]


def _result(content: dict[str, Any], open_calls: Container[Any]) -> str | None:
    if content.get("event_type") == "permission_denied":
        return "denied"
    if isinstance(is_success := content.get("success"), bool):
        return "ok" if is_success else "failed"
    is_open = content.get("event_type") in PRE and content.get("tool_use_id") in open_calls
    return "open" if is_open else None


async def _open_calls(project: Project, events: Iterable[HookEvent]) -> set[str]:
    """Return the ids of the calls that these events begin and no event ends."""
    calls = {
        str(content["tool_use_id"])
        for content in map(_content, events)
        if content.get("event_type") in PRE
        and content.get("tool_use_id")
        and not stands_for_end(content)
    }
    async with reading(project, *EVENT_FILES.values()) as reader:
        return calls - await ended_calls(reader, calls)


async def _list(
    project: Project, event_filters: list[Filter], form: str, limit: int | None
) -> None:
    newest = -column("created_at")
    async with open_store(HookEvent, dir=project.root, read_only=True) as events:
        if form == "table":
            limit = TABLE_LIMIT if limit is None else limit
            latest = await events.find(*event_filters, order_by=newest, limit=limit)
            open_calls = await _open_calls(project, latest)
            rows = [row(event, open_calls) for event in latest]
            short = await short_ids_on_screen(project, (row[2] for row in rows))
            print_table(COLUMNS, rows, none_of("events", project), short_ids=short)
            return
        output = Documents(form)
        async with aclosing(events.stream(*event_filters, order_by=newest, limit=limit)) as stream:
            async for event in stream:
                output.write(document(event))
        output.end()
