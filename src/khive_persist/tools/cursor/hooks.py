"""Cursor: its words, and its hooks in `hooks.json`.

By its documents of 2026-08, and not run: what a comment here calls a guess is in none of them. A
name of an event that a version does not know makes it pass over the whole file, in silence, so that
only documented ones are registered.
"""

import json
from collections.abc import Mapping
from typing import Final

from khive_persist.tools import payload_fields
from khive_persist.tools.tool import Hook, McpSettings, Program, Registration, Tool

# `Shell`, `Write`, `Delete` and `Task` are documented; the others are guesses, as Cursor has had
# such names, or has them for Claude Code's hooks.
_KINDS: Final = {
    "command": frozenset({"Shell", "Bash"}),
    "edit": frozenset({"Write", "Edit", "MultiEdit", "StrReplace", "Delete", "EditNotebook"}),
    "agent_spawn": frozenset({"Task"}),
}
_PHASES: Final = {"preToolUse": "pre", "postToolUse": "post", "postToolUseFailure": "post"}
# The events that come besides `preToolUse` and `postToolUse` are no calls of their own.
_SAME: Final = {
    "beforeSubmitPrompt": "prompt_submitted",
    "postToolUseFailure": "post_tool_use_failure",
    "beforeMCPExecution": "before_mcp_execution",
    "afterMCPExecution": "after_mcp_execution",
}
_TEXTS: Final = {
    "afterShellExecution": "output",
    "afterMCPExecution": "result_json",
    "afterAgentResponse": "text",
    "afterAgentThought": "text",
    "subagentStop": "summary",
}
# Claude Code's words for the events that Cursor brings to Claude Code's hooks, too.
_SHARED: Final = {
    "PreToolUse": "preToolUse",
    "PostToolUse": "postToolUse",
    "PostToolUseFailure": "postToolUseFailure",
    "UserPromptSubmit": "beforeSubmitPrompt",
    "Stop": "stop",
    "SubagentStart": "subagentStart",
    "SubagentStop": "subagentStop",
    "SessionStart": "sessionStart",
    "SessionEnd": "sessionEnd",
    "PreCompact": "preCompact",
}
# The fields that tell two of these events apart, besides the conversation and what the user asked.
_TOLD_APART: Final[dict[str, tuple[str, ...]]] = {
    "preToolUse": ("tool_use_id",),
    "postToolUse": ("tool_use_id",),
    "postToolUseFailure": ("tool_use_id",),
    "beforeSubmitPrompt": ("generation_id",),
    "stop": ("generation_id", "loop_count"),
    "subagentStart": ("subagent_id",),
    "subagentStop": ("task", "duration_ms", "agent_transcript_path", "loop_count"),
    "sessionStart": ("conversation_id",),
    "sessionEnd": ("conversation_id", "duration_ms"),
    "preCompact": ("generation_id", "message_count"),
}


