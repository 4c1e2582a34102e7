"""Autosave: what a round saves, when rounds come, and what cannot keep them from coming."""

import asyncio
import gc
import logging
import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist import Autosave, CallbackMetadata, HookEvent, Node, PlannerSession
from khive_persist.errors import InvalidRecordError
from khive_persist.store.callbacks import Callbacks
from khive_persist.store.codec import StoredRow
from khive_persist.store.hook_events import HookEventStore
from khive_persist.store.planner_sessions import PlannerSessionStore
from khive_persist.store.sqlite import write_lock
from tests.factories import event, plan
from tests.store.records import opened, plan_store
from tests.store.test_group_commit import commits

NEVER = float("inf")
SOON = 0.01


class Watch:
    """What a store saves, one after the other; and an event at the next of it."""

    def __init__(self) -> None:
        self.saves = 0
        self.rows: list[StoredRow] = []
        self.on_row: Callable[[], None] = lambda: None
        self._next = anyio.Event()

    def redact(self, row: StoredRow) -> StoredRow:
        """A row was made, and is not yet written."""
        self.rows.append(row)
        self.on_row()
        return row

    def on_save(self, told: CallbackMetadata) -> None:
        self.saves += told.items
        self._next.set()
        self._next = anyio.Event()

    async def next(self) -> None:
        """Wait for the next save."""
        with anyio.fail_after(30):
            await self._next.wait()


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
async def plans(folder: Path, watch: Watch) -> AsyncIterator[PlannerSessionStore]:
    store = PlannerSessionStore(
        PlannerSession,
        lambda purpose: folder / purpose.file,
        redact=watch.redact,
        callbacks=Callbacks(on_save=watch.on_save),
    )
    async with opened(store):
        yield store


async def stored(plans: PlannerSessionStore) -> dict[str, Any]:
    return {one.content["session_id"]: one.content.get("metadata") for one in await plans.find()}


async def test_a_round_saves_what_changed_since_the_last(
    plans: PlannerSessionStore, watch: Watch
) -> None:
    one, other = plan("one", metadata={"deep": [{"er": 1}]}), plan("other")
    async with Autosave(plans, every_seconds=NEVER) as autosave:
        autosave.track(one)
        autosave.track(other)
        assert await autosave.save_now() == ((one, other), ())
        assert await autosave.save_now() == ((), ())
        one.content["metadata"]["deep"][0]["er"] = 2
        other.content = other.content.copy()
        assert await autosave.save_now() == ((one,), ())
        assert (await stored(plans))["one"] == {"deep": [{"er": 2}]}
        other.embedding = [1.0]
        assert (await autosave.save_now()).saved == (other,)
        one.node_metadata["round"] = 3
        assert (await autosave.save_now()).saved == (one,)
    assert watch.saves == 5


async def test_a_record_that_was_loaded_is_saved_once_it_changes(
    plans: PlannerSessionStore, watch: Watch
) -> None:
    await plans.save(plan("one"))
    (loaded,) = await plans.find()
    async with Autosave(plans, every_seconds=NEVER) as autosave:
        autosave.track(loaded, is_saved=True)
        assert await autosave.save_now() == ((), ())
        loaded.content["metadata"] = {"a": 1}
        assert (await autosave.save_now()).saved == (loaded,)
    assert await stored(plans) == {"one": {"a": 1}}


async def test_rounds_come_by_themselves(plans: PlannerSessionStore, watch: Watch) -> None:
    one = plan("one", metadata={"round": 0})
    every_seconds = 0.03
    async with Autosave(plans, every_seconds=every_seconds) as autosave:
        began = anyio.current_time()
        autosave.track(one)
        for number in range(1, 4):
            await watch.next()
            assert await stored(plans) == {"one": {"round": number - 1}}
            assert anyio.current_time() - began >= number * every_seconds * 0.99
            one.content["metadata"]["round"] = number


