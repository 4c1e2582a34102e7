"""The to-do lists of a session's agents: their items over time, and the events meanwhile."""

import os
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple, NotRequired

from typing_extensions import TypedDict

from khive_persist import clock
from khive_persist.capture.todo_lists.from_events import TELLING
from khive_persist.capture.todo_lists.tool_calls import TOOLS
from khive_persist.clock import InstantText
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
    """The to-do list of one agent: its snapshots, oldest first, and the periods of work on an item.

    `events` has the events of each period in `work`; it is empty where nobody asked for them.
    """

    agent_id: str | None
    history: list[FocusChain]
    work: list[Work]
    events: list[list[HookEvent]]


async def read_chains(
    root: Path, prefix: str, agent: str | None = None, *, with_events: bool = False
) -> tuple[str, list[Chain]]:
    """Return a session, by the beginning of its id, and the to-do lists of its agents.

    `agent` is the one that is meant: `MAIN`, or the beginning of a subagent's id. With events each
    period of work has its own.

    Raises:
        NotFoundError: No session or several begin so; or it, or the agent, has no list.
    """
    session = await whole_id(Project(root), prefix)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        events = await enter(open_store(HookEvent, dir=root, read_only=True))
        of_session = field("session_id") == session
        list_events = await events.find(of_session, TELLING)
        # Lists that only events tell of are stored with the others, where that can be.
        stores_lists = bool(list_events) and os.access(Project(root).khive, os.W_OK)
        lists = await enter(open_store(FocusChain, dir=root, read_only=not stores_lists))
        records = [*list_events, *await lists.find(of_session)]
        if not records:
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
            periods = work((snapshot.created_at, items_of(snapshot)) for snapshot in history)
            during = [
                _of_work(await events.events_during(session, period.start, period.end, id))
                for period in (periods if with_events else ())
            ]
            chains.append(Chain(id, history, periods, during))
    return session, chains


def _is_chosen(id: str | None, agent: str | None) -> bool:
    if agent is None:
        return True
    return agent == MAIN if id is None else id.startswith(agent)


def _of_work(events: Sequence[HookEvent]) -> list[HookEvent]:
    """Leave out events that say nothing of the work: the list's own calls, and starts of calls.

    The start of a call stays where its end is missing: the end says how the call went, too.
    """
    contents = [event.content for event in events]
    ended_ids = {c.get("tool_use_id") for c in contents if c["event_type"].startswith("post_")}
    return [
        event
        for event in events
        if event.content.get("tool_name") not in TOOLS
        and event.content["event_type"] not in ("task_created", "task_completed")
        and not (
            event.content["event_type"].startswith("pre_")
            and event.content.get("tool_use_id") in ended_ids - {None}
        )
    ]


def in_progress(chain: Chain, text: str) -> tuple[float | None, Any]:
    """Return the seconds that an item was in progress, and the start where it is so still."""
    periods = [period for period in chain.work if period.text == text]
    durations = [seconds for period in periods if (seconds := _seconds(period)) is not None]
    since = next((period.start for period in periods if period.end is None), None)
    return sum(durations) if durations else None, since


def as_lines(chains: Sequence[Chain], with_events: bool) -> Iterator[dict[str, Any]]:
    """Yield the snapshots, and with events each period of work, as JSON has them."""
    for chain in chains:
        yield from map(document, chain.history)
        if with_events:
            for fields in _work(chain, with_events):
                yield {"agent_id": chain.agent_id, **fields}


class TodoWork(TypedDict):
    """A time that an item was in progress; see `Work`. With its events, where they were asked."""

    text: str
    start: InstantText
    end: InstantText | None
    seconds: float | None
    ended: str | None
    events: NotRequired[list[dict[str, Any]]]


class TodoList(NamedTuple):
    """The to-do list of one agent: its items now, the work on them, and its snapshots."""

    agent_id: str | None
    current: list[dict[str, Any]]
    work: list[TodoWork]
    history: list[dict[str, Any]]


class Focus(NamedTuple):
    """The to-do lists of a session's agents."""

    session_id: str
    agents: list[TodoList]


def focus_of(session_id: str, chains: Sequence[Chain], with_events: bool) -> Focus:
    """Return the lists of a session as JSON has them."""
    return Focus(session_id, [_todo_list(chain, with_events) for chain in chains])


def _todo_list(chain: Chain, with_events: bool) -> TodoList:
    current = [
        item | {"seconds_in_progress": in_progress(chain, item["text"])[0]}
        for item in items_of(chain.history[-1])
    ]
    history = [*map(document, chain.history)]
    return TodoList(chain.agent_id, current, list(_work(chain, with_events)), history)


def _work(chain: Chain, with_events: bool) -> Iterator[TodoWork]:
    for number, period in enumerate(chain.work):
        fields: TodoWork = {
            "text": period.text,
            "start": clock.to_text(period.start),
            "end": None if period.end is None else clock.to_text(period.end),
            "seconds": _seconds(period),
            "ended": period.ended,
        }
        if with_events:
            fields["events"] = [_event(event) for event in chain.events[number]]
        yield fields


def _event(event: HookEvent) -> dict[str, Any]:
    names = ("event_type", "tool_name", "command", "file_paths", "success", "agent_id")
    fields = {name: event.content[name] for name in names if name in event.content}  # type: ignore[literal-required]
    return {"id": event.id, "created_at": clock.to_text(event.created_at)} | fields


def items_of(snapshot: FocusChain) -> list[dict[str, Any]]:
    """Return the well-formed items of a snapshot."""
    return sound_items(snapshot.content.get("items"))


def _seconds(period: Work) -> float | None:
    return None if period.end is None else (period.end - period.start).total_seconds()
