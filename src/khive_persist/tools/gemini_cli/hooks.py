"""Gemini CLI: its words, and its hooks in `settings.json`.

Seen on 0.61.0. Its three events around the model's calls repeat the whole conversation each time,
`AfterModel` once a stream chunk: they are registered only when asked for.
"""

from collections.abc import Mapping
from typing import Final

from khive_persist.tools import payload_fields
from khive_persist.tools.gemini_cli.shell import shell_end, unwrapped
from khive_persist.tools.tool import Ending, Hook, McpSettings, Registration, Tool

SHELL: Final = frozenset({"run_shell_command"})
_KINDS: Final = {
    "command": SHELL,
    "edit": frozenset({"write_file", "replace", "edit"}),
    "agent_spawn": frozenset({"invoke_agent", "delegate_to_agent", "codebase_investigator"}),
}
_MODEL_EVENTS: Final = ("BeforeModel", "AfterModel", "BeforeToolSelection")
_PHASES: Final = {"BeforeTool": "pre", "AfterTool": "post"}
# The events that are the same thing as one of Claude Code's, in its word.
_SAME: Final = {
    "BeforeAgent": "prompt_submitted",
    "AfterAgent": "stop",
    "PreCompress": "pre_compact",
}
_TEXTS: Final = {"AfterAgent": "prompt_response", "Notification": "message"}


