"""Make the events that a transcript tells of, as the tool's hooks would have sent them."""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from khive_persist.capture import client_recognition, previews
from khive_persist.models.hook_event import HookEvent
from khive_persist.sessions.lineage.endings import ending_of
from khive_persist.tools import TOOLS, Ending, payload_fields
from khive_persist.tools.message_part import mapping_of, row_id

COPILOT: Final = "copilot-cli"


class Call(NamedTuple):
    """A tool call of a transcript, with its result where it has one.

    Attributes:
        tool: The AI tool.
        tool_use_id: The tool's id of the call; an empty string where it has none.
        name: The tool that the model asked for.
        input: The input that the model gave it.
        created_at: The time of the call, as UTC text.
        message_id: The message that asked for it.
        fields: Further fields of the call's events, as `cwd`.
        namespace: The namespace of an MCP server's tool, where it stands apart.
        result: `output` and `is_error`, or None.
        ended_at: The time of the result, as UTC text.
        status: The tool's word for how it ended, or None.
    """

    tool: str
    tool_use_id: str
    name: str
    input: Any
    created_at: str
    message_id: str
    fields: dict[str, Any]
    namespace: str
    result: Mapping[str, Any] | None
    ended_at: str
    status: Any = None

    @property
    def ending(self) -> Ending:
        """Return how the call ended, by what its transcript says."""
        return ending_of(self.tool, self.result, self.status)


def event_of_call(call: Call, session_id: str, *, is_post: bool) -> HookEvent:
    """Return the event before or after a call."""
    pre_name, post_name, failure_name = TOOLS[call.tool].call_events
    result = call.result or {}
    is_error = bool(result.get("is_error"))
    # To Copilot a command that has ended did not fail, whatever its exit code.
    is_failure = is_error and not (call.tool == COPILOT and "exit_code" in result)
    name = (failure_name if is_failure else post_name) if is_post else pre_name
    payload: dict[str, Any] = {
        "session_id": session_id,
        "hook_event_name": name,
        **as_hooks_say(call),
        **call.fields,
    }
    if call.tool_use_id:
        payload["tool_use_id"] = call.tool_use_id
    if is_post and call.tool == COPILOT:
        payload |= _copilot_result(result, is_failure=is_failure)
    elif is_post:
        payload["tool_response"] = result.get("output")
        if is_error and call.tool == "claude-code":
            payload["error"] = _text(result.get("output"))
    error = _text(result.get("output")) if is_post and is_failure else None
    key = f"{call.tool_use_id or call.created_at} {call.name}"
    return event(call.tool, key, payload, call.ended_at if is_post else call.created_at, error)


def event(
    tool: str, key: str, payload: dict[str, Any], created_at: str, error: str | None = None
) -> HookEvent:
    """Return an event that says that it was reconstructed.

    Args:
        tool: The AI tool.
        key: The event's subject; the id is made of it, the session and the event's name.
        payload: The payload that the tool would have sent, as far as it is known, in its words.
        created_at: The time when it would have come, as UTC text.
        error: The reason of a failure, or None.
    """
    words = client_recognition.in_our_words(payload)
    content = dict(TOOLS[tool].describe(words))
    if error is not None:
        payload_fields.add_failure(content, error)
    cut = previews.shorten(content)
    marks = cut | dict(mapping_of(content.pop("metadata", {}))) | {"reconstructed": True}
    content |= {"tool": tool, "metadata": marks, "payload": payload}
    name = words.get("hook_event_name", content["event_type"])
    key = f"reconstructed {words.get('session_id')} {key} {name}"
    return HookEvent.model_validate(
        {"id": row_id(tool, key), "content": content, "created_at": created_at}
    )


def as_hooks_say(call: Call) -> dict[str, Any]:
    """Return a call's tool and input in the words of hooks, where a transcript has others."""
    name, tool_input = TOOLS[call.tool].hook_name(call.name), call.input
    if call.tool == "codex":
        if name == "exec_command" and isinstance(tool_input, Mapping) and "cmd" in tool_input:
            name, tool_input = "Bash", {"command": tool_input["cmd"]}
        elif name == "apply_patch" and isinstance(tool_input, str):
            tool_input = {"command": tool_input}
        elif call.namespace.startswith("mcp__"):
            name = f"{call.namespace}__{name}"
    tool_input = tool_input if isinstance(tool_input, Mapping) else {"input": tool_input}
    return {"tool_name": name, "tool_input": tool_input}


def _copilot_result(result: Mapping[str, Any], *, is_failure: bool) -> dict[str, Any]:
    if is_failure:
        return {"error": _text(result.get("output"))}
    answer = {"result_type": "success", "text_result_for_llm": _text(result.get("output"))}
    return {"tool_result": answer}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
