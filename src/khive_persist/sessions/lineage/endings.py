"""The endings of tool calls, by their transcripts: denied and interrupted is not failed.

The output of a command stands in the same field as the client's words on a call. So a text counts
only where it stands at the beginning, and only in a result that is an error.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, Literal

Ending = Literal["done", "failed", "denied", "interrupted", "invalid", "refused", "unknown"]

_OPENCODE: Final[dict[str, Ending]] = {
    "the user rejected permission to use this specific tool call": "denied",
    "the user has specified a rule which prevents you from using this": "denied",
    "tool execution aborted": "interrupted",
    "the arguments provided to the tool are invalid": "invalid",
}
# The beginnings of the client's own words where a call did not run, or not to its end. `invalid` is
# a call that the client refuses by itself: a tool that is not there, an input that does not fit.
# `refused` is one that the tool refuses once it has looked closer: a patch that does not apply.
_BEGINNINGS: Final[dict[str, dict[str, Ending]]] = {
    "claude-code": {
        "<tool_use_error>cancelled": "interrupted",
        "<tool_use_error>": "invalid",
        "[request interrupted by user": "interrupted",
        "interrupted by user": "interrupted",
        "the user doesn't want to proceed": "denied",
        "the user doesn't want to take this action": "denied",
        "permission to use ": "denied",
        "permission for this action ": "denied",
        "permission for this tool use ": "denied",
        "claude requested permissions to": "denied",
        "this command requires approval": "denied",
        "pretooluse:": "denied",
        "hook pretooluse:": "denied",
    },
    "codex": {
        "aborted by user": "interrupted",
        "exec command rejected by user": "denied",
        "patch rejected by user": "denied",
        "command blocked by pretooluse hook": "denied",
        "apply_patch verification failed: ": "refused",
        "failed to parse function arguments: ": "invalid",
        "unsupported call: ": "invalid",
        "update_plan is a todo/checklist tool and is not allowed": "invalid",
    },
    "gemini-cli": {
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
    },
    "opencode": _OPENCODE,
    "kilo": _OPENCODE,
    "droid": {
        "error: exec ended early: insufficient permission": "denied",
        "error: not found: ": "refused",
        "error: tool execution cancelled": "interrupted",
        "tool execution cancelled": "denied",
    },
    "kimi-code": {
        "interrupted by user": "interrupted",
        "blocked by pretooluse hook": "denied",
    },
}
# The same for a client whose words begin with the name of the tool, in small letters.
_PATTERNS: Final[dict[str, tuple[tuple[re.Pattern[str], Ending], ...]]] = {
    "kimi-code": (
        (re.compile(r'tool "[^"\n]*" was (?:not run because|denied by)'), "denied"),
        (re.compile(r'tool "[^"\n]*" (?:not found|is not available)'), "invalid"),
    ),
}
_STATUSES: Final[dict[str, Ending]] = {
    "declined": "denied",
    "denied": "denied",
    "invalid": "invalid",
    "rejected": "denied",
    "cancelled": "interrupted",
}
_WALL_TIME: Final = "wall time: "
_BEGINNING_CHARACTERS: Final = 200
_NESTED: Final = ("error", "text", "functionResponse", "response", "output")


def ending_of(tool: str, result: Mapping[str, Any] | None, status: Any = None) -> Ending:
    """Tell how a call ended, by its result in a message, and by the tool's word for it."""
    if result is None:
        return "unknown"
    if result.get("is_error") is not True:
        return "done"
    text = _beginning(result.get("output"))
    if text.startswith(_WALL_TIME):
        # Codex says first how long it was.
        text = text.partition("\n")[2]
    for words, ending in _BEGINNINGS.get(tool, {}).items():
        if text.startswith(words):
            return ending
    for pattern, ending in _PATTERNS.get(tool, ()):
        if pattern.match(text):
            return ending
    return _STATUSES.get(str(result.get("status") or status), "failed")


def _beginning(output: Any) -> str:
    """Return the first words of an answer, whatever it is wrapped in, in small letters."""
    while not isinstance(output, str):
        if isinstance(output, list) and output:
            output = output[0]
        elif isinstance(output, Mapping):
            output = next((output[name] for name in _NESTED if name in output), "")
        else:
            output = json.dumps(output, default=str)
    return output.lstrip()[:_BEGINNING_CHARACTERS].lower()
