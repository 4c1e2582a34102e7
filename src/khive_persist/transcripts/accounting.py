"""Whether the events of a session are all there, by what its transcript says was done."""

import json
from contextlib import aclosing
from functools import partial
from typing import Any, Final, NamedTuple

import anyio.to_thread

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.opening import open_store, reading
from khive_persist.place import Place
from khive_persist.purposes import CONVERSATIONS, HOOK_EVENTS
from khive_persist.query import Filter, field
from khive_persist.records.hook_event import HookEvent
from khive_persist.sealing import load_redactor
from khive_persist.store import codec
from khive_persist.store.reader import Reader
from khive_persist.store.sqlite.statements import Source, Statement, select
from khive_persist.store.unmatched import POST, PRE
from khive_persist.transcripts import failed_hooks
from khive_persist.transcripts.call_recount import recount
from khive_persist.transcripts.failed_hooks import FailedHook, Failures
from khive_persist.transcripts.piece import NO_MESSAGE
from khive_persist.transcripts.reconstruction import NAMES, Call, event_of_call

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
        failed_hooks: How many hooks failed while it ran, as its transcript says.
        lost: Those of them whose event is not there, in order of time.
        after_end: How many events came after the session's end.
    """

    session_id: str
    events: int
    reconstructed: int
    messages: int
    calls: list[ToolCall]
    failed_hooks: int
    lost: list[FailedHook]
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
            "lost": [failed.as_document() for failed in self.lost],
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
    prompt_id: str | None
    first_of_batch: str | None
    created_at: str
    is_reconstructed: bool


async def account(place: Place, session_id: str) -> Account:
    """Reconcile the transcripts of a session, as `sync` read them, with its hook events.

    A call and its events are matched by their `tool_use_id`; Gemini CLI has none, there the tool's
    name and input have to be the same.

    Raises:
        StoreError: As its subclasses say.
    """
    events, calls, failed, messages = await _read(place, session_id)
    of_calls = _matched(calls, events)
    of_failed = _of_failed(failed, calls, events)
    end = max((e.created_at for e in events if e.event_type == "session_end"), default=None)
    return Account(
        session_id,
        sum(not event.is_reconstructed for event in events),
        sum(event.is_reconstructed for event in events),
        messages,
        [_told(call, own) for call, own in zip(calls, of_calls, strict=True)],
        len(failed),
        [one for one, own in zip(failed, of_failed, strict=True) if not own],
        sum(end is not None and event.created_at > end for event in events),
    )


async def backfill(place: Place, session_id: str) -> int:
    """Write the events that a session lacks, as far as its transcripts tell of them.

    They are those of its tool calls, and those of hooks that failed; committed, synced and
    copied on return. Each says so in its metadata: `reconstructed` is true. Run again, nothing
    changes; one whose real event has come since is removed.

    Returns:
        How many events were written.

    Raises:
        StoreError: As its subclasses say.
    """
    events, calls, failed, _ = await _read(place, session_id)
    written = []
    surplus = []
    for one, own in zip(failed, _of_failed(failed, calls, events), strict=True):
        made = one.reconstructed(session_id)
        if made is None:
            continue
        if not own:
            written.append(made)
        elif not all(event.is_reconstructed for event in own):
            surplus += [event.id for event in own if event.is_reconstructed]
    for call, own in zip(calls, _matched(calls, events), strict=True):
        for is_post, types in ((False, PRE), (True, POST)):
            there = [event for event in own if event.event_type in types]
            real = [event for event in there if not event.is_reconstructed]
            if real:
                surplus += [event.id for event in there if event.is_reconstructed]
            elif not there and (call.result is not None or not is_post):
                written.append(event_of_call(call, session_id, is_post=is_post))
    async with open_store(HookEvent, dir=place.root) as store:
        for id in surplus:
            await store.delete(id)
        await store.save_many(written)
    settings = configuration.load(place.config)
    redactor = load_redactor(place, settings)
    # What was counted by messages is counted by these events from now on.
    await anyio.to_thread.run_sync(recount, place, settings, redactor, session_id)
    return len(written)


async def sessions_of(place: Place, paths: list[str] | None = None) -> list[str]:
    """The sessions that the messages of these transcripts belong to; without them, of all."""
    wanted = [] if paths is None else [field("transcript_path").in_(paths)]
    async with reading(place, CONVERSATIONS) as reader:
        found = await reader.fetch(partial(_sessions, wanted))
    return sorted(row[0] for row in found if isinstance(row[0], str))


def _sessions(wanted: list[Filter], source: Source) -> Statement:
    return select(source, wanted, columns=f"DISTINCT {source.extract('$.session_id')}")


async def _read(
    place: Place, session_id: str
) -> tuple[list[_Event], list[Call], list[FailedHook], int]:
    async with reading(place, *HOOK_EVENTS.values()) as reader:
        events = [
            event
            for tool, purpose in HOOK_EVENTS.items()
            for event in await _events(reader, tool, purpose.name, session_id)
        ]
    async with reading(place, CONVERSATIONS) as reader:
        calls, failed, messages = await _calls(reader, session_id)
    return events, calls, failed, messages


async def _events(reader: Reader, tool: str, name: str, session_id: str) -> list[_Event]:
    def build(source: Source) -> Statement:
        if name not in source.tables:
            return Statement("SELECT 0 LIMIT 0", [])
        one = source._replace(sql=source.tables[name])
        paths = (
            "event_type", "tool_use_id", "tool_name", "payload.tool_input", "payload.prompt_id",
            "payload.tool_calls[0].tool_use_id",
        )  # fmt: skip
        columns = ", ".join(one.extract(f"$.{path}") for path in paths)
        made = one.extract("$.metadata.reconstructed")
        columns = f"id, {columns}, {one.created_at}, {made}"
        return select(one, [field("session_id") == session_id], columns=columns)

    found = []
    async with aclosing(reader.stream(build)) as rows:
        async for id, kind, use_id, tool_name, tool_input, prompt, first, created_at, made in rows:
            key = _key(codec.column(tool_input))
            seen = prompt, first, str(created_at), made == 1
            found.append(_Event(id, tool, str(kind), use_id, tool_name, key, *seen))
    return sorted(found, key=lambda event: event.created_at)


async def _calls(reader: Reader, session_id: str) -> tuple[list[Call], list[FailedHook], int]:
    def build(source: Source) -> Statement:
        columns = f"{source.content}, {source.created_at}"
        return select(source, [field("session_id") == session_id], columns=columns)

    asked: list[tuple[dict[str, Any], dict[str, Any], str]] = []
    results: dict[str, tuple[dict[str, Any], str]] = {}
    failures = Failures()
    messages = 0
    async with aclosing(reader.stream(build)) as rows:
        async for text, created_at in rows:
            content = codec.column(text)
            messages += content.get("role") != NO_MESSAGE
            if content.get("tool") not in NAMES:
                # An application's: no hook tells of its calls.
                continue
            failures.add(content, str(created_at))
            for call in content.get("tool_calls", ()):
                asked.append((call, content, str(created_at)))
                if "result" in call:
                    failed = call.get("is_error") is True or call.get("status") in _FAILED
                    result = {"output": call["result"], "is_error": failed}
                    ended_at = clock.from_column(call.get("ended_at"))
                    told = clock.to_text(ended_at) if ended_at else str(created_at)
                    results[str(call.get("tool_use_id"))] = (result, told)
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
            *results.get(str(call.get("tool_use_id")), (None, created_at)),
        )
        for call, content, created_at in asked
    ]
    calls.sort(key=lambda call: call.created_at)
    return calls, failures.found(calls), messages


def _of_failed(
    failed: list[FailedHook], calls: list[Call], events: list[_Event]
) -> list[list[_Event]]:
    """The events of each hook that failed: reconstructed, or recorded all the same."""
    if not failed:
        return []
    message_of = {call.tool_use_id: call.message_id for call in calls}
    by_subject: dict[tuple[str, str | None], list[_Event]] = {}
    for event in events:
        if event.tool == failed_hooks.TOOL:
            batch = message_of.get(event.first_of_batch or "")
            subject = batch or event.tool_use_id or event.prompt_id
            by_subject.setdefault((event.event_type, subject), []).append(event)
    return [
        [
            event
            for event_type in failed_hooks.EVENT_TYPES[one.event]
            for event in by_subject.get((event_type, one.subject), ())
        ]
        for one in failed
    ]


def _matched(calls: list[Call], events: list[_Event]) -> list[list[_Event]]:
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


def _told(call: Call, own: list[_Event]) -> ToolCall:
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


def _reason(call: Call, *, has_pre: bool) -> str:
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


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
