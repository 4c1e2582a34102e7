"""The endings of tool calls, by their transcripts.

The output of a command stands in the same field as the client's words on a call. So a text counts
only where it stands at the beginning, and only in a result that is an error.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from khive_persist.tools import TOOLS, Ending

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
    for words, ending in _patterns(tool):
        if words.match(text):
            return ending
    return _STATUSES.get(str(result.get("status") or status), "failed")


@cache
def _patterns(tool: str) -> list[tuple[re.Pattern[str], Ending]]:
    endings = TOOLS[tool].endings if tool in TOOLS else {}
    quoted, name = re.escape('"*"'), re.escape("*")
    return [
        (re.compile(re.escape(words).replace(quoted, r'"[^"\n]*"').replace(name, r"\S+")), ending)
        for words, ending in endings.items()
    ]


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
