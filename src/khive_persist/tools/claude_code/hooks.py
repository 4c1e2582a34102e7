"""Claude Code: its words, and its hooks in `settings.json`.

Seen on 2.1.100 to 2.1.332. Two of its events are not registered, because a hook's being there
changes what the tool does. A `WorktreeCreate` hook replaces the creation of the worktree. A
`WorktreeRemove` hook that succeeds is taken for the removal of a worktree that a user's hook
created, which then stays on the disk.
"""

import re
from collections.abc import Mapping
from typing import Final

from khive_persist.tools import payload_fields
from khive_persist.tools.tool import Ending, Hook, McpSettings, Program, Registration, Tool

_KINDS: Final = {
    "command": frozenset({"Bash", "PowerShell"}),
    "edit": frozenset({"Edit", "Write", "MultiEdit", "NotebookEdit"}),
    "agent_spawn": frozenset({"Agent", "Task"}),
}
# The text of what these events bring is their output.
_TEXTS: Final = {
    "Stop": "last_assistant_message",
    "StopFailure": "last_assistant_message",
    "SubagentStop": "last_assistant_message",
    "MessageDisplay": "delta",
    "Notification": "message",
    "Elicitation": "message",
    "PostCompact": "compact_summary",
}
_SWITCHES: Final = frozenset({"PreModelSwitch", "PostModelSwitch"})
_RESPONSE_TEXTS: Final = ("content", "result", "text", "message", "new_source")
_EXIT_CODE: Final = re.compile(r"Exit code (\d{1,10})(?:\n|\Z)")


