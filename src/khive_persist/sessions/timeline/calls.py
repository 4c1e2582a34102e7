"""Tool calls, each once: of transcripts and of events, with their results and durations.

Ids identify calls. Where a tool gives none, an event belongs to the call of the transcript that has
its name and its input, or else its name; any other event or call of either is a call by itself.
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist.capture.client_recognition import in_our_words
from khive_persist.capture.previews import with_whole_texts
from khive_persist.models.event_types import POST, PRE
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.message import Message
from khive_persist.sessions.definitions import stands_for_end
from khive_persist.sessions.timeline.entry import MAX_RECORDS, Entry, content_of, entry_id, text_in
from khive_persist.sessions.timeline.tool_call import tool_call
from khive_persist.tools import TOOLS
from khive_persist.tools.message_part import mapping_of, mappings_in

_BATCH: Final = "post_tool_batch"
_REFUSED: Final = "<tool_use_error>"


@dataclass
class EventCall:
    """A call as events tell of it; `ended_at` is None for one that has not ended.

    `records` are the ids of the records that tell of it, `key` is what it is known by among them.
    """

    use_id: str | None
    name: str
    input: Any
    agent_id: str | None
    began_at: datetime | None = None
    ended_at: datetime | None = None
    result: dict[str, Any] | None = None
    duration_ms: float | None = None
    model: str | None = None
    key: str = ""
    records: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def note(self, event: HookEvent, content: Mapping[str, Any]) -> None:
        """Note an event that tells of it."""
        self.key = self.key or event.id
        self.records.append(event.id)
        self.model = self.model or text_in(content, "model")
        if isinstance(paths := content.get("file_paths"), list):
            self.paths += [path for path in map(str, paths) if path not in self.paths]

    def id_by_input(self) -> str:
        """Return the id of its entry where another call of the session has the same `use_id`."""
        return entry_id("call", self.use_id or self.key, self.name, input_key(self.input))

    @property
    def at(self) -> datetime:
        """The time of its begin, else of its end."""
        at = self.began_at or self.ended_at
        assert at is not None
        return at

    def duration(self) -> float | None:
        """Return the milliseconds that it took, by the tool's own count where it has one."""
        if self.duration_ms is not None:
            return self.duration_ms
        return between(self.began_at, self.ended_at)


class _Result(NamedTuple):
    """The result of a call in a message, with that message's time, agent and id."""

    facts: dict[str, Any]
    at: datetime
    agent_id: str | None
    record_id: str


