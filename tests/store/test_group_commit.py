"""Group commit: what saves that come at once share, and what they do not."""

import asyncio
import sqlite3
import struct
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist import PlannerSession, open_store
from khive_persist.errors import InvalidRecordError
from khive_persist.mirror.consumer import MirrorFollower
from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.store.codec import StoredRow, to_row
from khive_persist.store.group_commit import GroupCommit
from khive_persist.store.planner_sessions import PlannerSessionStore
from khive_persist.store.sqlite import write_lock
from khive_persist.store.sqlite.mirror_progress import Mirroring
from khive_persist.store.sqlite.transaction import Transaction
from khive_persist.store.write_request import WriteRequest
from tests.factories import plan
from tests.store.records import opened, plan_store, refused_by_sqlite

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
    assert commits(database) - before == 1
    assert await plans.count() == TASKS


async def test_a_commit_begins_once_all_tasks_of_a_turn_have_asked(folder: Path) -> None:
    group = GroupCommit(folder / "planner_sessions.db", PLANNER_SESSIONS, None)
    has_begun = threading.Event()

    async def look() -> None:
        # The loop stands still meanwhile; the thread that commits does not.
        assert not has_begun.wait(0.2)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(group.run, lambda _: has_begun.set(), 5)
        tasks.start_soon(look)
    assert has_begun.is_set()
    group.close().result()


async def test_a_commit_that_ends_within_a_turn_leaves_what_the_turn_asks_for_together(
    folder: Path,
) -> None:
    group = GroupCommit(folder / "planner_sessions.db", PLANNER_SESSIONS, None)
    has_begun, may_end, has_written = (threading.Event() for _ in range(3))

    def first(_: Transaction) -> None:
        has_begun.set()
        assert may_end.wait(20)

    async def look() -> None:
        # The thread that commits is done with the first, and awake.
        may_end.set()
        assert not has_written.wait(0.2)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(group.run, first, 5)
        assert await anyio.to_thread.run_sync(has_begun.wait, 20)
        tasks.start_soon(group.run, lambda _: has_written.set(), 5)
        tasks.start_soon(look)
    assert has_written.is_set()
    group.close().result()


async def test_a_save_is_done_where_its_file_is_closed_before_its_commit_begins(
    folder: Path,
) -> None:
    group = GroupCommit(folder / "planner_sessions.db", PLANNER_SESSIONS, None)
    saving = asyncio.create_task(group.save(to_row(plan()), 5))
    # It has asked, and the loop has not come to what it asked for.
    await asyncio.sleep(0)
    closing = group.close()
    async with asyncio.timeout(30):
        await saving
        await asyncio.wrap_future(closing)
    assert count(group.path) == 1


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


async def test_save_many_is_a_commit_for_some_thousands_or_one_for_all(
    plans: PlannerSessionStore, database: Path
) -> None:
    await plans.save(plan())
    before = commits(database)
    await plans.save_many(plan() for _ in range(1_200))
    assert 1 <= commits(database) - before <= 2
    before = commits(database)
    await plans.save_many((plan() for _ in range(1_200)), atomic=True)
    assert commits(database) - before == 1


class Held:
    """A commit that waits in its transaction, and what hangs on it."""

    def __init__(self, path: Path, mirror: Mirroring = None) -> None:
        self.path = path
        self.group = GroupCommit(path, PLANNER_SESSIONS, mirror)
        self.group.submit([to_row(plan())], 5).reply.result()
        self.before = commits(path)
        self.is_open, self.is_over = threading.Event(), threading.Event()
        self.last = self.group.submit(self._hold, 5)
        assert self.is_open.wait(30)

    def _hold(self, writing: Transaction) -> None:
        writing.upsert([to_row(plan())])
        self.is_open.set()
        assert self.is_over.wait(30)

    def add(self, *rows: StoredRow) -> WriteRequest:
        self.last = self.group.submit(rows, 30, predecessor=self.last)
        return self.last

    def end(self) -> None:
        self.is_over.set()
        with suppress(CancelledError, InvalidRecordError):
            self.last.reply.result(timeout=30)


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        found: int = connection.execute("SELECT count(*) FROM planner_sessions").fetchone()[0]
    return found


