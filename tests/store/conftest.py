"""Open stores in a folder of the test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from khive_persist.project import Project
from khive_persist.store.hook_events import HookEventStore
from khive_persist.store.planner_sessions import PlannerSessionStore
from tests.store.records import event_store, opened, plan_store


@pytest.fixture
def folder(project: Project) -> Path:
    return project.khive


@pytest.fixture
def database(folder: Path) -> Path:
    """Where the plans lie."""
    return folder / "planner_sessions.db"


@pytest.fixture
async def plans(folder: Path) -> AsyncIterator[PlannerSessionStore]:
    async with opened(plan_store(folder)) as store:
        yield store


@pytest.fixture
async def events(folder: Path) -> AsyncIterator[HookEventStore]:
    async with opened(event_store(folder)) as store:
        yield store
