"""pi: its words, and its extension of ours.

Seen on 1.6.0. An extension is given the events in pi's own process; ours starts the hook with each,
as `event` of an object that has in keys of ours what the event does not say: the session, its
transcript, the working directory and the model. `omitted` counts what is left out of an event as
it repeats the conversation.

A call's events are `tool_execution_start`, `tool_result` and `tool_execution_end`. Of one that did
not run, as it was denied, or had a tool or an input that is none, only the first and the last come.
`message_end` and `before_agent_start` say what other events and the transcript say, with the whole
system prompt.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from khive_persist.tools import payload_fields
from khive_persist.tools.tool import Ending, Hook, OwnFiles, Program, Tool

SHELL: Final = frozenset({"bash", "powershell"})
_KINDS: Final = {"command": SHELL, "edit": frozenset({"edit", "write"})}
_START: Final = "tool_execution_start"
_RESULT: Final = "tool_result"
_END: Final = "tool_execution_end"
# The event that is the end of a call: also the one that a call which did not run has.
_CALL_PHASES: Final = {_START: "pre", _RESULT: "post"}
_NOT_RUN_PHASES: Final = {_END: "post"}
# The events that are the same thing as one of Claude Code's, in its word.
_SAME: Final = {
    "input": "prompt_submitted",
    "session_shutdown": "session_end",
    "session_compact": "post_compact",
    "agent_end": "stop",
    "user_bash": "user_command",
}


def describe(payload: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of an event of pi, as `Tool.describe` requires.

    `output` is what a tool returned, of a command the output alone; of `turn_end` and of the end of
    a run, what the agent said last. `metadata`: `exit_code` of a failed command, `interrupted`, and
    `parent_tool_use_id` of a call that another tool made.
    """
    event = payload_fields.mapping(payload, "event")
    name = payload_fields.string(payload, "hook_event_name")
    tool = _first(payload, "tool_name", event, "toolName")
    tool_input = _input(payload, event)
    content = payload_fields.plain_fields(
        {
            **payload,
            "tool_name": tool or payload.get("tool_name"),
            "tool_use_id": _first(payload, "tool_use_id", event, "toolCallId")
            or payload.get("tool_use_id"),
            "duration_ms": event.get("durationMs", payload.get("duration_ms")),
        }
    )
    phases = _CALL_PHASES if not _did_not_run(name, event) else _NOT_RUN_PHASES
    content["event_type"] = payload_fields.event_type(name, tool, _KINDS, phases, _SAME)
    if tool in SHELL:
        payload_fields.add_command(content, tool_input)
    elif name == "user_bash":
        payload_fields.add_command(content, event)
    payload_fields.add_paths(content, [tool_input.get(k) for k in payload_fields.PATH_KEYS])
    if parent := payload_fields.string(event, "parentToolCallId"):
        payload_fields.add_metadata(content, "parent_tool_use_id", parent)
    if name in (_RESULT, _END):
        _add_result(content, payload, event, tool)
    elif name in ("turn_end", "agent_end"):
        _add_answer(content, event)
    return content


def _did_not_run(name: str, event: Mapping[str, object]) -> bool:
    """Return whether a call has ended that pi has not even begun to run."""
    return name == _END and "durationMs" not in event and event.get("isError") is True


def _first(
    payload: Mapping[str, object], name: str, event: Mapping[str, object], event_name: str
) -> str:
    return payload_fields.string(payload, name) or payload_fields.string(event, event_name)


def _input(payload: Mapping[str, object], event: Mapping[str, object]) -> Mapping[str, object]:
    found = (payload.get("tool_input"), event.get("input"), event.get("args"))
    return next((value for value in found if isinstance(value, dict)), {})