def test_parts_of_a_bulk_share_a_commit_until_they_are_many(folder: Path) -> None:
    held = Held(folder / "planner_sessions.db")
    parts = [held.add(*(to_row(plan()) for _ in range(1_000))) for _ in range(9)]
    held.end()
    # Seven with the one that waited, and the two others.
    assert commits(held.path) - held.before == 2
    assert all(part.predecessor is None for part in parts)
    held.group.close().result()


def test_parts_of_a_bulk_that_is_copied_share_a_commit_of_a_thousand(folder: Path) -> None:
    mirror = MirrorFollower(folder / "sessions", PLANNER_SESSIONS)
    held = Held(folder / "planner_sessions.db", mirror)
    parts = [held.add(*(to_row(plan()) for _ in range(250))) for _ in range(9)]
    held.end()
    # Three with the one that waited, then four and two. What was copied is noted by other commits.
    assert 3 <= commits(held.path) - held.before <= 7
    for part in parts:
        part.reply.result(timeout=30)
    assert len(list((folder / "sessions").glob("*.json"))) == 2 + 9 * 250
    held.group.close().result()


async def test_a_bulk_that_is_copied_is_written_before_a_thousand_rows_are_there(
    folder: Path,
) -> None:
    def records() -> Iterator[PlannerSession]:
        for _ in range(250):
            yield plan()
        end = time.monotonic() + 30
        while count(folder / PLANNER_SESSIONS.file) < 250:
            assert time.monotonic() < end
        yield plan()

    async with open_store(PlannerSession, dir=folder.parent) as store:
        assert await store.save_many(records()) == 251


@pytest.mark.parametrize("is_copied", [False, True])
def test_a_bulk_gives_way_to_who_waits_for_the_lock(is_copied: bool, folder: Path) -> None:
    mirror = MirrorFollower(folder / "sessions", PLANNER_SESSIONS) if is_copied else None
    held = Held(folder / "planner_sessions.db", mirror)
    path = write_lock.lock_path(held.path)
    assert not write_lock.is_awaited(path)
    with ThreadPoolExecutor(1) as another:

        def look() -> int:
            with write_lock.held(path, 30):
                return count(held.path)

        found = another.submit(look)
        while not write_lock.is_awaited(path):
            time.sleep(0.001)
        held.add(to_row(plan()))
        held.end()
        assert found.result() == 2
    assert count(held.path) == 3
    held.group.close().result()


def test_what_follows_a_part_that_fails_is_not_written(folder: Path) -> None:
    held = Held(folder / "planner_sessions.db")
    parts = [
        held.add(to_row(plan())),
        held.add(("\ud800", *to_row(plan())[1:])),
        held.add(to_row(plan())),
        held.add(to_row(plan())),
    ]
    held.end()
    assert parts[0].reply.exception() is None
    for part in parts[1:]:
        with pytest.raises((CancelledError, InvalidRecordError)):
            part.reply.result(timeout=30)
    assert count(held.path) == 3
    held.group.close().result()


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
    cancel: Cancel, folder: Path
) -> None:
    """It waits for the lock, which another program has."""
    async with opened(plan_store(folder)) as plans:
        await plans.save(plan("before"))
        with write_lock.held(write_lock.lock_path(folder / "planner_sessions.db"), 5):
            await cancel(plans.save(plan("cancelled")), 3)
        await plans.save(plan("after"))
        assert await plans.count() == 2
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
    with write_lock.held(write_lock.lock_path(path), 5):
        # Waits for the lock: what comes after it is taken up in turn.
        waiting = group.submit([rows[1]], 30)
        after_cancelled = group.submit([rows[2]], 30, predecessor=waiting)
        assert waiting.reply.cancel()
    failing = group.submit(lambda _: 1 / 0, 30)
    after_failed = group.submit([rows[3]], 30, predecessor=failing)
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
