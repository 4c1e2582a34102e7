"""Tool calls, each once: of transcripts and of events, with how they ended and how long they took.

Calls are known by their ids. Of a tool that gives none, an event is of the call of the transcript
that has its name and its input, or else its name; what is left of either is a call by itself.
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from khive_persist import clock
from khive_persist.capture.previews import with_whole_texts
from khive_persist.models.event_types import POST, PRE
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.message import Message
from khive_persist.sessions.definitions import stands_for_end
from khive_persist.sessions.timeline.entry import Entry, content_of
from khive_persist.sessions.timeline.tool_call import tool_call

_BATCH: Final = "post_tool_batch"
_REFUSED: Final = "<tool_use_error>"


@dataclass
class EventCall:
    """A call as events tell of it; `end` is None for one that has not ended."""

    use_id: str | None
    name: str
    input: Any
    agent_id: str | None
    began_at: datetime | None = None
    ended_at: datetime | None = None
    result: dict[str, Any] | None = None
    duration_ms: float | None = None

    @property
    def at(self) -> datetime:
        """When it began, else when it ended."""
        at = self.began_at or self.ended_at
        assert at is not None
        return at

    def duration(self) -> float | None:
        """Milliseconds from its beginning to its end, by the tool's own count where it has one."""
        if self.duration_ms is not None:
            return self.duration_ms
        return between(self.began_at, self.ended_at)


class Calls:
    """The calls of a session: first those of its messages are taken, then the others remain."""

    def __init__(self, events: Sequence[HookEvent], messages: Sequence[Message]) -> None:
        self._of_events = list(_calls(events))
        self._by_id: dict[str, EventCall] = {}
        for call in self._of_events:
            if call.use_id is not None:
                self._by_id.setdefault(call.use_id, call)
        self._results = dict(_results(messages))
        self._taken: set[int] = set()
        self._told: set[tuple[str, str, str]] = set()
        self._matches = self._matched(messages)

    def of_message(self, message: Message, call: Mapping[str, Any]) -> EventCall | None:
        """A call of a message, with what events know of it; None for one that was told before."""
        use_id, name = _id(call), str(call.get("name"))
        event = self._matches.get(id(call))
        if use_id is not None:
            key = (use_id, name, _key(call.get("input")))
            if key in self._told:
                return None
            self._told.add(key)
            event = self._by_id.get(use_id) or event
        if event is not None:
            self._taken.add(id(event))
        found = EventCall(use_id, name, call.get("input"), content_of(message).get("agent_id"))
        found.began_at = message.created_at
        found.result, found.ended_at = self._result(call, use_id)
        if event is not None:
            found.result = found.result or event.result
            found.ended_at = found.ended_at or event.ended_at
            found.duration_ms = event.duration()
        return found

    def others(self) -> Iterator[Entry]:
        """The calls of which no message tells, and results of calls that nothing tells of."""
        told = {use_id for use_id, _, _ in self._told}
        known = told | self._by_id.keys()
        for call in self._of_events:
            if id(call) in self._taken or call.use_id in told:
                continue
            if call.result is None and call.use_id is not None and call.use_id in self._results:
                call.result, call.ended_at, _ = self._results[call.use_id]
            yield entry_of(call)
        for use_id, (result, at, agent) in self._results.items():
            if use_id not in known:
                name = str(result.get("name") or "the end of a call whose beginning is not known")
                end = EventCall(use_id, name, None, agent, ended_at=at, result=result)
                yield entry_of(end)

    def _result(
        self, call: Mapping[str, Any], use_id: str | None
    ) -> tuple[dict[str, Any] | None, datetime | None]:
        if "result" in call:
            # It may be said once more, without how it ended.
            is_error = call.get("is_error") is True or call.get("status") == "error"
            result = {"output": call["result"], "is_error": is_error}
            return result, clock.from_column(call.get("ended_at"))
        ended_at = clock.from_column(call.get("ended_at"))
        if use_id not in self._results or use_id is None:
            return None, ended_at
        result, at, _ = self._results[use_id]
        return result, ended_at or at

    def _matched(self, messages: Sequence[Message]) -> dict[int, EventCall]:
        """The events without an id, by the calls of messages that they are of."""
        calls = [
            call
            for message in messages
            for call in _listed(content_of(message).get("tool_calls"))
            if _id(call) is None or _id(call) not in self._by_id
        ]
        events = [call for call in self._of_events if call.use_id is None]
        matches: dict[int, EventCall] = {}
        for has_input in (True, False):
            waiting: dict[tuple[str, str], deque[EventCall]] = {}
            for event in events:
                key = (event.name, _key(event.input) if has_input else "")
                waiting.setdefault(key, deque()).append(event)
            for call in calls:
                key = (str(call.get("name")), _key(call.get("input")) if has_input else "")
                if id(call) not in matches and (same := waiting.get(key)):
                    matches[id(call)] = same.popleft()
            taken = set(map(id, matches.values()))
            events = [event for event in events if id(event) not in taken]
        return matches


