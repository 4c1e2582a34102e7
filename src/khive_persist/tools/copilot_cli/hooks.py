"""Copilot CLI: its words, and its hooks."""

from collections.abc import Mapping
from typing import Final

from khive_persist.tools import payload_fields
from khive_persist.tools.tool import Hook, Registration, Tool

_EVENTS: Final = (
    "sessionStart",
    "sessionEnd",
    "userPromptSubmitted",
    "preToolUse",
    "postToolUse",
    "postToolUseFailure",
    "agentStop",
    "subagentStart",
    "subagentStop",
    "errorOccurred",
    "preCompact",
    "permissionRequest",
    "notification",
)


def describe(payload: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of an event of Copilot CLI, as `Tool.describe` requires."""
    content = payload_fields.plain_fields(payload)
    name = payload_fields.string(payload, "hook_event_name")
    tool = payload_fields.string(payload, "tool_name")
    content["event_type"] = payload_fields.event_type(name, tool, {})
    return content


def sends(payload: Mapping[str, object]) -> bool:
    """Tell whether a payload is of it, as `Tool.sends` requires."""
    if "result_type" in payload_fields.mapping(payload, "tool_result"):
        return True
    is_number = isinstance(payload.get("timestamp"), int)
    return is_number and "sessionId" in payload and "hookEventName" not in payload


TOOL: Final = Tool(
    name="copilot-cli",
    title="Copilot CLI",
    describe=describe,
    sends=sends,
    call_events=("preToolUse", "postToolUse", "postToolUseFailure"),
    transcript_folders=("/.copilot/session-state/",),
    registration=Registration(
        project_file=".github/hooks/khive-persist.json",
        user_file=".copilot/hooks/khive-persist.json",
        user_variable="",
        user_variable_file="",
        hooks=tuple(Hook(event, 5, blocks=True) for event in _EVENTS),
        by_hand={"project": (), "local": (), "user": ()},
        form="flat",
        command_key="bash",
        timeout_key="timeoutSec",
        head={"version": 1},
    ),
)
