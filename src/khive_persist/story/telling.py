"""A session as one story: prompts, answers, tool calls with their outcome, to-dos, in time order.

What was said comes from the tool's transcript, if `sync` has read it; what was done, from that or
from hook events, each tool call once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from khive_persist.capture.previews import with_whole_texts
from khive_persist.lineage.endings import ending_of
from khive_persist.lineage.parents import Parents
from khive_persist.prices import PriceTable
from khive_persist.records.focus_chain import FocusChain
from khive_persist.records.hook_event import HookEvent
from khive_persist.records.message import Message
from khive_persist.records.planner_session import PlannerSession
from khive_persist.session import Session
from khive_persist.store.unmatched import POST, PRE
from khive_persist.story.applications import assigned, measured, scored, trials
from khive_persist.story.entry import Entry, content_of, said
from khive_persist.story.tool_call import tool_call
from khive_persist.story.wording import duration, line_of, typed_command

GAP: Final = timedelta(minutes=10)
# Endings that are no failure of what was called.
_STOPPED: Final = ("denied", "interrupted")
# Of these there are many, and the story tells them otherwise, or they say nothing of it.
_UNTOLD: Final = frozenset(
    {
        *PRE, *POST, "prompt_submitted", "message_display", "instructions_loaded",
        "post_tool_batch",
        "before_agent", "after_agent", "before_model", "after_model", "before_tool_selection",
        "user_prompt_expansion", "stop",
    }
)  # fmt: skip


def tell(session: Session, prices: PriceTable, *, thinking: bool = False) -> list[Entry]:
    """The entries of a session, in order of time; a gap of 10 minutes or more is one, too.

    Args:
        session: What is recorded of it.
        prices: What tokens cost.
        thinking: Whether what the model thought is told.
    """
    depths = _depths(session.messages)
    entries = [
        *_plans(session.plans),
        *_messages(session, prices, thinking=thinking),
        *_calls_of_events(session),
        *_events(session),
        *_focus(session.focus_chains),
        *trials(session.application_sessions),
        *assigned(session.assignments),
        *measured(session.measurements),
        *scored(session.scores),
    ]
    placed = [entry._replace(depth=depths.get(entry.agent_id, 0)) for entry in entries]
    placed.sort(key=lambda entry: entry.created_at)
    return list(_with_gaps(_running(placed)))


def _running(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Tokens and costs so far, of those that messages have by themselves."""
    tokens, unpriced, cost = 0, 0, None
    for entry in entries:
        tokens += entry.tokens
        unpriced += entry.unpriced
        if entry.cost is not None:
            cost = (cost or 0.0) + entry.cost
        yield entry._replace(tokens=tokens, cost=cost, unpriced=unpriced)


def _with_gaps(entries: Iterable[Entry]) -> Iterator[Entry]:
    last: Entry | None = None
    for entry in entries:
        if last is not None and entry.created_at - last.created_at >= GAP:
            title = f"nothing for {duration(entry.created_at - last.created_at)}"
            yield last._replace(kind="gap", title=title, lines=(), depth=0, is_failed=False)
        yield entry
        last = entry


def _depths(messages: Sequence[Message]) -> dict[str | None, int]:
    """How deep each agent is below the session's own."""
    told = Parents()
    agents: dict[str, None] = {}
    for content in map(content_of, messages):
        told.see_message(content)
        if content.get("agent_id"):
            agents.setdefault(content["agent_id"])
    known = told.found()
    parents = {agent: known.get(agent) for agent in agents}
    depths: dict[str | None, int] = {None: 0}
    for agent in parents:
        chain: list[str | None] = []
        at: str | None = agent
        while at is not None and at not in depths and at not in chain:
            chain.append(at)
            at = parents.get(at)
        base = depths.get(at, 0)
        for number, one in enumerate(reversed(chain), 1):
            depths[one] = base + number
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
        yield Entry(plan.created_at, "plan", title, (", ".join(facts),) if facts else ())


def _messages(session: Session, prices: PriceTable, *, thinking: bool) -> Iterator[Entry]:
    results = _results(session.messages)
    for message in session.messages:
        content = content_of(message)
        agent, at = content.get("agent_id"), message.created_at
        tokens = content.get("tokens")
        counts = {n: v for n, v in (tokens or {}).items() if n != "reasoning"}
        used = sum(value for value in counts.values() if isinstance(value, int))
        cost = prices.cost_of_message(content, at)
        made = list(_parts(message, content, results, thinking=thinking))
        unpriced = int(cost is None and used > 0)
        if not made and used:
            kind = content.get("kind", "message")
            title = "(no text)" if kind == "message" else f"({line_of(str(kind))}, no text)"
            made = [Entry(at, "message", title)]
        for number, entry in enumerate(made):
            entry = entry._replace(agent_id=agent)
            if number == 0:
                entry = entry._replace(tokens=used, cost=cost, unpriced=unpriced)
            yield entry