def describe(payload: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of a Claude Code event, as `Tool.describe` requires.

    `success` is false for a tool that failed, was refused or was interrupted, and for a turn that
    ended in an error. `output` of an edit is its diff; of `Stop` and `SubagentStop`, what the
    agent said last; of a notification, its message. A failed call has its text in `error`.
    A call that goes on in the background has no `success` yet: `sync` adds how it ended.
    `model` of a switch is the one that it leads to. `file_paths` has the files that a shell command
    changed, too.
    `metadata`: `exit_code` of a failed command, `interrupted`, `background`, `mcp_server`,
    `from_model` of a switch, and of a started agent
    `spawned_agent_type` and `spawned_agent_id`.
    """
    name = payload_fields.string(payload, "hook_event_name")
    tool = payload_fields.string(payload, "tool_name")
    tool_input = payload_fields.mapping(payload, "tool_input")
    content = payload_fields.plain_fields(payload)
    content["event_type"] = payload_fields.event_type(name, tool, _KINDS)
    if tool in _KINDS["command"]:
        payload_fields.add_command(content, tool_input)
    server = payload_fields.string(payload_fields.mapping(payload, "mcp_server"), "name")
    payload_fields.add_mcp_server(content, tool, server)
    diff = payload_fields.mapping(payload_fields.mapping(payload, "tool_response"), "bashEditDiff")
    payload_fields.add_paths(
        content,
        [
            payload.get("file_path"),
            payload.get("directory"),
            *(tool_input.get(key) for key in payload_fields.PATH_KEYS),
            diff.get("changedFiles"),
        ],
    )
    if name in _SWITCHES:
        payload_fields.add_text(content, "model", payload_fields.string(payload, "to_model"))
        if from_model := payload_fields.string(payload, "from_model"):
            payload_fields.add_metadata(content, "from_model", from_model)
    if tool in _KINDS["agent_spawn"]:
        _add_spawned_agent(content, tool_input, payload_fields.mapping(payload, "tool_response"))
    if name == "PostToolUse":
        _add_response(content, payload.get("tool_response"))
    elif name == "PostToolUseFailure":
        _add_tool_failure(content, payload, tool)
    elif name == "PermissionDenied":
        payload_fields.add_failure(content, payload_fields.string(payload, "reason"))
    elif name == "StopFailure":
        payload_fields.add_failure(
            content,
            payload_fields.string(payload, "error_details")
            or payload_fields.string(payload, "error"),
        )
    if name in _TEXTS:
        payload_fields.add_text(content, "output", payload_fields.string(payload, _TEXTS[name]))
    return content


def is_launch(response: Mapping[str, object]) -> bool:
    """Return whether what a call answered is that it goes on in the background."""
    return bool(
        payload_fields.string(response, "backgroundTaskId")
        or response.get("isAsync") is True
        or response.get("status") == "async_launched"
    )


def _add_response(content: dict[str, object], response: object) -> None:
    payload_fields.add_text(content, "output", _response_text(response))
    if isinstance(response, dict) and is_launch(response):
        payload_fields.add_metadata(content, "background", True)
        return
    content["success"] = True
    if isinstance(response, dict):
        error = payload_fields.string(response, "error")
        if response.get("interrupted") is True:
            payload_fields.add_metadata(content, "interrupted", True)
            payload_fields.add_failure(content, error)
        elif error or response.get("success") is False:
            payload_fields.add_failure(content, error)


def _add_tool_failure(content: dict[str, object], payload: Mapping[str, object], tool: str) -> None:
    error = payload_fields.string(payload, "error")
    payload_fields.add_failure(content, error)
    if payload.get("is_interrupt") is True:
        payload_fields.add_metadata(content, "interrupted", True)
    code = _EXIT_CODE.match(error) if tool in _KINDS["command"] else None
    if code:
        payload_fields.add_metadata(content, "exit_code", int(code[1]))


def _add_spawned_agent(
    content: dict[str, object], tool_input: Mapping[str, object], response: Mapping[str, object]
) -> None:
    kind = payload_fields.string(tool_input, "subagent_type")
    agent = payload_fields.string(response, "agentId") or payload_fields.string(
        response, "agent_id"
    )
    payload_fields.add_spawned_agent(content, kind, agent)


def _response_text(response: object) -> str:
    if isinstance(response, str):
        return response
    if isinstance(response, list):
        return payload_fields.blocks_text(response)
    if not isinstance(response, dict):
        return payload_fields.compact_json(response)
    if "stdout" in response or "stderr" in response:
        streams = (payload_fields.string(response, name) for name in ("stdout", "stderr"))
        return "\n".join(stream for stream in streams if stream)
    patch = response.get("structuredPatch")
    if isinstance(patch, list) and patch:
        hunks = (hunk.get("lines") for hunk in patch if isinstance(hunk, dict))
        return payload_fields.blocks_text(
            line for lines in hunks if isinstance(lines, list) for line in lines
        )
    file = payload_fields.mapping(response, "file")
    if "content" in file:
        return payload_fields.string(file, "content")
    if "base64" in file:
        return payload_fields.blocks_text([{"type": response.get("type")}])
    for name in _RESPONSE_TEXTS:
        value = response.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, list) and value:
            return payload_fields.blocks_text(value)
    return payload_fields.compact_json(response)


_SECONDS: Final = 5
# The first version that knows each; an empty string for those that are older than 2.1.
_EVENTS: Final = {
    "SessionStart": "",
    "SessionEnd": "",
    "Setup": "2.1.10",
    "UserPromptSubmit": "",
    "UserPromptExpansion": "2.1.117",
    "PreToolUse": "",
    "PostToolUse": "",
    "PostToolUseFailure": "",
    "PostToolBatch": "2.1.118",
    "PermissionRequest": "",
    "PermissionDenied": "2.1.89",
    "Stop": "",
    "StopFailure": "2.1.78",
    "SubagentStart": "",
    "SubagentStop": "",
    "PreCompact": "",
    "PostCompact": "2.1.76",
    "Notification": "",
    "MessageDisplay": "2.1.152",
    "TaskCreated": "2.1.84",
    "TaskCompleted": "2.1.33",
    "TeammateIdle": "2.1.33",
    "Elicitation": "2.1.76",
    "ElicitationResult": "2.1.76",
    "ConfigChange": "2.1.49",
    "InstructionsLoaded": "2.1.69",
    "CwdChanged": "2.1.83",
    "PreModelSwitch": "2.1.251",
    "PostModelSwitch": "2.1.251",
    "DirectoryAdded": "2.1.219",
    "PreSkillShellCommand": "2.1.332",
}
# Other clients run these hooks, too, and some of them stop at any code but 0.
_BLOCKING: Final = frozenset(
    [
        "UserPromptSubmit", "UserPromptExpansion", "PreToolUse", "PostToolBatch",
        "PermissionRequest", "Stop", "SubagentStop", "PreCompact", "TaskCreated", "TaskCompleted",
        "TeammateIdle", "Elicitation", "ElicitationResult", "ConfigChange", "PreModelSwitch",
        "PreSkillShellCommand",
    ]
)  # fmt: skip
# Where their HTTP hook fails, the transcript says so, or it has what they are about: the text of a
# displayed message. Of the others all but SessionStart and Setup are delivered over HTTP, too, but
# a failure leaves no trace. They are the rare ones.
_OVER_HTTP: Final = frozenset(
    [
        "UserPromptSubmit", "PreToolUse", "PostToolUse", "PostToolUseFailure", "PostToolBatch",
        "MessageDisplay", "Stop",
    ]
)  # fmt: skip
# The files that change what an agent knows or may do, by name in its working directory; they need
# not be there yet.
_WATCHED_FILES: Final = "CLAUDE.md|AGENTS.md|.mcp.json|.env|.envrc"
_TRUST: Final = (
    "In the terminal Claude Code runs hooks, those of your user settings too, only in a folder that"
    " you trust: say yes when it asks, where its newest versions preselect No. `claude -p` does not"
    " ask.",
)

ENDINGS: Final[Mapping[str, Ending]] = {
    "<tool_use_error>cancelled": "interrupted",
    "<tool_use_error>": "invalid",
    "[request interrupted by user": "interrupted",
    "interrupted by user": "interrupted",
    "the user doesn't want to proceed": "denied",
    "the user doesn't want to take this action": "denied",
    "permission to use ": "denied",
    "permission for this action ": "denied",
    "permission for this tool use ": "denied",
    "claude requested permissions to": "denied",
    "this command requires approval": "denied",
    "pretooluse:": "denied",
    "hook pretooluse:": "denied",
}

TOOL: Final = Tool(
    name="claude-code",
    title="Claude Code",
    describe=describe,
    endings=ENDINGS,
    call_events=("PreToolUse", "PostToolUse", "PostToolUseFailure"),
    transcript_folders=("/.claude/projects/",),
    transcript_file=r"/projects/[^/]+/[^/]+\.jsonl\Z",
    mcp=McpSettings(
        project_file=".mcp.json",
        user_file=".claude.json",
        user_variable="CLAUDE_CONFIG_DIR",
        user_variable_file=".claude.json",
        before={"type": "stdio"},
        by_hand=(
            "Claude Code asks once whether it may start a project's server: `/mcp` shows it.",
        ),
    ),
    registration=Registration(
        project_file=".claude/settings.json",
        local_file=".claude/settings.local.json",
        user_file=".claude/settings.json",
        user_variable="CLAUDE_CONFIG_DIR",
        user_variable_file="settings.json",
        hooks=(
            *(
                Hook(
                    event,
                    _SECONDS,
                    http=event in _OVER_HTTP,
                    blocks=event in _BLOCKING,
                    since=since,
                )
                for event, since in _EVENTS.items()
            ),
            Hook("FileChanged", _SECONDS, _WATCHED_FILES, since="2.1.83"),
        ),
        runs_once=True,
        program=Program(
            name="claude",
            paths=(".local/bin/claude", ".claude/local/claude"),
            folders=(
                ".vscode*/extensions/anthropic.claude-code-*",
                ".cursor*/extensions/anthropic.claude-code-*",
            ),
            oldest="2.1.100",
        ),
        by_hand={"project": _TRUST, "local": _TRUST, "user": _TRUST},
        args_since="2.1.197",
    ),
)
