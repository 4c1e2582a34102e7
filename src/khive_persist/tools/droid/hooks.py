"""Droid: its words, and its hooks in `hooks.json`.

Seen on 0.215.0. Events have Claude Code's names and keys, but no id of their call. `PostToolUse`
comes only for a call that did not fail. `droid exec` sends no `UserPromptSubmit` for the prompt of
its command line. A subagent is a session of its own, whose task comes as a prompt.
"""

import json
from collections.abc import Mapping
from typing import Final

from khive_persist.tools import payload_fields
from khive_persist.tools.droid.shell import shell_end
from khive_persist.tools.patch_paths import paths_in
from khive_persist.tools.tool import Ending, Hook, McpSettings, Registration, Tool

SHELL: Final = frozenset({"Execute"})
AGENT: Final = frozenset({"Task"})
_EDIT: Final = frozenset({"Edit", "Create", "MultiEdit", "ApplyPatch"})
_KINDS: Final = {"command": SHELL, "edit": _EDIT, "agent_spawn": AGENT}
_TEXTS: Final = {"Notification": "message", "SubagentStop": "task_result"}
# What the client says to a subagent in the user's name.
TASK: Final = "# Task Tool Invocation\n"
LAUNCHED: Final = "Task launched in background."
_SIGNS: Final = {"unchanged": " ", "context": " ", "removed": "-", "added": "+"}
# Keys that no other client's event has.
_OWN_KEYS: Final = (
    "CLAUDE_ENV_FILE", "calling_session_id", "has_images", "tool_execution_count",
    "session_duration_ms", "task_name",
)  # fmt: skip


def describe(payload: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of a Droid event, as `Tool.describe` requires.

    `success` of a command is what its exit code says. `output` of a command is what it wrote,
    without the line that Droid adds; of an edit its diff; of a subagent's end what it returned; of
    a notification its message. What is given to a subagent as a prompt is an
    `agent_prompt_submitted`. A call that goes on in the background has no `success` yet: `sync`
    adds how it ended.
    `metadata`: `exit_code` of a failed command, `background`, `mcp_server`, `parent_session_id` of
    a subagent's start, and of a started agent `spawned_agent_type`.
    """
    name = payload_fields.string(payload, "hook_event_name")
    tool = payload_fields.string(payload, "tool_name")
    tool_input = payload_fields.mapping(payload, "tool_input")
    content = payload_fields.plain_fields(payload)
    content["event_type"] = payload_fields.event_type(name, tool, _KINDS)
    if name == "UserPromptSubmit" and payload_fields.string(payload, "prompt").startswith(TASK):
        content["event_type"] = "agent_prompt_submitted"
    if tool in SHELL:
        payload_fields.add_command(content, tool_input)
    payload_fields.add_mcp_server(content, tool)
    payload_fields.add_paths(
        content,
        [
            *(tool_input.get(key) for key in payload_fields.PATH_KEYS),
            tool_input.get("directory_path"),
            *(paths_in(payload_fields.string(tool_input, key)) for key in ("input", "patch")),
        ],
    )
    if tool in AGENT:
        agent_type = payload_fields.string(tool_input, "subagent_type")
        payload_fields.add_spawned_agent(content, agent_type)
    if name == "PostToolUse":
        _add_response(content, payload.get("tool_response"), tool, tool_input)
    elif name == "SubagentStop":
        error = payload_fields.string(payload, "task_error")
        if error:
            payload_fields.add_failure(content, error)
    elif name == "SessionStart":
        parent = payload_fields.string(payload, "calling_session_id")
        if parent:
            payload_fields.add_metadata(content, "parent_session_id", parent)
    if name in _TEXTS:
        payload_fields.add_text(content, "output", payload_fields.string(payload, _TEXTS[name]))
    return content


def sends(payload: Mapping[str, object]) -> bool:
    """Tell whether a payload is of it, as `Tool.sends` requires."""
    return "hook_event_name" in payload and any(key in payload for key in _OWN_KEYS)


def _add_response(
    content: dict[str, object], response: object, tool: str, tool_input: Mapping[str, object]
) -> None:
    text = response if isinstance(response, str) else payload_fields.compact_json(response)
    if tool in SHELL:
        end = shell_end(text)
        payload_fields.add_text(content, "output", end.output)
        if end.is_running or tool_input.get("fireAndForget") is True:
            payload_fields.add_metadata(content, "background", True)
        elif end.exit_code is not None:
            payload_fields.add_exit_code(content, end.exit_code)
        else:
            content["success"] = True
        return
    if tool in _EDIT:
        payload_fields.add_text(content, "output", _diff(text) or text)
    else:
        payload_fields.add_text(content, "output", text)
    if tool in AGENT and text.startswith(LAUNCHED):
        payload_fields.add_metadata(content, "background", True)
        return
    content["success"] = True


def _diff(text: str) -> str:
    """Return the lines of an edit, each with its sign; an empty text where there are none."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    lines = answer.get("diffLines") if isinstance(answer, dict) else None
    return "\n".join(
        _SIGNS.get(str(line.get("type")), " ") + payload_fields.string(line, "content")
        for line in (lines if isinstance(lines, list) else ())
        if isinstance(line, dict)
    )


_SECONDS: Final = 5
_EVENTS: Final = (
    "SessionStart", "SessionEnd", "UserPromptSubmit", "PreToolUse", "PostToolUse", "Notification",
    "Stop", "SubagentStop", "PreCompact",
)  # fmt: skip
_BLOCKING: Final = frozenset(
    ["UserPromptSubmit", "PreToolUse", "PostToolUse", "Stop", "PreCompact"]
)
_TRUST: Final = (
    "In the terminal Droid runs hooks, those of your user settings too, only in a folder that you"
    " trust: say yes when it asks. `droid exec` does not ask.",
)

ENDINGS: Final[Mapping[str, Ending]] = {
    "error: exec ended early: insufficient permission": "denied",
    "error: not found: ": "refused",
    "error: tool execution cancelled": "interrupted",
    "tool execution cancelled": "denied",
}

TOOL: Final = Tool(
    name="droid",
    title="Droid",
    describe=describe,
    endings=ENDINGS,
    sends=sends,
    call_events=("PreToolUse", "PostToolUse", "PostToolUse"),
    transcript_folders=("/.factory/sessions/",),
    has_call_ids=False,
    mcp=McpSettings(
        project_file=".factory/mcp.json",
        user_file=".factory/mcp.json",
        user_variable="FACTORY_HOME_OVERRIDE",
        user_variable_file=".factory/mcp.json",
        before={"type": "stdio"},
    ),
    registration=Registration(
        project_file=".factory/hooks.json",
        user_file=".factory/hooks.json",
        user_variable="FACTORY_HOME_OVERRIDE",
        user_variable_file=".factory/hooks.json",
        hooks=tuple(Hook(event, _SECONDS, blocks=event in _BLOCKING) for event in _EVENTS),
        comments=True,
        by_hand={"project": _TRUST, "local": (), "user": _TRUST},
        form="root groups",
    ),
)
