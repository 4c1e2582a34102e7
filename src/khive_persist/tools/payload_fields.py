"""Reading the fields of an event from a payload that may hold anything.

What a tool sent decides nothing here by its type: a value that is not of the field's type is left
out, and named in `metadata.odd_fields`, as it still stands in the payload.
"""

import json
import ntpath
import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Final

from khive_persist.store.json_values import writable

MAX_FILE_PATHS: Final = 1_000
# Longer than any file system takes: such a string is not a path.
MAX_PATH_CHARACTERS: Final = 4_096
MAX_EVENT_TYPE_CHARACTERS: Final = 64
MAX_NUMBER: Final = 1e15

PLAIN_FIELDS: Final = (
    "hook_event_name", "session_id", "tool_name", "tool_use_id", "cwd", "transcript_path",
    "agent_id", "agent_type", "turn_id", "prompt_id", "model",
)  # fmt: skip
PATH_KEYS: Final = ("file_path", "notebook_path", "absolute_path", "path", "dir_path", "paths")

# As Claude Code and Codex name them.
_PHASES: Final = {"PreToolUse": "pre", "PostToolUse": "post", "PostToolUseFailure": "post"}
_WORDS: Final = {
    "UserPromptSubmit": "prompt_submitted",
    "PostToolUseFailure": "post_tool_use_failure",
}

_WORD_START: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NO_WORD: Final = re.compile(r"[^a-z0-9]+")


def plain_fields(payload: Mapping[str, object]) -> dict[str, object]:
    """Return the fields that every tool sends under the name of the SQL contract."""
    content: dict[str, object] = {}
    odd = []
    for name in PLAIN_FIELDS:
        value = payload.get(name)
        if isinstance(value, str):
            if value:
                content[name] = value
        elif value is not None:
            odd.append(name)
    duration = payload.get("duration_ms")
    if isinstance(duration, int | float) and not isinstance(duration, bool):
        # Not so for NaN, nor for an integer that JSON and SQLite cannot hold.
        if -MAX_NUMBER < duration < MAX_NUMBER:
            content["duration_ms"] = duration
        else:
            odd.append("duration_ms")
    elif duration is not None:
        odd.append("duration_ms")
    if odd:
        add_metadata(content, "odd_fields", odd)
    return content


def add_text(content: dict[str, object], name: str, text: str) -> None:
    """Set a field to a text; an empty text sets nothing."""
    if text:
        content[name] = text


def add_command(content: dict[str, object], tool_input: Mapping[str, object]) -> None:
    """Set `command` to the whole of what a tool that runs commands was given."""
    add_text(content, "command", string(tool_input, "command"))


def add_failure(content: dict[str, object], error: str) -> None:
    """Set `success` to false, and `error` to why where that is known."""
    content["success"] = False
    add_text(content, "error", error)


def add_exit_code(content: dict[str, object], code: int) -> None:
    """Set what an exit code says; `metadata` has it where it is not 0."""
    if code:
        add_metadata(content, "exit_code", code)
        add_failure(content, f"Exit code: {code}")
    else:
        content["success"] = True


def add_metadata(content: dict[str, object], name: str, value: object) -> None:
    """Set one key of `metadata`, which is there only when it has any."""
    metadata = content.setdefault("metadata", {})
    if isinstance(metadata, dict):
        metadata[name] = value


def add_spawned_agent(content: dict[str, object], agent_type: str, agent_id: str = "") -> None:
    """Name the agent that a call starts in `metadata`; an empty text names nothing."""
    for name, value in (("spawned_agent_type", agent_type), ("spawned_agent_id", agent_id)):
        if value:
            add_metadata(content, name, value)


def add_mcp_server(content: dict[str, object], tool_name: str, known_server: str = "") -> None:
    """Name the server of a tool called `mcp__server__tool`.

    All before the last `__` is the server's name, unless the tool says it.
    """
    if known_server:
        add_metadata(content, "mcp_server", known_server)
    elif tool_name.startswith("mcp__"):
        server, separator, _ = tool_name[len("mcp__") :].rpartition("__")
        if server and separator:
            add_metadata(content, "mcp_server", server)


def add_paths(content: dict[str, object], candidates: Iterable[object]) -> None:
    """Set `file_paths` to those candidates that are paths, each once, in order, and absolute.

    One that is relative is so to the event's `cwd`, which is to be there already.
    """
    paths: dict[str, None] = {}
    cwd = string(content, "cwd")
    for candidate in candidates:
        for path in candidate if isinstance(candidate, list) else (candidate,):
            if len(paths) == MAX_FILE_PATHS:
                break
            if isinstance(path, str) and 0 < len(path) <= MAX_PATH_CHARACTERS:
                paths[_absolute(path, cwd)] = None
    if paths:
        content["file_paths"] = list(paths)


def _absolute(path: str, cwd: str) -> str:
    """Return a path from its root, where that is known; a URL or `~` stays as it is."""
    if posixpath.isabs(path) or ntpath.splitdrive(path)[0] or "://" in path or path[0] == "~":
        return path
    if posixpath.isabs(cwd):
        return posixpath.normpath(posixpath.join(cwd, path))
    if ntpath.splitdrive(cwd)[0]:
        return ntpath.normpath(ntpath.join(cwd, path))
    return path


def string(payload: Mapping[str, object], name: str) -> str:
    """Return a string of the payload; an empty one where there is none."""
    value = payload.get(name)
    return value if isinstance(value, str) else ""


def mapping(payload: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Return an object of the payload; an empty one where there is none."""
    value = payload.get(name)
    return value if isinstance(value, dict) else {}


def blocks_text(blocks: Iterable[object]) -> str:
    """Join the texts of content blocks, a line each; an image and the like stand by their type."""
    lines = []
    for block in blocks:
        if isinstance(block, str):
            lines.append(block)
        elif isinstance(block, dict):
            text = block.get("text")
            kind = string(block, "type") or next(iter(block), "")
            lines.append(text if isinstance(text, str) else f"[{kind}]")
    return "\n".join(line for line in lines if line)


def compact_json(value: object) -> str:
    """Return a value as JSON in one line; an empty string where it is none, or nested too deep."""
    if value is None:
        return ""
    try:
        return json.dumps(writable(value), ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        return ""


def snake_case(name: object) -> str:
    """Return an event's name as an event type: `[a-z0-9_]`, 1 to 64 characters."""
    if not isinstance(name, str):
        return "unknown"
    words = _WORD_START.sub("_", name[: 4 * MAX_EVENT_TYPE_CHARACTERS]).lower()
    event_type = _NO_WORD.sub("_", words).strip("_")
    return event_type[:MAX_EVENT_TYPE_CHARACTERS].rstrip("_") or "unknown"


def event_type(
    name: str,
    tool: str,
    kinds: Mapping[str, frozenset[str]],
    phases: Mapping[str, str] = _PHASES,
    words: Mapping[str, str] = _WORDS,
) -> str:
    """Return the type of an event: for one of a tool call, its phase and the tool's kind.

    `words` has the types of events whose names are not ours.
    """
    if name not in phases:
        return words.get(name) or snake_case(name)
    kind = next((kind for kind, names in kinds.items() if tool in names), "")
    return f"{phases[name]}_{kind}" if kind else words.get(name, f"{phases[name]}_tool_use")
