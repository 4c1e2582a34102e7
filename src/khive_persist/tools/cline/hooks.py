"""Cline: its words, and its hooks."""

from collections.abc import Callable, Mapping
from typing import Final

from khive_persist.tools import payload_fields
from khive_persist.tools.tool import Hook, OwnFiles, Tool

_EVENTS: Final = (
    "TaskStart",
    "TaskResume",
    "TaskCancel",
    "TaskComplete",
    "PreToolUse",
    "PostToolUse",
    "UserPromptSubmit",
    "PreCompact",
)


def describe(payload: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of an event of Cline, as `Tool.describe` requires."""
    content = payload_fields.plain_fields(payload)
    name = payload_fields.string(payload, "hook_event_name")
    tool = payload_fields.string(payload, "tool_name")
    content["event_type"] = payload_fields.event_type(name, tool, {})
    return content


def _contents(command_of: Callable[[Hook], str]) -> dict[str, str]:
    return {hook.event: f"#!/bin/sh\n{command_of(hook)}\n" for hook in TOOL.registration.hooks}


def sends(payload: Mapping[str, object]) -> bool:
    """Tell whether a payload is of it, as `Tool.sends` requires."""
    return "clineVersion" in payload


TOOL: Final = Tool(
    name="cline",
    title="Cline",
    describe=describe,
    sends=sends,
    call_events=("PreToolUse", "PostToolUse", "PostToolUse"),
    transcript_folders=("/.cline/",),
    registration=OwnFiles(
        project_folder=".clinerules/hooks",
        user_folder="Documents/Cline/Hooks",
        contents=_contents,
        hooks=tuple(Hook(event, 5, blocks=True) for event in _EVENTS),
        by_hand={"project": (), "local": (), "user": ()},
        is_program=True,
    ),
)
