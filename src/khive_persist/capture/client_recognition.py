"""Recognise an event's client by its payload, its transcript's path and the environment.

The settings file that named our hook does not: Copilot CLI, Cursor and Grok Build run the hooks of
Claude Code's project settings, Grok those of Cursor's, too, each with keys of its own.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from khive_persist import clock
from khive_persist.capture.spool_writer import SESSION_NAMES
from khive_persist.store import codec
from khive_persist.tools import TOOLS
from khive_persist.tools.message_part import row_id
from khive_persist.tools.tool import comes_once

UNKNOWN: Final = "unknown"
GROK: Final = "grok-build"
# Whose hooks other clients run.
_SHARED: Final = "claude-code"
# Where a client keeps its transcripts; of several in a path the last one counts.
_FOLDERS: Final = {
    **{folder: tool.name for tool in TOOLS.values() for folder in tool.transcript_folders},
    "/.grok/": GROK,
}
# The same below a folder that the user named.
_FILES: Final = [
    (re.compile(tool.transcript_file), tool.name) for tool in TOOLS.values() if tool.transcript_file
]
_TIME_DIGITS: Final = 12
_TRANSCRIPT_KEYS: Final = ("transcript_path", "transcriptPath")
# Our names of what clients call differently, or have deeper; the first that is there counts.
_NAMES: Final = {
    "session_id": SESSION_NAMES[1:],
    "hook_event_name": ("hookEventName", "hookName"),
    "tool_name": ("toolName",),
    "tool_input": (
        "toolInput", "toolArgs", "tool_call.input", "tool_result.input", "event.args",
        "event.input",
    ),
    "tool_response": (
        "toolResponse", "tool_result.output", "tool_result", "toolResult", "tool_output",
        "event.content",
    ),
    "prompt": ("event.text",),
    "tool_use_id": ("toolUseId", "tool_call_id"),
    "transcript_path": ("transcriptPath",),
}  # fmt: skip


def client_of(registered: str, payload: Mapping[str, Any], environment: str = "") -> str:
    """Return the client that sent a payload.

    Args:
        registered: The tool whose settings ran our hook.
        payload: The payload.
        environment: The client that the hook's environment names, or an empty string. A client
            that another one starts has the other's environment, so that the payload counts more.

    Returns:
        A tool's name as `TOOLS` has it, the name of another client, or `unknown` where the keys are
        none of the tool's, and nobody's that is known.
    """
    client = _by_transcript(payload) or _by_keys(payload)
    if client:
        return client
    if environment and registered == _SHARED:
        return environment
    has_own_keys = "session_id" in payload or "hook_event_name" in payload
    is_foreign = any(key in payload for key in _NAMES["session_id"] + _NAMES["hook_event_name"])
    return UNKNOWN if is_foreign and not has_own_keys else registered


def in_our_words(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a payload with our names beside the client's own."""
    renamed = {}
    for name, paths in _NAMES.items():
        if name in payload:
            continue
        for path in paths:
            if (value := _at(payload, path)) is not None:
                renamed[name] = value
                break
    return {**payload, **renamed} if renamed else payload


def _at(payload: Mapping[str, Any], path: str) -> Any:
    """Return what a payload has at the names of a path, or None."""
    value: Any = payload
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def words_of(client: str, registered: str) -> str:
    """Return the tool whose words a client's events are read by."""
    return client if client in TOOLS else registered


def may_be_shared(registered: str, environment: str) -> bool:
    """Return whether an event may come by the hooks of more than one client."""
    tool = TOOLS[registered]
    return bool(environment) or tool.has_times or tool.event_key is not comes_once


def shared_id(raw: bytes) -> str:
    """Return the same id each time that one event comes.

    Copilot CLI runs a hook once for each settings file that names it, Claude Code's among them, and
    gives each run the same bytes; Cursor runs Claude Code's hooks besides its own. What names the
    event is told by its client, else it is the whole payload, where that has a time of its own. So
    events that differ in anything have ids that do. What no byte tells apart is one event: of calls
    that the model makes twice in one answer, with the same input, the second has no event before
    it, and `sync` with `--backfill` makes that of the transcript. The id is an empty string where
    the payload has no name and no time: what came twice may have happened twice.
    """
    try:
        payload = codec.load(raw)
        if key := _event_key(payload):
            return row_id("event", key)
        timestamp = payload["timestamp"]
        is_number = isinstance(timestamp, int)
        seconds = timestamp / 1000 if is_number else clock.moment(timestamp).timestamp()
        digits = f"{int(seconds * 1000):012x}"
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return ""
    if len(digits) != _TIME_DIGITS or digits[0] == "-":
        return ""
    bits = hashlib.sha256(raw.strip()).hexdigest()
    digits += f"7{bits[:3]}8{bits[3:18]}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _event_key(payload: Mapping[str, Any]) -> str:
    """Return the client's name of an event, which no other client's event has."""
    client = next((tool for tool in TOOLS.values() if tool.sends(payload)), None)
    key = client.event_key(payload) if client is not None else ""
    return f"{client.name} {key}" if client is not None and key else ""


def _by_transcript(payload: Mapping[str, Any]) -> str:
    for key in _TRANSCRIPT_KEYS:
        path = payload.get(key)
        if isinstance(path, str) and path:
            path = path.replace("\\", "/")
            at, client = max((path.rfind(folder), client) for folder, client in _FOLDERS.items())
            if at >= 0:
                return client
            return next((client for file, client in _FILES if file.search(path)), "")
    return ""


def _by_keys(payload: Mapping[str, Any]) -> str:
    client = next((tool.name for tool in TOOLS.values() if tool.sends(payload)), "")
    if not client and "sessionId" in payload and "hookEventName" in payload:
        return GROK
    return client
