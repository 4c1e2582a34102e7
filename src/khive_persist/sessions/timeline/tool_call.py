"""A tool call as an entry: its subject, its edit as a diff, its result."""

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from khive_persist.sessions.timeline.entry import Entry
from khive_persist.sessions.timeline.labels import OUTPUT_LINES, beginning, line_of, short_line
from khive_persist.store.json_values import writable

_PATHS: Final = (
    "file_path", "path", "notebook_path", "absolute_path", "dir_path", "filePath", "filename",
)  # fmt: skip
# The subject of a call is the first of these that it has.
_ABOUT: Final = ("command", "cmd", *_PATHS, "pattern", "description", "prompt", "message")
_INPUT_CHARACTERS: Final = 500
_OLD: Final = ("old_string", "old_text", "old_str", "oldString", "oldText", "old")
_NEW: Final = ("new_string", "new_text", "new_str", "newString", "newText", "new")
_EDITS: Final = ("edits", "edit")
_WRITTEN: Final = ("content", "contents", "file_text")
_PATCHES: Final = ("input", "command", "patch", "patchText", "patch_text")
_CHANGED: Final = frozenset({*_OLD, *_NEW, *_EDITS, *_WRITTEN, *_PATCHES})
_PATCH_START: Final = "*** Begin Patch"
_PATCHED: Final = re.compile(r"^\*\*\* (?:Add|Update|Delete) File: (.+)$", re.MULTILINE)


def tool_call(at: datetime, name: str, arguments: Any, result: Any) -> Entry:
    """Return a call and its result as an entry; the result is None where it is unknown."""
    arguments = _by_name(arguments)
    about = next((name for name in _ABOUT if arguments.get(name)), None)
    title = f"{name} {line_of(arguments[about])}".strip() if about is not None else name
    changes = diff(arguments)
    others = {
        name: value
        for name, value in _besides(arguments, changes).items()
        if value is not False and name != about
    }
    lines = [_input_line(others)] if others else []
    lines += map(short_line, changes)
    is_failed = False
    if result is None:
        title += "  (no result)"
    else:
        is_failed = result.get("is_error") is True
        # The diff of a patch that went in says all.
        if is_failed or not changes:
            lines += beginning(result.get("output"))
    files = tuple(paths_of(arguments))
    return Entry(at, "tool", title, tuple(lines), is_failed=is_failed, files=files)


def arguments_of(value: Any) -> dict[str, str]:
    """Return the arguments of a call as texts, by name, without those that its diff shows."""
    arguments = _by_name(value)
    others = _besides(arguments, diff(arguments))
    return {name: _text(argument) for name, argument in others.items()}


def paths_of(value: Any) -> list[str]:
    """Return the paths that the arguments of a call name, those of a patch included."""
    arguments = _by_name(value)
    path, patch = _first(arguments, _PATHS), _patch(arguments)
    return [*([path] if path else []), *(_PATCHED.findall(patch) if patch else [])]


def _by_name(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {"input": value}


def _besides(arguments: Mapping[str, Any], changes: list[str]) -> dict[str, Any]:
    return {
        name: value
        for name, value in arguments.items()
        if value not in (None, "") and not (changes and name in _CHANGED)
    }


def _input_line(arguments: Mapping[str, Any]) -> str:
    text = " ".join(f"{name}={_short(value)}" for name, value in arguments.items())
    excess = len(text) - _INPUT_CHARACTERS
    return f"[{text[:_INPUT_CHARACTERS]}" + (f"… {excess} more characters]" if excess > 0 else "]")


def _short(value: Any) -> str:
    return line_of(value) if isinstance(value, str) else _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(writable(value), default=str)


def diff(value: Any, *, context: int = 1, most_written: int | None = OUTPUT_LINES) -> list[str]:
    """Return an edit as a unified diff, from the call's arguments; nothing where it was no edit.

    Args:
        value: The arguments.
        context: The number of lines around a change.
        most_written: The number of lines of a whole file that is written; None for all.
    """
    arguments = _by_name(value)
    edits: Any = next((arguments[name] for name in _EDITS if name in arguments), None)
    lines: list[str] = []
    for edit in edits if isinstance(edits, list) else [edits, arguments]:
        if not isinstance(edit, Mapping):
            continue
        old, new = _first(edit, _OLD), _first(edit, _NEW)
        if old is not None and new is not None:
            delta = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=context)
            # The first two name the files, which have no names here.
            lines += [*delta][2:]
    if (patch := _patch(arguments)) is not None:
        lines += patch.splitlines()
    text = _first(arguments, _WRITTEN)
    if not lines and text is not None and _first(arguments, _PATHS):
        lines += [f"+{line}" for line in text.splitlines()[:most_written]]
    return lines


def _patch(arguments: Mapping[str, Any]) -> str | None:
    """Return the patch of a call, which may be one word of a command."""
    for name in _PATCHES:
        value = arguments.get(name)
        for word in value if isinstance(value, list) else [value]:
            if isinstance(word, str) and word.startswith(_PATCH_START):
                return word
    return None


def _first(values: Mapping[str, Any], names: Iterable[str]) -> str | None:
    return next((values[name] for name in names if isinstance(values.get(name), str)), None)