async def test_it_is_switched_off_and_on_while_it_runs(
    plans: PlannerSessionStore, watch: Watch
) -> None:
    one, ticking = plan("one"), plan("ticking", metadata={})
    async with (
        Autosave(plans, every_seconds=SOON) as autosave,
        # Its rounds show that time goes by.
        Autosave(plans, every_seconds=SOON) as clock,
    ):
        clock.track(ticking)
        autosave.enabled = False
        autosave.track(one)
        for tick in range(5):
            ticking.content["metadata"]["tick"] = tick
            await watch.next()
        assert (await stored(plans)).keys() == {"ticking"}
        assert (await autosave.save_now()).saved == (one,)
        one.content["metadata"] = {"a": 1}
        autosave.enabled = True
        await watch.next()
    assert (await stored(plans))["one"] == {"a": 1}


async def test_switched_off_it_does_not_save_at_the_end(plans: PlannerSessionStore) -> None:
    async with Autosave(plans, every_seconds=NEVER) as autosave:
        autosave.track(plan())
        autosave.enabled = False
    assert await plans.count() == 0


async def test_the_end_saves(plans: PlannerSessionStore, watch: Watch) -> None:
    one = plan("one")
    async with Autosave(plans, every_seconds=NEVER) as autosave:
        autosave.track(one)
        assert watch.rows == []
    assert (await stored(plans)).keys() == {"one"}
    one.content["metadata"] = {"a": 1}
    async with autosave:
        pass
    assert await stored(plans) == {"one": {"a": 1}}


async def test_an_exception_saves_and_goes_on_as_it_is(plans: PlannerSessionStore) -> None:
    async def program() -> None:
        async with Autosave(plans, every_seconds=NEVER) as autosave:
            autosave.track(plan("one"))
            raise KeyError("the program")

    with pytest.raises(KeyError, match="the program"):
        await program()
    assert (await stored(plans)).keys() == {"one"}


async def wait_tracking(plans: PlannerSessionStore, began: anyio.Event) -> None:
    async with Autosave(plans, every_seconds=SOON) as autosave:
        one = plan("one")
        autosave.track(one)
        await autosave.save_now()
        one.content["metadata"] = {"last": True}
        began.set()
        await anyio.sleep_forever()


async def by_a_scope(plans: PlannerSessionStore) -> None:
    began = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(wait_tracking, plans, began)
        await began.wait()
        group.cancel_scope.cancel()


async def by_its_task(plans: PlannerSessionStore) -> None:
    began = anyio.Event()
    task = asyncio.create_task(wait_tracking(plans, began))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def by_all_tasks(plans: PlannerSessionStore) -> None:
    """As programs do in a handler of SIGTERM."""
    began = anyio.Event()
    before = asyncio.all_tasks()
    task = asyncio.create_task(wait_tracking(plans, began))
    await began.wait()
    for one in asyncio.all_tasks() - before:
        one.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("cancel", [by_a_scope, by_its_task, by_all_tasks])
async def test_a_cancellation_saves(cancel: Any, plans: PlannerSessionStore) -> None:
    with anyio.fail_after(30):
        await cancel(plans)
    assert await stored(plans) == {"one": {"last": True}}


@pytest.mark.parametrize("cancels", range(1, 4))
async def test_the_save_at_the_end_goes_on_when_cancelled_again(
    cancels: int, plans: PlannerSessionStore, watch: Watch
) -> None:
    ending = anyio.Event()
    watch.on_row = ending.set
    held = write_lock.try_acquire(write_lock.lock_path(plans.paths[0]))
    assert held is not None

    async def program() -> None:
        async with Autosave(plans, every_seconds=NEVER) as autosave:
            autosave.track(plan("one"))

    task = asyncio.create_task(program())
    await ending.wait()
    for _ in range(cancels):
        task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
    assert not task.done()
    os.close(held)
    with anyio.fail_after(30), pytest.raises(asyncio.CancelledError):
        await task
    assert (await stored(plans)).keys() == {"one"}


