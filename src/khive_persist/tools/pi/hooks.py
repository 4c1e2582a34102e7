"""pi: its words, and its hooks."""

from collections.abc import Callable, Mapping
from typing import Final

from khive_persist.tools import payload_fields
from khive_persist.tools.tool import Hook, OwnFiles, Tool

_EVENTS: Final = (
    "session_start",
    "session_shutdown",
    "input",
    "turn_start",
    "turn_end",
    "tool_call",
    "tool_result",
    "tool_execution_end",
    "session_compact",
    "model_select",
)


def describe(payload: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of an event of pi, as `Tool.describe` requires."""
    content = payload_fields.plain_fields(payload)
    name = payload_fields.string(payload, "hook_event_name")
    tool = payload_fields.string(payload, "tool_name")
    content["event_type"] = payload_fields.event_type(name, tool, {})
    return content


def _contents(command_of: Callable[[Hook], str]) -> dict[str, str]:
    return {hook.event: f"#!/bin/sh\n{command_of(hook)}\n" for hook in TOOL.registration.hooks}


TOOL: Final = Tool(
    name="pi",
    title="pi",
    describe=describe,
    call_events=("tool_call", "tool_result", "tool_result"),
    transcript_folders=("/.pi/agent/sessions/",),
    registration=OwnFiles(
        project_folder=".pi/extensions",
        user_folder=".pi/agent/extensions",
        contents=_contents,
        hooks=tuple(Hook(event, 0) for event in _EVENTS),
        by_hand={"project": (), "local": (), "user": ()},
    ),
)
