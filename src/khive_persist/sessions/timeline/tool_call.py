"""A tool call as an entry: its subject, its edit as a diff, its result."""

import difflib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from khive_persist.sessions.timeline.entry import Entry
from khive_persist.sessions.timeline.labels import OUTPUT_LINES, beginning, line_of
from khive_persist.store.json_values import writable

_PATHS: Final = ("file_path", "path", "notebook_path", "absolute_path", "dir_path")
# The subject of a call is the first of these that it has.
_ABOUT: Final = ("command", "cmd", *_PATHS, "pattern", "description", "prompt", "message")
_CHANGED: Final = frozenset(
    {"old_string", "old_text", "new_string", "new_text", "edits", "content", "input", "command"}
)
_INPUT_CHARACTERS: Final = 500
_OLD, _NEW = ("old_string", "old_text"), ("new_string", "new_text")


def tool_call(at: datetime, name: str, arguments: Any, result: Any) -> Entry:
    """Return a call and its result as an entry; the result is None where it is unknown."""
    arguments = arguments if isinstance(arguments, Mapping) else {"input": arguments}
    about = next((name for name in _ABOUT if arguments.get(name)), None)
    title = f"{name} {line_of(arguments[about])}".strip() if about is not None else name
    changes = diff(arguments)
    others = {
        name: value
        for name, value in arguments.items()
        if value not in (None, "", False) and name != about and not (changes and name in _CHANGED)
    }
    lines = [_input_line(others)] if others else []
    lines += changes
    is_failed = False
    if result is None:
        title += "  (no result)"
    else:
        is_failed = result.get("is_error") is True
        # The diff of a patch that went in says all.
        if is_failed or not changes:
            lines += beginning(result.get("output"))
    return Entry(at, "tool", title, tuple(lines), is_failed=is_failed)


def _input_line(arguments: Mapping[str, Any]) -> str:
    text = " ".join(f"{name}={_short(value)}" for name, value in arguments.items())
    excess = len(text) - _INPUT_CHARACTERS
    return f"[{text[:_INPUT_CHARACTERS]}" + (f"… {excess} more characters]" if excess > 0 else "]")


def _short(value: Any) -> str:
    return line_of(value) if isinstance(value, str) else json.dumps(writable(value), default=str)


def diff(arguments: Mapping[str, Any]) -> list[str]:
    """Return an edit as a unified diff, from the call's arguments; nothing where it was no edit."""
    edits = arguments.get("edits")
    lines: list[str] = []
    for edit in edits if isinstance(edits, list) else [arguments]:
        if not isinstance(edit, Mapping):
            continue
        old, new = _first(edit, _OLD), _first(edit, _NEW)
        if old is not None and new is not None:
            delta = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=1)
            lines += [line for line in delta if not line.startswith(("---", "+++"))]
    patch = arguments.get("input") or arguments.get("command")
    if isinstance(patch, str) and patch.startswith("*** Begin Patch"):
        lines += patch.splitlines()
    text = arguments.get("content")
    if not lines and isinstance(text, str) and _first(arguments, _PATHS):
        lines += [f"+{line}" for line in text.splitlines()[:OUTPUT_LINES]]
    return lines


def _first(values: Mapping[str, Any], names: Iterable[str]) -> str | None:
    return next((values[name] for name in names if isinstance(values.get(name), str)), None)