async def test_what_changes_while_it_is_saved_is_saved_by_the_next_round(
    plans: PlannerSessionStore, watch: Watch
) -> None:
    one = plan("one", metadata={"n": 1})

    def change() -> None:
        one.content["metadata"]["n"] = 2

    async with Autosave(plans, every_seconds=NEVER) as autosave:
        autosave.track(one)
        watch.on_row = change
        await autosave.save_now()
        assert await stored(plans) == {"one": {"n": 1}}
        assert (await autosave.save_now()).saved == (one,)
    assert await stored(plans) == {"one": {"n": 2}}


async def test_a_record_that_fails_is_reported_and_holds_up_no_other(
    plans: PlannerSessionStore, caplog: pytest.LogCaptureFixture
) -> None:
    reported: list[tuple[Exception, Node]] = []

    async def on_error(error: Exception, record: Node) -> None:
        await anyio.lowlevel.checkpoint()
        reported.append((error, record))

    bad = plan("bad", metadata={"cost": float("nan")})
    good = [plan(f"good {number}") for number in range(5)]
    async with Autosave(plans, every_seconds=NEVER, on_error=on_error) as autosave:
        for one in (*good[:2], bad, *good[2:]):
            autosave.track(one)
        ended = await autosave.save_now()
        assert ended.saved == tuple(good)
        ((failed, error),) = ended.failed
        assert failed is bad
        assert isinstance(error, InvalidRecordError)
        assert await plans.count() == 5
        # It is tried again, and alone.
        assert [one for one, _ in (await autosave.save_now()).failed] == [bad]
        assert [record for _, record in reported] == [bad, bad]
        bad.content["metadata"]["cost"] = 1
        assert await autosave.save_now() == ((bad,), ())
    assert await plans.count() == 6
    assert caplog.records == []


async def test_what_was_not_saved_is_saved_later_unchanged(folder: Path) -> None:
    reported: list[str] = []

    def on_error(error: Exception, record: Node) -> None:
        reported.append(type(error).__name__)

    async with opened(plan_store(folder, busy_timeout_seconds=0.1)) as plans:
        async with Autosave(plans, every_seconds=NEVER, on_error=on_error) as autosave:
            autosave.track(plan("one"))
            held = write_lock.try_acquire(write_lock.lock_path(plans.paths[0]))
            assert held is not None
            try:
                assert (await autosave.save_now()).saved == ()
            finally:
                os.close(held)
            assert len((await autosave.save_now()).saved) == 1
    assert reported == ["StoreBusyError"]


async def test_a_record_that_fails_does_not_stop_the_rounds(
    plans: PlannerSessionStore, watch: Watch
) -> None:
    failures = 0
    again = anyio.Event()

    def on_error(error: Exception, record: Node) -> None:
        nonlocal failures
        failures += 1
        if failures == 3:
            again.set()

    bad = plan("bad", metadata={"cost": float("nan")})
    async with Autosave(plans, every_seconds=SOON, on_error=on_error) as autosave:
        autosave.track(bad)
        with anyio.fail_after(30):
            await again.wait()
        bad.content["metadata"]["cost"] = 1
        await watch.next()
    assert (await stored(plans)).keys() == {"bad"}


async def test_a_failure_that_nobody_is_told_of_is_logged(
    plans: PlannerSessionStore, caplog: pytest.LogCaptureFixture
) -> None:
    bad = plan(metadata={"cost": float("nan")})
    async with Autosave(plans, every_seconds=NEVER) as autosave:
        autosave.track(bad)
    (logged,) = caplog.records
    assert (logged.name, logged.levelno) == ("khive_persist", logging.ERROR)
    assert bad.id in logged.getMessage()


async def test_an_on_error_that_raises_holds_up_no_other(
    plans: PlannerSessionStore, caplog: pytest.LogCaptureFixture
) -> None:
    def on_error(error: Exception, record: Node) -> None:
        raise KeyError("the callback")

    async with Autosave(plans, every_seconds=NEVER, on_error=on_error) as autosave:
        autosave.track(plan("bad", metadata={"cost": float("nan")}))
        autosave.track(plan("good"))
    assert (await stored(plans)).keys() == {"good"}
    assert [logged.exc_info[0] for logged in caplog.records if logged.exc_info] == [KeyError]


