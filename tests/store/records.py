"""Stores of plans and events without what `open_store` adds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from khive_persist.models.hook_event import HookEvent
from khive_persist.models.planner_session import PlannerSession
from khive_persist.store.hook_events import HookEventStore
from khive_persist.store.planner_sessions import PlannerSessionStore
from khive_persist.store.store import Store
from tests.factories import plan

AnyStore = TypeVar("AnyStore", bound=Store[Any])


def refused_by_sqlite(**content: Any) -> PlannerSession:
    """A plan that is JSON, but that the table does not take."""
    return PlannerSession.model_construct(**{**dict(plan(**content)), "id": None})


def plan_store(folder: Path, busy_timeout_seconds: float = 10) -> PlannerSessionStore:
    return PlannerSessionStore(
        PlannerSession,
        lambda purpose: folder / purpose.file,
        busy_timeout_seconds=busy_timeout_seconds,
    )


def event_store(folder: Path) -> HookEventStore:
    return HookEventStore(HookEvent, lambda purpose: folder / purpose.file)


def costs(plans: list[PlannerSession]) -> list[Any]:
    return [one.content.get("planning_cost") for one in plans]


@asynccontextmanager
async def opened(store: AnyStore) -> AsyncIterator[AnyStore]:
    """Closed also where the test fails: the thread of an open one keeps the program alive."""
    try:
        await store.open()
        yield store
    finally:
        await store.close()
