"""Cline: its words, and its hooks, a program of ours for each event.

Seen on 3.0.65. Its hub, a process that outlives the command, runs them in the session's working
directory: with the environment of the shell that started the hub, which may be another project's.
A hook of the user and one of the project are given the same bytes, with the same time. To Cline a
command that failed is a call that did not. `PreCompact` and `TaskResume` are names that it knows,
and sends nothing for.
"""

import os
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Final

from khive_persist.tools import payload_fields
from khive_persist.tools.cline.results import SHELL, result_of
from khive_persist.tools.tool import Ending, Hook, OwnFiles, Program, Tool

_KINDS: Final = {
    "command": SHELL,
    "edit": frozenset({"editor", "apply_patch", "write_to_file", "replace_in_file"}),
    "agent_spawn": frozenset({"spawn_agent", "team_spawn_teammate"}),
}
_CALL: Final = "tool_call"
_RESULT: Final = "tool_result"
_PHASES: Final = {_CALL: "pre", _RESULT: "post"}
# The events that are the same thing as one of Claude Code's, in its word.
_SAME: Final = {
    "agent_start": "session_start",
    "agent_resume": "session_start",
    "agent_end": "stop",
    "agent_error": "stop_failure",
    "agent_abort": "interrupt",
    "prompt_submit": "prompt_submitted",
    "session_shutdown": "session_end",
}
_SAME_OF_AGENTS: Final = {"agent_start": "subagent_start", "agent_end": "subagent_stop"}
_LISTED: Final = ("files", "paths")
# An id that is nothing else than the name of a folder.
_SESSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


