"""The timeline of a session: prompts, answers, tool calls with their outcome, to-dos.

Its sources are the tool's transcript, if `sync` has read it, and hook events: each prompt and each
tool call counts once, whichever of the two has it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from khive_persist.capture.previews import with_whole_texts
from khive_persist.models.event_types import POST, PRE
from khive_persist.models.focus_chain import FocusChain
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.message import Message
from khive_persist.models.planner_session import PlannerSession
from khive_persist.prices import PICODOLLARS, PriceTable
from khive_persist.sessions.definitions import Spent, spent
from khive_persist.sessions.lineage.endings import ending_of
from khive_persist.sessions.lineage.parents import Parents
from khive_persist.sessions.read import Session
from khive_persist.sessions.timeline.applications import assigned, measured, scored, trials
from khive_persist.sessions.timeline.calls import Calls, EventCall
from khive_persist.sessions.timeline.entry import (
    Entry,
    content_of,
    entry_id,
    of_record,
    text_entry,
    text_in,
)
from khive_persist.sessions.timeline.labels import duration, line_of, typed_command
from khive_persist.sessions.timeline.prompts import Prompts
from khive_persist.tools.message_part import mappings_in

GAP: Final = timedelta(minutes=10)
# Endings that are no failure of what was called.
_STOPPED: Final = ("denied", "interrupted")
# Of one instant, it comes before all else.
_START: Final = "session_start"
# Other entries have these, of which there are many, or they say nothing of the work.
_OMITTED: Final = frozenset(
    {
        *PRE, *POST, "prompt_submitted", "message_display", "instructions_loaded",
        "post_tool_batch",
        "before_agent", "after_agent", "before_model", "after_model", "before_tool_selection",
        "user_prompt_expansion", "stop",
    }
)  # fmt: skip


class Timeline(NamedTuple):
    """The entries of a session, and by their ids the calls and what messages used."""

    entries: list[Entry]
    calls: Mapping[str, EventCall]
    used: Mapping[str, Spent]


def build_timeline(session: Session, prices: PriceTable, *, thinking: bool = False) -> list[Entry]:
    """Return the entries of a session, in order of time; a gap of 10 minutes or more is one."""
    return build_with_calls(session, prices, thinking=thinking).entries


def build_with_calls(session: Session, prices: PriceTable, *, thinking: bool = False) -> Timeline:
    """Return the same, with the calls and what each message used."""
    depths = _depths(session)
    calls = Calls(session.events, session.messages)
    prompts = Prompts(session.events, session.messages)
    used: dict[str, Spent] = {}
    entries = [
        *_events(session.events, are_starts=True),
        *_plans(session.plans),
        *_messages(session, calls, prompts, prices, used, thinking=thinking),
        *calls.others(),
        *prompts.others(),
        *_events(session.events, are_starts=False),
        *_focus(session.focus_chains),
        *trials(session.application_sessions),
        *assigned(session.assignments),
        *measured(session.measurements),
        *scored(session.scores),
    ]
    placed = [entry._replace(depth=depths.get(entry.agent_id, 0)) for entry in entries]
    placed.sort(key=lambda entry: entry.at)
    return Timeline(list(_with_gaps(_running(placed))), calls.by_entry, used)


def _running(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Replace the tokens and costs of each entry by their running sums."""
    tokens, unpriced, picodollars, has_cost = 0, 0, 0, False
    for entry in entries:
        tokens += entry.tokens
        unpriced += entry.unpriced
        if entry.cost is not None:
            has_cost = True
            picodollars += round(entry.cost * PICODOLLARS)
        cost = picodollars / PICODOLLARS if has_cost else None
        yield entry._replace(tokens=tokens, cost=cost, unpriced=unpriced)


def _with_gaps(entries: Iterable[Entry]) -> Iterator[Entry]:
    last: Entry | None = None
    for entry in entries:
        if last is not None and entry.at - last.at >= GAP:
            title = f"nothing for {duration(entry.at - last.at)}"
            yield last._replace(
                kind="gap", title=title, lines=(), depth=0, is_failed=False,
                id=entry_id(last.id, "gap"), files=(), records=(),
            )  # fmt: skip
        yield entry
        last = entry


def _depths(session: Session) -> dict[str | None, int]:
    gathered = Parents()
    messages, events = [*map(content_of, session.messages)], [*map(content_of, session.events)]
    for content in messages:
        gathered.see_message(content)
    for content in events:
        gathered.see_event(content)
    known_parents = gathered.parents()
    agents = (content.get("agent_id") for content in (*messages, *events))
    parents = {agent: known_parents.get(agent) for agent in agents if agent}
    depths: dict[str | None, int] = {None: 0}
    for agent in parents:
        chain: list[str | None] = []
        at: str | None = agent
        while at is not None and at not in depths and at not in chain:
            chain.append(at)
            at = parents.get(at)
        base = depths.get(at, 0)
        for number, id in enumerate(reversed(chain), 1):
            depths[id] = base + number
    return depths