def _add_result(
    content: dict[str, object],
    payload: Mapping[str, object],
    event: Mapping[str, object],
    tool: str,
) -> None:
    result = payload_fields.mapping(event, "result") or event
    text = _text(result.get("content"))
    structured = payload_fields.mapping(result, "structuredContent")
    code = structured.get("exit_code")
    is_error = event.get("isError")
    if not event:
        # As it is made of a transcript, which has the text alone.
        response = payload.get("tool_response")
        text = response if isinstance(response, str) else _text(response)
    if tool in SHELL and isinstance(code, int) and not isinstance(code, bool):
        payload_fields.add_text(content, "output", payload_fields.string(structured, "output"))
        payload_fields.add_exit_code(content, code)
    elif is_error is True:
        payload_fields.add_failure(content, text)
    else:
        if is_error is False:
            content["success"] = True
        payload_fields.add_text(content, "output", text)


def _add_answer(content: dict[str, object], event: Mapping[str, object]) -> None:
    message = payload_fields.mapping(event, "message")
    messages = event.get("messages")
    if isinstance(messages, list) and messages and isinstance(messages[-1], dict):
        message = messages[-1]
    if message.get("role") != "assistant":
        return
    payload_fields.add_text(content, "output", _text(message.get("content")))
    model = payload_fields.string(message, "model")
    if model:
        content["model"] = model
    reason = message.get("stopReason")
    if reason == "aborted":
        payload_fields.add_metadata(content, "interrupted", True)
    if reason in ("aborted", "error"):
        payload_fields.add_failure(content, payload_fields.string(message, "errorMessage"))


def _text(blocks: object) -> str:
    if isinstance(blocks, str):
        return blocks
    if not isinstance(blocks, list):
        return ""
    said = [b for b in blocks if not (isinstance(b, dict) and b.get("type") in _NOT_SAID)]
    return payload_fields.blocks_text(said)


_NOT_SAID: Final = ("toolCall", "thinking")
_FILE: Final = "khive-persist.js"
_EVENTS: Final = (
    "session_start", "session_shutdown", "session_info_changed", "session_before_switch",
    "session_before_fork", "session_compact", "session_compact_failed", "session_tree", "input",
    "agent_end", "agent_settled", "turn_start", "turn_end", _START, _RESULT, _END, "model_select",
    "thinking_level_select", "user_bash",
)  # fmt: skip


def _contents(command_of: Callable[[Hook], str]) -> dict[str, str]:
    """Return the extension, with the command that it runs for all of its events."""
    extension = Path(__file__).with_name("extension.js").read_text("utf-8")
    command = command_of(TOOL.registration.hooks[0])
    for place, value in (('"@COMMAND@"', command), ('["@EVENTS@"]', list(_EVENTS))):
        extension = extension.replace(place, json.dumps(value))
    return {_FILE: extension}


_TRUST: Final = (
    "pi loads the extensions of a project only where it trusts it: say yes when it asks, or start"
    " it with `--approve`.",
)

ENDINGS: Final[Mapping[str, Ending]] = {
    "operation aborted": "interrupted",
    "command aborted": "interrupted",
    "tool execution was blocked": "denied",
    "tool * not found": "invalid",
    'validation failed for tool "*"': "invalid",
    'tool call "*" was not executed: ': "invalid",
}

TOOL: Final = Tool(
    name="pi",
    title="pi",
    describe=describe,
    endings=ENDINGS,
    call_events=(_START, _RESULT, _RESULT),
    transcript_folders=("/.pi/agent/sessions/",),
    registration=OwnFiles(
        project_folder=".pi/extensions",
        user_folder=".pi/agent/extensions",
        user_variable="PI_CODING_AGENT_DIR",
        user_variable_folder="extensions",
        contents=_contents,
        # Nobody sees how a hook ends, nor what it says: what it could not keep, `doctor` tells.
        hooks=tuple(Hook(event, 0, blocks=True) for event in _EVENTS),
        by_hand={"project": _TRUST, "local": (), "user": ()},
        program=Program(name="pi", paths=(), folders=(), oldest=""),
        runs_once=True,
    ),
)
