"""`khive-persist focus`."""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

import anyio
import click

from khive_persist.cli import completions
from khive_persist.cli.columns import Column
from khive_persist.cli.commands import events as events_command
from khive_persist.cli.options import (
    drained_project,
    with_limit,
    with_output,
    with_project,
    with_times,
)
from khive_persist.cli.output import cell, print_documents, print_json, print_table
from khive_persist.cli.times import times
from khive_persist.models.todo_list import IN_PROGRESS
from khive_persist.sessions.todo_history import (
    MAIN,
    Chain,
    as_lines,
    focus_of,
    in_progress,
    items_of,
    read_chains,
)

AGENT = Column("agent", kind="id")
HISTORY = ("time", AGENT, Column("#", priority=3), Column("what", kind="state"), "item")
CURRENT = (AGENT, "status", "in_progress", "item")
EVENTS = ("item", "time", "event_type", "tool_name", "result", "what")


@click.command("focus")
@click.argument("session", shell_complete=completions.sessions)
@click.option(
    "--agent", metavar="ID", help=f"Of this agent: `{MAIN}`, or the beginning of a subagent's id."
)
@click.option("--events", "with_events", is_flag=True, help="Also what happened meanwhile.")
@with_project
@with_limit()
@with_output
@with_times
def command(
    session: str, agent: str | None, with_events: bool, limit: int | None, form: str
) -> None:
    """Show what an agent had on its to-do list, and when.

    SESSION is a session's id, or the beginning of one. First comes what was added, started,
    completed and dropped, in order; then the list as it is now, with how long each item was in
    progress.

    \b
      khive-persist focus 949752ba
      khive-persist focus 949752ba --agent main --events     with the events of each item
      khive-persist focus 949752ba --json | jq '.agents[].work'

    Lists come from the tools' own (TodoWrite, TaskCreate and TaskUpdate, update_plan, write_todos),
    as sync finds them in transcripts and hooks record them, and from programs that save a
    FocusChain. With --jsonl, each snapshot is a line, and with --events each time of work, too.
    --limit is for the lines of each table, of the changes the latest; JSON is whole.
    """
    project = drained_project()
    reading = partial(read_chains, project.root, session, agent, with_events=with_events)
    id, chains = anyio.run(reading)
    if form == "jsonl":
        print_documents(form, as_lines(chains, with_events))
    elif form == "json":
        print_json(focus_of(id, chains, with_events))
    else:
        click.echo(f"session {cell(id, limit=None)}\n")
        history = [row for chain in chains for row in _history(chain)]
        print_table(HISTORY, _latest(history, limit), "no snapshots")
        click.echo()
        current = islice((row for chain in chains for row in _current(chain)), limit)
        print_table(CURRENT, current, "nothing is on the list now")
        if with_events:
            click.echo()
            event_rows = (row for chain in chains for row in _event_rows(chain))
            print_table(
                EVENTS, islice(event_rows, limit), "no events while an item was in progress"
            )


def _latest(rows: list[tuple[Any, ...]], limit: int | None) -> list[tuple[Any, ...]]:
    return rows if limit is None else rows[max(0, len(rows) - limit) :]


def _history(chain: Chain) -> Iterator[tuple[Any, ...]]:
    for snapshot in chain.history:
        at = (snapshot.created_at, _agent(chain.agent_id), snapshot.content.get("position"))
        changes: list[tuple[str, str | None]] = [*_changes(snapshot.content)]
        for change, item in changes or [("unchanged", None)]:
            yield *at, change, item


def _changes(content: Any) -> Iterator[tuple[str, str]]:
    if content.get("explanation"):
        yield "because", content["explanation"]
    for name in ("dropped", "added", "started", "completed"):
        for text in content.get(name, ()):
            yield name, text
    for change in content.get("changed", ()):
        if "was" in change:
            yield "renamed", f"{change['was']} → {change['text']}"
        else:
            yield change["status"], change["text"]


def _current(chain: Chain) -> Iterator[tuple[Any, ...]]:
    for item in items_of(chain.history[-1]):
        seconds, since = in_progress(chain, item["text"])
        parts = [_duration(seconds)] if seconds is not None else []
        if since is not None and item["status"] == IN_PROGRESS:
            parts.append(f"since {times().text(since)}")
        yield _agent(chain.agent_id), item["status"], ", ".join(parts) or None, item["text"]


def _event_rows(chain: Chain) -> Iterator[tuple[Any, ...]]:
    for work, events in zip(chain.work, chain.events, strict=True):
        for event in events:
            at, _, _, kind, tool_name, result, summary = events_command.row(event)
            yield work.text, at, kind, tool_name, result, summary


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, remainder = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {remainder:02} s"


def _agent(agent_id: str | None) -> str:
    return MAIN if agent_id is None else agent_id