class Calls:
    """The calls of a session: `of_message` takes those of its messages, `others` has the rest.

    Attributes:
        by_entry: The calls that `entry_of` was asked for, by the ids of their entries.
    """

    def __init__(self, events: Sequence[HookEvent], messages: Sequence[Message]) -> None:
        self._of_events = list(_calls(events))
        self._by_id: dict[str, EventCall] = {}
        for call in self._of_events:
            if call.use_id is not None:
                self._by_id.setdefault(call.use_id, call)
        self._results = dict(_results(messages))
        self._used_events: set[int] = set()
        self._message_calls: set[tuple[str, str, str]] = set()
        self._matches = self._matched(messages)
        self.by_entry: dict[str, EventCall] = {}

    def of_message(
        self, message: Message, call: Mapping[str, Any], number: int
    ) -> EventCall | None:
        """Return a call of a message, with the facts of its events; None for a repeated call.

        `number` is its place among the calls of the message.
        """
        use_id, name = _id(call), str(call.get("name"))
        event = self._matches.get(id(call))
        if use_id is not None:
            key = (use_id, name, input_key(call.get("input")))
            if key in self._message_calls:
                return None
            self._message_calls.add(key)
            event = self._by_id.get(use_id) or event
        if event is not None:
            self._used_events.add(id(event))
        content = content_of(message)
        merged = EventCall(use_id, name, call.get("input"), content.get("agent_id"))
        merged.model = text_in(content, "model")
        merged.began_at = message.created_at
        merged.key, merged.records = f"{message.id} {number}", [message.id]
        merged.result, merged.ended_at, records = self._result(call, use_id)
        merged.records += records
        if event is not None:
            merged.result = merged.result or event.result
            merged.ended_at = merged.ended_at or event.ended_at
            merged.duration_ms = event.duration()
            merged.model = merged.model or event.model
            merged.key, merged.paths = event.key, event.paths
            merged.records += event.records
        return merged

    def others(self) -> Iterator[Entry]:
        """Yield the calls that no message has, and the results of calls that nothing tells of."""
        message_ids = {use_id for use_id, _, _ in self._message_calls}
        known_ids = message_ids | self._by_id.keys()
        for call in self._of_events:
            if id(call) in self._used_events or call.use_id in message_ids:
                continue
            if call.result is None and call.use_id is not None and call.use_id in self._results:
                result = self._results[call.use_id]
                call.result, call.ended_at = result.facts, result.at
                call.records.append(result.record_id)
            yield self.entry_of(call)
        for use_id, (facts, at, agent, record_id) in self._results.items():
            if use_id not in known_ids:
                name = str(facts.get("name") or "the end of a call whose beginning is not known")
                end = EventCall(use_id, name, None, agent, ended_at=at, result=facts)
                end.records.append(record_id)
                yield self.entry_of(end)

    def entry_of(self, call: EventCall) -> Entry:
        """Return a call as an entry."""
        entry = tool_call(call.at, call.name, call.input, call.result)
        id = entry_id("call", call.use_id or call.key)
        if id in self.by_entry:
            # Clients use an id again for another call.
            id = call.id_by_input()
        self.by_entry[id] = call
        return entry._replace(
            agent_id=call.agent_id,
            duration_ms=call.duration(),
            id=id,
            model=call.model,
            files=tuple(call.paths) or entry.files,
            records=tuple(dict.fromkeys(call.records))[:MAX_RECORDS],
        )

    def _result(
        self, call: Mapping[str, Any], use_id: str | None
    ) -> tuple[dict[str, Any] | None, datetime | None, list[str]]:
        if "result" in call:
            # It may be said once more, without how it ended.
            is_error = call.get("is_error") is True or call.get("status") == "error"
            result = {"output": call["result"], "is_error": is_error}
            return result, clock.from_column(call.get("ended_at")), []
        ended_at = clock.from_column(call.get("ended_at"))
        if use_id not in self._results or use_id is None:
            return None, ended_at, []
        facts, at, _, record_id = self._results[use_id]
        return facts, ended_at or at, [record_id]

    def _matched(self, messages: Sequence[Message]) -> dict[int, EventCall]:
        """Return the events without an id, by the calls of messages that they belong to."""
        calls = [
            (call, _event_name(call, content_of(message)))
            for message in messages
            for call in mappings_in(content_of(message).get("tool_calls"))
            if _id(call) is None or _id(call) not in self._by_id
        ]
        events = [call for call in self._of_events if call.use_id is None]
        matches: dict[int, EventCall] = {}
        for has_input in (True, False):
            unmatched: dict[tuple[str, str], deque[EventCall]] = {}
            for event in events:
                key = (event.name, input_key(event.input) if has_input else "")
                unmatched.setdefault(key, deque()).append(event)
            for call, name in calls:
                key = (name, input_key(call.get("input")) if has_input else "")
                if id(call) not in matches and (candidates := unmatched.get(key)):
                    matches[id(call)] = candidates.popleft()
            matched_ids = set(map(id, matches.values()))
            events = [event for event in events if id(event) not in matched_ids]
        return matches


def between(start: datetime | None, end: datetime | None) -> float | None:
    """Return the milliseconds between two instants; None where one is unknown or they go back."""
    if start is None or end is None or end < start:
        return None
    return (end - start).total_seconds() * 1000


