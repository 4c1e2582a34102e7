"""Cursor: its words, and its hooks."""

from collections.abc import Mapping
from typing import Final

from khive_persist.tools import payload_fields
from khive_persist.tools.tool import Hook, Registration, Tool

_EVENTS: Final = (
    "sessionStart",
    "sessionEnd",
    "beforeSubmitPrompt",
    "preToolUse",
    "postToolUse",
    "postToolUseFailure",
    "stop",
)


def describe(payload: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of an event of Cursor, as `Tool.describe` requires."""
    content = payload_fields.plain_fields(payload)
    name = payload_fields.string(payload, "hook_event_name")
    tool = payload_fields.string(payload, "tool_name")
    content["event_type"] = payload_fields.event_type(name, tool, {})
    return content


def sends(payload: Mapping[str, object]) -> bool:
    """Tell whether a payload is of it, as `Tool.sends` requires."""
    return "cursor_version" in payload


TOOL: Final = Tool(
    name="cursor",
    title="Cursor",
    describe=describe,
    sends=sends,
    call_events=("preToolUse", "postToolUse", "postToolUseFailure"),
    transcript_folders=("/.cursor/",),
    registration=Registration(
        project_file=".cursor/hooks.json",
        user_file=".cursor/hooks.json",
        user_variable="",
        user_variable_file="",
        hooks=tuple(Hook(event, 5, blocks=True) for event in _EVENTS),
        by_hand={"project": (), "local": (), "user": ()},
        form="flat",
        head={"version": 1},
    ),
)
