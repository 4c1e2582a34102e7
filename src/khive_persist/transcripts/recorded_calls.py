"""Read what is recorded of a session's tool calls: in its events, and in its messages."""

from contextlib import aclosing
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist.models.purposes import CONVERSATIONS, EVENT_FILES, HOOK_EVENTS
from khive_persist.models.query import field
from khive_persist.opening import reading
from khive_persist.project import Project
from khive_persist.sessions.definitions import tool_sql
from khive_persist.sessions.timeline.calls import input_key
from khive_persist.store import codec
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement, named, select
from khive_persist.tools.gemini_cli.transcript import FAILED
from khive_persist.tools.message_part import NO_MESSAGE
from khive_persist.transcripts.backfill import Call
from khive_persist.transcripts.failed_hooks import FailedHook, Failures
from khive_persist.transcripts.hook_runs import HookRun, milliseconds, run_in


class Event(NamedTuple):
    """An event, as far as it tells of a call; `input` is that of its tool, as `input_key` has it.

    `first_of_batch` is the first call of a batch of calls, `sent_at` the time in its payload in
    milliseconds.
    """

    id: str
    tool: str
    event_type: str
    tool_use_id: str | None
    name: str | None
    input: str
    prompt_id: str | None
    first_of_batch: str | None
    sent_at: int | None
    created_at: str
    is_reconstructed: bool


class Recorded(NamedTuple):
    """What the transcripts of a session tell.

    Attributes:
        calls: Its tool calls, in order of time.
        failed: The hooks that failed.
        runs: The hooks that ran, as far as the transcripts have what they were sent.
        messages: The number of messages.
    """

    calls: list[Call]
    failed: list[FailedHook]
    runs: list[HookRun]
    messages: int


_PATHS: Final = {
    "event_type": "event_type",
    "tool_use_id": "tool_use_id",
    "name": "tool_name",
    "input": "payload.tool_input",
    "prompt_id": "payload.prompt_id",
    "first_of_batch": "payload.tool_calls[0].tool_use_id",
    "sent_at": "payload.timestamp",
}


async def read_session(project: Project, session_id: str) -> tuple[list[Event], Recorded]:
    """Read the events of a session in order of time, and what its transcripts tell of them."""
    async with reading(project, *EVENT_FILES.values()) as reader:
        events = [
            event
            for client, purpose in EVENT_FILES.items()
            for event in await _events(reader, client, purpose.name, session_id)
        ]
    async with reading(project, CONVERSATIONS) as reader:
        return events, await _recorded(reader, session_id)


async def _events(reader: Reader, client: str, name: str, session_id: str) -> list[Event]:
    def build(source: Source) -> Statement:
        columns = {
            "id": "id",
            "tool": tool_sql(source, client),
            "created_at": source.created_at,
            "is_reconstructed": f"{source.extract('$.metadata.reconstructed')} IS 1",
            **{name: source.extract(f"$.{path}") for name, path in _PATHS.items()},
        }
        of_session = field("session_id") == session_id
        return select(source.only(name), [of_session], columns=named(columns))

    async with aclosing(reader.stream_as(Event, build)) as rows:
        events = [
            event._replace(
                event_type=str(event.event_type),
                input=input_key(codec.column(event.input)),
                sent_at=milliseconds(event.sent_at),
                created_at=str(event.created_at),
            )
            async for event in rows
        ]
    return sorted(events, key=lambda event: event.created_at)


async def _recorded(reader: Reader, session_id: str) -> Recorded:
    def build(source: Source) -> Statement:
        columns = f"{source.content}, {source.created_at}"
        return select(source, [field("session_id") == session_id], columns=columns)

    requests: list[tuple[dict[str, Any], dict[str, Any], str]] = []
    results: dict[str, tuple[dict[str, Any] | None, str]] = {}
    failures = Failures()
    runs: list[HookRun] = []
    messages = 0
    async with aclosing(reader.stream(build)) as rows:
        async for text, created_at in rows:
            content = codec.column(text)
            messages += content.get("role") != NO_MESSAGE
            if content.get("tool") not in HOOK_EVENTS:
                # An application's: no hook tells of its calls.
                continue
            failures.add(content, str(created_at))
            if (run := run_in(content, str(created_at))) is not None:
                runs.append(run)
            for call in content.get("tool_calls", ()):
                requests.append((call, content, str(created_at)))
                if "result" in call:
                    failed = call.get("is_error") is True or call.get("status") in FAILED
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
    return Recorded(calls, failures.find(calls), runs, messages)
