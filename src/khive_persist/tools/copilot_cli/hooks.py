"""Copilot CLI: its words, and its hooks in a file of their own in `.github/hooks`.

Seen on 1.0.102. Events have two dialects. By names as `preToolUse` a payload does not say which
event it is, and its keys are `sessionId`, `toolArgs`; by names as `PreToolUse` it is as Claude
Code's, with `tool_result` for the result. Those of a subagent's start, of permissions, of MCP calls
and notifications are the same in both, a mixture. The second dialect is registered: its payloads
are byte for byte those that Copilot sends to the hooks of Claude Code's project settings, which it
runs, too, and so each event is known for one.

It sends no id of a call, and `PostToolUse` for each command that has ended, whatever its exit code.
A subagent's events have its own id in place of the session's.
"""

import posixpath
from collections.abc import Mapping
from typing import Final

from khive_persist.tools import payload_fields
from khive_persist.tools.copilot_cli.shell import shell_end
from khive_persist.tools.tool import Hook, McpSettings, Registration, Tool

# Its tools, as the events in Claude Code's dialect name them.
_NAMES: Final = {
    "apply_patch": "Edit",
    "ask_user": "AskUserQuestion",
    "bash": "Bash",
    "create": "Write",
    "edit": "Edit",
    "glob": "Glob",
    "grep": "Grep",
    "powershell": "PowerShell",
    "skill": "Skill",
    "str_replace_editor": "Edit",
    "task": "Agent",
    "update_todo": "TodoWrite",
    "view": "Read",
    "web_fetch": "WebFetch",
    "web_search": "WebSearch",
}
_SHELLS: Final = frozenset({"Bash", "PowerShell"})
_KINDS: Final = {
    "command": _SHELLS,
    "edit": frozenset({"Edit", "Write", "MultiEdit", "NotebookEdit"}),
    "agent_spawn": frozenset({"Agent", "Task"}),
}
_PHASES: Final = {
    "preToolUse": "pre",
    "postToolUse": "post",
    "postToolUseFailure": "post",
}
_WORDS: Final = {
    "agentStop": "stop",
    "postToolUseFailure": "post_tool_use_failure",
    "userPromptSubmitted": "prompt_submitted",
}
NAMES_OF_EVENTS: Final = {
    "SessionStart": "sessionStart",
    "SessionEnd": "sessionEnd",
    "UserPromptSubmit": "userPromptSubmitted",
    "PreToolUse": "preToolUse",
    "PostToolUse": "postToolUse",
    "PostToolUseFailure": "postToolUseFailure",
    "Stop": "agentStop",
    "SubagentStart": "subagentStart",
    "SubagentStop": "subagentStop",
    "ErrorOccurred": "errorOccurred",
    "PreCompact": "preCompact",
    "PermissionRequest": "permissionRequest",
    "Notification": "notification",
    "PreMcpToolCall": "preMcpToolCall",
}
_REGISTERED: Final = {event: name for name, event in NAMES_OF_EVENTS.items()}
# The keys that only one event has, for payloads that do not name theirs; the first that fit count.
_KEYS: Final = (
    (("transformedPrompt",), "userPromptTransformed"),
    (("serverName", "arguments"), "preMcpToolCall"),
    (("tool_name", "tool_response"), "postToolUse"),
    (("tool_name", "error"), "postToolUseFailure"),
    (("tool_name", "tool_input"), "preToolUse"),
    (("agentName", "stopReason"), "subagentStop"),
    (("agentName",), "subagentStart"),
    (("stopReason",), "agentStop"),
    (("errorContext",), "errorOccurred"),
    (("customInstructions",), "preCompact"),
    (("trigger",), "preCompact"),
    (("source",), "sessionStart"),
    (("prompt",), "userPromptSubmitted"),
    (("reason",), "sessionEnd"),
)
_SESSIONS: Final = "/session-state/"
# What the client submits in the user's name.
_INJECTED: Final = "<system_notification>"


