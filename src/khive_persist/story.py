"""A session as one story: prompts, answers, tool calls with their outcome, to-dos, in time order.

What was said comes from the tool's transcript, if `sync` has read it; what was done, from that or
from hook events, each tool call once.
"""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from khive_persist.prices import PriceTable
from khive_persist.records.focus_chain import FocusChain
from khive_persist.records.hook_event import HookEvent
from khive_persist.records.message import Message
from khive_persist.records.planner_session import PlannerSession
from khive_persist.session import Session
from khive_persist.store.unmatched import POST, PRE

Kind = Literal[
    "plan", "prompt", "message", "thinking", "tool", "focus", "event", "gap"
]  # fmt: skip

GAP: Final = timedelta(minutes=10)
OUTPUT_LINES: Final = 12
# Of these there are many, and the story tells them otherwise, or they say nothing of it.
_UNTOLD: Final = frozenset(
    {
        *PRE, *POST, "prompt_submitted", "message_display", "instructions_loaded",
        "post_tool_batch",
        "before_agent", "after_agent", "before_model", "after_model", "before_tool_selection",
        "user_prompt_expansion", "stop",
    }
)  # fmt: skip
_EXIT_CODE: Final = re.compile(r"^(?:Process exited with code|Exit code:) (-?\d+)$", re.MULTILINE)
_PATHS: Final = ("file_path", "path", "notebook_path", "absolute_path", "dir_path")
_OLD, _NEW = ("old_string", "old_text"), ("new_string", "new_text")


class Entry(NamedTuple):
    """One thing that happened.

    Attributes:
        created_at: When.
        kind: What it is.
        title: It on one line.
        lines: More of it: text, a diff, the beginning of an output.
        depth: 0 for the session's own agent, 1 for one that it started, and so on.
        agent_id: Which agent; None for the session's own.
        is_failed: Whether it failed, was denied or was interrupted.
        tokens: Of the session so far: all classes together.
        cost: Of the session so far, in USD; None while no message has a price.
    """

    created_at: datetime
    kind: Kind
    title: str
    lines: tuple[str, ...] = ()
    depth: int = 0
    agent_id: str | None = None
    is_failed: bool = False
    tokens: int = 0
    cost: float | None = None


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
    ]
    placed = [entry._replace(depth=depths.get(entry.agent_id, 0)) for entry in entries]
    placed.sort(key=lambda entry: entry.created_at)
    return list(_with_gaps(_running(placed)))