def describe(payload: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of an event of Cline, as `Tool.describe` requires.

    `session_id` is the session's, whichever of its agents sent it: `taskId` is a conversation, and
    there is one an agent. `agent_id` is that of a subagent. `success` of a command is what its exit
    code says. `output` is what a tool returned, or the agent said last.
    `metadata`: `exit_code` of a failed command, `conversation_id`, `parent_agent_id`.
    """
    name = payload_fields.string(payload, "hook_event_name")
    name = name or payload_fields.string(payload, "hookName")
    record = _record(payload)
    tool = payload_fields.string(record, "name")
    tool_input = payload_fields.mapping(record, "input")
    parent = payload_fields.string(payload, "parent_agent_id")
    content = payload_fields.plain_fields(
        {
            **payload,
            "hook_event_name": name,
            "session_id": _session(payload),
            "agent_id": payload.get("agent_id") if parent else None,
            "tool_name": tool or payload.get("tool_name"),
            "tool_use_id": record.get("id"),
            "duration_ms": record.get("durationMs", payload.get("duration_ms")),
            "cwd": payload.get("cwd") or _root(payload),
            "transcript_path": payload.get("transcript_path") or _transcript(payload),
        }
    )
    same = _SAME | _SAME_OF_AGENTS if parent else _SAME
    content["event_type"] = payload_fields.event_type(name, tool, _KINDS, _PHASES, same)
    if tool in SHELL:
        payload_fields.add_text(content, "command", _command(tool_input))
    payload_fields.add_paths(
        content,
        [
            *(tool_input.get(key) for key in payload_fields.PATH_KEYS),
            *(_paths(tool_input.get(key)) for key in _LISTED),
        ],
    )
    if conversation := payload_fields.string(payload, "taskId"):
        payload_fields.add_metadata(content, "conversation_id", conversation)
    if parent:
        payload_fields.add_metadata(content, "parent_agent_id", parent)
    if name == _RESULT:
        _add_result(content, record, tool)
    elif name == "agent_end":
        turn = payload_fields.mapping(payload, "turn")
        payload_fields.add_text(content, "output", payload_fields.string(turn, "outputText"))
    elif name == "agent_error":
        error = payload_fields.mapping(payload, "error")
        payload_fields.add_failure(content, payload_fields.string(error, "message"))
    return content


def sends(payload: Mapping[str, object]) -> bool:
    """Tell whether a payload is Cline's, as `Tool.sends` requires."""
    return "clineVersion" in payload and "hookName" in payload


def _record(payload: Mapping[str, object]) -> Mapping[str, object]:
    """Return what a payload says of a call; also one that was made of a transcript."""
    for name in (_CALL, _RESULT):
        if record := payload_fields.mapping(payload, name):
            return record
    return {
        "id": payload.get("tool_use_id"),
        "name": payload.get("tool_name"),
        "input": payload.get("tool_input"),
        "output": payload.get("tool_response"),
    }


def _session(payload: Mapping[str, object]) -> object:
    context = payload_fields.mapping(payload, "sessionContext")
    return context.get("rootSessionId") or payload.get("session_id") or payload.get("taskId")


def _root(payload: Mapping[str, object]) -> object:
    roots = payload.get("workspaceRoots")
    return roots[0] if isinstance(roots, list) and roots else None


def _transcript(payload: Mapping[str, object]) -> str | None:
    """Return where the session's transcript is unless the user moved it: no payload says it."""
    context = payload_fields.mapping(payload, "sessionContext")
    session = payload_fields.string(context, "rootSessionId")
    home = os.environ.get("HOME", "")
    if not _SESSION.fullmatch(session) or not posixpath.isabs(home):
        return None
    return f"{home.rstrip('/')}{FOLDER}{session}/{session}.messages.json"


def _command(tool_input: Mapping[str, object]) -> str:
    commands = tool_input.get("commands")
    listed = commands if isinstance(commands, list) else [commands]
    texts = [payload_fields.string(tool_input, "command"), *map(_one_command, listed)]
    return "\n".join(text for text in texts if text)


def _one_command(command: object) -> str:
    if isinstance(command, dict):
        return payload_fields.string(command, "command")
    return command if isinstance(command, str) else ""


def _paths(listed: object) -> list[object]:
    entries = listed if isinstance(listed, list) else []
    return [entry.get("path") if isinstance(entry, dict) else entry for entry in entries]


def _add_result(content: dict[str, object], record: Mapping[str, object], tool: str) -> None:
    is_error = True if record.get("error") else None
    result = result_of(tool, record.get("output"), is_error=is_error)
    payload_fields.add_text(content, "output", result.output)
    if result.exit_code:
        payload_fields.add_exit_code(content, result.exit_code)
    elif result.success is False:
        payload_fields.add_failure(content, result.error)
    elif result.success is True:
        content["success"] = True


FOLDER: Final = "/.cline/data/sessions/"
_ANSWER: Final = '{"cancel":false}'
_EVENTS: Final = (
    "TaskStart", "TaskCancel", "TaskComplete", "TaskError", "PreToolUse", "PostToolUse",
    "UserPromptSubmit", "SessionShutdown",
)  # fmt: skip


def _contents(command_of: Callable[[Hook], str]) -> dict[str, str]:
    """Return a program for each event, which answers before it records.

    KHIVE_DIR in the hub's environment is that of the shell which started it, whatever project it
    was in then.
    """
    return {
        hook.event: (
            "#!/bin/sh\n"
            f"printf '%s\\n' '{_ANSWER}'\n"
            "unset KHIVE_DIR\n"
            f"({command_of(hook)}) >/dev/null 2>&1\n"
            "exit 0\n"
        )
        for hook in TOOL.registration.hooks
    }


# An answer that is an error is JSON, in a text.
ENDINGS: Final[Mapping[str, Ending]] = {
    '{"error":"unknown tool: ': "invalid",
    '{"error":"tool call * was rejected before execution: ': "invalid",
    '{"error":"tool * was blocked by a runtime hook': "denied",
    '{"error":"tool \\"*\\" is disabled by policy': "denied",
    '{"error":"tool \\"*\\" requires approval': "denied",
    '{"error":"tool approval requires ': "denied",
    '{"error":"tool approval request timed out': "denied",
    '{"error":"tool was not executed -- ': "denied",
    '{"error":"user rejected the tool call': "denied",
    "command failed: command was aborted": "interrupted",
}

TOOL: Final = Tool(
    name="cline",
    title="Cline",
    describe=describe,
    endings=ENDINGS,
    sends=sends,
    has_times=True,
    ends_hooks=True,
    call_events=(_CALL, _RESULT, _RESULT),
    transcript_folders=(FOLDER,),
    transcript_file=r"/[^/]+\.messages\.json\Z",
    registration=OwnFiles(
        project_folder=".clinerules/hooks",
        user_folder="Documents/Cline/Hooks",
        contents=_contents,
        # Nobody sees how a program ends, nor what it says: what it could not keep, `doctor` tells.
        hooks=tuple(Hook(event, 0, blocks=True) for event in _EVENTS),
        by_hand={"project": (), "local": (), "user": ()},
        is_program=True,
        program=Program(name="cline", paths=(), folders=(), oldest=""),
        runs_once=True,
        topmost=".git",
    ),
)