def _plans(plans: Sequence[PlannerSession]) -> Iterator[Entry]:
    for plan in plans:
        content = content_of(plan)
        facts = [
            f"{name} {content[name]}"
            for name in ("complexity", "confidence", "agent_count", "planning_cost")
            if content.get(name) is not None
        ]
        title = line_of(content.get("task_description"))
        lines = (", ".join(facts),) if facts else ()
        yield of_record(Entry(plan.created_at, "plan", title, lines), plan.id)


def _messages(
    session: Session,
    calls: Calls,
    prompts: Prompts,
    prices: PriceTable,
    used: dict[str, Spent],
    *,
    thinking: bool,
) -> Iterator[Entry]:
    for message in session.messages:
        content = content_of(message)
        agent, at = content.get("agent_id"), message.created_at
        usage = spent(content, at, prices)
        entries = list(_parts(message, content, calls, thinking=thinking))
        if not entries and (usage.tokens or usage.cost or usage.unpriced):
            kind = content.get("kind", "message")
            title = "(no text)" if kind == "message" else f"({line_of(str(kind))}, no text)"
            entries = [of_record(Entry(at, "message", title), message.id, "text")]
        for number, entry in enumerate(entries):
            entry = entry._replace(agent_id=agent, model=text_in(content, "model") or entry.model)
            if (event_id := prompts.events.get(message.id)) and entry.kind != "tool":
                # The event was there first, and a link to it has its id.
                entry = of_record(entry, event_id, "text")
                entry = entry._replace(records=(message.id, event_id))
            if number == 0:
                used[entry.id] = usage
                entry = entry._replace(
                    tokens=usage.tokens, cost=usage.cost, unpriced=usage.unpriced
                )
            yield entry


def _parts(
    message: Message, content: dict[str, Any], calls: Calls, *, thinking: bool
) -> Iterator[Entry]:
    at = message.created_at
    if thinking and (thought := text_in(content, "thinking")) is not None:
        yield of_record(text_entry(at, "thinking", thought), message.id, "thinking")
    if (entry := _text_entry(at, content)) is not None:
        yield of_record(entry, message.id, "text")
    for number, call in enumerate(mappings_in(content.get("tool_calls"))):
        event_call = calls.of_message(message, call, number)
        if event_call is None:
            continue
        entry = calls.entry_of(event_call)
        ending = ending_of(str(content.get("tool")), event_call.result, call.get("status"))
        yield entry._replace(title=f"{entry.title}  ({ending})") if ending in _STOPPED else entry


def _text_entry(at: datetime, content: Mapping[str, Any]) -> Entry | None:
    text, role, kind = text_in(content, "text"), content.get("role"), content.get("kind", "message")
    if role == "assistant" and text:
        return text_entry(at, "message", text)
    if role == "user" and text and kind == "message":
        return text_entry(at, "prompt", text)
    if kind == "command" and text:
        return Entry(at, "event", f"command {typed_command(text)}")
    if kind == "interruption":
        return Entry(at, "event", "the user interrupted")
    if kind in ("compaction", "compact_boundary"):
        return Entry(at, "event", "the conversation was compacted")
    return None


def _events(events: Sequence[HookEvent], *, are_starts: bool) -> Iterator[Entry]:
    for event in events:
        content = content_of(event)
        kind = str(content.get("event_type"))
        if kind in _OMITTED or (kind == _START) is not are_starts:
            continue
        payload = content.get("payload")
        texts = with_whole_texts(content)
        about = texts.get("output") or texts.get("error")
        if not about and isinstance(payload, Mapping):
            about = payload.get("message") or payload.get("reason") or payload.get("source")
        title = kind.replace("_", " ") + (f": {line_of(about)}" if about else "")
        is_failed, agent = content.get("success") is False, content.get("agent_id")
        entry = Entry(event.created_at, "event", title, agent_id=agent, is_failed=is_failed)
        yield of_record(entry, event.id)._replace(model=text_in(content, "model"))


def _focus(chains: Sequence[FocusChain]) -> Iterator[Entry]:
    signs = {"added": "+", "started": ">", "completed": "x", "dropped": "-"}
    for chain in chains:
        content = content_of(chain)
        lines = tuple(
            f"{sign} {line_of(text)}"
            for name, sign in signs.items()
            for text in content.get(name, ())
        )
        if lines:
            agent = content.get("agent_id")
            entry = Entry(chain.created_at, "focus", "to-dos", lines, agent_id=agent)
            yield of_record(entry, chain.id)
