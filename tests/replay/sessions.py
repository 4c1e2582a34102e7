"""A session of events and messages to play."""

from typing import Any

from khive_persist.models.hook_event import HookEvent
from khive_persist.models.message import Message
from khive_persist.project import Project
from tests import factories
from tests.factories import save_many

SESSION = "played"
MORNING = "2026-11-21T09:00"


def message(second: int, role: str = "user", **content: Any) -> Message:
    fields = {"role": role, "kind": "message", **content}
    return factories.message(SESSION, f"{MORNING}:{second:02}Z", **fields)


def event(second: int, event_type: str, **content: Any) -> HookEvent:
    fields = {"tool": "claude-code", "session_id": SESSION, **content}
    return factories.event(event_type, at=f"{MORNING}:{second:02}Z", **fields)


def call(use_id: str, command: str) -> dict[str, Any]:
    return {"tool_calls": [{"tool_use_id": use_id, "name": "Bash", "input": {"command": command}}]}


def result(use_id: str, output: str, *, is_error: bool = False) -> dict[str, Any]:
    return {"tool_results": [{"tool_use_id": use_id, "output": output, "is_error": is_error}]}


def six(project: Project) -> None:
    """A session of six entries in half a minute; the third and the fifth fail."""
    save_many(
        project,
        [
            message(0, text="please do"),
            message(5, "assistant", text="I begin", model="m"),
            message(10, "assistant", **call("t1", "first-command")),
            message(11, "tool", **result("t1", "first-output", is_error=True)),
            message(15, "assistant", text="again"),
            message(20, "assistant", **call("t2", "second-command")),
            message(21, "tool", **result("t2", "second-output", is_error=True)),
            message(30, "assistant", text="the end"),
        ],
    )
