"""The calls of a record's own class, with and without an open store."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import anyio
import pytest

from khive_persist import HookEvent, Node, PlannerSession, field, open_store, purpose
from khive_persist import save_planning_session as save_in_one_call
from khive_persist.errors import InvalidRecordError, NotFoundError
from khive_persist.models.purposes import Purpose
from khive_persist.project import Project
from tests.factories import event, plan


class TrainingSession(Node):
    """A user's own kind of record."""

    purpose: ClassVar[Purpose] = purpose(
        "training_sessions",
        view="trainings",
        fields=("athlete", "load.weekly"),
        indexes=(("athlete", "created_at"),),
    )


class Nameless(Node):
    """A class that forgot to name its file."""


@pytest.fixture(autouse=True)
def here(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("KHIVE_DIR", str(project.root))
    return project


async def all_calls_of_a_plan() -> None:
    saved = await plan("a", complexity="complex").save()
    assert (await PlannerSession.get(saved.id)).content == saved.content
    assert [one.id for one in await PlannerSession.get_recent(10)] == [saved.id]
    assert [one.id for one in await PlannerSession.find(field("complexity") == "complex")]
    assert [one.id async for one in PlannerSession.stream(limit=1)] == [saved.id]
    assert await PlannerSession.count(field("session_id") == "a") == 1
    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    assert len(await PlannerSession.get_by_date_range(now - hour, now + hour)) == 1
    assert len(await PlannerSession.get_by_session_id("a")) == 1
    assert len(await PlannerSession.get_by_complexity("complex")) == 1
    assert (await PlannerSession.get_stats())["total_sessions"] == 1
    assert await saved.delete() is True
    with pytest.raises(NotFoundError):
        await PlannerSession.get(saved.id)


async def test_a_plan_without_an_open_store() -> None:
    await all_calls_of_a_plan()


async def test_a_plan_with_an_open_store() -> None:
    async with open_store(PlannerSession):
        await all_calls_of_a_plan()


async def test_an_event_with_and_without_an_open_store() -> None:
    start = datetime.now(UTC)
    await event("stop", session_id="a", tool="codex").save()
    async with open_store(HookEvent) as events:
        await event("stop", session_id="a", tool="gemini-cli").save()
        assert len(await HookEvent.get_by_session("a")) == 2
        assert await events.count() == 2
    assert len(await HookEvent.get_by_type("stop")) == 2
    assert len(await HookEvent.get_since(start)) == 2
    assert (await HookEvent.get_by_type("stop", limit=1))[0].content["tool"] == "gemini-cli"


async def test_calls_go_to_the_store_that_is_open_here(tmp_path: Path) -> None:
    async with open_store(PlannerSession) as outer:
        async with open_store(PlannerSession, f"sqlite:{tmp_path}/other.db") as inner:
            await plan("inner").save()
            assert (await outer.count(), await inner.count()) == (0, 1)
        await plan("outer").save()
        assert await outer.count() == 1
        with pytest.raises(NotFoundError):
            await PlannerSession.get("inner")


async def test_calls_of_a_task_go_to_the_store_that_was_open_where_it_began() -> None:
    async with open_store(PlannerSession) as plans, anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(plan(f"s{number}").save)
    assert plans.is_open is False
    assert await PlannerSession.count() == 5


@pytest.mark.parametrize("steps", range(6))
async def test_a_call_in_the_midst_of_a_stream_does_not_end_with_it(steps: int) -> None:
    await event().save()
    events = HookEvent.stream()
    await anext(events)
    count = asyncio.create_task(HookEvent.count())
    for _ in range(steps):
        await asyncio.sleep(0)
    await events.aclose()
    assert await count == 1


async def test_stores_of_several_classes_are_open_at_once(here: Project) -> None:
    async with (
        open_store(PlannerSession) as plans,
        open_store(HookEvent) as events,
        open_store(TrainingSession) as trainings,
    ):
        await plan().save()
        await event().save()
        await TrainingSession(content={"athlete": "x"}).save()
        assert [await store.count() for store in (plans, events, trainings)] == [1, 1, 1]
    assert {path.name for path in here.khive.glob("*.db")} == {
        "planner_sessions.db",
        "claude_hooks.db",
        "training_sessions.db",
    }


async def test_a_class_of_ones_own_has_its_own_file_table_view_and_index(here: Project) -> None:
    saved = await TrainingSession(content={"athlete": "kim", "load": {"weekly": 7}}).save()
    (found,) = await TrainingSession.find(field("load.weekly") == 7)
    assert type(found) is TrainingSession
    assert found.id == saved.id
    assert found.node_metadata == {"lion_class": f"{__name__}.TrainingSession"}
    async with open_store(TrainingSession) as trainings:
        (path,) = trainings.paths
        assert path == here.khive / "training_sessions.db"
    with closing(sqlite3.connect(path)) as connection:
        seen = connection.execute("SELECT athlete, load_weekly FROM trainings").fetchall()
        (step,) = connection.execute(
            "EXPLAIN QUERY PLAN SELECT * FROM training_sessions"
            " WHERE json_extract(content, '$.athlete') = 'kim' ORDER BY created_at"
        ).fetchall()
    assert seen == [("kim", 7)]
    assert "USING INDEX training_sessions_athlete_created_at" in step[3]


async def test_a_class_without_a_file_says_so() -> None:
    with pytest.raises(InvalidRecordError, match="Nameless names no file"):
        await Nameless(content={}).save()


@pytest.mark.parametrize("scheme", ["sqlite:", "sqlite://"])
async def test_a_store_is_opened_by_url(scheme: str, tmp_path: Path, here: Project) -> None:
    path = tmp_path / "my plans?#%20 é.db"
    async with open_store(PlannerSession, f"{scheme}{path}") as plans:
        await plans.save(plan())
        assert plans.paths == (path,)
    assert path.stat().st_size > 0
    assert not list(here.khive.glob("*.db"))


@pytest.mark.parametrize("url", ["mysql://x/y", "plans.db", ""])
async def test_a_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(InvalidRecordError, match="cannot be opened"):
        async with open_store(PlannerSession, url):
            pass


async def test_a_class_of_several_files_has_no_url(tmp_path: Path) -> None:
    with pytest.raises(InvalidRecordError, match="a class with one file"):
        async with open_store(HookEvent, f"sqlite:{tmp_path}/events.db"):
            pass


async def test_one_call_saves_a_plan() -> None:
    saved = await save_in_one_call({"complexity": "simple"}, session_id="s", task_description="")
    assert (await PlannerSession.get(saved.id)).content["complexity"] == "simple"
    with pytest.raises(InvalidRecordError, match="task_description"):
        await save_in_one_call(session_id="s")
