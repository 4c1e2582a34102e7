"""Following: what is stored from now on, whoever stores it."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio

from khive_persist.models.planner_session import PlannerSession
from khive_persist.models.query import field
from khive_persist.store.hook_events import HookEventStore
from khive_persist.store.planner_sessions import PlannerSessionStore
from tests.factories import event, plan
from tests.store.records import costs

SECONDS = 10


async def take(count: int, records: AsyncIterator[Any]) -> list[Any]:
    taken: list[Any] = []
    with anyio.fail_after(SECONDS):
        while len(taken) < count:
            taken.append(await anext(records))
    return taken


async def test_only_what_is_stored_from_then_on_comes_in_the_order_of_storing(
    plans: PlannerSessionStore,
) -> None:
    await plans.save_many(plan(planning_cost=cost) for cost in range(3))
    new = await plans.follow(poll_seconds=0.001)
    late = plan(planning_cost=3)
    late.created_at = datetime(1999, 1, 1, tzinfo=UTC)
    await plans.save(late)
    await plans.save_many(plan(planning_cost=cost) for cost in range(4, 1_500))
    assert costs(await take(1_497, new)) == list(range(3, 1_500))
    await plans.save(plan(planning_cost=1_500))
    assert costs(await take(1, new)) == [1_500]


async def test_filters_hold(plans: PlannerSessionStore) -> None:
    new = await plans.follow(field("complexity") == "complex", poll_seconds=0.001)
    for cost in range(10):
        await plans.save(plan(planning_cost=cost, complexity=("simple", "complex")[cost % 2]))
    assert costs(await take(5, new)) == [1, 3, 5, 7, 9]


async def test_what_another_program_stores_comes_too(
    plans: PlannerSessionStore, database: Path
) -> None:
    new = await plans.follow(poll_seconds=0.001)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("INSERT INTO planner_sessions (id, content) VALUES ('theirs', '{}')")
    assert [one.id for one in await take(1, new)] == ["theirs"]


async def test_a_row_that_takes_the_project_of_a_deleted_one_is_not_passed_over(
    plans: PlannerSessionStore,
) -> None:
    """SQLite gives the rowid of a deleted last row again."""
    before = [await plans.save(plan(planning_cost=cost)) for cost in range(3)]
    new = await plans.follow(poll_seconds=0.001)
    await plans.delete(before[2].id)
    await plans.delete(before[1].id)
    for cost in (3, 4, 5):
        await plans.save(plan(planning_cost=cost))
    assert costs(await take(3, new)) == [3, 4, 5]
    for one in await plans.find(field("planning_cost") > 0):
        await plans.delete(one.id)
    await plans.save(plan(planning_cost=6))
    assert costs(await take(1, new)) == [6]


async def test_what_is_stored_after_more_was_deleted_than_is_remembered_comes(
    plans: PlannerSessionStore,
) -> None:
    await plans.save_many(plan(planning_cost=cost) for cost in range(400))
    new = await plans.follow(poll_seconds=0.001)
    await plans.save(plan(planning_cost=400))
    assert costs(await take(1, new)) == [400]
    for one in await plans.find():
        await plans.delete(one.id)
    found: list[PlannerSession] = []

    async def follow() -> None:
        found.extend(await take(2, new))

    async with anyio.create_task_group() as group:
        group.start_soon(follow)
        saved = 400
        while not found:
            saved += 1
            await plans.save(plan(planning_cost=saved))
    first, second = costs(found)
    assert first > 400
    assert second == first + 1


async def test_events_of_all_files_come_also_of_one_that_is_made_later(
    events: HookEventStore,
) -> None:
    await events.save(event("old", tool="codex"))
    new = await events.follow(poll_seconds=0.001)
    await events.save(event("new", tool="codex"))
    await events.save(event("new", tool="gemini-cli"))
    found = await take(2, new)
    assert [one.content["tool"] for one in found] == ["codex", "gemini-cli"]
