"""Kimi Code: its words, and its hooks in `config.toml`.

Seen on 2.1.0. Observing events are not awaited: what a slow hook was told last is lost when the
client leaves. `SessionHeartbeat` is not registered: the client sends it once a minute only where a
hook wants it.
"""

from collections.abc import Mapping
from typing import Final

from khive_persist.tools import payload_fields
from khive_persist.tools.kimi_code.results import agent_of, failure_of, is_launch
from khive_persist.tools.tool import Ending, Hook, McpSettings, Program, Registration, Tool

SHELL: Final = frozenset({"Bash"})
AGENT: Final = frozenset({"Agent"})
_KINDS: Final = {
    "command": SHELL,
    "edit": frozenset({"Write", "Edit"}),
    "agent_spawn": frozenset({"Agent", "AgentSwarm"}),
}
_CALLS: Final = ("PreToolUse", "PostToolUse", "PostToolUseFailure")
# The agent of the session itself, which is no subagent.
MAIN: Final = "main"
_CLIENTS: Final = "kimi_code"
_TEXTS: Final = {"SubagentStop": "response", "Notification": "body"}


def describe(payload: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of a Kimi Code event, as `Tool.describe` requires.

    `success` is false for a tool that failed, was refused or was interrupted. `output` is the first
    2,000 characters of the answer, as Kimi Code sends no more; of a failed command, all that it
    wrote; of `SubagentStop`, what the agent said last; of a notification, its text. A failed call
    has its text in `error`. A call that goes on in the background has no `success` yet: `sync`
    adds how it ended.
    Nothing tells which agent made a call, and a subagent's `Stop` looks like the session's.
    `metadata`: `exit_code` of a failed command, `interrupted`, `background`, `mcp_server`,
    `decision` of an answer to a question for permission, `about_call` of that and the question, and
    of a started agent `spawned_agent_type` and `spawned_agent_id`.
    """
    name = payload_fields.string(payload, "hook_event_name")
    tool = payload_fields.string(payload, "tool_name")
    tool_input = payload_fields.mapping(payload, "tool_input")
    content = payload_fields.plain_fields(_with_texts(payload))
    if content.get("agent_id") == MAIN:
        del content["agent_id"]
    content["event_type"] = payload_fields.event_type(name, tool, _KINDS)
    if name not in _CALLS and (use_id := content.pop("tool_use_id", None)):
        # It is about a call, and no beginning or end of it.
        payload_fields.add_metadata(content, "about_call", use_id)
    if tool in SHELL:
        payload_fields.add_command(content, tool_input)
    payload_fields.add_mcp_server(content, tool)
    payload_fields.add_paths(content, [tool_input.get(key) for key in payload_fields.PATH_KEYS])
    if tool in _KINDS["agent_spawn"]:
        agent_type = payload_fields.string(tool_input, "subagent_type")
        payload_fields.add_spawned_agent(content, agent_type)
    if name == "PostToolUse":
        _add_answer(content, payload_fields.string(payload, "tool_output"), tool)
    elif name == "PostToolUseFailure":
        _add_failure(content, _error_text(payload), tool)
    elif name == "StopFailure":
        payload_fields.add_failure(content, payload_fields.string(payload, "error_message"))
    elif name == "PermissionResult" and (decision := payload_fields.string(payload, "decision")):
        payload_fields.add_metadata(content, "decision", decision)
    if name in _TEXTS:
        payload_fields.add_text(content, "output", payload_fields.string(payload, _TEXTS[name]))
    return content


def sends(payload: Mapping[str, object]) -> bool:
    """Tell whether a payload is of Kimi Code, as `Tool.sends` requires."""
    return payload_fields.string(payload, "client_type").startswith(_CLIENTS)


def _with_texts(payload: Mapping[str, object]) -> Mapping[str, object]:
    """Return a payload with the names and types of the fields that all clients have."""
    turn, agent = payload.get("turn_id"), payload_fields.string(payload, "agent_name")
    changed: dict[str, object] = {}
    if isinstance(turn, int) and not isinstance(turn, bool):
        changed["turn_id"] = f"{turn:d}" if abs(turn) < payload_fields.MAX_NUMBER else ""
    if agent:
        changed["agent_type"] = agent
    if "tool_use_id" not in payload and "tool_call_id" in payload:
        changed["tool_use_id"] = payload["tool_call_id"]
    return {**payload, **changed}


def _add_answer(content: dict[str, object], text: str, tool: str) -> None:
    payload_fields.add_text(content, "output", text)
    if tool in AGENT and (agent := agent_of(text)):
        payload_fields.add_metadata(content, "spawned_agent_id", agent)
    if tool in SHELL | AGENT and is_launch(text):
        payload_fields.add_metadata(content, "background", True)
    else:
        content["success"] = True


def _add_failure(content: dict[str, object], text: str, tool: str) -> None:
    payload_fields.add_failure(content, text)
    failure = failure_of(text)
    if failure.is_interrupted:
        payload_fields.add_metadata(content, "interrupted", True)
    if tool in SHELL and failure.exit_code is not None:
        payload_fields.add_metadata(content, "exit_code", failure.exit_code)
        payload_fields.add_text(content, "output", failure.output)


def _error_text(payload: Mapping[str, object]) -> str:
    error = payload.get("error")
    if isinstance(error, str):
        return error
    return payload_fields.string(payload_fields.mapping(payload, "error"), "message")


_SECONDS: Final = 5
# 2.1.0 and 0.43.1 know all of these; before, a name that is not known costs all hooks of the file.
_SINCE: Final = {
    "Interrupt": "0.30.0",
    "UserPromptQueued": "2.0.2",
    "TurnStarted": "2.0.2",
    "TaskStarted": "2.0.2",
}
_EVENTS: Final = (
    "SessionStart", "SessionEnd", "UserPromptSubmit", "UserPromptQueued", "TurnStarted",
    "PreToolUse", "PermissionRequest", "PermissionResult", "PostToolUse", "PostToolUseFailure",
    "Stop", "StopFailure", "Interrupt", "SubagentStart", "SubagentStop", "TaskStarted",
    "PreCompact", "PostCompact", "Notification",
)  # fmt: skip
_BLOCKING: Final = frozenset(["UserPromptSubmit", "PreToolUse", "Stop"])

ENDINGS: Final[Mapping[str, Ending]] = {
    "interrupted by user": "interrupted",
    "blocked by pretooluse hook": "denied",
    'tool "*" was not run because': "denied",
    'tool "*" was denied by': "denied",
    'tool "*" not found': "invalid",
    'tool "*" is not available': "invalid",
}

TOOL: Final = Tool(
    name="kimi-code",
    title="Kimi Code",
    describe=describe,
    endings=ENDINGS,
    sends=sends,
    call_events=_CALLS,
    ends_hooks=True,
    transcript_folders=("/.kimi-code/sessions/",),
    transcript_file=r"/agents/[^/]+/wire\.jsonl\Z",
    mcp=McpSettings(
        project_file=".kimi-code/mcp.json",
        user_file=".kimi-code/mcp.json",
        user_variable="KIMI_CODE_HOME",
        user_variable_file="mcp.json",
    ),
    registration=Registration(
        project_file="",
        user_file=".kimi-code/config.toml",
        user_variable="KIMI_CODE_HOME",
        user_variable_file="config.toml",
        hooks=tuple(
            Hook(event, _SECONDS, blocks=event in _BLOCKING, since=_SINCE.get(event, ""))
            for event in _EVENTS
        ),
        by_hand={
            "project": (),
            "local": (),
            "user": (
                "Sessions of Kimi Code that run already have the hooks from their next start.",
            ),
        },
        runs_once=True,
        program=Program(
            name="kimi",
            paths=(".kimi-code/bin/kimi", ".local/bin/kimi"),
            folders=(),
            oldest="2.1.0",
        ),
        form="toml",
    ),
)
