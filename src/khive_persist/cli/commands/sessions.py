"""`khive-persist sessions`."""

from datetime import datetime
from functools import partial
from typing import Any, Final

import anyio
import click

from khive_persist import clock
from khive_persist.cli.columns import Column
from khive_persist.cli.empty import none_of
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import (
    drained_project,
    from_everywhere,
    short_ids_on_screen,
    with_all_projects,
    with_filters,
    with_output,
    with_project,
    with_times,
)
from khive_persist.cli.output import print_documents, print_table
from khive_persist.sessions.listing import SessionFilter, SessionSummary
from khive_persist.sessions.projects import sessions_everywhere, sessions_of
from khive_persist.sessions.read import is_known

TABLE_LIMIT = 50
# Beside a session's own cost that of its plan has another heading; what is in a column of the same
# name elsewhere is more there than here, where the title says most.
_COLUMNS: Final = {
    column.name: column
    for column in (
        Column("project", kind="path", minimum=12, priority=5),
        Column("model", minimum=12, priority=4),
        Column("cost", kind="number", priority=3),
        Column("unpriced", kind="number", priority=6),
        Column("planning_cost", label="planning", kind="number", priority=4),
    )
}


@click.command("sessions")
@with_project
@with_filters(
    "session", "tool", "since", "until", "complexity", "min_confidence", "max_cost", "verdict",
    "limit",
)  # fmt: skip
@click.option("--failed/--no-failed", default=None, help="In which a tool call failed, or none.")
@with_all_projects
@with_output
@with_times
def command(
    form: str,
    limit: int | None,
    since: datetime | None,
    until: datetime | None,
    all_projects: bool,
    **filter_options: Any,
) -> int:
    """List sessions, the latest first: what was planned and what happened.

    A session is the events and messages of one session id, with the plan that it carries out, the
    latest where there are several, and the verdict that counts. Failures are tool calls that
    failed or were refused, each once.

    \b
      khive-persist sessions --complexity complex --min-confidence 0.8
      khive-persist sessions --since 1d --json

    Its model is the one that used most tokens, its project the directory that it began in. Its cost
    is of the messages that have a price; `unpriced` counts the others.

    With --all-projects each has its project before it: one id in two projects is two sessions. A
    project that cannot be read is named on stderr, and the exit code is 1.

    A table shows the latest 50 unless --limit says otherwise; JSON is all that match.
    """
    chosen = SessionFilter(
        since=clock.to_text(since) if since else None,
        until=clock.to_text(until) if until else None,
        **filter_options,
    )
    if form == "table" and limit is None:
        limit = TABLE_LIMIT
    if all_projects:
        return _of_all(form, chosen, limit)
    project = drained_project()
    session_id = chosen.session_id
    chosen = chosen._replace(
        is_exact=session_id is not None and anyio.run(is_known, project, session_id)
    )
    summaries = anyio.run(sessions_of, project, chosen, limit)
    if form == "table":
        ids = [summary.session_id for summary in summaries]
        short = anyio.run(short_ids_on_screen, project, ids)
        empty = none_of("sessions", project)
        columns = [_COLUMNS.get(name, name) for name in SessionSummary._fields]
        print_table(columns, summaries, empty, short_ids=short)
    else:
        print_documents(form, [session._asdict() for session in summaries])
    return DONE


def _of_all(form: str, session_filter: SessionFilter, limit: int | None) -> int:
    everywhere = from_everywhere(partial(sessions_everywhere, session_filter, limit))
    pairs = [
        (str(root), summary)
        for root, summaries in everywhere.results.items()
        for summary in summaries
    ]
    pairs.sort(key=lambda pair: pair[1].last or "", reverse=True)
    # The project itself, whichever of its directories a session began in.
    documents = [
        {"project": root} | summary._asdict() | {"project": root} for root, summary in pairs
    ]
    if form == "table":
        rows = [tuple(document.values()) for document in documents]
        columns = [_COLUMNS.get(name, name) for name in SessionSummary._fields if name != "project"]
        print_table(("project", *columns), rows, none_of("sessions", None))
    else:
        print_documents(form, documents)
    return FAILED if everywhere.failed else DONE
