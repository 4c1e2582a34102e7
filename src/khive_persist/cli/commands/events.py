"""`khive-persist events`."""

from contextlib import aclosing
from typing import Any

import anyio
import click

from khive_persist.capture.client_recognition import in_our_words
from khive_persist.cli.empty import none_of
from khive_persist.cli.options import drained_project, with_filters, with_output, with_project
from khive_persist.cli.output import Documents, cell, print_table
from khive_persist.models.as_document import document
from khive_persist.models.criteria import filters_of, has_failed
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.query import Filter, HasText, column
from khive_persist.opening import open_store
from khive_persist.project import Project
from khive_persist.sessions.read import find_session

TABLE_LIMIT = 50
COLUMNS = ("time", "tool", "session", "event_type", "tool_name", "what")
FILTERS = ("session", "type", "tool", "tool_name", "failed", "text")


@click.command("events")
@with_project
@with_filters(*FILTERS, "since", "until", "limit")
@with_output
def command(form: str, limit: int | None, **filter_options: Any) -> None:
    """List hook events, newest first.

    \b
      khive-persist events --type pre_command --since 2h
      khive-persist events --failed --tool-name Bash --since 1d
      khive-persist events --text "permission denied"
      khive-persist events --session 3aeaa724 --jsonl | jq .content.command

    A table shows the newest 50 unless --limit says otherwise; JSON is all that match. A session may
    be named by the beginning of its id.
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


def summary(content: dict[str, Any]) -> str:
    """Return what an event was about, on one line."""
    paths = content.get("file_paths")
    payload = content.get("payload")
    about = (
        content.get("error")
        or content.get("command")
        or (", ".join(map(str, paths)) if isinstance(paths, list) else "")
        or content.get("output")
    )
    if not about and isinstance(payload, dict):
        words = in_our_words(payload)
        about = words.get("prompt") or words.get("message") or words.get("reason")
    return cell(about) if about else ""


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


async def _list(
    project: Project, event_filters: list[Filter], form: str, limit: int | None
) -> None:
    newest = -column("created_at")
    async with open_store(HookEvent, dir=project.root, read_only=True) as events:
        if form == "table":
            limit = TABLE_LIMIT if limit is None else limit
            latest = await events.find(*event_filters, order_by=newest, limit=limit)
            print_table(COLUMNS, map(row, latest), none_of("events", project))
            return
        output = Documents(form)
        async with aclosing(events.stream(*event_filters, order_by=newest, limit=limit)) as stream:
            async for event in stream:
                output.write(document(event))
        output.end()
