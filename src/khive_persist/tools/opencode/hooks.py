"""OpenCode: its words, and our plugin, which its process loads.

Seen on 1.18.33. A payload is what the client gave the plugin: `event` is an event of its bus,
`input` and `output` are the arguments of a hook. Of a tool call they stand under the names that all
tools have, `tool_input` and `tool_response`. A subagent has a session of its own, whose id is the
`agent_id`. `timestamp` is in milliseconds since 1970; `sequence` counts the events of a process.
"""

from collections.abc import Mapping
from typing import Final

from khive_persist.tools import payload_fields
from khive_persist.tools.opencode.plugin import HOOKS, contents
from khive_persist.tools.tool import Ending, McpSettings, OwnFiles, Tool

CALL_EVENTS: Final = ("tool.execute.before", "tool.execute.after", "message.part.updated")
_BEFORE, _AFTER, _FAILED = CALL_EVENTS
_KINDS: Final = {
    "command": frozenset({"bash"}),
    "edit": frozenset({"edit", "write", "multiedit", "patch", "apply_patch"}),
    "agent_spawn": frozenset({"task"}),
}
_PHASES: Final = {_BEFORE: "pre", _AFTER: "post", _FAILED: "post"}
_WORDS: Final = {
    "session.created": "session_start",
    "session.idle": "stop",
    "session.error": "stop_failure",
    "session.compacted": "post_compact",
    "experimental.session.compacting": "pre_compact",
    "chat.message": "prompt_submitted",
    "permission.asked": "permission_request",
    "permission.updated": "permission_request",
    _FAILED: "post_tool_use_failure",
}
# The same of a subagent: nobody typed its prompt.
_AGENT_WORDS: Final = {
    "session.created": "subagent_start",
    "session.idle": "subagent_stop",
    "chat.message": "subagent_prompt",
}
_PATH_KEYS: Final = (*payload_fields.PATH_KEYS, "filePath")
# What a failed call says that did not run, and that of one that was stopped.
DENIED: Final = (
    "The user rejected permission to use this specific tool call",
    "The user has specified a rule which prevents you from using this specific tool call",
)
ABORTED: Final = "Tool execution aborted"
# In the place of a tool whose input does not fit, or that is not there.
INVALID: Final = "invalid"