def describe(payload: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of a Cursor event, as `Tool.describe` requires.

    The session is Cursor's conversation, the turn its generation, which each message of the user
    begins. `success` is false for a tool that failed, was refused or was interrupted, for a
    command by its exit code where that is told, and for a turn or agent that ended in an error.
    `output` of a command is what it wrote; of `subagentStop`, its summary; of
    `afterAgentResponse` and `afterAgentThought`, the text. `file_paths` are absolute.
    `metadata`: `exit_code` of a failed command, `interrupted`, `failure_type`, `mcp_server`, and of
    a started agent `spawned_agent_type` and `spawned_agent_id`.
    """
    name = _event_of(payload)
    tool = payload_fields.string(payload, "tool_name")
    tool_input = _tool_input(payload)
    content = payload_fields.plain_fields(_with_names(payload))
    content["event_type"] = payload_fields.event_type(name, tool, _KINDS, _PHASES, _SAME)
    if name not in _PHASES:
        # It is about a call, and no beginning or end of it.
        content.pop("tool_use_id", None)
    if tool in _KINDS["command"]:
        payload_fields.add_command(content, tool_input)
    elif name in ("beforeShellExecution", "afterShellExecution"):
        payload_fields.add_command(content, payload)
    payload_fields.add_mcp_server(content, tool)
    payload_fields.add_paths(
        content,
        [
            payload.get("file_path"),
            payload.get("modified_files"),
            *(tool_input.get(key) for key in payload_fields.PATH_KEYS),
        ],
    )
    if name in _TEXTS:
        payload_fields.add_text(content, "output", payload_fields.string(payload, _TEXTS[name]))
    if name == "postToolUse":
        _add_answer(content, payload_fields.string(payload, "tool_output"))
    elif name == "postToolUseFailure":
        _add_failure(content, payload)
    elif name in ("stop", "subagentStop", "sessionEnd"):
        _add_end(content, payload)
    if name == "subagentStart" or tool in _KINDS["agent_spawn"]:
        _add_agent(content, payload, tool_input)
    return content


def sends(payload: Mapping[str, object]) -> bool:
    """Tell whether a payload is of Cursor, as `Tool.sends` requires."""
    return "cursor_version" in payload


def event_key(payload: Mapping[str, object]) -> str:
    """Return the name of an event that may come twice, as `Tool.event_key` requires.

    Cursor runs Claude Code's hooks besides its own, all that match, with its own payload, and drops
    one only where its command is that of another. That the fields of `_TOLD_APART` are the same in
    both is a guess; so is that two events never have the same ones.
    """
    name = _event_of(payload)
    fields = _TOLD_APART.get(name)
    conversation = _conversation(payload)
    if fields is None or not conversation or not sends(payload):
        return ""
    values = [
        conversation if field == "conversation_id" else payload.get(field) for field in fields
    ]
    # A call without its id may have been made twice: it is rather kept twice than lost.
    if not isinstance(values[0], str) or not values[0]:
        return ""
    return payload_fields.compact_json([conversation, name, *values])


def _event_of(payload: Mapping[str, object]) -> str:
    """Return an event's name as Cursor has it, also where it is said in Claude Code's words."""
    name = payload_fields.string(payload, "hook_event_name")
    return _SHARED.get(name, name)


def _conversation(payload: Mapping[str, object]) -> str:
    return payload_fields.string(payload, "conversation_id") or payload_fields.string(
        payload, "session_id"
    )


def _with_names(payload: Mapping[str, object]) -> Mapping[str, object]:
    """Return a payload with the names of the fields that all clients have."""
    roots = payload.get("workspace_roots")
    first = roots[0] if isinstance(roots, list) and roots else None
    added = {
        "session_id": _conversation(payload),
        "turn_id": payload_fields.string(payload, "generation_id"),
        "agent_type": payload_fields.string(payload, "subagent_type"),
        "agent_id": payload_fields.string(payload, "subagent_id"),
    }
    if isinstance(first, str) and payload.get("cwd") in (None, ""):
        added["cwd"] = first
    named = {name: value for name, value in added.items() if value}
    if "duration" in payload:
        return {"duration_ms": payload["duration"], **payload, **named}
    return {**payload, **named}


def _tool_input(payload: Mapping[str, object]) -> Mapping[str, object]:
    """Return what a tool was given: of a server's tool it is JSON in a string."""
    given = payload.get("tool_input")
    return (
        _object(given) if isinstance(given, str) else payload_fields.mapping(payload, "tool_input")
    )


def _object(text: str) -> Mapping[str, object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _add_answer(content: dict[str, object], text: str) -> None:
    """Read the answer of a tool: JSON in a string, of a command with `exitCode`."""
    answer = _object(text)
    streams = [payload_fields.string(answer, name) for name in ("stdout", "output", "stderr")]
    output = "\n".join(stream for stream in streams if stream)
    payload_fields.add_text(content, "output", output if output or answer else text)
    code = answer.get("exitCode")
    if (
        isinstance(code, int)
        and not isinstance(code, bool)
        and abs(code) < payload_fields.MAX_NUMBER
    ):
        payload_fields.add_exit_code(content, code)
    else:
        content["success"] = True


def _add_failure(content: dict[str, object], payload: Mapping[str, object]) -> None:
    payload_fields.add_failure(content, payload_fields.string(payload, "error_message"))
    if payload.get("is_interrupt") is True:
        payload_fields.add_metadata(content, "interrupted", True)
    if kind := payload_fields.string(payload, "failure_type"):
        payload_fields.add_metadata(content, "failure_type", kind)


def _add_end(content: dict[str, object], payload: Mapping[str, object]) -> None:
    status = payload_fields.string(payload, "status") or payload_fields.string(payload, "reason")
    if status == "error":
        payload_fields.add_failure(content, payload_fields.string(payload, "error_message"))
    elif status == "aborted":
        payload_fields.add_metadata(content, "interrupted", True)


def _add_agent(
    content: dict[str, object], payload: Mapping[str, object], tool_input: Mapping[str, object]
) -> None:
    kind = payload_fields.string(payload, "subagent_type") or payload_fields.string(
        tool_input, "subagent_type"
    )
    agent = payload_fields.string(payload, "subagent_id")
    payload_fields.add_spawned_agent(content, kind, agent)


_SECONDS: Final = 5
# In these an exit code of 2 refuses what is about to happen; another one lets it happen.
_BLOCKING: Final = frozenset(
    [
        "preToolUse", "beforeShellExecution", "beforeMCPExecution", "beforeReadFile",
        "beforeTabFileRead", "beforeSubmitPrompt", "subagentStart", "stop", "subagentStop",
    ]
)  # fmt: skip
# When each came is a guess but for the first six, which came with hooks.
_EVENTS: Final = {
    "1.7.0": (
        "beforeSubmitPrompt", "beforeShellExecution", "beforeMCPExecution", "beforeReadFile",
        "afterFileEdit", "stop",
    ),
    "2.4.0": (
        "sessionStart", "sessionEnd", "preToolUse", "postToolUse", "postToolUseFailure",
        "subagentStart", "subagentStop", "afterShellExecution", "afterMCPExecution",
        "afterAgentResponse", "afterAgentThought", "preCompact", "beforeTabFileRead",
        "afterTabFileEdit",
    ),
    "3.18.0": ("workspaceOpen",),
}  # fmt: skip
_SETTING = "Cursor has a list of the hooks that it knows under Settings, Hooks."

TOOL: Final = Tool(
    name="cursor",
    title="Cursor",
    describe=describe,
    sends=sends,
    event_key=event_key,
    call_events=("preToolUse", "postToolUse", "postToolUseFailure"),
    transcript_folders=("/.cursor/",),
    mcp=McpSettings(
        project_file=".cursor/mcp.json",
        user_file=".cursor/mcp.json",
    ),
    registration=Registration(
        project_file=".cursor/hooks.json",
        user_file=".cursor/hooks.json",
        user_variable="",
        user_variable_file="",
        hooks=tuple(
            Hook(event, _SECONDS, blocks=event in _BLOCKING, since=since)
            for since, events in _EVENTS.items()
            for event in events
        ),
        by_hand={
            "project": (
                "Cursor runs a project's hooks only in a workspace that it trusts.",
                _SETTING,
            ),
            "local": (),
            "user": (_SETTING,),
        },
        program=Program(
            name="cursor",
            paths=(
                "/Applications/Cursor.app/Contents/Resources/app/bin/cursor",
                ".local/bin/cursor",
            ),
            folders=(),
            oldest="2.4.0",
        ),
        form="flat",
        head={"version": 1},
    ),
)
