"""`khive-persist focus`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import click

from khive_persist import clock
from khive_persist.cli import events as events_command
from khive_persist.cli.options import drained_place, with_output, with_place
from khive_persist.cli.output import cell, document, print_documents, print_json, print_table
from khive_persist.errors import NotFoundError
from khive_persist.focus.calls import TOOLS
from khive_persist.focus.gathering import TELLING
from khive_persist.opening import open_store
from khive_persist.records.focus_chain import FocusChain
from khive_persist.records.focus_list import IN_PROGRESS, Work, sound_items, work
from khive_persist.records.hook_event import HookEvent
from khive_persist.session import begins

MAX_NAMED = 3
MAIN = "main"
HISTORY = ("time", "agent", "#", "what", "item")
CURRENT = ("agent", "status", "in_progress", "item")
EVENTS = ("item", "time", "event_type", "tool_name", "what")


class Chain(NamedTuple):
    """The to-do list of one agent: its snapshots, oldest first, and when its items were worked on.

    `events` has, for each time in `work`, what happened in it; it is empty where nobody asked.
    """

    agent_id: str | None
    history: list[FocusChain]
    work: list[Work]
    events: list[list[HookEvent]]


@click.command("focus")
@click.argument("session")
@click.option(
    "--agent", metavar="ID", help=f"Of this agent: `{MAIN}`, or the beginning of a subagent's id."
)
@click.option("--events", "with_events", is_flag=True, help="Also what happened meanwhile.")
@with_place
@with_output
@click.pass_context
def command(
    context: click.Context,
    session: str,
    agent: str | None,
    with_events: bool,
    directory: str | None,
    form: str,
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
    """
    place = drained_place(context, directory)
    id, chains = anyio.run(_chains, place.root, session, agent, with_events)
    if form == "jsonl":
        print_documents(form, _lines(chains, with_events))
    elif form == "json":
        agents = [_document(chain, with_events) for chain in chains]
        print_json({"session_id": id, "agents": agents})
    else:
        click.echo(f"session {cell(id, limit=None)}\n")
        print_table(HISTORY, (row for chain in chains for row in _history(chain)), "no snapshots")
        click.echo()
        current = (row for chain in chains for row in _current(chain))
        print_table(CURRENT, current, "nothing is on the list now")
        if with_events:
            click.echo()
            happened = (row for chain in chains for row in _happened(chain))
            print_table(EVENTS, happened, "no events while an item was in progress")


async def _chains(
    root: Path, begin: str, agent: str | None, with_events: bool
) -> tuple[str, list[Chain]]:
    async with open_store(HookEvent, dir=root) as events, open_store(FocusChain, dir=root) as lists:
        wanted = begins(begin)
        told = [*await events.find(wanted, TELLING), *await lists.find(wanted)]
        session = _one({str(record.content["session_id"]) for record in told}, begin)
        by_agent: dict[str | None, list[FocusChain]] = {}
        for snapshot in await lists.get_history(session):
            by_agent.setdefault(snapshot.content.get("agent_id"), []).append(snapshot)
        chosen = {id: history for id, history in by_agent.items() if _is_chosen(id, agent)}
        if not chosen:
            agents = ", ".join(id or MAIN for id in by_agent) or "none"
            raise NotFoundError(
                f"no such agent has a to-do list in {session}", hint=f"these have one: {agents}"
            )
        chains = []
        for id, history in chosen.items():
            times = work((each.created_at, _items(each)) for each in history)
            during = [
                _telling(await events.events_during(session, one.start, one.end, id))
                for one in (times if with_events else ())
            ]
            chains.append(Chain(id, history, times, during))
    return session, chains


def _one(sessions: set[str], begin: str) -> str:
    if begin in sessions:
        return begin
    if not sessions:
        raise NotFoundError(
            f"no session with a to-do list has an id that begins with {begin!r}",
            hint="khive-persist sessions lists them; khive-persist sync reads their transcripts",
        )
    if len(sessions) > 1:
        some = ", ".join(sorted(sessions)[:MAX_NAMED])
        raise NotFoundError(
            f"several sessions begin with {begin!r}: {some}", hint="write more of it"
        )
    return sessions.pop()


