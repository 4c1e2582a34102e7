"""OpenCode: its words, and its hooks."""

from collections.abc import Callable, Mapping
from typing import Final

from khive_persist.tools import payload_fields
from khive_persist.tools.tool import Hook, OwnFiles, Tool

_EVENTS: Final = (
    "session.created",
    "chat.message",
    "tool.execute.before",
    "tool.execute.after",
    "session.idle",
    "session.error",
)


def describe(payload: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of an event of OpenCode, as `Tool.describe` requires."""
    content = payload_fields.plain_fields(payload)
    name = payload_fields.string(payload, "hook_event_name")
    tool = payload_fields.string(payload, "tool_name")
    content["event_type"] = payload_fields.event_type(name, tool, {})
    return content


def _contents(command_of: Callable[[Hook], str]) -> dict[str, str]:
    return {hook.event: f"#!/bin/sh\n{command_of(hook)}\n" for hook in TOOL.registration.hooks}


TOOL: Final = Tool(
    name="opencode",
    title="OpenCode",
    describe=describe,
    call_events=("tool.execute.before", "tool.execute.after", "tool.execute.after"),
    transcript_folders=("/opencode/",),
    registration=OwnFiles(
        project_folder=".opencode/plugins",
        user_folder=".config/opencode/plugins",
        contents=_contents,
        hooks=tuple(Hook(event, 0) for event in _EVENTS),
        by_hand={"project": (), "local": (), "user": ()},
    ),
)
