"""Hooks that failed while a session ran, as Claude Code writes it down in the transcript.

It does so for the hooks of the main agent's prompts, tool calls and stops. `PostToolUse` and a
refused connection look like `{"type": "attachment", "attachment": {"type":
"hook_non_blocking_error", "hookEvent": "PostToolUse", "toolUseID": …, "stderr": "connect
ECONNREFUSED 127.0.0.1:8423"}}`. The record of a command hook names its command; that of an HTTP
hook does not always name its URL. So one that failed counts only where its event is missing.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from khive_persist.capture.hook_config.command import is_ours
from khive_persist.models.event_types import POST, PRE
from khive_persist.models.hook_event import HookEvent
from khive_persist.tools.message_part import mapping_of
from khive_persist.transcripts.backfill import Call, as_hooks_say, event

TOOL: Final = "claude-code"
# The events whose hook's failure is written down, and what we call them.
EVENT_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "UserPromptSubmit": ("prompt_submitted",),
    "PreToolUse": PRE,
    "PostToolUse": POST,
    "PostToolUseFailure": POST,
    "PostToolBatch": ("post_tool_batch",),
    "Stop": ("stop",),
}
_OF_CALLS: Final = ("PreToolUse", "PostToolUse", "PostToolUseFailure")
_FAILED: Final = ("hook_non_blocking_error", "hook_cancelled")
_FIELDS: Final = ("cwd", "transcript_path")
# The kinds of text in the user's name that fire no hook of prompts.
_WITHOUT_HOOK: Final = ("meta", "compaction")


class FailedHook(NamedTuple):
    """A hook that failed.

    Attributes:
        event: The tool's name of the event.
        subject: The id of the event's tool call; of a batch, that of the message that asked for
            it; else that of the prompt.
        created_at: The time of the failure, as UTC text.
        reason: The reason in the tool's words.
        payload: The event's fields besides the session and the name, as far as the transcript
            has them; nothing for an event of a tool call.
    """

    event: str
    subject: str
    created_at: str
    reason: str
    payload: dict[str, Any]

    def reconstructed(self, session_id: str) -> HookEvent | None:
        """Return the event made anew; None for one of a tool call, which the call itself gives."""
        if self.event in _OF_CALLS:
            return None
        payload = {"session_id": session_id, "hook_event_name": self.event, **self.payload}
        return event(TOOL, self.subject, payload, self.created_at)


class _MessageFacts(NamedTuple):
    """The facts of one message: one field is there besides the time.

    `failure` is the record of a hook that failed, `prompt` an id and a text, `answer` a text of
    the agent, `results` the ids of calls that have ended.
    """

    created_at: str
    failure: Mapping[str, Any] | None = None
    prompt: tuple[str, str] = ("", "")
    answer: str = ""
    results: tuple[str, ...] = ()


class Failures:
    """Finds the hooks that failed among the messages of a session."""

    def __init__(self) -> None:
        self._facts: list[_MessageFacts] = []
        self._fields: dict[str, Any] = {}

    def add(self, content: Mapping[str, Any], created_at: str) -> None:
        """Note the facts of one message; messages may come in any order."""
        if content.get("tool") != TOOL or content.get("agent_id"):
            return
        text = str(content.get("text", ""))
        results = tuple(
            str(result.get("tool_use_id")) for result in content.get("tool_results", ())
        )
        if failure := hook_failure(content):
            self._facts.append(_MessageFacts(created_at, failure=failure))
            self._fields |= {name: content[name] for name in _FIELDS if name in content}
        elif results:
            self._facts.append(_MessageFacts(created_at, results=results))
        elif content.get("role") == "assistant" and text:
            self._facts.append(_MessageFacts(created_at, answer=text))
        elif _is_turn(content):
            self._facts.append(_MessageFacts(created_at, prompt=(str(content["turn_id"]), text)))

    def find(self, calls: Iterable[Call]) -> list[FailedHook]:
        """Return the hooks that failed, in order of time, by all tool calls of the session.

        Two hooks of one event are one.
        """
        if not self._fields:
            return []
        batches: dict[str, list[Call]] = {}
        for call in calls:
            batches.setdefault(call.message_id, []).append(call)
        batch_of = {call.tool_use_id: batch for batch in batches.values() for call in batch}
        latest = _MessageFacts("")
        failures: dict[tuple[str, str], FailedHook] = {}
        # A failure comes after what it is about, which may bear the same millisecond.
        for facts in sorted(self._facts, key=lambda facts: (facts.created_at, bool(facts.failure))):
            if facts.failure is None:
                latest = _MessageFacts(
                    facts.created_at,
                    None,
                    facts.prompt if facts.prompt[0] else latest.prompt,
                    facts.answer or latest.answer,
                    facts.results or latest.results,
                )
                continue
            batch = next((batch_of[id] for id in latest.results if id in batch_of), [])
            failed = self._failed(facts.created_at, facts.failure, latest, batch)
            failures.setdefault((failed.event, failed.subject), failed)
        return list(failures.values())

    def _failed(
        self, created_at: str, failure: Mapping[str, Any], latest: _MessageFacts, batch: list[Call]
    ) -> FailedHook:
        event = str(failure["hookEvent"])
        prompt_id, prompt = latest.prompt
        subject = prompt_id
        payload: dict[str, Any] = self._fields | {"prompt_id": prompt_id}
        if event in _OF_CALLS:
            subject, payload = str(failure.get("toolUseID")), {}
        elif event == "PostToolBatch":
            subject = batch[0].message_id if batch else ""
            payload["tool_calls"] = [_as_in_batch(call) for call in batch]
        elif event == "UserPromptSubmit":
            payload["prompt"] = prompt
        else:
            payload["last_assistant_message"] = latest.answer
        reason = str(failure.get("stderr") or "it did not end in time")
        return FailedHook(event, subject, created_at, reason, payload)


def hook_failure(content: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what a message says of a hook that failed and may be ours."""
    if content.get("kind") != "attachment":
        return None
    attachment = mapping_of(mapping_of(content.get("payload")).get("attachment"))
    if attachment.get("type") not in _FAILED:
        return None
    command = attachment.get("command")
    is_anothers = command is not None and not is_ours(command, TOOL)
    return None if is_anothers or attachment.get("hookEvent") not in EVENT_TYPES else attachment


def _is_turn(content: Mapping[str, Any]) -> bool:
    is_prompt = content.get("role") == "user" and content.get("kind") not in _WITHOUT_HOOK
    return is_prompt and bool(content.get("turn_id"))


def _as_in_batch(call: Call) -> dict[str, Any]:
    result = call.result or {}
    response = {"tool_response": result["output"]} if "output" in result else {}
    return as_hooks_say(call) | {"tool_use_id": call.tool_use_id} | response
