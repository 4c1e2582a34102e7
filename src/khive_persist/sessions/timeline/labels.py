"""Values as text: a tool's answer, whole, on one line or its beginning; a duration."""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from khive_persist.store.json_values import writable

OUTPUT_LINES: Final = 12
_LINE_CHARACTERS: Final = 2_000
# What an answer may be wrapped in.
_ANSWERS: Final = ("text", "output", "stdout", "error", "functionResponse", "response", "content")
# Clients write down a command that was typed to themselves: each part in a tag of its own.
_TYPED: Final = re.compile(
    r"<(command-name|command-args|bash-input|command)>\s*(.*?)\s*</\1>", re.DOTALL
)


def text_of(value: Any) -> str:
    """Return a tool's answer as text, whatever it is wrapped in."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(filter(None, map(text_of, value)))
    if isinstance(value, Mapping):
        for name in _ANSWERS:
            if value.get(name):
                return text_of(value[name])
    return json.dumps(writable(value), ensure_ascii=False)


def line_of(value: Any) -> str:
    """Return a tool's answer on one line."""
    return " ".join(text_of(value).split()) if value else ""


def typed_command(text: str) -> str:
    """Return a command as the user typed it, on one line."""
    parts = dict(_TYPED.findall(text))
    if shell := parts.get("bash-input") or parts.get("command"):
        return line_of(f"!{shell}")
    name, words = parts.get("command-name", ""), parts.get("command-args", "")
    return line_of(f"{name} {words}".strip() or text)


def beginning(output: Any) -> list[str]:
    """Return the first 12 lines of an output, and the number of those that follow."""
    lines = text_of(output).strip("\n").splitlines()
    excess = len(lines) - OUTPUT_LINES
    lines = [*map(short_line, lines[:OUTPUT_LINES])]
    return lines + ([f"… {excess} more lines"] if excess > 0 else [])


def short_line(line: str) -> str:
    """Return the first 2,000 characters of a line, and the number of those that follow."""
    excess = len(line) - _LINE_CHARACTERS
    return f"{line[:_LINE_CHARACTERS]}… {excess} more characters" if excess > 0 else line


def short_duration(milliseconds: float) -> str:
    """Return the duration of a tool call for a person: `85ms`, `1.2s`, `3m 4s`."""
    if milliseconds < 1_000:
        return f"{milliseconds:.0f}ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1_000:.1f}s"
    return duration(timedelta(milliseconds=milliseconds))


def duration(time: timedelta) -> str:
    """Return a duration for a person: `2h 5m`, `3m 4s`, `12s`."""
    seconds = int(time.total_seconds())
    parts = [(seconds // 86_400, "d"), (seconds // 3_600 % 24, "h"), (seconds // 60 % 60, "m"),
             (seconds % 60, "s")]  # fmt: skip
    labels = [f"{value}{unit}" for value, unit in parts if value]
    return " ".join(labels[:2]) or "0s"
