"""Read what is recorded of a session's tool calls: in its events, and in its messages."""

import json
from contextlib import aclosing
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist.models.purposes import CONVERSATIONS, HOOK_EVENTS
from khive_persist.models.query import field
from khive_persist.opening import reading
from khive_persist.project import Project
from khive_persist.store import codec
from khive_persist.store.reader import Reader
from khive_persist.store.sqlite.statements import Source, Statement, select
from khive_persist.tools.message_part import NO_MESSAGE
from khive_persist.transcripts.backfill import Call
from khive_persist.transcripts.failed_hooks import FailedHook, Failures

# Gemini's words for how a call ended that did not succeed.
_FAILED: Final = ("error", "cancelled")


class Event(NamedTuple):
    """An event, as far as it tells of a call; `input` is that of its tool, as `input_key` has it.

    `first_of_batch` is the first call of a batch of calls.
    """

    id: str
    tool: str
    event_type: str
    tool_use_id: str | None
    name: str | None
    input: str
    prompt_id: str | None
    first_of_batch: str | None
    created_at: str
    is_reconstructed: bool


async def read_session(
    project: Project, session_id: str
) -> tuple[list[Event], list[Call], list[FailedHook], int]:
    """Read the events of a session in order of time, its calls, failed hooks, and messages' count."""
    async with reading(project, *HOOK_EVENTS.values()) as reader:
        events = [
            event
            for tool, purpose in HOOK_EVENTS.items()
            for event in await _events(reader, tool, purpose.name, session_id)
        ]
    async with reading(project, CONVERSATIONS) as reader:
        calls, failed, messages = await _calls(reader, session_id)
    return events, calls, failed, messages


async def _events(reader: Reader, tool: str, name: str, session_id: str) -> list[Event]:
    def build(source: Source) -> Statement:
        table = source.only(name)
        paths = (
            "event_type", "tool_use_id", "tool_name", "payload.tool_input", "payload.prompt_id",
            "payload.tool_calls[0].tool_use_id",
        )  # fmt: skip
        columns = ", ".join(table.extract(f"$.{path}") for path in paths)
        reconstructed = table.extract("$.metadata.reconstructed")
        columns = f"id, {columns}, {table.created_at}, {reconstructed}"
        return select(table, [field("session_id") == session_id], columns=columns)

    events = []
    async with aclosing(reader.stream(build)) as rows:
        async for row in rows:
            id, kind, use_id, tool_name, tool_input, prompt, first, created_at, reconstructed = row
            key = input_key(codec.column(tool_input))
            details = prompt, first, str(created_at), reconstructed == 1
            events.append(Event(id, tool, str(kind), use_id, tool_name, key, *details))
    return sorted(events, key=lambda event: event.created_at)


async def _calls(reader: Reader, session_id: str) -> tuple[list[Call], list[FailedHook], int]:
    def build(source: Source) -> Statement:
        columns = f"{source.content}, {source.created_at}"
        return select(source, [field("session_id") == session_id], columns=columns)

    requests: list[tuple[dict[str, Any], dict[str, Any], str]] = []
    results: dict[str, tuple[dict[str, Any] | None, str]] = {}
    failures = Failures()
    messages = 0
    async with aclosing(reader.stream(build)) as rows:
        async for text, created_at in rows:
            content = codec.column(text)
            messages += content.get("role") != NO_MESSAGE
            if content.get("tool") not in HOOK_EVENTS:
                # An application's: no hook tells of its calls.
                continue
            failures.add(content, str(created_at))
            for call in content.get("tool_calls", ()):
                requests.append((call, content, str(created_at)))
                if "result" in call:
                    failed = call.get("is_error") is True or call.get("status") in _FAILED
                    result = {"output": call["result"], "is_error": failed}
                    ended_at = clock.from_column(call.get("ended_at"))
                    end_text = clock.to_text(ended_at) if ended_at else str(created_at)
                    results[str(call.get("tool_use_id"))] = (result, end_text)
            for result in content.get("tool_results", ()):
                results.setdefault(str(result.get("tool_use_id")), (result, str(created_at)))
    calls = [
        Call(
            str(content.get("tool")),
            str(call.get("tool_use_id") or ""),
            str(call.get("name")),
            call.get("input"),
            created_at,
            str(content.get("message_id")),
            {
                n: content[n]
                for n in ("cwd", "transcript_path", "agent_id", "model")
                if n in content
            },
            str(call.get("namespace") or ""),
            result,
            ended_at,
            call.get("status"),
        )
        for call, content, created_at in requests
        for result, ended_at in [results.get(str(call.get("tool_use_id")), (None, created_at))]
    ]
    calls.sort(key=lambda call: call.created_at)
    return calls, failures.find(calls), messages


def input_key(value: Any) -> str:
    """Return a tool's input as a text that is the same for equal ones."""
    return json.dumps(value, sort_keys=True, default=str)
