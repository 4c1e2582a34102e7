"""A tool call as an entry: what it was about, its edit as a diff, how it ended."""

import difflib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from khive_persist.sessions.timeline.entry import Entry
from khive_persist.sessions.timeline.labels import OUTPUT_LINES, beginning, line_of
from khive_persist.store.json_values import writable

_PATHS: Final = ("file_path", "path", "notebook_path", "absolute_path", "dir_path")
# What a call is about, the first that it has.
_ABOUT: Final = (
    "command", "cmd", *_PATHS, "pattern", "description", "prompt", "message",
)  # fmt: skip
_CHANGED: Final = frozenset(
    {"old_string", "old_text", "new_string", "new_text", "edits", "content", "input", "command"}
)
_INPUT_CHARACTERS: Final = 500
_OLD, _NEW = ("old_string", "old_text"), ("new_string", "new_text")


def tool_call(at: datetime, name: str, asked: Any, result: Any) -> Entry:
    """A call and its result; None for one that is not known."""
    asked = asked if isinstance(asked, Mapping) else {"input": asked}
    about = next((name for name in _ABOUT if asked.get(name)), None)
    title = f"{name} {line_of(asked[about])}".strip() if about is not None else name
    changes = diff(asked)
    rest = {
        name: value
        for name, value in asked.items()
        if value not in (None, "", False) and name != about and not (changes and name in _CHANGED)
    }
    lines = [_input_line(rest)] if rest else []
    lines += changes
    is_failed = False
    if result is None:
        title += "  (no result)"
    else:
        is_failed = result.get("is_error") is True
        # A patch that went in says all by itself.
        if is_failed or not changes:
            lines += beginning(result.get("output"))
    return Entry(at, "tool", title, tuple(lines), is_failed=is_failed)


def _input_line(rest: Mapping[str, Any]) -> str:
    """Return what else a tool was asked, on one line."""
    text = " ".join(f"{name}={_short(value)}" for name, value in rest.items())
    more = len(text) - _INPUT_CHARACTERS
    return f"[{text[:_INPUT_CHARACTERS]}" + (f"… {more} more characters]" if more > 0 else "]")


def _short(value: Any) -> str:
    return line_of(value) if isinstance(value, str) else json.dumps(writable(value), default=str)


def diff(asked: Mapping[str, Any]) -> list[str]:
    """An edit as a unified diff, from what the tool was asked; nothing where it was no edit."""
    edits = asked.get("edits")
    lines: list[str] = []
    for edit in edits if isinstance(edits, list) else [asked]:
        if not isinstance(edit, Mapping):
            continue
        old, new = _first(edit, _OLD), _first(edit, _NEW)
        if old is not None and new is not None:
            made = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=1)
            lines += [line for line in made if not line.startswith(("---", "+++"))]
    patch = asked.get("input") or asked.get("command")
    if isinstance(patch, str) and patch.startswith("*** Begin Patch"):
        lines += patch.splitlines()
    written = asked.get("content")
    if not lines and isinstance(written, str) and _path(asked):
        lines += [f"+{line}" for line in written.splitlines()[:OUTPUT_LINES]]
    return lines


def _path(asked: Mapping[str, Any]) -> str | None:
    return _first(asked, _PATHS)


def _first(values: Mapping[str, Any], names: Iterable[str]) -> str | None:
    return next((values[name] for name in names if isinstance(values.get(name), str)), None)
