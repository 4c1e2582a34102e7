"""Plans, and what sessions left behind, with times that a test can reckon with."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio

from khive_persist import open_store
from khive_persist.analytics.outcomes import PlanOutcome, outcomes
from khive_persist.models.focus_chain import FocusChain
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.message import Message
from khive_persist.models.node import Node
from khive_persist.models.outcome import Outcome
from khive_persist.models.planner_session import PlannerSession
from khive_persist.project import Project

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def plan(id: str, minutes: float = 0, **content: Any) -> PlannerSession:
    given = {"session_id": f"session-of-{id}", "task_description": f"do {id}", **content}
    return PlannerSession.model_validate({"id": id, "created_at": at(minutes), "content": given})


def event(session_id: str, minutes: float, event_type: str, **content: Any) -> HookEvent:
    given = {"event_type": event_type, "session_id": session_id, "tool": "claude-code", **content}
    return HookEvent.model_validate({"created_at": at(minutes), "content": given})


def message(session_id: str, minutes: float, **content: Any) -> Message:
    given = {"tool": "claude-code", "role": "assistant", "session_id": session_id, **content}
    return Message.model_validate({"created_at": at(minutes), "content": given})


def todos(session_id: str, minutes: float, *items: tuple[str, str], **content: Any) -> FocusChain:
    listed = [{"text": text, "status": status} for text, status in items]
    given = {"session_id": session_id, "items": listed, **content}
    return FocusChain.model_validate({"created_at": at(minutes), "content": given})


def verdict(session_id: str, minutes: float, word: str, **content: Any) -> Outcome:
    given = {"session_id": session_id, "verdict": word, **content}
    return Outcome.model_validate({"created_at": at(minutes), "content": given})


def put(project: Project, records: Sequence[Node]) -> None:
    """Save records, of whatever classes."""

    async def save() -> None:
        kinds: dict[type[Any], None] = dict.fromkeys(map(type, records))
        for kind in kinds:
            async with open_store(kind, dir=project.root) as store:
                await store.save_many([record for record in records if type(record) is kind])

    anyio.run(save)


def found(project: Project, **wanted: Any) -> list[PlanOutcome]:
    async def read() -> list[PlanOutcome]:
        return [one async for one in outcomes(dir=project.root, **wanted)]

    return anyio.run(read)
