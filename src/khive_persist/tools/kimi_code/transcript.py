"""Kimi Code's transcripts: `~/.kimi-code/sessions/<project>/<session>/agents/<agent>/wire.jsonl`.

Each agent of a session has a file, to which a resumed session adds. Nothing in it names the
session: its folder does. A step is one answer of the model; its parts, calls and tokens come in
lines of their own, in that order. What the client says once more for its screen (`kind: event`)
adds nothing. A fork begins with a copy of the lines of the session that it comes from.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from khive_persist import clock
from khive_persist.tools import payload_fields
from khive_persist.tools.injected import COMMAND, PROMPT
from khive_persist.tools.kimi_code.hooks import AGENT, SHELL
from khive_persist.tools.kimi_code.results import agent_of, failure_of, is_launch
from khive_persist.tools.message_part import (
    Line,
    MessagePart,
    count_in,
    mapping_of,
    present,
    text_of,
)

_MESSAGE: Final = "context.append_message"
_LOOP: Final = "context.append_loop_event"
_COMPACTION: Final = "context.apply_compaction"
_USAGE: Final = "usage.record"
_REQUEST: Final = "llm.request"
_TASK_END: Final = "task.terminated"
# Lines of the client's own state, of what other lines say, too, or of its screen.
_OTHER: Final = frozenset(
    {
        "metadata", "runtime.set_binding", "profile.bind", "config.update", "permission.set_mode",
        "permission.record_approval_result", "permission.rules", "interaction.request",
        "interaction.resolved", "turn.prompt", "turn.steer", "turn.cancel", "turn.ended",
        "turn.step.interrupted", "turn.step.retrying", "plugin.session_start", "forked",
        "llm.tools_snapshot", "token_counting.measured", "token_counting.rebased",
        "token_counting.turn_recorded", "prompt.completed", "prompt.aborted", "prompt.steered",
        "file_history.tracked", "file_history.checkpoint", "tools.update_store", "task.started",
        "subagent.spawned", "subagent.started", "subagent.completed", "subagent.failed",
        "full_compaction.begin", "full_compaction.complete", "full_compaction.cancel",
        "context.clear", "context.undo", "context.undone", "context.update_token_count",
        "plan_mode.enter", "plan_mode.exit", "plan_mode.cancel", "agent.message.appended",
        "agent.turn.started", "agent.turn.ended",
    }
)  # fmt: skip
KINDS: Final = _OTHER | {_MESSAGE, _LOOP, _COMPACTION, _USAGE, _REQUEST, _TASK_END}
# Who put a message in that stands as the user's, and the kind that it is.
_ORIGINS: Final = {
    "user": PROMPT,
    "shell_command": COMMAND,
    "skill_activation": COMMAND,
    "task": "task_notification",
    "compaction_summary": "compaction",
}
_SUBAGENT: Final = "subagent"
_NANOSECONDS: Final = 1_000_000
# Calls whose result has not come; more would be of a damaged file.
_MAX_WAITING: Final = 1_000


class Reader:
    """Reads lines of one transcript.

    Attributes:
        state: The facts that later lines need of earlier ones: the session and its agent, the
            step that the model is at, the model that was asked last, and the names of calls.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def read(self, document: Mapping[str, Any]) -> Line:
        kind = str(document.get("type"))
        at = _instant(document.get("time"))
        match kind:
            case "context.append_message":
                return Line(kind, self._message(document, at))
            case "context.append_loop_event":
                event = mapping_of(document.get("event"))
                return Line(f"{kind} {event.get('type')}", self._loop(event, document, at))
            case "context.apply_compaction":
                return Line(kind, self._compaction(document, at))
            case "usage.record":
                return Line(kind, self._usage(document, at))
            case "turn.prompt":
                self.state |= present(turn_id=_turn(document))
                return Line(kind)
            case "llm.request":
                self.state |= present(
                    asked_model=text_of(document.get("model")),
                    asked_alias=text_of(document.get("modelAlias")),
                    asked_kind=text_of(document.get("kind")),
                )
                return Line(kind)
            case "task.terminated":
                return Line(kind, self._task_end(document, at))
        return Line(kind, is_known=kind in _OTHER)

    def _message(self, document: Mapping[str, Any], at: str | None) -> tuple[MessagePart, ...]:
        message = mapping_of(document.get("message"))
        origin = mapping_of(message.get("origin"))
        role = str(message.get("role"))
        key = text_of(message.get("id")) or self._key(document)
        fields = self._common() | present(
            role=role if role in ("user", "assistant", "tool") else "system",
            kind=_kind(origin) if role == "user" else PROMPT,
            message_id=key,
            text=_text(message.get("content")),
        )
        return (self._part(key, key, fields, document, at),)

    def _loop(
        self, event: Mapping[str, Any], document: Mapping[str, Any], at: str | None
    ) -> tuple[MessagePart, ...]:
        kind = event.get("type")
        step = text_of(event.get("stepUuid"))
        uuid = text_of(event.get("uuid"))
        if kind == "step.begin":
            self.state |= {"step": uuid, "has_usage": False}
            self.state |= present(turn_id=_turn(event))
        elif kind == "step.end" and uuid:
            usage = event.get("usage")
            is_told = self.state.get("step") == uuid and self.state.get("has_usage")
            self.state["step"] = None
            if isinstance(usage, Mapping) and not is_told:
                return (self._used(uuid, f"{uuid} usage", usage, "", document, at),)
        elif kind == "content.part" and step and uuid:
            said = _said(mapping_of(event.get("part")))
            return (self._part(step, uuid, self._answer(step) | said, document, at),)
        elif kind == "tool.call" and step and uuid:
            return (self._call(step, uuid, event, document, at),)
        elif kind == "tool.result" and text_of(event.get("toolCallId")):
            return (self._result(event, document, at),)
        return ()

    def _call(
        self,
        step: str,
        uuid: str,
        event: Mapping[str, Any],
        document: Mapping[str, Any],
        at: str | None,
    ) -> MessagePart:
        use_id, name = event.get("toolCallId"), event.get("name")
        self._keep("calls", str(use_id), str(name))
        call = {"tool_use_id": use_id, "name": name, "input": event.get("args")}
        fields = self._answer(step) | {"tool_calls": [call]}
        return self._part(step, uuid, fields, document, at)

    def _result(
        self, event: Mapping[str, Any], document: Mapping[str, Any], at: str | None
    ) -> MessagePart:
        use_id = str(event.get("toolCallId"))
        name = self.state.get("calls", {}).pop(use_id, "")
        answer = mapping_of(event.get("result"))
        output = answer.get("output")
        text = output if isinstance(output, str) else _text(output)
        is_error = answer.get("isError") is True
        duration = answer.get("durationMs")
        is_number = isinstance(duration, int | float) and not isinstance(duration, bool)
        result = {"tool_use_id": use_id, "output": output, "is_error": is_error} | present(
            duration_ms=duration if is_number else None
        )
        if is_error:
            code = failure_of(text).exit_code if name in SHELL else None
            result |= present(exit_code=code)
        elif name in SHELL:
            result |= {"is_running": True} if is_launch(text) else {"exit_code": 0}
        elif name in AGENT:
            result |= present(spawned_agent_id=agent_of(text))
            result |= {"is_running": True} if is_launch(text) else {}
        key = f"{text_of(event.get('parentUuid')) or self._key(document)} result"
        if "is_running" in result:
            self._keep("running", use_id, key)
        fields = self._common() | {
            "role": "tool", "kind": PROMPT, "message_id": key, "tool_results": [result]
        }  # fmt: skip
        return self._part(key, key, fields, document, at)

    def _task_end(self, document: Mapping[str, Any], at: str | None) -> tuple[MessagePart, ...]:
        """Add to a call's result how the task ended that it left in the background."""
        info = mapping_of(document.get("info"))
        use_id, code = text_of(info.get("parentToolCallId")), info.get("exitCode")
        # A call that was waited for has said so itself.
        key = self.state.get("running", {}).pop(use_id, None)
        if key is None:
            return ()
        is_code = isinstance(code, int) and not isinstance(code, bool)
        is_error = code != 0 if is_code else info.get("status") != "completed"
        started, ended = info.get("startedAt"), info.get("endedAt")
        end = {"tool_use_id": use_id, "is_error": is_error} | present(
            status=text_of(info.get("status")),
            exit_code=code if is_code else None,
            duration_ms=(
                ended - started if isinstance(started, int) and isinstance(ended, int) else None
            ),
            output=text_of(document.get("outputTail")),
        )
        fields = self._common() | {"role": "tool", "message_id": key, "tool_results": [end]}
        return (self._part(key, f"{key} end", fields, document, at),)

    def _usage(self, document: Mapping[str, Any], at: str | None) -> tuple[MessagePart, ...]:
        """Read the tokens of one answer, which may be of no step, or of a step's second request."""
        usage = document.get("usage")
        if not isinstance(usage, Mapping):
            return ()
        model = text_of(document.get("model")) or ""
        step = text_of(self.state.get("step"))
        is_step = document.get("usageScope", "turn") == "turn" and step is not None
        if is_step and not self.state.get("has_usage"):
            self.state["has_usage"] = True
            return (self._used(str(step), f"{step} usage", usage, model, document, at),)
        key = self._key(document)
        part = self._used(key, key, usage, model, document, at)
        kind = self.state.get("asked_kind")
        if not is_step and kind:
            part.fields["kind"] = kind
        return (part,)

    def _used(
        self,
        key: str,
        part_id: str,
        usage: Mapping[str, Any],
        alias: str,
        document: Mapping[str, Any],
        at: str | None,
    ) -> MessagePart:
        asked = self.state.get("asked_model")
        is_asked = not alias or alias == self.state.get("asked_alias")
        fields = self._answer(key) | present(
            model=asked if asked and is_asked else alias,
            usage=dict(usage),
            tokens=_tokens(usage),
        )
        return self._part(key, part_id, fields, document, at)

    def _compaction(self, document: Mapping[str, Any], at: str | None) -> tuple[MessagePart, ...]:
        """Return the summary that stands for what was said before, from here on."""
        summary = document.get("summary", document.get("contextSummary"))
        if isinstance(summary, Mapping):
            summary = _text(summary.get("content"))
        key = self._key(document)
        fields = self._common() | present(
            role="system", kind="compaction", message_id=key, text=text_of(summary)
        )
        return (self._part(key, key, fields, document, at),)

    def _answer(self, step: str) -> dict[str, Any]:
        return self._common() | {"role": "assistant", "kind": PROMPT, "message_id": step}

    def _common(self) -> dict[str, Any]:
        state = self.state
        # Once is enough: it is the whole session's.
        is_told, state["is_fork_told"] = state.get("is_fork_told"), True
        return present(
            session_id=state.get("session_id"),
            agent_id=state.get("agent_id"),
            agent_type=state.get("agent_type"),
            parent_agent_id=state.get("parent_agent_id"),
            parent_is_session=state.get("parent_is_session"),
            forked_from=None if is_told else state.get("forked_from"),
            turn_id=state.get("turn_id"),
            cwd=state.get("cwd"),
        )

    def _part(
        self,
        key: str,
        part_id: str,
        fields: dict[str, Any],
        document: Mapping[str, Any],
        at: str | None,
    ) -> MessagePart:
        return MessagePart(key, part_id, fields, at, is_copy=self._is_copy(document))

    def _keep(self, name: str, use_id: str, value: str) -> None:
        """Keep what a later line needs to know of a call."""
        kept: dict[str, str] = self.state.setdefault(name, {})
        kept[use_id] = value
        while len(kept) > _MAX_WAITING:
            kept.pop(next(iter(kept)))

    def _is_copy(self, document: Mapping[str, Any]) -> bool:
        """Return whether a line is older than its session, which is a fork then."""
        created, time = self.state.get("created_at"), document.get("time")
        is_fork = self.state.get("forked_from") is not None
        return is_fork and isinstance(created, int) and isinstance(time, int) and time < created

    def _key(self, document: Mapping[str, Any]) -> str:
        """Return a name for what has none: the same in a fork's copy of it."""
        line = json.dumps(document, sort_keys=True).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(line, digest_size=16).hexdigest()


