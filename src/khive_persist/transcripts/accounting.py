"""Whether the events of a session are all there, by what its transcript says was done."""

import json
from collections.abc import Mapping
from contextlib import aclosing
from functools import partial
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist.capture.tools import TOOLS, fields
from khive_persist.opening import open_store, reading
from khive_persist.place import Place
from khive_persist.purposes import CONVERSATIONS, HOOK_EVENTS
from khive_persist.query import Filter, field
from khive_persist.records.hook_event import HookEvent
from khive_persist.store import codec
from khive_persist.store.reader import Reader
from khive_persist.store.sqlite.statements import Source, Statement, select
from khive_persist.store.unmatched import POST, PRE
from khive_persist.transcripts.piece import row_id

_COMMON: Final = ("cwd", "transcript_path", "agent_id", "model")
# What a tool calls the events before and after a call, and after one that failed.
_NAMES: Final = {
    "claude-code": ("PreToolUse", "PostToolUse", "PostToolUseFailure"),
    "codex": ("PreToolUse", "PostToolUse", "PostToolUse"),
    "gemini-cli": ("BeforeTool", "AfterTool", "AfterTool"),
}
# Gemini's words for how a call ended that did not succeed.
_FAILED: Final = ("error", "cancelled")
_INTERRUPTED: Final = ("interrupted", "cancelled", "canceled", "aborted")
_DENIED: Final = ("denied", "rejected", "declined", "not approved", "doesn't want to proceed")


class ToolCall(NamedTuple):
    """A tool call of a transcript, and what there is of it.

    Attributes:
        tool: The AI tool.
        tool_use_id: What it calls the call; an empty string where it has no name for it.
        name: The tool that the model asked for.
        created_at: When, as UTC text.
        has_pre: Whether there is an event from before the call.
        has_post: Whether there is one from after it.
        has_result: Whether the transcript has its result.
        reason: Why an event is missing, as far as the transcript tells; else an empty string.
    """

    tool: str
    tool_use_id: str
    name: str
    created_at: str
    has_pre: bool
    has_post: bool
    has_result: bool
    reason: str


class Account(NamedTuple):
    """The tool calls of one session against its events.

    Attributes:
        session_id: The session.
        events: How many events it has, those that were reconstructed not among them.
        reconstructed: How many events were made from the transcript.
        messages: How many messages its transcripts have.
        calls: Its tool calls, in order of time.
        after_end: How many events came after the session's end.
    """

    session_id: str
    events: int
    reconstructed: int
    messages: int
    calls: list[ToolCall]
    after_end: int

    @property
    def incomplete(self) -> list[ToolCall]:
        """The calls that lack an event that they should have."""
        return [call for call in self.calls if not call.has_pre or self._lacks_post(call)]

    def as_document(self) -> dict[str, Any]:
        """As JSON has it."""
        return self._asdict() | {
            "calls": [call._asdict() for call in self.calls],
            "incomplete": [call._asdict() for call in self.incomplete],
        }

    def _lacks_post(self, call: ToolCall) -> bool:
        return call.has_result and not call.has_post


class _Event(NamedTuple):
    id: str
    tool: str
    event_type: str
    tool_use_id: str | None
    name: str | None
    input: str
    created_at: str
    is_reconstructed: bool


class _Call(NamedTuple):
    tool: str
    tool_use_id: str
    name: str
    input: Any
    created_at: str
    fields: dict[str, Any]
    namespace: str
    result: Mapping[str, Any] | None
    ended_at: str


async def account(place: Place, session_id: str) -> Account:
    """Reconcile the transcripts of a session, as `sync` read them, with its hook events.

    A call and its events are matched by their `tool_use_id`; Gemini CLI has none, there the tool's
    name and input have to be the same.

    Raises:
        StoreError: As its subclasses say.
    """
    events, calls, messages = await _read(place, session_id)
    of_calls = _matched(calls, events)
    end = max((e.created_at for e in events if e.event_type == "session_end"), default=None)
    return Account(
        session_id,
        sum(not event.is_reconstructed for event in events),
        sum(event.is_reconstructed for event in events),
        messages,
        [_told(call, own) for call, own in zip(calls, of_calls, strict=True)],
        sum(end is not None and event.created_at > end for event in events),
    )


