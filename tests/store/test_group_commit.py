"""Group commit: what saves that come at once share, and what they do not."""

import asyncio
import sqlite3
import struct
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist.errors import InvalidRecordError
from khive_persist.purposes import PLANNER_SESSIONS
from khive_persist.store.codec import to_row
from khive_persist.store.group_commit import GroupCommit
from khive_persist.store.planner_sessions import PlannerSessionStore
from khive_persist.store.sqlite import lock
from tests.store.records import opened, plan, plan_store, refused_by_sqlite

TASKS = 64
FRAME_HEADER_BYTES = 24


def commits(database: Path) -> int:
    """How many commits the WAL holds: its frames that say how large the database is after them.

    https://sqlite.org/fileformat2.html#the_write_ahead_log
    """
    wal = database.with_name(database.name + "-wal").read_bytes()
    _, _, page_bytes, _, salt_1, salt_2 = struct.unpack_from(">6I", wal)
    found = 0
    for at in range(32, len(wal), FRAME_HEADER_BYTES + page_bytes):
        _, pages_after_commit, *salts = struct.unpack_from(">4I", wal, at)
        found += pages_after_commit > 0 and salts == [salt_1, salt_2]
    return found


async def test_saves_that_come_at_once_share_commits(
    plans: PlannerSessionStore, database: Path
) -> None:
    before = commits(database)
    async with anyio.create_task_group() as group:
        for number in range(TASKS):
            group.start_soon(plans.save, plan(f"s{number}"))
    assert 1 <= commits(database) - before <= 3
    assert await plans.count() == TASKS


async def test_a_save_alone_has_a_commit_of_its_own(
    plans: PlannerSessionStore, database: Path
) -> None:
    before = commits(database)
    for _ in range(5):
        await plans.save(plan())
    assert commits(database) - before == 5


async def test_tasks_that_save_again_and_again_keep_sharing(
    plans: PlannerSessionStore, database: Path
) -> None:
    async def save_often() -> None:
        for _ in range(5):
            await plans.save(plan())

    before = commits(database)
    async with anyio.create_task_group() as group:
        for _ in range(TASKS):
            group.start_soon(save_often)
    assert commits(database) - before <= TASKS
    assert await plans.count() == 5 * TASKS


async def test_a_bad_row_refuses_itself_alone(plans: PlannerSessionStore) -> None:
    refused: list[int] = []

    async def save(number: int) -> None:
        if number % 8:
            await plans.save(plan(f"s{number}"))
            return
        try:
            await plans.save(refused_by_sqlite())
        except InvalidRecordError:
            refused.append(number)

    async with anyio.create_task_group() as group:
        for number in range(TASKS):
            group.start_soon(save, number)
    assert sorted(refused) == list(range(0, TASKS, 8))
    assert await plans.count() == TASKS - len(refused)


async def test_a_text_that_sqlite_cannot_hold_refuses_itself_alone(
    plans: PlannerSessionStore,
) -> None:
    kept = [await plans.save(plan()) for _ in range(3)]
    ended = await asyncio.gather(
        plans.delete(kept[0].id),
        plans.delete("\ud800"),
        plans.save(plan()),
        plans.delete(kept[1].id),
        return_exceptions=True,
    )
    assert (ended[0], ended[3]) == (True, True)
    assert isinstance(ended[1], InvalidRecordError)
    assert await plans.count() == 2


async def test_saves_and_deletes_of_a_group_happen_in_their_order(
    plans: PlannerSessionStore,
) -> None:
    one, other = plan(), plan()
    async with anyio.create_task_group() as group:
        group.start_soon(plans.save, one)
        group.start_soon(plans.save, other)
        group.start_soon(plans.delete, one.id)
        group.start_soon(plans.save, one)
        group.start_soon(plans.delete, other.id)
    assert [found.id for found in await plans.find()] == [one.id]


async def test_save_many_is_a_commit_for_each_thousand_or_one_for_all(
    plans: PlannerSessionStore, database: Path
) -> None:
    await plans.save(plan())
    before = commits(database)
    await plans.save_many(plan() for _ in range(1_200))
    assert commits(database) - before == 2
    await plans.save_many((plan() for _ in range(1_200)), atomic=True)
    assert commits(database) - before == 3


