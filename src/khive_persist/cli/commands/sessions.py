"""`khive-persist sessions`."""

from datetime import datetime
from typing import Any

import anyio
import click

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.cli.options import drained_project, with_filters, with_output, with_project
from khive_persist.cli.output import print_documents, print_table
from khive_persist.models.purposes import CONVERSATIONS, HOOK_EVENTS, OUTCOMES, PLANNER_SESSIONS
from khive_persist.opening import reading
from khive_persist.project import Project
from khive_persist.sessions.listing import SessionFilter, SessionSummary, list_sessions
from khive_persist.sessions.read import is_known

TABLE_LIMIT = 50


@click.command("sessions")
@with_project
@with_filters(
    "session", "tool", "since", "until", "complexity", "min_confidence", "max_cost", "limit"
)
@with_output
@click.pass_context
def command(
    context: click.Context,
    /,
    directory: str | None,
    form: str,
    limit: int | None,
    since: datetime | None,
    until: datetime | None,
    **wanted: Any,
) -> None:
    """List sessions, the latest first: what was planned and what happened.

    A session is the events and messages of one session id, with the plan that it carries out, the
    latest where there are several, and the verdict that counts. Failures are tool calls that
    failed or were refused, each once.

    \b
      khive-persist sessions --complexity complex --min-confidence 0.8
      khive-persist sessions --since 1d --json

    A table shows the latest 50 unless --limit says otherwise; JSON is all that match.
    """
    project = drained_project(context, directory)
    named = wanted["session_id"]
    chosen = SessionFilter(
        is_exact=named is not None and anyio.run(is_known, project, named),
        since=clock.to_text(since) if since else None,
        until=clock.to_text(until) if until else None,
        **wanted,
    )
    if form == "table" and limit is None:
        limit = TABLE_LIMIT
    rule = configuration.load(project.config).verdict_rule
    found = anyio.run(_list, project, chosen, limit, rule)
    if form == "table":
        print_table(SessionSummary._fields, found, "no sessions")
    else:
        print_documents(form, [session._asdict() for session in found])


async def _list(
    project: Project, wanted: SessionFilter, limit: int | None, rule: float | None
) -> list[SessionSummary]:
    purposes = (PLANNER_SESSIONS, *HOOK_EVENTS.values(), CONVERSATIONS, OUTCOMES)
    async with reading(project, *purposes) as reader:
        return await list_sessions(reader, wanted, limit, rule)
