"""Make a hook's payload of what Copilot CLI's transcript notes as its input."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from khive_persist.tools.copilot_cli.hooks import NAMES_OF_EVENTS

# The events whose payloads are not in Claude Code's dialect, whatever name is registered.
_MIXED: Final = frozenset({"subagentStart", "permissionRequest", "preMcpToolCall", "notification"})
_OWN_DIALECT: Final = frozenset({"userPromptTransformed"})
_AGENT: Final = {
    "agentId": "agent_id",
    "agentType": "agent_type",
    "parentAgentId": "parent_agent_id",
}
_SNAKE: Final = _AGENT | {
    "sessionId": "session_id",
    "transcriptPath": "transcript_path",
    "initialPrompt": "initial_prompt",
    "stopReason": "stop_reason",
    "agentName": "agent_name",
    "response": "last_assistant_message",
    "errorContext": "error_context",
    "customInstructions": "custom_instructions",
}
_NAMES: Final = {event: name for name, event in NAMES_OF_EVENTS.items()}


def payload_of(hook_type: str, hook_input: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the payload that a registered hook is sent; None for an event that none is for."""
    if hook_type in _OWN_DIALECT:
        return dict(hook_input)
    name = _NAMES.get(hook_type)
    if name is None:
        return None
    if hook_type in _MIXED:
        payload = {_AGENT.get(key, key): value for key, value in hook_input.items()}
        if hook_type == "notification":
            payload["hook_event_name"] = name
            if "notificationType" in payload:
                payload["notification_type"] = payload.pop("notificationType")
        return payload
    payload = {"hook_event_name": name}
    payload |= {_SNAKE.get(key, key): value for key, value in hook_input.items()}
    if (at := _iso(payload.get("timestamp"))) is not None:
        payload["timestamp"] = at
    return payload


def _iso(timestamp: object) -> str | None:
    if not isinstance(timestamp, int):
        return None
    try:
        at = datetime.fromtimestamp(timestamp / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return None
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{timestamp % 1000:03d}Z"