def _is_chosen(id: str | None, agent: str | None) -> bool:
    if agent is None:
        return True
    return agent == MAIN if id is None else id.startswith(agent)


def _telling(events: Sequence[HookEvent]) -> list[HookEvent]:
    """Without what says nothing of the work: the list's own calls, and a call whose end is there.

    The end of a call says how it went, too.
    """
    contents = [event.content for event in events]
    ended = {c.get("tool_use_id") for c in contents if c["event_type"].startswith("post_")}
    return [
        event
        for event in events
        if event.content.get("tool_name") not in TOOLS
        and event.content["event_type"] not in ("task_created", "task_completed")
        and not (
            event.content["event_type"].startswith("pre_")
            and event.content.get("tool_use_id") in ended - {None}
        )
    ]


def _history(chain: Chain) -> Iterator[tuple[Any, ...]]:
    for snapshot in chain.history:
        at = (snapshot.created_at, _short(chain.agent_id), snapshot.content.get("position"))
        told: list[tuple[str, str | None]] = [*_told(snapshot.content)]
        for what, item in told or [("unchanged", None)]:
            yield *at, what, item


def _told(content: Any) -> Iterator[tuple[str, str]]:
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
    for item in _items(chain.history[-1]):
        seconds, since = _in_progress(chain, item["text"])
        parts = [_duration(seconds)] if seconds is not None else []
        if since is not None and item["status"] == IN_PROGRESS:
            parts.append(f"since {cell(since)}")
        yield _short(chain.agent_id), item["status"], ", ".join(parts) or None, item["text"]


def _in_progress(chain: Chain, text: str) -> tuple[float | None, Any]:
    """How long an item was in progress, and since when it is, where it is so still."""
    own = [one for one in chain.work if one.text == text]
    ended = [seconds for one in own if (seconds := _seconds(one)) is not None]
    since = next((one.start for one in own if one.end is None), None)
    return sum(ended) if ended else None, since


def _happened(chain: Chain) -> Iterator[tuple[Any, ...]]:
    for one, events in zip(chain.work, chain.events, strict=True):
        for event in events:
            at, _, _, kind, tool_name, what = events_command.row(event)
            yield one.text, at, kind, tool_name, what


def _lines(chains: Sequence[Chain], with_events: bool) -> Iterator[dict[str, Any]]:
    for chain in chains:
        yield from map(document, chain.history)
        if with_events:
            for one in _work(chain, with_events):
                yield {"agent_id": chain.agent_id} | one


def _document(chain: Chain, with_events: bool) -> dict[str, Any]:
    current = [
        item | {"seconds_in_progress": _in_progress(chain, item["text"])[0]}
        for item in _items(chain.history[-1])
    ]
    return {
        "agent_id": chain.agent_id,
        "current": current,
        "work": list(_work(chain, with_events)),
        "history": [*map(document, chain.history)],
    }


def _work(chain: Chain, with_events: bool) -> Iterator[dict[str, Any]]:
    for number, one in enumerate(chain.work):
        told: dict[str, Any] = {
            "text": one.text,
            "start": clock.to_text(one.start),
            "end": None if one.end is None else clock.to_text(one.end),
            "seconds": _seconds(one),
            "ended": one.ended,
        }
        if with_events:
            told["events"] = [_event(event) for event in chain.events[number]]
        yield told


def _event(event: HookEvent) -> dict[str, Any]:
    names = ("event_type", "tool_name", "command", "file_paths", "success", "agent_id")
    said = {name: event.content[name] for name in names if name in event.content}  # type: ignore[literal-required]
    return {"id": event.id, "created_at": clock.to_text(event.created_at)} | said


def _items(snapshot: FocusChain) -> list[dict[str, Any]]:
    return sound_items(snapshot.content.get("items"))


def _seconds(one: Work) -> float | None:
    return None if one.end is None else (one.end - one.start).total_seconds()


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def _short(agent_id: str | None) -> str:
    return MAIN if agent_id is None else agent_id[:8]