async def test_last_save_time_is_that_of_the_last_record_that_was_saved(
    plans: PlannerSessionStore,
) -> None:
    one = plan()
    async with Autosave(plans, every_seconds=NEVER) as autosave:
        assert autosave.last_save_time is None
        await autosave.save_now()
        assert autosave.last_save_time is None
        autosave.track(one)
        before = datetime.now(UTC)
        await autosave.save_now()
        first = autosave.last_save_time
        assert first is not None
        assert before <= first <= datetime.now(UTC)
        assert first.tzinfo is UTC
        await autosave.save_now()
        one.content["metadata"] = {"cost": float("nan")}
        await autosave.save_now()
        assert autosave.last_save_time == first
        one.content["metadata"] = {"cost": 1}
    assert autosave.last_save_time > first


async def test_what_is_not_tracked_any_more_is_not_saved(plans: PlannerSessionStore) -> None:
    one = plan("one")
    async with Autosave(plans, every_seconds=NEVER) as autosave:
        autosave.track(one)
        assert autosave.untrack(one) is True
        assert autosave.untrack(one) is False
    assert await plans.count() == 0


async def test_of_two_objects_with_one_id_the_later_is_saved(plans: PlannerSessionStore) -> None:
    one = plan("one", metadata={"n": 1})
    other = one.model_copy(deep=True)
    async with Autosave(plans, every_seconds=NEVER) as autosave:
        autosave.track(one)
        autosave.track(other)
        one.content["metadata"]["n"] = 2
        other.content["metadata"]["n"] = 3
    assert await stored(plans) == {"one": {"n": 3}}


async def test_records_of_several_classes(
    plans: PlannerSessionStore, events: HookEventStore
) -> None:
    async with Autosave(plans, events, every_seconds=NEVER) as autosave:
        autosave.track(plan())
        autosave.track(event(tool="codex"))
        autosave.track(event())
    assert (await plans.count(), await events.count()) == (1, 2)
    assert [path.name for path in events.paths if path.exists()] == [
        "claude_hooks.db",
        "codex_hooks.db",
    ]


async def test_a_class_without_a_store_is_refused(plans: PlannerSessionStore) -> None:
    autosave = Autosave(plans)
    for refused in (autosave.track, autosave.untrack):
        with pytest.raises(InvalidRecordError, match="no store for HookEvent"):
            refused(HookEvent.model_validate({"content": {"event_type": "stop"}}))


@pytest.mark.parametrize("every_seconds", [0, -1, float("nan")])
def test_an_interval_that_is_none_is_refused(every_seconds: float) -> None:
    with pytest.raises(ValueError, match="more than 0"):
        Autosave(every_seconds=every_seconds)


async def test_the_records_of_a_round_share_commits(
    plans: PlannerSessionStore, database: Path
) -> None:
    before = commits(database)
    async with Autosave(plans, every_seconds=NEVER) as autosave:
        for number in range(500):
            autosave.track(plan(f"s{number}"))
        assert len((await autosave.save_now()).saved) == 500
    # One for each hundred that are compared at once, or a few where the machine is busy.
    assert commits(database) - before <= 25


async def test_rounds_do_not_run_into_each_other(plans: PlannerSessionStore, watch: Watch) -> None:
    async with Autosave(plans, every_seconds=NEVER) as autosave:
        autosave.track(plan())
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(autosave.save_now)
        assert watch.saves == 1


async def test_saves_that_are_cancelled_before_they_begin_leave_nothing_behind(
    plans: PlannerSessionStore,
) -> None:
    async with Autosave(plans, every_seconds=NEVER) as autosave:
        autosave.track(plan("one"))
        before = asyncio.all_tasks()
        saving = asyncio.create_task(autosave.save_now())
        while len(asyncio.all_tasks() - before) < 2:
            await asyncio.sleep(0)
        for one in asyncio.all_tasks() - before:
            one.cancel()
        with pytest.raises(asyncio.CancelledError):
            await saving
        gc.collect()
    assert (await stored(plans)).keys() == {"one"}