def describe(payload: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of a Gemini CLI event, as `Tool.describe` requires.

    `success` of a command is what its exit code says, and is left out where it runs on in the
    background. `output` is without the wrapper that marks it as untrusted for the model, and for a
    command without the lines that Gemini adds; of `AfterAgent`, what the agent said; of a
    notification, its message. A failed call has its text in `error`.
    `metadata`: `exit_code` of a failed command, `interrupted`, `mcp_server`, and of a started agent
    `spawned_agent_type`.
    """
    name = payload_fields.string(payload, "hook_event_name")
    tool = payload_fields.string(payload, "tool_name")
    tool_input = payload_fields.mapping(payload, "tool_input")
    details = payload_fields.mapping(payload, "details")
    content = payload_fields.plain_fields(payload)
    content["event_type"] = payload_fields.event_type(name, tool, _KINDS, _PHASES, _SAME)
    if tool in _KINDS["command"]:
        payload_fields.add_command(content, tool_input)
    elif name == "Notification":
        payload_fields.add_command(content, details)
    server = payload_fields.string(payload_fields.mapping(payload, "mcp_context"), "server_name")
    if server:
        payload_fields.add_metadata(content, "mcp_server", server)
    payload_fields.add_paths(
        content,
        [*(tool_input.get(key) for key in payload_fields.PATH_KEYS), details.get("filePath")],
    )
    if tool in _KINDS["agent_spawn"]:
        payload_fields.add_spawned_agent(content, payload_fields.string(tool_input, "agent_name"))
    model = payload_fields.string(payload_fields.mapping(payload, "llm_request"), "model")
    if model:
        content.setdefault("model", model)
    if name == "AfterTool":
        _add_response(content, payload_fields.mapping(payload, "tool_response"), tool)
    if name in _TEXTS:
        payload_fields.add_text(content, "output", payload_fields.string(payload, _TEXTS[name]))
    return content


def without_conversation(payload: Mapping[str, object]) -> dict[str, object] | None:
    """Return a payload without its conversation, as `Tool.without_conversation` requires.

    In place of `llm_request.messages` stands `{"omitted": "conversation", "messages": n,
    "bytes": n}`: how many they were, and their size as compact JSON.
    """
    request = payload.get("llm_request")
    if payload.get("hook_event_name") not in _MODEL_EVENTS or not isinstance(request, dict):
        return None
    messages = request.get("messages")
    if not isinstance(messages, list):
        return None
    size = len(payload_fields.compact_json(messages).encode("utf-8", "surrogatepass"))
    omitted = {"omitted": "conversation", "messages": len(messages), "bytes": size}
    return {**payload, "llm_request": {**request, "messages": omitted}}


def _add_response(content: dict[str, object], response: Mapping[str, object], tool: str) -> None:
    text = _response_text(response)
    error = response.get("error")
    if error:
        reason = error if isinstance(error, str) else ""
        if isinstance(error, dict):
            reason = payload_fields.string(error, "message")
        payload_fields.add_failure(content, reason or text)
    elif tool in _KINDS["command"]:
        _add_command_result(content, text, response)
    else:
        content["success"] = True
        payload_fields.add_text(content, "output", text)


def _add_command_result(
    content: dict[str, object], text: str, response: Mapping[str, object]
) -> None:
    end = shell_end(text, response.get("returnDisplay"))
    if end.is_interrupted:
        payload_fields.add_metadata(content, "interrupted", True)
    payload_fields.add_text(content, "output", end.output)
    if end.exit_code is not None:
        payload_fields.add_exit_code(content, end.exit_code)
    elif end.success is False:
        payload_fields.add_failure(content, end.error)


def _response_text(response: Mapping[str, object]) -> str:
    llm_content = response.get("llmContent")
    if isinstance(llm_content, str):
        text = llm_content
    elif isinstance(llm_content, list):
        text = payload_fields.blocks_text(llm_content)
    elif isinstance(llm_content, dict):
        text = payload_fields.blocks_text([llm_content])
    else:
        return payload_fields.compact_json(dict(response)) if response else ""
    return unwrapped(text)


_MILLISECONDS: Final = 5_000
_EVENTS: Final = (
    "SessionStart", "SessionEnd", "BeforeAgent", "AfterAgent", "BeforeTool", "AfterTool",
    "Notification", "PreCompress",
)  # fmt: skip
_BLOCKING: Final = frozenset(["BeforeAgent", "AfterAgent", "BeforeTool", "PreCompress"])
_TRUST: Final = (
    "Gemini CLI runs hooks, those of your user settings too, only in a folder that it trusts:"
    " say yes when it asks, or use `/permissions trust`.",
)

ENDINGS: Final[Mapping[str, Ending]] = {
    "[operation cancelled] reason: user denied": "denied",
    "[operation cancelled]": "interrupted",
    "user cancelled": "interrupted",
    "operation cancelled": "interrupted",
    "tool execution denied": "denied",
    "tool execution blocked": "denied",
    "tool execution for ": "denied",
    'tool "': "invalid",
    "params must ": "invalid",
    "params/": "invalid",
    "path not in workspace": "invalid",
    "invalid tool parameters": "invalid",
}

TOOL: Final = Tool(
    name="gemini-cli",
    title="Gemini CLI",
    describe=describe,
    asks_first=True,
    endings=ENDINGS,
    call_events=("BeforeTool", "AfterTool", "AfterTool"),
    transcript_folders=("/.gemini/tmp/",),
    without_conversation=without_conversation,
    has_call_ids=False,
    mcp=McpSettings(
        project_file=".gemini/settings.json",
        user_file=".gemini/settings.json",
        user_variable="GEMINI_CLI_HOME",
        user_variable_file=".gemini/settings.json",
        comments=True,
        by_hand=("Gemini CLI starts a project's servers only where it trusts the folder.",),
    ),
    registration=Registration(
        project_file=".gemini/settings.json",
        user_file=".gemini/settings.json",
        user_variable="GEMINI_CLI_HOME",
        user_variable_file=".gemini/settings.json",
        hooks=(
            *(Hook(e, _MILLISECONDS, blocks=e in _BLOCKING) for e in _EVENTS),
            *(Hook(e, _MILLISECONDS, model=True, blocks=True) for e in _MODEL_EVENTS),
        ),
        entry_name="khive-persist",
        comments=True,
        runs_once=True,
        by_hand={"project": _TRUST, "local": (), "user": _TRUST},
    ),
)