def describe(payload: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of a Copilot CLI event, as `Tool.describe` requires.

    Both dialects give the same ones: events and tools are named as in the second. `session_id` of a
    subagent's event is its session's; of an agent that another one started only some events tell
    it, and the others name that one in its place. `output` of a command is what that wrote, without
    Copilot's last line, whose exit code says `success`; of a subagent's end, what the agent said
    last; of a notification, its message. A `stop` is the session's: a subagent's is `agent_stop`,
    and what is given to it as a prompt `agent_prompt_submitted`.
    `metadata`: `exit_code` of a failed command, `background`, `mcp_server`, `tool_call_id` of a
    call of an MCP server, `parent_agent_id` where an agent is another one's, `injected` for a
    prompt that the client made, and of a started agent `spawned_agent_type`.
    """
    name = event_name(payload)
    tool_name = payload_fields.string(payload, "tool_name")
    tool = hook_name(tool_name)
    tool_input = payload_fields.mapping(payload, "tool_input")
    content = payload_fields.plain_fields(payload)
    payload_fields.add_text(content, "hook_event_name", _REGISTERED.get(name, name))
    payload_fields.add_text(content, "tool_name", tool)
    _add_agent(content, payload)
    content["event_type"] = _event_type(name, tool, is_agents="agent_id" in content)
    prompt = payload_fields.string(payload, "prompt")
    if name == "userPromptSubmitted" and prompt.startswith(_INJECTED):
        payload_fields.add_metadata(content, "injected", "task_notification")
    if call := payload_fields.string(payload, "toolCallId"):
        # No event before or after the call has it.
        payload_fields.add_metadata(content, "tool_call_id", call)
    if tool in _SHELLS:
        payload_fields.add_command(content, tool_input)
    payload_fields.add_mcp_server(content, tool, _server(payload, tool_name))
    payload_fields.add_paths(content, [tool_input.get(key) for key in payload_fields.PATH_KEYS])
    if tool in _KINDS["agent_spawn"]:
        payload_fields.add_spawned_agent(content, payload_fields.string(tool_input, "agent_type"))
    _add_outcome(content, payload, name, tool)
    return content


def event_name(payload: Mapping[str, object]) -> str:
    """Return an event's name in the first dialect: as the payload says, or by its keys."""
    name = payload_fields.string(payload, "hook_event_name")
    if name:
        return NAMES_OF_EVENTS.get(name, name)
    return next((event for keys, event in _KEYS if all(key in payload for key in keys)), "")


def hook_name(tool: str) -> str:
    """Return a tool's name in the second dialect, in which events of both are recorded."""
    return _NAMES.get(tool, tool)


def sends(payload: Mapping[str, object]) -> bool:
    """Tell whether a payload is of it, as `Tool.sends` requires."""
    results = (payload.get(key) for key in ("tool_result", "toolResult"))
    if any(isinstance(r, dict) and ("result_type" in r or "resultType" in r) for r in results):
        return True
    is_number = isinstance(payload.get("timestamp"), int)
    return is_number and "sessionId" in payload and "hookEventName" not in payload


def _event_type(name: str, tool: str, *, is_agents: bool) -> str:
    if is_agents and name == "agentStop":
        return "agent_stop"
    if is_agents and name == "userPromptSubmitted":
        return "agent_prompt_submitted"
    return payload_fields.event_type(name, tool, _KINDS, _PHASES, _WORDS)


def _add_agent(content: dict[str, object], payload: Mapping[str, object]) -> None:
    """Set the agent, and the session that it is of: its own id stands in place of that."""
    for name, other in (("agent_id", "agentId"), ("agent_type", "agentType")):
        value = payload_fields.string(payload, other)
        if name not in content:
            payload_fields.add_text(content, name, value)
    parent = payload_fields.string(payload, "parent_agent_id")
    parent = parent or payload_fields.string(payload, "parentAgentId")
    if "agent_id" in content:
        session = _session_of(payload_fields.string(payload, "transcript_path"))
        if not session and content.get("session_id") == content["agent_id"]:
            session = parent
        payload_fields.add_text(content, "session_id", session)
    if parent and parent != content.get("session_id"):
        payload_fields.add_metadata(content, "parent_agent_id", parent)


def _session_of(transcript: str) -> str:
    folder, separator, rest = transcript.replace("\\", "/").rpartition(_SESSIONS)
    return posixpath.dirname(rest) if folder and separator else ""


def _server(payload: Mapping[str, object], tool: str) -> str:
    """Return the MCP server of a tool, where its name `server-tool` tells it from another's."""
    if name := payload_fields.string(payload, "serverName"):
        return name
    server, separator, _ = tool.partition("/")
    if separator:
        return server
    server, separator, rest = tool.partition("-")
    return server if separator and "-" not in rest else ""


def _add_outcome(
    content: dict[str, object], payload: Mapping[str, object], name: str, tool: str
) -> None:
    if name == "postToolUse":
        _add_result(content, payload_fields.mapping(payload, "tool_response"), tool)
    elif name in ("postToolUseFailure", "errorOccurred"):
        error = payload.get("error")
        if isinstance(error, dict):
            error = payload_fields.string(error, "message")
        error = error if isinstance(error, str) else ""
        payload_fields.add_failure(content, error)
    elif name == "subagentStop":
        text = payload_fields.string(payload, "last_assistant_message")
        text = text or payload_fields.string(payload, "response")
        payload_fields.add_text(content, "output", text)
    elif name == "notification":
        payload_fields.add_text(content, "output", payload_fields.string(payload, "message"))


def _add_result(content: dict[str, object], result: Mapping[str, object], tool: str) -> None:
    text = payload_fields.string(result, "text_result_for_llm")
    text = text or payload_fields.string(result, "textResultForLlm")
    kind = payload_fields.string(result, "result_type")
    kind = kind or payload_fields.string(result, "resultType")
    if tool in _SHELLS:
        end = shell_end(text)
        payload_fields.add_text(content, "output", end.output)
        if end.is_running:
            payload_fields.add_metadata(content, "background", True)
            return
        if end.exit_code is not None:
            payload_fields.add_exit_code(content, end.exit_code)
            return
    else:
        payload_fields.add_text(content, "output", text)
    if kind in ("", "success"):
        content["success"] = True
    else:
        payload_fields.add_failure(content, text)


_SECONDS: Final = 5
_EVENTS: Final = (
    "SessionStart", "SessionEnd", "UserPromptSubmit", "userPromptTransformed", "PreToolUse",
    "PostToolUse", "PostToolUseFailure", "Stop", "SubagentStart", "SubagentStop", "ErrorOccurred",
    "PreCompact", "PermissionRequest", "Notification", "PreMcpToolCall",
)  # fmt: skip
_BLOCKING: Final = frozenset(
    ["UserPromptSubmit", "userPromptTransformed", "PreToolUse", "PermissionRequest",
     "PreMcpToolCall", "PreCompact", "Stop", "SubagentStart", "SubagentStop"]
)  # fmt: skip
_TRUST: Final = (
    "Copilot CLI runs the hooks of a project only in a folder that it trusts:"
    " say yes when it asks, or start it with `--trust-folder`.",
)

TOOL: Final = Tool(
    name="copilot-cli",
    title="Copilot CLI",
    describe=describe,
    sends=sends,
    call_events=("PreToolUse", "PostToolUse", "PostToolUseFailure"),
    transcript_folders=("/.copilot/session-state/",),
    transcript_file=r"/session-state/[^/]+/events\.jsonl\Z",
    has_call_ids=False,
    has_times=True,
    hook_name=hook_name,
    mcp=McpSettings(
        project_file=".github/mcp.json",
        user_file=".copilot/mcp-config.json",
        user_variable="COPILOT_HOME",
        user_variable_file="mcp-config.json",
        before={"type": "local"},
        behind={"tools": ["*"]},
    ),
    registration=Registration(
        project_file=".github/hooks/khive-persist.json",
        user_file=".copilot/hooks/khive-persist.json",
        user_variable="COPILOT_HOME",
        user_variable_file="hooks/khive-persist.json",
        hooks=tuple(Hook(event, _SECONDS, blocks=event in _BLOCKING) for event in _EVENTS),
        by_hand={"project": _TRUST, "local": (), "user": ()},
        form="flat",
        command_key="bash",
        timeout_key="timeoutSec",
        head={"version": 1},
    ),
)
