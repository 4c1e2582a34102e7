"""A session of events and messages to play."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio

from khive_persist.models.hook_event import HookEvent
from khive_persist.models.message import Message
from khive_persist.opening import open_store
from khive_persist.project import Project

SESSION = "played"
MORNING = "2026-11-21T09:00"


def message(second: int, role: str = "user", **content: Any) -> Message:
    return Message.model_validate(
        {
            "content": {"tool": "claude-code", "role": role, "kind": "message",
                        "session_id": SESSION, **content},
            "created_at": f"{MORNING}:{second:02}Z",
        }
    )  # fmt: skip


def call(use_id: str, command: str) -> dict[str, Any]:
    return {"tool_calls": [{"tool_use_id": use_id, "name": "Bash", "input": {"command": command}}]}


def result(use_id: str, output: str, *, is_error: bool = False) -> dict[str, Any]:
    return {"tool_results": [{"tool_use_id": use_id, "output": output, "is_error": is_error}]}


def event(second: int, event_type: str, **content: Any) -> HookEvent:
    content = {"event_type": event_type, "tool": "claude-code", "session_id": SESSION, **content}
    return HookEvent.model_validate({"content": content, "created_at": f"{MORNING}:{second:02}Z"})


def save(project: Project, messages: list[Message], events: list[HookEvent] | None = None) -> None:
    async def run() -> None:
        async with open_store(Message, dir=project.root) as store:
            await store.save_many(messages)
        async with open_store(HookEvent, dir=project.root) as store:
            await store.save_many(events or [])

    # Playwright has an event loop in the test's own thread.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(anyio.run, run).result()


def six(project: Project) -> None:
    """A session of six entries in half a minute; the third and the fifth fail."""
    save(
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
