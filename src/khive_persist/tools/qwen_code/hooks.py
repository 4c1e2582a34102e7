"""Qwen Code: its words, and its hooks in `settings.json`.

Seen on 0.24.4. It is a fork of Gemini CLI whose hooks have Claude Code's names and keys. Before
0.24 a timeout was in milliseconds; since then it is in seconds, but for numbers from 1,000 on.

Three of its events are not registered. `TodoCreated` and `TodoCompleted` come twice for each item,
before and after the list is written, and where such a hook fails the list is not written;
`PostToolUse` of `todo_write` has the whole list. `MessageDisplay` is only registered when asked:
it comes up to twice an answer of the model, with a text that the transcript has.
"""

from collections.abc import Mapping
from typing import Final

from khive_persist.tools import payload_fields
from khive_persist.tools.qwen_code.shell import shell_end
from khive_persist.tools.tool import Hook, McpSettings, Registration, Tool

SHELL: Final = frozenset({"run_shell_command"})
AGENT: Final = frozenset({"agent", "task"})
_KINDS: Final = {
    "command": SHELL,
    "edit": frozenset({"edit", "write_file", "notebook_edit"}),
    "agent_spawn": AGENT,
}
# The text of what these events bring is their output.
_TEXTS: Final = {
    "Stop": "last_assistant_message",
    "StopFailure": "last_assistant_message",
    "SubagentStop": "last_assistant_message",
    "MessageDisplay": "displayed_text",
    "Notification": "message",
    "PostCompact": "compact_summary",
}
_PROMPT: Final = "UserPromptSubmit"
_BACKGROUND: Final = "background"


