"""Tell from transcripts how tool calls ended: for their events, and for calls without events."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist.errors import StoreError
from khive_persist.mirror.mirror import Mirror
from khive_persist.models.purposes import CONVERSATIONS, HOOK_EVENTS
from khive_persist.project import Project
from khive_persist.redaction import Redactor
from khive_persist.sessions.timeline.calls import input_key
from khive_persist.settings import Settings
from khive_persist.store import codec
from khive_persist.store.sqlite.call_events import (
    CallEnd,
    calls_with_events,
    complete_events,
    inputs_with_events,
)
from khive_persist.store.sqlite.rows import read_sessions
from khive_persist.tools import TOOLS
from khive_persist.tools.message_part import MessagePart, mappings_in
from khive_persist.transcripts.batches import Batch

_ERROR_CHARACTERS: Final = 2_000
# The tool whose calls stand together with their results.
_WITH_RESULTS: Final = "gemini-cli"
_RUNNING: Final = frozenset({"scheduled", "validating", "executing", "awaiting_approval"})


class EndedCall(NamedTuple):
    """A call that has ended, as one part of a message tells."""

    use_id: str
    name: str
    input: Any
    session: str
    end: CallEnd


class CallEnds:
    """Follows a sync: completes the events of calls, and counts the calls that no event tells of.

    A message says how many calls have ended with it of which no hook told, in `unreported_calls`,
    and how many of those failed, in `unreported_failures`. With the events that makes each call
    and each failure count once, whoever tells of it.
    """

    def __init__(self, project: Project, settings: Settings, redactor: Redactor | None, tool: str):
        self._tool = tool
        self._purpose = HOOK_EVENTS[tool]
        self._path = project.database(self._purpose.file)
        self._timeout = settings.store_busy_timeout_seconds
        self._redactor = redactor
        self._mirror = Mirror(project, settings).follower(self._purpose)
        self._of_sessions: dict[str, set[str]] = {}
        # What each call whose events have no id asked for; read from the messages where needed.
        self._messages = project.database(CONVERSATIONS.file)
        self._calls: dict[str, str] = {}
        self._known_sessions: set[str] = set()

    def mark(self, batch: Batch) -> None:
        """Write into the parts of messages which calls end with them that no event tells of."""
        for part in batch.parts:
            self.learn(part.fields)
        ends = [list(ends_in(part, self._tool)) for part in batch.parts]
        for part, counts in zip(batch.parts, self.unreported(ends), strict=True):
            part.fields.update(counts)

    def unreported(self, ends: Sequence[Sequence[EndedCall]]) -> list[dict[str, int]]:
        """Count the calls that no event tells of, as fields; for each message those that it has."""
        all_ends = [end for message_ends in ends for end in message_ends]
        reported = self._reported(all_ends) if all_ends else set()
        message_counts = []
        for message_ends in ends:
            others = [end for end in message_ends if end.use_id not in reported]
            failures = sum(end.end.success is False for end in others)
            counts = {"unreported_calls": len(others), "unreported_failures": failures}
            message_counts.append({name: count for name, count in counts.items() if count})
        return message_counts

    def follow(self, ends: Sequence[EndedCall]) -> int:
        """Complete the events of calls: committed, synced and copied on return; how many changed.

        Raises:
            StoreError: As its subclasses say; nothing was written.
        """
        if not ends or not self._path.exists():
            return 0
        by_id = {end.use_id: self._redacted(end.end) for end in ends}
        return complete_events(self._path, self._purpose, by_id, self._timeout, self._mirror)

    def _redacted(self, end: CallEnd) -> CallEnd:
        if self._redactor is None or not end.error:
            return end
        return end._replace(error=self._redactor.redact_text(end.error)[0])

    def _reported(self, ends: Sequence[EndedCall]) -> set[str]:
        if not self._path.exists():
            return set()
        try:
            reported = calls_with_events(self._path, self._purpose, {end.use_id for end in ends})
            others = [end for end in ends if end.use_id not in reported]
            return reported | {end.use_id for end in others if self._has_event(end)}
        except StoreError:
            # Messages are not to wait for a file of events that cannot be read: `doctor` names it.
            return {end.use_id for end in ends}

    def _has_event(self, end: EndedCall) -> bool:
        """Return whether an event has the call's name and input, where none has a call's id."""
        if TOOLS[self._tool].has_call_ids:
            return False
        call = self._key(end.name, end.input) if end.name else self._call_of(end)
        if end.session not in self._of_sessions:
            inputs = inputs_with_events(self._path, self._purpose, end.session)
            self._of_sessions[end.session] = {input_key([*pair]) for pair in inputs}
        return call in self._of_sessions[end.session]

    def learn(self, fields: Mapping[str, Any]) -> None:
        """Take the calls of a message, whose results come in others, and without name and input."""
        if TOOLS[self._tool].has_call_ids:
            return
        for call in mappings_in(fields.get("tool_calls")):
            if isinstance(id := call.get("tool_use_id"), str):
                self._calls[id] = self._key(str(call.get("name")), call.get("input"))

    def _call_of(self, end: EndedCall) -> str | None:
        """Return the key of a call by its id: it was read now, or by an earlier sync."""
        if end.use_id not in self._calls and end.session not in self._known_sessions:
            self._known_sessions.add(end.session)
            if self._messages.exists():
                for row in read_sessions(self._messages, CONVERSATIONS.table, [end.session]):
                    content = codec.column(row[1])
                    if isinstance(content, dict):
                        self.learn(content)
        return self._calls.get(end.use_id)

    def _key(self, name: str, arguments: Any) -> str:
        """Return name and input of a call as its events have them, without secrets."""
        key = input_key([TOOLS[self._tool].hook_name(name), arguments])
        if self._redactor is None:
            return key
        return input_key(codec.load(self._redactor.redact_json(key)[0]))


def ends_in(part: MessagePart, tool: str) -> Iterator[EndedCall]:
    """Yield the calls that end with a part of a message; none where it repeats another part."""
    if not part.is_copy and not part.is_reminder:
        yield from ends_of(part.fields, part.created_at, tool)


def ends_of(fields: Mapping[str, Any], created_at: Any, tool: str) -> Iterator[EndedCall]:
    """Yield the calls that end with a message of this content."""
    session, at = str(fields.get("session_id", "")), clock.from_column(created_at)
    # Gemini says the results of calls once more to the model: the calls have them already.
    for result in fields.get("tool_results", ()) if tool != _WITH_RESULTS else ():
        use_id = result.get("tool_use_id")
        if isinstance(use_id, str) and use_id and result.get("is_running") is not True:
            end = _end(result, result.get("output"))._replace(ended_at=at)
            yield EndedCall(use_id, "", None, session, end)
    for call in fields.get("tool_calls", ()):
        use_id = call.get("tool_use_id")
        # Gemini writes a call with its result, and before that without.
        if isinstance(use_id, str) and call.get("status", "executing") not in _RUNNING:
            is_done = {"is_error": False} if call["status"] == "success" else {}
            end = _end(is_done | call, call.get("result"))
            yield EndedCall(use_id, str(call.get("name")), call.get("input"), session, end)


def _end(result: Mapping[str, Any], output: Any) -> CallEnd:
    is_error, code = result.get("is_error"), result.get("exit_code")
    error = ""
    if is_error is True:
        error = f"Exit code: {code}" if code else _text(output)
    return CallEnd(
        success=not is_error if isinstance(is_error, bool) else None,
        exit_code=code if isinstance(code, int) else None,
        duration_ms=result.get("duration_ms"),
        file_paths=result.get("file_paths", ()),
        error=error[:_ERROR_CHARACTERS],
    )


def _text(output: Any) -> str:
    if isinstance(output, list):
        return "\n".join(filter(None, map(_text, output)))
    if isinstance(output, Mapping):
        return _text(output.get("text"))
    return output if isinstance(output, str) else ""