def _calls(events: Sequence[HookEvent]) -> Iterator[EventCall]:
    """Yield the calls of events: a begin and its end are one, and so are events that come twice."""
    calls: list[EventCall] = []
    running: dict[Any, list[EventCall]] = {}
    batches: list[tuple[HookEvent, dict[str, Any]]] = []
    for event in events:
        content = content_of(event)
        kind = content.get("event_type")
        if kind == _BATCH:
            batches.append((event, content))
        if kind not in PRE and kind not in POST:
            continue
        use_id, name = _id(content), str(content.get("tool_name"))
        arguments = in_our_words(mapping_of(content.get("payload"))).get("tool_input")
        key = use_id if use_id is not None else (name, input_key(arguments))
        of_key = running.setdefault(key, [])
        if kind in PRE:
            if use_id is not None and of_key and of_key[-1].ended_at is None:
                of_key[-1].note(event, content)
                continue
            call = EventCall(use_id, name, arguments, content.get("agent_id"), event.created_at)
            call.note(event, content)
            # Where no event came after it, a transcript may have added how it ended.
            if stands_for_end(content):
                _end(call, content)
            calls.append(call)
            of_key.append(call)
            continue
        if use_id is not None:
            ended_call = of_key[-1] if of_key else None
        else:
            ended_call = next((call for call in of_key if call.ended_at is None), None)
        if ended_call is None:
            ended_call = EventCall(use_id, name, arguments, content.get("agent_id"))
            calls.append(ended_call)
            if use_id is not None:
                of_key.append(ended_call)
        ended_call.ended_at = event.created_at
        ended_call.note(event, content)
        _end(ended_call, content)
        if ended_call.input is None:
            ended_call.input = arguments
    yield from calls
    seen_ids = {call.use_id for call in calls}
    for event, content in batches:
        for part in mappings_in(mapping_of(content.get("payload")).get("tool_calls")):
            if (use_id := _id(part)) is not None and use_id not in seen_ids:
                seen_ids.add(use_id)
                yield _of_batch(event, content, part, use_id)


def _end(call: EventCall, content: dict[str, Any]) -> None:
    texts = with_whole_texts(content)
    output = texts.get("error") or texts.get("output")
    call.result = {"output": output, "is_error": content.get("success") is False}
    # Below 0 a clock was set back: how long it took is not known.
    if isinstance(duration := content.get("duration_ms"), int | float) and duration >= 0:
        call.duration_ms = float(duration)


def _of_batch(
    event: HookEvent, content: dict[str, Any], part: Mapping[str, Any], use_id: str
) -> EventCall:
    output = part.get("tool_response")
    is_error = isinstance(output, str) and output.startswith(_REFUSED)
    name, agent = str(part.get("tool_name")), content.get("agent_id")
    result = {"output": output, "is_error": is_error}
    call = EventCall(use_id, name, part.get("tool_input"), agent, None, event.created_at, result)
    call.note(event, content)
    return call


def _results(messages: Iterable[Message]) -> Iterator[tuple[str, _Result]]:
    for message in messages:
        content = content_of(message)
        for result in mappings_in(content.get("tool_results")):
            agent_id = content.get("agent_id")
            use_id = str(result.get("tool_use_id"))
            yield use_id, _Result(dict(result), message.created_at, agent_id, message.id)


def _event_name(call: Mapping[str, Any], message: Mapping[str, Any]) -> str:
    """Return the name that events have for the tool of a message's call."""
    name, tool = str(call.get("name")), TOOLS.get(str(message.get("tool")))
    return name if tool is None else tool.hook_name(name)


def _id(content: Mapping[str, Any]) -> str | None:
    use_id = content.get("tool_use_id")
    return str(use_id) if use_id else None


def input_key(value: Any) -> str:
    """Return a tool's input as a text that is the same for equal ones."""
    return json.dumps(value, sort_keys=True, default=str)