def describe(payload: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of a Qwen Code event, as `Tool.describe` requires.

    `tool_use_id` is the model's id of the call, `tool_call_id`, as the transcript has it: the id
    under that name is another one for each event of a hook. `success` of a command is what its exit
    code says. `output` of a command is what it wrote, without the lines that Qwen Code adds; of an
    edit its diff; of `Stop` and `SubagentStop` what the agent said last; of a notification its
    message. A failed call has its text in `error`. A call that goes on in the background has no
    `success` yet: `sync` adds how it ended.
    An event that comes as a prompt each time that results of tools go to the model, without one,
    is a `turn_continued`.
    `metadata`: `exit_code` of a failed command, `interrupted`, `background`, `mcp_server`, and of a
    started agent `spawned_agent_type` and `spawned_agent_id`.
    """
    name = payload_fields.string(payload, "hook_event_name")
    tool = payload_fields.string(payload, "tool_name")
    tool_input = payload_fields.mapping(payload, "tool_input")
    content = payload_fields.plain_fields(payload)
    content["event_type"] = payload_fields.event_type(name, tool, _KINDS)
    if name == _PROMPT and payload.get("prompt") == "" and "submitted_prompt" not in payload:
        content["event_type"] = "turn_continued"
    payload_fields.add_text(content, "tool_use_id", payload_fields.string(payload, "tool_call_id"))
    if tool in SHELL:
        payload_fields.add_command(content, tool_input)
    payload_fields.add_mcp_server(content, tool)
    payload_fields.add_paths(
        content,
        [
            payload.get("file_path"),
            *(tool_input.get(key) for key in payload_fields.PATH_KEYS),
        ],
    )
    if tool in AGENT:
        agent_type = payload_fields.string(tool_input, "subagent_type")
        payload_fields.add_spawned_agent(content, agent_type)
    if name == "PostToolUse":
        _add_response(content, payload.get("tool_response"), tool, tool_input)
    elif name == "PostToolUseFailure":
        _add_tool_failure(content, payload, tool, tool_input)
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


def sends(payload: Mapping[str, object]) -> bool:
    """Tell whether a payload is of it, as `Tool.sends` requires."""
    return "submitted_prompt" in payload or (
        "tool_call_id" in payload
        and payload_fields.string(payload, "tool_use_id").startswith("toolu_")
        and "timestamp" in payload
    )


def _add_response(
    content: dict[str, object],
    response: object,
    tool: str,
    tool_input: Mapping[str, object],
) -> None:
    answer = response if isinstance(response, dict) else {"llmContent": response}
    text = _text(answer.get("llmContent"))
    if tool in SHELL:
        _add_command_end(content, text, tool_input)
        return
    display = answer.get("returnDisplay")
    shown = display if isinstance(display, dict) else {}
    payload_fields.add_text(content, "output", payload_fields.string(shown, "fileDiff") or text)
    if tool in AGENT and shown.get("status") == _BACKGROUND:
        payload_fields.add_metadata(content, _BACKGROUND, True)
        agent = started_agent(text)
        if agent:
            payload_fields.add_metadata(content, "spawned_agent_id", agent)
        return
    content["success"] = True


def started_agent(text: str) -> str:
    """Return the id of the agent that a call says that it started; an empty text for none."""
    for line in text.splitlines()[:5]:
        if line.startswith("task_id: "):
            return line.removeprefix("task_id: ").split(" ", 1)[0]
    return ""


def _add_tool_failure(
    content: dict[str, object],
    payload: Mapping[str, object],
    tool: str,
    tool_input: Mapping[str, object],
) -> None:
    error = payload_fields.string(payload, "error") or _text(payload.get("tool_response"))
    if payload.get("is_interrupt") is True:
        payload_fields.add_metadata(content, "interrupted", True)
    if tool in SHELL:
        _add_command_end(content, error, tool_input)
    if content.get("success") is not False:
        payload_fields.add_failure(content, error)


def _add_command_end(
    content: dict[str, object], text: str, tool_input: Mapping[str, object]
) -> None:
    end = shell_end(text, payload_fields.string(tool_input, "command"))
    payload_fields.add_text(content, "output", end.output)
    if end.is_interrupted:
        payload_fields.add_metadata(content, "interrupted", True)
    if end.is_background or tool_input.get("is_background") is True:
        payload_fields.add_metadata(content, _BACKGROUND, True)
    elif end.exit_code is not None:
        payload_fields.add_exit_code(content, end.exit_code)
    elif end.success is False:
        payload_fields.add_failure(content, end.error)


def _text(llm_content: object) -> str:
    if isinstance(llm_content, str):
        return llm_content
    if isinstance(llm_content, list):
        return payload_fields.blocks_text(llm_content)
    if isinstance(llm_content, dict):
        return payload_fields.blocks_text([llm_content])
    return payload_fields.compact_json(llm_content)


# Read as milliseconds by every version.
_MILLISECONDS: Final = 5_000
# SessionDelete and StopFailure outlive the client, which starts an interpreter of its own for each.
_EVENTS: Final = (
    "SessionStart", "SessionEnd", "SessionDelete", "InstructionsLoaded", "UserPromptSubmit",
    "UserPromptExpansion", "PreToolUse", "PostToolUse", "PostToolUseFailure", "PostToolBatch",
    "PermissionRequest", "PermissionDenied", "Stop", "StopFailure", "SubagentStart",
    "SubagentStop", "PreCompact", "PostCompact", "Notification",
)  # fmt: skip
_BLOCKING: Final = frozenset(
    [
        "UserPromptSubmit", "UserPromptExpansion", "PreToolUse", "PostToolUse",
        "PostToolUseFailure", "PostToolBatch", "PermissionRequest", "Stop", "SubagentStart",
        "SubagentStop", "PreCompact",
    ]
)  # fmt: skip
_TRUST: Final = (
    "Qwen Code runs the hooks of a project only in a folder that it trusts, where folder trust is"
    " switched on: say yes when it asks, or use `/trust`.",
)

TOOL: Final = Tool(
    name="qwen-code",
    title="Qwen Code",
    describe=describe,
    asks_first=True,
    sends=sends,
    call_events=("PreToolUse", "PostToolUse", "PostToolUseFailure"),
    transcript_folders=("/.qwen/projects/",),
    transcript_file=r"/projects/[^/]+/(?:chats|subagents/[^/]+)/[^/]+\.jsonl\Z",
    has_times=True,
    mcp=McpSettings(
        project_file=".qwen/settings.json",
        user_file=".qwen/settings.json",
        user_variable="QWEN_HOME",
        user_variable_file="settings.json",
        comments=True,
    ),
    registration=Registration(
        project_file=".qwen/settings.json",
        user_file=".qwen/settings.json",
        user_variable="QWEN_HOME",
        user_variable_file="settings.json",
        hooks=(
            *(Hook(event, _MILLISECONDS, blocks=event in _BLOCKING) for event in _EVENTS),
            Hook("MessageDisplay", _MILLISECONDS, model=True),
        ),
        entry_name="khive-persist",
        comments=True,
        runs_once=True,
        by_hand={"project": _TRUST, "local": (), "user": ()},
    ),
)
