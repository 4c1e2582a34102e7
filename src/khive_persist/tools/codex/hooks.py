"""Codex: its words, and its hooks in `hooks.json`.

Seen on 0.169.0. It sends `PostToolUse` only for a call that did not fail, and takes every shell
command for one that did not, whatever its exit code.
"""

import json
import re
from collections.abc import Mapping
from typing import Final

from khive_persist.tools import payload_fields
from khive_persist.tools.patch_paths import paths_in
from khive_persist.tools.tool import Ending, Hook, McpSettings, Registration, Tool

_SHELL: Final = frozenset({"Bash", "shell", "local_shell", "exec_command"})
_PATCH: Final = frozenset({"apply_patch"})
_KINDS: Final = {
    "command": _SHELL,
    "edit": _PATCH,
    "agent_spawn": frozenset({"spawn_agent", "multi_agent_v1spawn_agent"}),
}
_TEXTS: Final = {"Stop": "last_assistant_message", "SubagentStop": "last_assistant_message"}
# Of a patch. The text of a shell command is what that wrote, which may look the same.
_EXIT_CODE: Final = re.compile(r"Exit code: (-?\d{1,10})\nWall time: ")


def describe(payload: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of a Codex event, as `Tool.describe` requires.

    `success` is left out for a shell command: Codex tells its exit code in the transcript only,
    and `sync` puts it in.
    The text of a patch stands in `payload` only: `file_paths` names its files, also where a shell
    command carries it. `output` of `Stop` and `SubagentStop` is what the agent said last.
    `metadata`: `exit_code` of a failed command, `mcp_server`, and of a started agent
    `spawned_agent_id`.
    """
    name = payload_fields.string(payload, "hook_event_name")
    tool = payload_fields.string(payload, "tool_name")
    tool_input = payload_fields.mapping(payload, "tool_input")
    content = payload_fields.plain_fields(payload)
    content["event_type"] = payload_fields.event_type(name, tool, _KINDS)
    if tool in _SHELL:
        payload_fields.add_command(content, tool_input)
    payload_fields.add_mcp_server(content, tool)
    payload_fields.add_paths(
        content,
        [
            *(tool_input.get(key) for key in payload_fields.PATH_KEYS),
            paths_in(payload_fields.string(tool_input, "command")),
        ],
    )
    if name == "PostToolUse":
        _add_response(content, payload.get("tool_response"), tool)
    if name in _TEXTS:
        payload_fields.add_text(content, "output", payload_fields.string(payload, _TEXTS[name]))
    return content


def _add_response(content: dict[str, object], response: object, tool: str) -> None:
    text = _response_text(response)
    if isinstance(response, dict) and response.get("isError") is True:
        payload_fields.add_failure(content, text)
        return
    payload_fields.add_text(content, "output", text)
    if tool in _SHELL:
        return
    code = _EXIT_CODE.match(text)
    if code:
        payload_fields.add_exit_code(content, int(code[1]))
    else:
        content["success"] = True
    if tool in _KINDS["agent_spawn"]:
        _add_spawned_agent(content, text)


def _add_spawned_agent(content: dict[str, object], text: str) -> None:
    try:
        response = json.loads(text)
    except (ValueError, RecursionError):
        return
    if isinstance(response, dict) and payload_fields.string(response, "agent_id"):
        payload_fields.add_metadata(content, "spawned_agent_id", response["agent_id"])


def _response_text(response: object) -> str:
    if isinstance(response, str):
        return response
    if isinstance(response, list):
        return payload_fields.blocks_text(response)
    if isinstance(response, dict) and isinstance(response.get("content"), list):
        return payload_fields.blocks_text(response["content"])
    return payload_fields.compact_json(response)


_SECONDS: Final = 5
# Codex gives these two no more.
_LAST: Final = frozenset(["SessionEnd", "Interrupt"])
_LAST_SECONDS: Final = 3
_EVENTS: Final = (
    "SessionStart", "SessionEnd", "UserPromptSubmit", "PreToolUse", "PermissionRequest",
    "PostToolUse", "PreCompact", "PostCompact", "SubagentStart", "SubagentStop", "Stop",
    "Interrupt",
)  # fmt: skip
_BLOCKING: Final = frozenset(
    ["UserPromptSubmit", "PreToolUse", "PermissionRequest", "PreCompact", "SubagentStop", "Stop"]
)
_TRUST: Final = (
    'Start `codex` once and choose "Trust all and continue" when it says "Hooks need review".',
    "Until then, and after every change of the command, Codex runs no hook;"
    " `codex exec` does not say so.",
)

ENDINGS: Final[Mapping[str, Ending]] = {
    "aborted by user": "interrupted",
    "exec command rejected by user": "denied",
    "patch rejected by user": "denied",
    "command blocked by pretooluse hook": "denied",
    "apply_patch verification failed: ": "refused",
    "failed to parse function arguments: ": "invalid",
    "unsupported call: ": "invalid",
    "update_plan is a todo/checklist tool and is not allowed": "invalid",
}

TOOL: Final = Tool(
    name="codex",
    title="Codex",
    describe=describe,
    endings=ENDINGS,
    silent_tools=frozenset({"update_plan", "write_stdin"}),
    call_events=("PreToolUse", "PostToolUse", "PostToolUse"),
    transcript_folders=("/.codex/sessions/", "/.codex/archived_sessions/"),
    transcript_file=r"/rollout-[^/]+\.jsonl(?:\.zst)?\Z",
    mcp=McpSettings(
        project_file=".codex/config.toml",
        user_file=".codex/config.toml",
        user_variable="CODEX_HOME",
        user_variable_file="config.toml",
        table="mcp_servers",
        form="toml",
        by_hand=("Codex starts a project's servers only where it trusts the folder.",),
    ),
    registration=Registration(
        project_file=".codex/hooks.json",
        user_file=".codex/hooks.json",
        user_variable="CODEX_HOME",
        user_variable_file="hooks.json",
        hooks=tuple(
            Hook(event, _LAST_SECONDS if event in _LAST else _SECONDS, blocks=event in _BLOCKING)
            for event in _EVENTS
        ),
        topmost=".git",
        by_hand={
            "project": (
                "Codex reads a project's hooks only where it trusts the folder:"
                " say yes when it asks.",
                *_TRUST,
            ),
            "local": (),
            "user": _TRUST,
        },
    ),
)
