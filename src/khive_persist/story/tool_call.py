"""A tool call as an entry: what it was about, its edit as a diff, how it ended."""

import difflib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from khive_persist.story.entry import Entry
from khive_persist.story.wording import OUTPUT_LINES, beginning, line_of

_PATHS: Final = ("file_path", "path", "notebook_path", "absolute_path", "dir_path")
_OLD, _NEW = ("old_string", "old_text"), ("new_string", "new_text")


def tool_call(at: datetime, name: str, asked: Any, result: Any) -> Entry:
    """A call and its result; None for one that is not known."""
    asked = asked if isinstance(asked, Mapping) else {"input": asked}
    about = asked.get("command") or asked.get("cmd") or _path(asked) or asked.get("pattern")
    about = about or asked.get("description") or asked.get("prompt") or asked.get("message")
    title = f"{name} {line_of(about)}".strip()
    lines = list(diff(asked))
    is_failed = False
    if result is None:
        title += "  (no result)"
    else:
        is_failed = result.get("is_error") is True
        # A patch that went in says all by itself.
        if is_failed or not lines:
            lines += beginning(result.get("output"))
    return Entry(at, "tool", title, tuple(lines), is_failed=is_failed)


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