def _kind(origin: Mapping[str, Any]) -> str:
    kind = str(origin.get("kind", "user"))
    if kind == "system_trigger" and origin.get("name") == _SUBAGENT:
        return PROMPT
    return _ORIGINS.get(kind, "meta")


def _said(part: Mapping[str, Any]) -> dict[str, Any]:
    if part.get("type") == "think":
        return present(thinking=text_of(part.get("think")))
    return present(text=_text([part]))


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return payload_fields.blocks_text(content) if isinstance(content, list) else ""


def _turn(event: Mapping[str, Any]) -> str | None:
    turn = event.get("turnId")
    return str(turn) if isinstance(turn, str | int) else None


def _instant(milliseconds: Any) -> str | None:
    if not isinstance(milliseconds, int) or isinstance(milliseconds, bool):
        return None
    try:
        return clock.to_text(clock.from_ns(milliseconds * _NANOSECONDS))
    except (OverflowError, ValueError, OSError):
        return None


def _tokens(usage: Mapping[str, Any]) -> dict[str, int]:
    """Count the tokens of each kind; how many of the output were thoughts is not told."""
    return {
        "input": count_in(usage, "inputOther"),
        "cache_read": count_in(usage, "inputCacheRead"),
        "cache_write": count_in(usage, "inputCacheCreation"),
        "output": count_in(usage, "output"),
    }