def _running(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Tokens and costs so far, of those that messages have by themselves."""
    tokens, cost = 0, None
    for entry in entries:
        tokens += entry.tokens
        if entry.cost is not None:
            cost = (cost or 0.0) + entry.cost
        yield entry._replace(tokens=tokens, cost=cost)


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
    parents = {
        content.get("agent_id"): content.get("parent_agent_id")
        for content in map(_content, messages)
        if content.get("agent_id")
    }
    depths: dict[str | None, int] = {None: 0}
    for agent in parents:
        chain: list[str | None] = []
        at = agent
        while at is not None and at not in depths and at not in chain:
            chain.append(at)
            at = parents.get(at)
        base = depths.get(at, 0)
        for number, one in enumerate(reversed(chain), 1):
            depths[one] = base + number
    return depths


def _plans(plans: Sequence[PlannerSession]) -> Iterator[Entry]:
    for plan in plans:
        content = _content(plan)
        facts = [
            f"{name} {content[name]}"
            for name in ("complexity", "confidence", "agent_count", "planning_cost")
            if content.get(name) is not None
        ]
        title = _line(content.get("task_description"))
        yield Entry(plan.created_at, "plan", title, (", ".join(facts),) if facts else ())


def _messages(session: Session, prices: PriceTable, *, thinking: bool) -> Iterator[Entry]:
    results = _results(session.messages)
    for message in session.messages:
        content = _content(message)
        agent, at = content.get("agent_id"), message.created_at
        tokens = content.get("tokens")
        counts = {n: v for n, v in (tokens or {}).items() if n != "reasoning"}
        used = sum(value for value in counts.values() if isinstance(value, int))
        cost = prices.cost_of(content.get("model"), tokens, at)
        made = list(_parts(message, content, results, thinking=thinking))
        if not made and used:
            made = [Entry(at, "message", "(no text)")]
        for number, entry in enumerate(made):
            entry = entry._replace(agent_id=agent)
            yield entry._replace(tokens=used, cost=cost) if number == 0 else entry


def _parts(
    message: Message, content: dict[str, Any], results: dict[str, Any], *, thinking: bool
) -> Iterator[Entry]:
    at, text = message.created_at, content.get("text")
    role, kind = content.get("role"), content.get("kind", "message")
    if thinking and content.get("thinking"):
        yield _said(at, "thinking", content["thinking"])
    if role == "assistant" and text:
        yield _said(at, "message", text)
    elif role == "user" and text and kind == "message":
        yield _said(at, "prompt", text)
    elif kind in ("compaction", "compact_boundary"):
        yield Entry(at, "event", "the conversation was compacted")
    for call in content.get("tool_calls", ()):
        result = results.get(str(call.get("tool_use_id")))
        if result is None and "result" in call:
            result = {"output": call["result"], "is_error": call.get("status") == "error"}
        yield _call(at, str(call.get("name")), call.get("input"), result)


def _results(messages: Sequence[Message]) -> dict[str, Any]:
    return {
        str(result.get("tool_use_id")): result
        for message in messages
        for result in _content(message).get("tool_results", ())
    }


def _calls_of_events(session: Session) -> Iterator[Entry]:
    """Tool calls and prompts of which no transcript tells."""
    told = {
        str(call.get("tool_use_id"))
        for message in session.messages
        for call in _content(message).get("tool_calls", ())
    }
    ends: dict[str, dict[str, Any]] = {}
    contents = [(event, _content(event)) for event in session.events]
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
            yield _said(event.created_at, "prompt", str(prompt or ""))
        elif kind in PRE and not is_told and use_id:
            yield _call_of(event, content, ends.get(str(use_id)))
        elif kind in POST and not is_told and not use_id:
            yield _call_of(event, content, content)


def _call_of(event: HookEvent, content: dict[str, Any], end: dict[str, Any] | None) -> Entry:
    payload = content.get("payload")
    asked = payload.get("tool_input") if isinstance(payload, Mapping) else None
    result = None
    if end is not None:
        output = end.get("error") or end.get("output")
        result = {"output": output, "is_error": end.get("success") is False}
    entry = _call(event.created_at, str(content.get("tool_name")), asked, result)
    return entry._replace(agent_id=content.get("agent_id"))


def _events(session: Session) -> Iterator[Entry]:
    for event in session.events:
        content = _content(event)
        kind = str(content.get("event_type"))
        if kind in _UNTOLD:
            continue
        payload = content.get("payload")
        about = content.get("output") or content.get("error")
        if not about and isinstance(payload, Mapping):
            about = payload.get("message") or payload.get("reason") or payload.get("source")
        title = kind.replace("_", " ") + (f": {_line(about)}" if about else "")
        is_failed = content.get("success") is False
        yield Entry(event.created_at, "event", title, is_failed=is_failed)


def _focus(chains: Sequence[FocusChain]) -> Iterator[Entry]:
    signs = {"added": "+", "started": ">", "completed": "x", "dropped": "-"}
    for chain in chains:
        content = _content(chain)
        lines = tuple(
            f"{sign} {_line(text)}"
            for name, sign in signs.items()
            for text in content.get(name, ())
        )
        if lines:
            agent = content.get("agent_id")
            yield Entry(chain.created_at, "focus", "to-dos", lines, agent_id=agent)


def _call(at: datetime, name: str, asked: Any, result: Any) -> Entry:
    asked = asked if isinstance(asked, Mapping) else {"input": asked}
    about = asked.get("command") or asked.get("cmd") or _path(asked) or asked.get("pattern")
    about = about or asked.get("description") or asked.get("prompt") or asked.get("message")
    title = f"{name} {_line(about)}".strip()
    lines = list(diff(asked))
    is_failed = False
    if result is None:
        title += "  (no result)"
    else:
        is_failed = result.get("is_error") is True or _has_exit_code(result.get("output"))
        # A patch that went in says all by itself.
        if is_failed or not lines:
            lines += _beginning(result.get("output"))
    return Entry(at, "tool", title, tuple(lines), is_failed=is_failed)


def _has_exit_code(output: Any) -> bool:
    """Whether the output says, as Codex has it, that a command ended with another code than 0."""
    found = _EXIT_CODE.search(_text(output)[:2_000])
    return found is not None and found[1] != "0"


def diff(asked: Mapping[str, Any]) -> list[str]:
    """An edit as a unified diff, from what the tool was asked; nothing where it was no edit."""
    edits = asked.get("edits")
    lines: list[str] = []
    for edit in edits if isinstance(edits, list) else [asked]:
        if not isinstance(edit, Mapping):
            continue
        old, new = _first(edit, _OLD), _first(edit, _NEW)
        if old is not None and new is not None:
            made = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=1)
            lines += [line for line in made if not line.startswith(("---", "+++"))]
    patch = asked.get("input") or asked.get("command")
    if isinstance(patch, str) and patch.startswith("*** Begin Patch"):
        lines += patch.splitlines()
    written = asked.get("content")
    if not lines and isinstance(written, str) and _path(asked):
        lines += [f"+{line}" for line in written.splitlines()[:OUTPUT_LINES]]
    return lines


def duration(time: timedelta) -> str:
    """A time for a person: `2h 5m`, `3m 4s`, `12s`."""
    seconds = int(time.total_seconds())
    parts = [(seconds // 86_400, "d"), (seconds // 3_600 % 24, "h"), (seconds // 60 % 60, "m"),
             (seconds % 60, "s")]  # fmt: skip
    told = [f"{value}{unit}" for value, unit in parts if value]
    return " ".join(told[:2]) or "0s"


def _said(at: datetime, kind: Kind, text: str) -> Entry:
    first, *rest = text.strip().splitlines() or [""]
    return Entry(at, kind, first, tuple(rest))


def _beginning(output: Any) -> list[str]:
    lines = _text(output).strip("\n").splitlines()
    more = len(lines) - OUTPUT_LINES
    return lines[:OUTPUT_LINES] + ([f"… {more} more lines"] if more > 0 else [])


def _text(value: Any) -> str:
    """What a tool answered, as text, whatever it is wrapped in."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(filter(None, map(_text, value)))
    if isinstance(value, Mapping):
        for name in (
            "text",
            "output",
            "stdout",
            "error",
            "functionResponse",
            "response",
            "content",
        ):
            if value.get(name):
                return _text(value[name])
    return json.dumps(value, default=str, ensure_ascii=False)


def _path(asked: Mapping[str, Any]) -> str | None:
    return _first(asked, _PATHS)


def _first(values: Mapping[str, Any], names: Iterable[str]) -> str | None:
    return next((values[name] for name in names if isinstance(values.get(name), str)), None)


def _line(value: Any) -> str:
    return " ".join(_text(value).split()) if value else ""


def _content(record: Any) -> dict[str, Any]:
    content: Any = record.content
    return content if isinstance(content, dict) else {}
