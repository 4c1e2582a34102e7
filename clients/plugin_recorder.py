"""The second recorder where hooks are a plugin in the client's process: a plugin beside ours."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from clients.comparison import Events, Stored, compare

# What the client gave stands under these keys of a payload; what is beside them is ours.
_NAME: Final = "hook_event_name"
_GIVEN: Final = ("event", "tool_input", "tool_response", "input", "output")
_TOOL: Final = "tool."


def compare_given(sent: Sequence[str], stored: Iterable[Stored], tool: str) -> Events:
    """Compare by what the client gave to both plugins, as JSON with the order of its keys."""
    rows = [row._replace(payload=_given(row.payload)) for row in stored]
    return compare([_given(text) if text else "" for text in sent], rows, tool)


def _given(text: str) -> str:
    payload: dict[str, Any] = json.loads(text)
    name = payload.get(_NAME, "")
    keys = [key for key in _GIVEN if key in payload]
    if name.startswith(_TOOL):
        keys = [key for key in keys if key.startswith("tool_")]
    return json.dumps({_NAME: name, **{key: payload[key] for key in keys}})
