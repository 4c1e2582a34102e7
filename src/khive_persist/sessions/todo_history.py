"""The to-do lists of a session's agents: what was on them, when, and what happened meanwhile."""

import os
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist.capture.todo_lists.from_events import TELLING
from khive_persist.capture.todo_lists.tool_calls import TOOLS
from khive_persist.errors import NotFoundError
from khive_persist.models.as_document import document
from khive_persist.models.focus_chain import FocusChain
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.query import field
from khive_persist.models.todo_list import Work, sound_items, work
from khive_persist.opening import open_store
from khive_persist.project import Project
from khive_persist.sessions.read import whole_id

MAIN: Final = "main"


class Chain(NamedTuple):
    """The to-do list of one agent: its snapshots, oldest first, and when its items were worked on.

    `events` has, for each time in `work`, what happened in it; it is empty where nobody asked.
    """

    agent_id: str | None
    history: list[FocusChain]
    work: list[Work]
    events: list[list[HookEvent]]


async def read_chains(
    root: Path, begin: str, agent: str | None = None, *, with_events: bool = False
) -> tuple[str, list[Chain]]:
    """A session and the to-do lists of its agents.

    Args:
        root: The directory that holds `.khive`.
        begin: The session's id, or the beginning of it.
        agent: Of this agent alone: `MAIN`, or the beginning of a subagent's id.
        with_events: Whether each time of work has its events.

    Raises:
        NotFoundError: No session or several begin so; or it, or the agent, has no list.
        StoreError: As its subclasses say.
    """
    session = await whole_id(Project(root), begin)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        events = await enter(open_store(HookEvent, dir=root, read_only=True))
        wanted = field("session_id") == session
        telling = await events.find(wanted, TELLING)
        # Lists of which only events tell are stored with the others, where that can be.
        stores_lists = bool(telling) and os.access(Project(root).khive, os.W_OK)
        lists = await enter(open_store(FocusChain, dir=root, read_only=not stores_lists))
        told = [*telling, *await lists.find(wanted)]
        if not told:
            raise NotFoundError(
                f"no to-do list of the session {session} is recorded",
                hint="khive-persist sync reads the tools' transcripts",
            )
        by_agent: dict[str | None, list[FocusChain]] = {}
        for snapshot in await lists.get_history(session):
            by_agent.setdefault(snapshot.content.get("agent_id"), []).append(snapshot)
        exact = agent if agent in by_agent else None
        chosen = {
            id: history
            for id, history in by_agent.items()
            if (_is_chosen(id, agent) if exact is None else id == exact)
        }
        if not chosen:
            agents = ", ".join(id or MAIN for id in by_agent) or "none"
            raise NotFoundError(
                f"no such agent has a to-do list in {session}", hint=f"these have one: {agents}"
            )
        chains = []
        for id, history in chosen.items():
            times = work((each.created_at, items_of(each)) for each in history)
            during = [
                _telling(await events.events_during(session, one.start, one.end, id))
                for one in (times if with_events else ())
            ]
            chains.append(Chain(id, history, times, during))
    return session, chains


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


def in_progress(chain: Chain, text: str) -> tuple[float | None, Any]:
    """Return how long an item was in progress, and since when it is, where it is so still."""
    own = [one for one in chain.work if one.text == text]
    ended = [seconds for one in own if (seconds := _seconds(one)) is not None]
    since = next((one.start for one in own if one.end is None), None)
    return sum(ended) if ended else None, since


def as_lines(chains: Sequence[Chain], with_events: bool) -> Iterator[dict[str, Any]]:
    """The snapshots, and with events each time of work, as JSON has them."""
    for chain in chains:
        yield from map(document, chain.history)
        if with_events:
            for one in _work(chain, with_events):
                yield {"agent_id": chain.agent_id} | one


def as_document(chain: Chain, with_events: bool) -> dict[str, Any]:
    """The list of one agent as JSON has it."""
    current = [
        item | {"seconds_in_progress": in_progress(chain, item["text"])[0]}
        for item in items_of(chain.history[-1])
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


def items_of(snapshot: FocusChain) -> list[dict[str, Any]]:
    """The items of a snapshot that are as they should be."""
    return sound_items(snapshot.content.get("items"))


def _seconds(one: Work) -> float | None:
    return None if one.end is None else (one.end - one.start).total_seconds()
