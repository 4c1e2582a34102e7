"""Snapshots that a program saves: their project in the chain, and what changed."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from khive_persist import FocusChain, HookEvent, open_store
from khive_persist.copies import verify
from khive_persist.errors import InvalidRecordError
from khive_persist.models.query import column
from khive_persist.project import Project
from khive_persist.store.focus_chains import FocusChainStore

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def snapshot(
    seconds: int, *items: tuple[str, str], session_id: str = "s", **content: Any
) -> FocusChain:
    listed = [{"text": text, "status": status} for text, status in items]
    return FocusChain(
        content={"session_id": session_id, "items": listed, **content},
        created_at=NOON + timedelta(seconds=seconds),
    )


async def current(lists: FocusChainStore, *words: str) -> str | None:
    found = await lists.get_current(*words)
    return None if found is None else found.id


async def test_a_saved_snapshot_says_what_changed(project: Project) -> None:
    async with open_store(FocusChain, dir=project.root) as lists:
        await lists.save(snapshot(1, ("a", "pending"), ("b", "in_progress")))
        second = await lists.save(
            snapshot(2, ("a", "in_progress"), ("c", "blocked"), explanation="x")
        )
        assert second.content["position"] == 2
        assert (second.content["added"], second.content["started"]) == (["c"], ["a"])
        assert second.content["dropped"] == ["b"]
        assert second.content["changed"] == [{"text": "c", "status": "blocked"}]
        assert "completed" not in second.content
        assert (await lists.get(second.id)).content == second.content
        assert await current(lists, "s") == second.id
        assert await lists.get_current("s", "agent") is None
        assert await lists.get_current("other") is None
    assert (await verify(dir=project.root)).differences == []


async def test_one_that_comes_late_is_put_where_it_belongs(project: Project) -> None:
    async with open_store(FocusChain, dir=project.root) as lists:
        await lists.save(snapshot(1, ("a", "pending")))
        await lists.save(snapshot(3, ("a", "completed")))
        late = await lists.save(snapshot(2, ("a", "in_progress")))
        assert late.content["position"] == 2
        found = await lists.get_history("s")
        assert [one.content["position"] for one in found] == [1, 2, 3]
        assert [one.content.get("started") for one in found] == [None, ["a"], None]
        # Saved again with another list, it is told anew, and so is the one after it.
        late.content["items"] = []
        await lists.save(late)
        assert [one.content.get("added") for one in await lists.get_history("s")] == [
            ["a"], None, ["a"],
        ]  # fmt: skip
    assert (await verify(dir=project.root)).differences == []


async def test_sessions_and_agents_have_chains_of_their_own(project: Project) -> None:
    async with open_store(FocusChain, dir=project.root) as lists:
        made = [
            snapshot(1, ("a", "pending")),
            snapshot(2, ("a", "pending"), agent_id="x"),
            snapshot(3, ("b", "pending"), session_id="t"),
            snapshot(4, ("b", "pending")),
        ]
        assert await lists.save_many(made) == 4
        assert [one.content["position"] for one in made] == [1, 1, 1, 2]
        assert await current(lists, "s", "x") == made[1].id
        assert [one.id for one in await lists.get_history("s")] == [made[n].id for n in (0, 1, 3)]


async def test_writers_at_once_get_a_position_each(project: Project) -> None:
    async def write(number: int) -> None:
        async with open_store(FocusChain, dir=project.root) as lists:
            for step in range(5):
                await lists.save(snapshot(step, (f"{number} {step}", "pending")))

    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(write, number)
    async with open_store(FocusChain, dir=project.root) as lists:
        found = await lists.get_history("s")
    assert [one.content["position"] for one in found] == list(range(1, 21))
    assert sum(len(one.content.get("added", [])) for one in found) == 20
    assert (await verify(dir=project.root)).differences == []


async def test_calls_of_the_class_itself(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHIVE_DIR", str(project.root))
    saved = await snapshot(1, ("a", "pending")).save()
    assert saved.content["position"] == 1
    (found,) = await FocusChain.get_history("s")
    assert found.content == saved.content
    assert await FocusChain.get_current("s") == found


async def test_what_is_refused_changes_nothing(project: Project) -> None:
    async with open_store(FocusChain, dir=project.root) as lists:
        await lists.save(snapshot(1, ("a", "pending")))
        with pytest.raises(InvalidRecordError):
            await lists.save_many(
                [snapshot(2, ("b", "pending")), snapshot(3, ("c", "pending"), odd=float("nan"))]
            )
        assert await lists.count() == 1


async def test_a_secret_that_a_program_saves_is_taken_out(project: Project) -> None:
    key = "AKIA" + "Q3EGRIRR7WJXKLM4"
    async with open_store(FocusChain, dir=project.root) as lists:
        await lists.save(snapshot(1, (key, "pending")))
        await lists.save(snapshot(2, (key, "pending")))
        first, second = await lists.get_history("s")
        assert "[REDACTED:aws_access_key" in first.content["added"][0]
        assert "added" not in second.content
    files = [path for path in project.khive.rglob("*") if path.is_file()]
    assert [path for path in files if key.encode() in path.read_bytes()] == []


async def test_rows_that_another_program_wrote_are_no_obstacle(project: Project) -> None:
    odd: list[dict[str, Any]] = [
        {"items": "none", "position": "first", "metadata": 1},
        {"items": [1, {"text": [], "status": "x"}, {"text": "a", "status": "done", "id": []}]},
        {
            "items": [],
            "agent_id": 7,
            "metadata": {"told_by": {"x": []}, "alias": {}, "order": ["x"]},
        },
        {"items": [], "metadata": {"order": [1]}},
        {"metadata": {"change": 5}},
    ]
    later = (NOON + timedelta(seconds=10)).timestamp()
    async with open_store(FocusChain, dir=project.root) as lists:
        await lists.save(snapshot(0, ("a", "pending")))
        with closing(sqlite3.connect(project.database("focus_chains.db"))) as connection:
            for number, content in enumerate(odd):
                values = (str(number), json.dumps({"session_id": "s"} | content), later)
                sql = "INSERT INTO focus_chains (id, content, created_at) VALUES (?, ?, ?)"
                connection.execute(sql, values)
            connection.commit()
        last = await lists.save(snapshot(20, ("c", "pending")))
        assert last.content["added"] == ["c"]
        saved = await lists.save(snapshot(1, ("a", "completed"), ("b", "pending")))
        assert saved.content["completed"] == ["a"]
        assert len(await lists.get_history("s")) == 8


async def test_callbacks_are_told(project: Project) -> None:
    told: list[int] = []
    async with open_store(
        FocusChain, dir=project.root, on_save=lambda one: told.append(one.items)
    ) as lists:
        await lists.save_many([snapshot(1, ("a", "pending")), snapshot(2, ("b", "pending"))])
    assert told == [2]


async def test_events_during_an_item_are_those_between_its_snapshots(project: Project) -> None:
    def event(seconds: int, session_id: str = "s", **content: Any) -> HookEvent:
        return HookEvent(
            content={"event_type": "post_command", "session_id": session_id, **content},
            created_at=NOON + timedelta(seconds=seconds),
        )

    async with open_store(HookEvent, dir=project.root) as events:
        made = [event(n) for n in range(5)]
        sub = event(2, agent_id="x", tool="codex")
        await events.save_many([*made, sub, event(2, "t")])

        async def during(*words: Any) -> set[str]:
            return {one.id for one in await events.events_during("s", *words)}

        start, end = NOON + timedelta(seconds=1), NOON + timedelta(seconds=3)
        assert await during(start, end) == {made[1].id, made[2].id, made[3].id, sub.id}
        assert await during(end) == {made[3].id, made[4].id}
        assert await during(start, end, "x") == {sub.id}
        assert len(await events.find(column("created_at") >= NOON)) == 7
