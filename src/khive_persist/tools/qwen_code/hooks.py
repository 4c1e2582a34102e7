"""Qwen Code: its words, and its hooks."""

from collections.abc import Mapping
from typing import Final

from khive_persist.tools import payload_fields
from khive_persist.tools.tool import Hook, Registration, Tool

_EVENTS: Final = (
    "SessionStart",
    "SessionEnd",
    "UserPromptSubmit",
    "PreToolUse",
    "PostToolUse",
    "PostToolUseFailure",
    "Stop",
    "SubagentStart",
    "SubagentStop",
    "PreCompact",
    "Notification",
)


def describe(payload: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of an event of Qwen Code, as `Tool.describe` requires."""
    content = payload_fields.plain_fields(payload)
    name = payload_fields.string(payload, "hook_event_name")
    tool = payload_fields.string(payload, "tool_name")
    content["event_type"] = payload_fields.event_type(name, tool, {})
    return content


TOOL: Final = Tool(
    name="qwen-code",
    title="Qwen Code",
    describe=describe,
    call_events=("PreToolUse", "PostToolUse", "PostToolUseFailure"),
    transcript_folders=("/.qwen/",),
    registration=Registration(
        project_file=".qwen/settings.json",
        user_file=".qwen/settings.json",
        user_variable="",
        user_variable_file="",
        hooks=tuple(Hook(event, 5_000, blocks=True) for event in _EVENTS),
        by_hand={"project": (), "local": (), "user": ()},
    ),
)