def entry_of(call: EventCall) -> Entry:
    """A call as an entry."""
    entry = tool_call(call.at, call.name, call.input, call.result)
    return entry._replace(agent_id=call.agent_id, duration_ms=call.duration())


def between(start: datetime | None, end: datetime | None) -> float | None:
    """The milliseconds between two instants; None where one is not known, or they are no span."""
    if start is None or end is None or end < start:
        return None
    return (end - start).total_seconds() * 1000


def _calls(events: Sequence[HookEvent]) -> Iterator[EventCall]:
    """The calls of events: a beginning and its end are one, and so are events that come twice."""
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
        asked = _payload(content).get("tool_input")
        key = use_id if use_id is not None else (name, _key(asked))
        same = running.setdefault(key, [])
        if kind in PRE:
            if use_id is not None and same and same[-1].ended_at is None:
                continue
            call = EventCall(use_id, name, asked, content.get("agent_id"), event.created_at)
            _end_by_beginning(call, content)
            calls.append(call)
            same.append(call)
            continue
        if use_id is not None:
            found = same[-1] if same else None
        else:
            found = next((one for one in same if one.ended_at is None), None)
        if found is None:
            found = EventCall(use_id, name, asked, content.get("agent_id"))
            calls.append(found)
            if use_id is not None:
                same.append(found)
        _end(found, event, content)
        if found.input is None:
            found.input = asked
    yield from calls
    known = {call.use_id for call in calls}
    for event, content in batches:
        for one in _listed(_payload(content).get("tool_calls")):
            if (use_id := _id(one)) is not None and use_id not in known:
                known.add(use_id)
                yield _of_batch(event, content, one, use_id)


def _end(call: EventCall, event: HookEvent, content: dict[str, Any]) -> None:
    whole = with_whole_texts(content)
    output = whole.get("error") or whole.get("output")
    call.result = {"output": output, "is_error": content.get("success") is False}
    call.ended_at = event.created_at
    if isinstance(duration := content.get("duration_ms"), int | float):
        call.duration_ms = float(duration)


def _end_by_beginning(call: EventCall, content: dict[str, Any]) -> None:
    """How a call ended whose end no event tells: a transcript said so to the event before it."""
    if not stands_for_end(content):
        return
    output = content.get("error") or content.get("output")
    call.result = {"output": output, "is_error": content.get("success") is False}
    if isinstance(duration := content.get("duration_ms"), int | float):
        call.duration_ms = float(duration)


def _of_batch(
    event: HookEvent, content: dict[str, Any], one: Mapping[str, Any], use_id: str
) -> EventCall:
    output = one.get("tool_response")
    is_error = isinstance(output, str) and output.startswith(_REFUSED)
    call = EventCall(use_id, str(one.get("tool_name")), one.get("tool_input"), None)
    call.agent_id = content.get("agent_id")
    call.ended_at = event.created_at
    call.result = {"output": output, "is_error": is_error}
    return call


def _results(
    messages: Iterable[Message],
) -> Iterator[tuple[str, tuple[dict[str, Any], datetime, str | None]]]:
    for message in messages:
        content = content_of(message)
        for result in _listed(content.get("tool_results")):
            yield (
                str(result.get("tool_use_id")),
                (
                    dict(result),
                    message.created_at,
                    content.get("agent_id"),
                ),
            )


def _id(content: Mapping[str, Any]) -> str | None:
    use_id = content.get("tool_use_id")
    return str(use_id) if use_id else None


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _payload(content: Mapping[str, Any]) -> Mapping[str, Any]:
    payload = content.get("payload")
    return payload if isinstance(payload, Mapping) else {}


def _listed(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