async def backfill(place: Place, session_id: str) -> int:
    """Write the events that a session's tool calls should have had: committed and synced on return.

    Each says so in its metadata: `reconstructed` is true. Run again, nothing changes; one whose
    real event has come since is removed.

    Returns:
        How many events were written.

    Raises:
        StoreError: As its subclasses say.
    """
    events, calls, _ = await _read(place, session_id)
    written = []
    surplus = []
    for call, own in zip(calls, _matched(calls, events), strict=True):
        for is_post, types in ((False, PRE), (True, POST)):
            there = [event for event in own if event.event_type in types]
            real = [event for event in there if not event.is_reconstructed]
            if real:
                surplus += [event.id for event in there if event.is_reconstructed]
            elif not there and (call.result is not None or not is_post):
                written.append(_reconstructed(call, session_id, is_post=is_post))
    async with open_store(HookEvent, dir=place.root) as store:
        for id in surplus:
            await store.delete(id)
        await store.save_many(written)
    return len(written)


async def sessions_of(place: Place, paths: list[str] | None = None) -> list[str]:
    """The sessions that the messages of these transcripts belong to; without them, of all."""
    wanted = [] if paths is None else [field("transcript_path").in_(paths)]
    async with reading(place, CONVERSATIONS) as reader:
        found = await reader.fetch(partial(_sessions, wanted))
    return sorted(row[0] for row in found if isinstance(row[0], str))


def _sessions(wanted: list[Filter], source: Source) -> Statement:
    return select(source, wanted, columns=f"DISTINCT {source.extract('$.session_id')}")


async def _read(place: Place, session_id: str) -> tuple[list[_Event], list[_Call], int]:
    async with reading(place, *HOOK_EVENTS.values()) as reader:
        events = [
            event
            for tool, purpose in HOOK_EVENTS.items()
            for event in await _events(reader, tool, purpose.name, session_id)
        ]
    async with reading(place, CONVERSATIONS) as reader:
        calls, messages = await _calls(reader, session_id)
    return events, calls, messages


async def _events(reader: Reader, tool: str, name: str, session_id: str) -> list[_Event]:
    def build(source: Source) -> Statement:
        if name not in source.tables:
            return Statement("SELECT 0 LIMIT 0", [])
        one = source._replace(sql=source.tables[name])
        paths = ("event_type", "tool_use_id", "tool_name", "payload.tool_input")
        columns = ", ".join(one.extract(f"$.{path}") for path in paths)
        made = one.extract("$.metadata.reconstructed")
        columns = f"id, {columns}, {one.created_at}, {made}"
        return select(one, [field("session_id") == session_id], columns=columns)

    found = []
    async with aclosing(reader.stream(build)) as rows:
        async for id, kind, use_id, tool_name, tool_input, created_at, made in rows:
            key = _key(codec.column(tool_input))
            found.append(
                _Event(id, tool, str(kind), use_id, tool_name, key, str(created_at), made == 1)
            )
    return sorted(found, key=lambda event: event.created_at)


async def _calls(reader: Reader, session_id: str) -> tuple[list[_Call], int]:
    def build(source: Source) -> Statement:
        columns = f"{source.content}, {source.created_at}"
        return select(source, [field("session_id") == session_id], columns=columns)

    asked: list[tuple[dict[str, Any], dict[str, Any], str]] = []
    results: dict[str, tuple[Mapping[str, Any], str]] = {}
    messages = 0
    async with aclosing(reader.stream(build)) as rows:
        async for text, created_at in rows:
            content = codec.column(text)
            messages += 1
            if content.get("tool") not in _NAMES:
                # An application's: no hook tells of its calls.
                continue
            for call in content.get("tool_calls", ()):
                asked.append((call, content, str(created_at)))
                if "result" in call:
                    failed = call.get("status") in _FAILED
                    result = {"output": call["result"], "is_error": failed}
                    ended_at = clock.from_column(call.get("ended_at"))
                    told = clock.to_text(ended_at) if ended_at else str(created_at)
                    results[str(call.get("tool_use_id"))] = (result, told)
            for result in content.get("tool_results", ()):
                results.setdefault(str(result.get("tool_use_id")), (result, str(created_at)))
    calls = [
        _Call(
            str(content.get("tool")),
            str(call.get("tool_use_id") or ""),
            str(call.get("name")),
            call.get("input"),
            created_at,
            {
                n: content[n]
                for n in ("cwd", "transcript_path", "agent_id", "model")
                if n in content
            },
            str(call.get("namespace") or ""),
            *results.get(str(call.get("tool_use_id")), (None, created_at)),
        )
        for call, content, created_at in asked
    ]
    return sorted(calls, key=lambda call: call.created_at), messages