def _parts(
    message: Message, content: dict[str, Any], results: dict[str, Any], *, thinking: bool
) -> Iterator[Entry]:
    at, text = message.created_at, content.get("text")
    role, kind = content.get("role"), content.get("kind", "message")
    if thinking and content.get("thinking"):
        yield said(at, "thinking", content["thinking"])
    if role == "assistant" and text:
        yield said(at, "message", text)
    elif role == "user" and text and kind == "message":
        yield said(at, "prompt", text)
    elif kind == "command" and text:
        yield Entry(at, "event", f"command {typed_command(text)}")
    elif kind == "interruption":
        yield Entry(at, "event", "the user interrupted")
    elif kind in ("compaction", "compact_boundary"):
        yield Entry(at, "event", "the conversation was compacted")
    for call in content.get("tool_calls", ()):
        result = results.get(str(call.get("tool_use_id")))
        if "result" in call:
            # Its result may be said once more, without how it ended.
            is_error = call.get("is_error") is True or call.get("status") == "error"
            result = {"output": call["result"], "is_error": is_error}
        entry = tool_call(at, str(call.get("name")), call.get("input"), result)
        ending = ending_of(str(content.get("tool")), result, call.get("status"))
        yield entry._replace(title=f"{entry.title}  ({ending})") if ending in _STOPPED else entry


def _results(messages: Sequence[Message]) -> dict[str, Any]:
    return {
        str(result.get("tool_use_id")): result
        for message in messages
        for result in content_of(message).get("tool_results", ())
    }


def _calls_of_events(session: Session) -> Iterator[Entry]:
    """Tool calls and prompts of which no transcript tells."""
    told = {
        str(call.get("tool_use_id"))
        for message in session.messages
        for call in content_of(message).get("tool_calls", ())
    }
    ends: dict[str, dict[str, Any]] = {}
    contents = [(event, content_of(event)) for event in session.events]
    for _, content in contents:
        if content.get("event_type") in POST and content.get("tool_use_id"):
            ends[str(content["tool_use_id"])] = content
    for event, content in contents:
        use_id, kind = content.get("tool_use_id"), content.get("event_type")
        # Without ids it cannot be told which call an event is of; the transcript has them all.
        is_told = str(use_id) in told if use_id else bool(session.messages)
        if kind == "prompt_submitted" and not session.messages:
            payload = content.get("payload")
            prompt = payload.get("prompt") if isinstance(payload, Mapping) else None
            yield said(event.created_at, "prompt", str(prompt or ""))
        elif kind in PRE and not is_told and use_id:
            yield _call_of(event, content, ends.get(str(use_id)))
        elif kind in POST and not is_told and not use_id:
            yield _call_of(event, content, content)


def _call_of(event: HookEvent, content: dict[str, Any], end: dict[str, Any] | None) -> Entry:
    payload = content.get("payload")
    asked = payload.get("tool_input") if isinstance(payload, Mapping) else None
    result = None
    if end is not None:
        whole = with_whole_texts(end)
        output = whole.get("error") or whole.get("output")
        result = {"output": output, "is_error": end.get("success") is False}
    entry = tool_call(event.created_at, str(content.get("tool_name")), asked, result)
    return entry._replace(agent_id=content.get("agent_id"))


def _events(session: Session) -> Iterator[Entry]:
    for event in session.events:
        content = content_of(event)
        kind = str(content.get("event_type"))
        if kind in _UNTOLD:
            continue
        payload = content.get("payload")
        whole = with_whole_texts(content)
        about = whole.get("output") or whole.get("error")
        if not about and isinstance(payload, Mapping):
            about = payload.get("message") or payload.get("reason") or payload.get("source")
        title = kind.replace("_", " ") + (f": {line_of(about)}" if about else "")
        is_failed = content.get("success") is False
        yield Entry(event.created_at, "event", title, is_failed=is_failed)


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
            yield Entry(chain.created_at, "focus", "to-dos", lines, agent_id=agent)