def describe(payload: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of an event of OpenCode or a fork of it, as `Tool.describe` requires.

    `success` of a command is what its exit code says. A failed call has its text in `error`; one
    that was refused is a `permission_denied`. `model` is that of the message or session.
    `metadata`: `exit_code` of a failed command, `interrupted`, `title` of a session, `tokens` and
    `cost` in USD of an answer, `spawned_agent_id` and `spawned_agent_type` of a started agent, and
    `dropped`, the number of events before this one that the plugin had no room for.
    """
    name = payload_fields.string(payload, "hook_event_name")
    tool = payload_fields.string(payload, "tool_name")
    tool_input = payload_fields.mapping(payload, "tool_input")
    properties = payload_fields.mapping(payload_fields.mapping(payload, "event"), "properties")
    content = payload_fields.plain_fields(payload)
    words = _WORDS | _AGENT_WORDS if "agent_id" in content else _WORDS
    content["event_type"] = payload_fields.event_type(name, tool, _KINDS, _PHASES, words)
    if tool in _KINDS["command"]:
        payload_fields.add_command(content, tool_input)
    response = payload_fields.mapping(payload, "tool_response")
    if tool in _KINDS["agent_spawn"]:
        _add_spawned_agent(content, tool_input, response)
    payload_fields.add_paths(content, [tool_input.get(key) for key in _PATH_KEYS])
    if name == _AFTER:
        _add_response(content, response, tool)
    elif name == _FAILED:
        _add_call_failure(content, payload_fields.string(payload, "error"))
    elif name == "session.error":
        _add_turn_failure(content, payload_fields.mapping(properties, "error"))
    _add_info(content, payload_fields.mapping(properties, "info"))
    dropped = payload.get("dropped")
    if isinstance(dropped, int) and dropped > 0:
        payload_fields.add_metadata(content, "dropped", dropped)
    return content


def sends(payload: Mapping[str, object]) -> bool:
    """Return whether a payload is that of our plugin in OpenCode, whoever's file it lies in."""
    return payload.get("client") == TOOL.name and "sequence" in payload


def _add_response(content: dict[str, object], response: Mapping[str, object], tool: str) -> None:
    output = payload_fields.string(response, "output")
    code = payload_fields.mapping(response, "metadata").get("exit")
    if tool == INVALID:
        payload_fields.add_failure(content, output)
        return
    payload_fields.add_text(content, "output", output)
    if tool not in _KINDS["command"]:
        content["success"] = True
    elif isinstance(code, int) and abs(code) < payload_fields.MAX_NUMBER:
        payload_fields.add_exit_code(content, code)


def _add_call_failure(content: dict[str, object], error: str) -> None:
    payload_fields.add_failure(content, error)
    if error.startswith(DENIED):
        content["event_type"] = "permission_denied"
    if error.startswith(ABORTED):
        payload_fields.add_metadata(content, "interrupted", True)


def _add_turn_failure(content: dict[str, object], error: Mapping[str, object]) -> None:
    kind = payload_fields.string(error, "name")
    text = payload_fields.string(payload_fields.mapping(error, "data"), "message")
    if kind == "MessageAbortedError":
        content["event_type"] = "interrupt"
        payload_fields.add_metadata(content, "interrupted", True)
    payload_fields.add_failure(content, text or kind)


def _add_spawned_agent(
    content: dict[str, object], tool_input: Mapping[str, object], response: Mapping[str, object]
) -> None:
    kind = payload_fields.string(tool_input, "subagent_type")
    agent = payload_fields.string(payload_fields.mapping(response, "metadata"), "sessionId")
    for name, value in (("spawned_agent_type", kind), ("spawned_agent_id", agent)):
        if value:
            payload_fields.add_metadata(content, name, value)


def _add_info(content: dict[str, object], info: Mapping[str, object]) -> None:
    """Add what the client says of a session, or of an answer."""
    model = payload_fields.string(info, "modelID") or payload_fields.string(
        payload_fields.mapping(info, "model"), "id"
    )
    if model:
        content.setdefault("model", model)
    agent = payload_fields.string(info, "agent")
    if agent and "agent_id" in content:
        content.setdefault("agent_type", agent)
    if title := payload_fields.string(info, "title"):
        payload_fields.add_metadata(content, "title", title)
    if info.get("role") == "assistant":
        if tokens := payload_fields.mapping(info, "tokens"):
            payload_fields.add_metadata(content, "tokens", dict(tokens))
        cost = info.get("cost")
        if isinstance(cost, int | float) and abs(cost) < payload_fields.MAX_NUMBER:
            payload_fields.add_metadata(content, "cost", cost)


ENDINGS: Final[Mapping[str, Ending]] = {
    "the user rejected permission to use this specific tool call": "denied",
    "the user has specified a rule which prevents you from using this": "denied",
    "tool execution aborted": "interrupted",
    "the arguments provided to the tool are invalid": "invalid",
}

TOOL: Final = Tool(
    name="opencode",
    title="OpenCode",
    describe=describe,
    endings=ENDINGS,
    call_events=CALL_EVENTS,
    transcript_folders=("/opencode/opencode.db/",),
    transcript_file=r"(?<!/kilo)/[^/]+\.db/ses_[^/]+\Z",
    sends=sends,
    mcp=McpSettings(
        project_file="opencode.json",
        user_file=".config/opencode/opencode.json",
        user_variable="XDG_CONFIG_HOME",
        user_variable_file="opencode/opencode.json",
        table="mcp",
        form="list",
        before={"type": "local"},
        behind={"enabled": True},
        comments=True,
    ),
    registration=OwnFiles(
        project_folder=".opencode/plugins",
        user_folder=".config/opencode/plugins",
        user_variable="XDG_CONFIG_HOME",
        user_variable_folder="opencode/plugins",
        contents=contents,
        hooks=HOOKS,
        by_hand={"project": (), "local": (), "user": ()},
        runs_once=True,
        topmost=".git",
    ),
)