def _matched(calls: list[_Call], events: list[_Event]) -> list[list[_Event]]:
    """The events of each call."""
    by_id: dict[tuple[str, str], list[_Event]] = {}
    by_input: dict[tuple[str, str, str, bool], list[_Event]] = {}
    for event in events:
        if event.event_type not in (*PRE, *POST):
            continue
        if event.tool_use_id:
            by_id.setdefault((event.tool, event.tool_use_id), []).append(event)
        else:
            is_post = event.event_type in POST
            key = (event.tool, str(event.name), event.input, is_post)
            by_input.setdefault(key, []).append(event)
    matched = []
    for call in calls:
        own = list(by_id.get((call.tool, call.tool_use_id), ()))
        for is_post in (False, True):
            waiting = by_input.get((call.tool, call.name, _key(call.input), is_post))
            if waiting and not any((event.event_type in POST) is is_post for event in own):
                own.append(waiting.pop(0))
        matched.append(own)
    return matched


def _told(call: _Call, own: list[_Event]) -> ToolCall:
    has_pre = any(event.event_type in PRE for event in own)
    has_post = any(event.event_type in POST for event in own)
    return ToolCall(
        call.tool,
        call.tool_use_id,
        call.name,
        call.created_at,
        has_pre,
        has_post,
        call.result is not None,
        "" if has_pre and has_post else _reason(call, has_pre=has_pre),
    )


def _reason(call: _Call, *, has_pre: bool) -> str:
    if call.result is None:
        return "the transcript has no result: it was interrupted, or still runs"
    said = json.dumps(call.result.get("output"), default=str)[:4_000].lower()
    if call.result.get("is_error"):
        if any(word in said for word in _INTERRUPTED):
            return "it was interrupted"
        if any(word in said for word in _DENIED):
            return "it was denied"
        return "it failed, and the tool sent no event after it" if has_pre else "it failed"
    return "the tool sent no event after it" if has_pre else "no event came"


def _reconstructed(call: _Call, session_id: str, *, is_post: bool) -> HookEvent:
    before, after, failed = _NAMES[call.tool]
    result = call.result or {}
    is_error = bool(result.get("is_error"))
    name = (failed if is_error else after) if is_post else before
    payload: dict[str, Any] = {
        "session_id": session_id,
        "hook_event_name": name,
        **_as_hooks_say(call),
        **call.fields,
    }
    if call.tool_use_id:
        payload["tool_use_id"] = call.tool_use_id
    if is_post:
        payload["tool_response"] = result.get("output")
        if is_error and call.tool == "claude-code":
            payload["error"] = _text(result.get("output"))
    content = dict(TOOLS[call.tool].describe(payload))
    if is_post and is_error:
        fields.add_failure(content, _text(result.get("output")))
    marks = content.pop("metadata", {})
    marks = (dict(marks) if isinstance(marks, Mapping) else {}) | {"reconstructed": True}
    content |= {"tool": call.tool, "metadata": marks, "payload": payload}
    key = f"reconstructed {session_id} {call.tool_use_id or call.created_at} {call.name} {name}"
    return HookEvent.model_validate(
        {
            "id": row_id(call.tool, key),
            "content": content,
            "created_at": call.ended_at if is_post else call.created_at,
        }
    )


def _as_hooks_say(call: _Call) -> dict[str, Any]:
    """The tool and its input in the words of the tool's hooks; Codex's transcripts have others."""
    name, given = call.name, call.input
    if call.tool == "codex":
        if name == "exec_command" and isinstance(given, Mapping) and "cmd" in given:
            name, given = "Bash", {"command": given["cmd"]}
        elif name == "apply_patch" and isinstance(given, str):
            given = {"command": given}
        elif call.namespace.startswith("mcp__"):
            name = f"{call.namespace}__{name}"
    given = given if isinstance(given, Mapping) else {"input": given}
    return {"tool_name": name, "tool_input": given}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