Work = Coroutine[Any, Any, Any]
Cancel = Callable[[Work, int], Coroutine[Any, Any, None]]


async def by_a_scope(work: Work, steps: int) -> None:
    """Cancel as anyio does, after so many turns of the event loop."""
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:

            async def cancel() -> None:
                for _ in range(steps):
                    await asyncio.sleep(0)
                scope.cancel()

            group.start_soon(cancel)
            await work


async def by_its_task(work: Work, steps: int) -> None:
    """Cancel as asyncio does, which no shield of anyio holds off."""
    task = asyncio.create_task(work)
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


CANCELS = pytest.mark.parametrize("cancel", [by_a_scope, by_its_task])


@CANCELS
@pytest.mark.parametrize("which", ["first", "last"])
async def test_a_cancelled_save_holds_up_nobody(
    which: str, cancel: Cancel, plans: PlannerSessionStore
) -> None:
    """At every point of a commit, whether the save that is cancelled came first or later."""
    with anyio.fail_after(60):
        for steps in range(40):
            cancelled, *others = [plan(f"{steps} {number}") for number in range(4)]
            saves = [plans.save(one) for one in others]
            async with anyio.create_task_group() as group:
                if which == "first":
                    group.start_soon(cancel, plans.save(cancelled), steps)
                for save in saves:
                    group.start_soon(_ended, save)
                if which == "last":
                    group.start_soon(cancel, plans.save(cancelled), steps)
            # Commits come one after the other: that of the cancelled one has ended with this.
            others.append(await plans.save(plan()))
            found = {one.id for one in await plans.find()}
            assert {one.id for one in others} <= found
            assert found <= {one.id for one in [cancelled, *others]}
            for id in found:
                await plans.delete(id)


async def _ended(work: Work) -> None:
    await work


@CANCELS
async def test_a_save_that_is_cancelled_before_its_commit_is_not_saved(
    cancel: Cancel, plans: PlannerSessionStore
) -> None:
    """It waits for a `save_many` that has not ended."""
    async with anyio.create_task_group() as group:

        async def save_while_held() -> None:
            await cancel(plans.save(plan("cancelled")), 3)

        def slow() -> Any:
            yield plan("held")
            group.start_soon(save_while_held)
            for _ in range(1_500):
                yield plan("held")

        await plans.save_many(slow())
    assert await plans.count() == 1_501
    assert await plans.get_by_session_id("cancelled") == []


@CANCELS
async def test_save_many_saves_whole_transactions_when_cancelled(
    cancel: Cancel, folder: Path
) -> None:
    with anyio.fail_after(60):
        for steps in range(0, 60, 3):
            async with opened(plan_store(folder)) as store:
                before = await store.count()
                await cancel(store.save_many([plan() for _ in range(1_001)]), steps)
                assert await store.count() - before in {0, 1_000, 1_001}
                await store.save(plan())


def test_what_comes_after_something_that_is_not_written_is_not_written_either(
    folder: Path,
) -> None:
    path = folder / "planner_sessions.db"
    group = GroupCommit(path, PLANNER_SESSIONS, None)
    rows = [to_row(plan()) for _ in range(4)]
    group.submit([rows[0]], 5).reply.result()
    with lock.held(lock.lock_path(path), 5):
        # Waits for the lock: what comes after it is taken up in turn.
        waiting = group.submit([rows[1]], 30)
        after_cancelled = group.submit([rows[2]], 30, after=waiting)
        assert waiting.reply.cancel()
    failing = group.submit(lambda _: 1 / 0, 30)
    after_failed = group.submit([rows[3]], 30, after=failing)
    for request in (after_cancelled, after_failed):
        with pytest.raises(CancelledError):
            request.reply.result(timeout=30)
    group.close().result()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM planner_sessions").fetchone() == (1,)


@CANCELS
async def test_a_cancelled_opening_and_a_cancelled_closing_leave_nothing_behind(
    cancel: Cancel, folder: Path
) -> None:
    with anyio.fail_after(60):
        for steps in range(12):
            store = plan_store(folder, busy_timeout_seconds=1)
            await cancel(store.open(), steps)
            await cancel(store.close(), steps)
            await store.close()
            async with opened(plan_store(folder, busy_timeout_seconds=1)) as other:
                await other.save(plan())
    assert not list(folder.glob("*-wal"))
