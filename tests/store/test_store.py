"""The verbs of a store, on real files."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from khive_persist.errors import InvalidRecordError, NotFoundError, StoreClosedError
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.planner_session import PlannerSession
from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.models.query import Field, Order, column, field
from khive_persist.store.hook_events import HookEventStore
from khive_persist.store.planner_sessions import PlannerSessionStore
from khive_persist.store.sqlite import write_lock
from tests.factories import event, plan
from tests.store.records import costs, event_store, opened, plan_store, refused_by_sqlite

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def dated(hours: float, **content: Any) -> PlannerSession:
    made = plan(**content)
    made.created_at = NOON + timedelta(hours=hours)
    return made


async def test_what_was_saved_is_got_as_it_was(plans: PlannerSessionStore) -> None:
    saved = plan(
        complexity="complex", confidence=0.86, evaluations=[{"config": {"a": 1}}], own_field=[None]
    )
    saved.embedding = [0.5, -1e300]
    saved.node_metadata = {"tags": ["ä", "\0"]}
    assert await plans.save(saved) is saved
    found = await plans.get(saved.id)
    lion_class = {"lion_class": "khive_persist.records.planner_session.PlannerSession"}
    assert found.model_dump() == saved.model_dump() | {
        "node_metadata": saved.node_metadata | lion_class
    }


async def test_saving_again_replaces_all_but_the_time_of_the_first_save(
    plans: PlannerSessionStore,
) -> None:
    first = dated(0, confidence=0.1, complexity="simple")
    first.embedding = [1.0]
    await plans.save(first)
    second = dated(5, confidence=0.9)
    second.id = first.id
    second.node_metadata = {"round": 2}
    await plans.save(second)
    (found,) = await plans.find()
    assert found.content == second.content
    assert found.node_metadata["round"] == 2
    assert found.embedding is None
    assert found.created_at == NOON


async def test_save_many_takes_a_generator_and_counts(plans: PlannerSessionStore) -> None:
    assert await plans.save_many(plan(planning_cost=cost) for cost in range(1_201)) == 1_201
    assert await plans.count() == 1_201
    assert costs(await plans.find(order_by=field("planning_cost"))) == list(range(1_201))
    assert await plans.save_many([]) == 0


def not_json(at: int) -> PlannerSession:
    made = plan(planning_cost=at)
    made.content["metadata"] = {"cost": float("nan")}
    return made


@pytest.mark.parametrize("bad", [not_json, lambda at: refused_by_sqlite(planning_cost=at)])
async def test_save_many_saves_none_where_one_of_them_is_bad(
    bad: Callable[[int], PlannerSession], plans: PlannerSessionStore
) -> None:
    kept = await plans.save(plan(planning_cost=0.5))
    with pytest.raises(InvalidRecordError):
        await plans.save_many(bad(at) if at == 700 else plan(planning_cost=at) for at in range(900))
    assert [found.id for found in await plans.find()] == [kept.id]
    await plans.save(plan())
    assert await plans.count() == 2


async def test_save_many_saves_none_where_what_it_reads_from_fails(
    plans: PlannerSessionStore,
) -> None:
    def failing() -> Iterator[PlannerSession]:
        for cost in range(700):
            yield plan(planning_cost=cost)
        raise KeyError("the source")

    with pytest.raises(KeyError, match="the source"):
        await plans.save_many(failing())
    assert await plans.count() == 0


async def test_save_many_over_several_files_saves_none_where_one_is_not_json(
    events: HookEventStore,
) -> None:
    bad = event(tool="gemini-cli")
    bad.content["payload"] = float("inf")
    with pytest.raises(InvalidRecordError):
        await events.save_many([event(tool="claude-code"), event(tool="codex"), bad])
    assert await events.count() == 0


async def test_get_raises_where_there_is_nothing(plans: PlannerSessionStore) -> None:
    await plans.save(plan())
    with pytest.raises(NotFoundError, match="no PlannerSession has the id 'absent'"):
        await plans.get("absent")


async def test_find_filters_sorts_and_pages(plans: PlannerSessionStore) -> None:
    await plans.save_many(
        plan(complexity=("simple", "complex")[cost % 2], planning_cost=cost, confidence=cost / 10)
        for cost in range(10)
    )
    hard = field("complexity") == "complex"
    dearest_first = -field("planning_cost")
    assert costs(await plans.find(hard, order_by=dearest_first)) == [9, 7, 5, 3, 1]
    assert costs(await plans.find(hard, order_by=dearest_first, limit=2)) == [9, 7]
    assert costs(await plans.find(hard, order_by=dearest_first, limit=2, offset=1)) == [7, 5]
    assert costs(await plans.find(hard, order_by=dearest_first, offset=3)) == [3, 1]
    assert costs(await plans.find(hard, field("confidence") > 0.5, order_by=dearest_first)) == [
        9,
        7,
    ]
    both: list[Field | Order] = [field("complexity"), -field("planning_cost")]
    assert costs(await plans.find(order_by=both)) == [9, 7, 5, 3, 1, 8, 6, 4, 2, 0]
    assert await plans.find(limit=0) == []
    assert await plans.count(hard) == 5


async def test_stream_gives_what_find_gives_of_the_moment_at_which_it_began(
    plans: PlannerSessionStore,
) -> None:
    await plans.save_many(plan(planning_cost=cost) for cost in range(300))
    order = -field("planning_cost")
    wanted = costs(await plans.find(field("planning_cost") >= 10, order_by=order, limit=200))
    streamed = []
    async for one in plans.stream(field("planning_cost") >= 10, order_by=order, limit=200):
        streamed.append(one.content["planning_cost"])
        await plans.save(plan(planning_cost=1_000))
    assert streamed == wanted
    assert await plans.count() == 500


async def test_delete_says_whether_it_was_there(
    plans: PlannerSessionStore, events: HookEventStore
) -> None:
    kept, gone = await plans.save(plan()), await plans.save(plan())
    assert await plans.delete(gone.id) is True
    assert await plans.delete(gone.id) is False
    assert [found.id for found in await plans.find()] == [kept.id]
    codex = await events.save(event(tool="codex"))
    await events.save(event(tool="claude-code"))
    assert await events.delete(codex.id) is True
    assert await events.count() == 1


async def test_stats_are_the_count_and_the_span(plans: PlannerSessionStore) -> None:
    assert await plans.stats() == {"total": 0, "first": None, "last": None}
    for hours in (3, -2, 0):
        await plans.save(dated(hours))
    first, last = NOON - timedelta(hours=2), NOON + timedelta(hours=3)
    assert await plans.stats() == {"total": 3, "first": first, "last": last}


async def test_the_newest_come_first(plans: PlannerSessionStore) -> None:
    for hours in (1, 3, 2, 0):
        await plans.save(dated(hours, planning_cost=hours))
    assert costs(await plans.get_recent(3)) == [3, 2, 1]
    assert len(await plans.get_recent()) == 4


async def test_a_date_range_has_its_start_and_not_its_end_in_any_zone(
    plans: PlannerSessionStore,
) -> None:
    for hours in (2, 0, 1, 3):
        await plans.save(dated(hours, planning_cost=hours))
    india = timezone(timedelta(hours=5, minutes=30))
    start, end = NOON.astimezone(india), (NOON + timedelta(hours=2)).astimezone(india)
    assert costs(await plans.get_by_date_range(start, end)) == [0, 1]
    naive = NOON.replace(tzinfo=None)
    assert costs(await plans.get_by_date_range(naive, naive + timedelta(hours=2))) == [0, 1]


async def test_a_time_compares_as_a_datetime_and_as_text(plans: PlannerSessionStore) -> None:
    for hours in range(3):
        await plans.save(dated(hours, planning_cost=hours))
    at = column("created_at")
    assert costs(await plans.find(at == NOON)) == [0]
    assert costs(await plans.find(at > "2026-11-01T14:00:00+02:00", order_by=at)) == [1, 2]
    assert costs(await plans.find(at.in_([NOON, "2026-11-01 14:00"]), order_by=-at)) == [2, 0]


async def test_records_of_one_class_live_in_the_file_of_their_tool(
    events: HookEventStore, folder: Path
) -> None:
    for tool in ("claude-code", "codex", "gemini-cli", "codex", "pi", "kilo", "unknown"):
        await events.save(event(tool=tool))
    await events.save(event())
    counts = {}
    for path in events.paths:
        with closing(sqlite3.connect(path)) as connection:
            counts[path.name] = connection.execute("SELECT count(*) FROM hook_events").fetchone()[0]
    assert counts == {"claude_hooks.db": 2, "codex_hooks.db": 2, "gemini_hooks.db": 1,
        "agent_hooks.db": 3,
    }  # fmt: skip
    with pytest.raises(InvalidRecordError, match="the tool 'vim' is not known"):
        await events.save(event(tool="vim"))


async def test_a_file_is_made_at_the_first_event_of_its_tool(
    events: HookEventStore, folder: Path
) -> None:
    assert await events.find() == []
    assert not list(folder.glob("*.db"))
    await events.save(event(tool="codex"))
    assert [path.name for path in folder.glob("*.db")] == ["codex_hooks.db"]
    assert len(await events.find()) == 1


async def test_a_table_that_comes_after_its_file_is_read(
    events: HookEventStore, folder: Path
) -> None:
    (folder / "codex_hooks.db").touch()
    assert await events.count() == 0
    await events.save(event(tool="codex"))
    assert await events.count() == 1


Call = Callable[[PlannerSessionStore], Awaitable[object]]


async def exhaust(store: PlannerSessionStore) -> None:
    async for _ in store.stream():
        pass


CALLS: dict[str, Call] = {
    "save": lambda store: store.save(plan()),
    "save_many": lambda store: store.save_many([plan()]),
    "get": lambda store: store.get("x"),
    "find": lambda store: store.find(),
    "stream": exhaust,
    "count": lambda store: store.count(),
    "delete": lambda store: store.delete("x"),
    "stats": lambda store: store.stats(),
    "follow": lambda store: store.follow(),
    "get_recent": lambda store: store.get_recent(),
    "get_stats": lambda store: store.get_stats(),
    "get_by_session_id": lambda store: store.get_by_session_id("s1"),
}


@pytest.mark.parametrize("verb", CALLS)
async def test_a_store_outside_its_opening_refuses_every_verb(verb: str, folder: Path) -> None:
    store = plan_store(folder)
    with pytest.raises(StoreClosedError):
        await CALLS[verb](store)
    await store.open()
    await store.close()
    with pytest.raises(StoreClosedError):
        await CALLS[verb](store)


@pytest.fixture
def no_thread_is_left() -> Iterator[None]:
    """A connection that nobody closes has a thread that keeps the program alive."""
    before = threading.enumerate()
    yield
    for thread in threading.enumerate():
        if thread not in before and "AnyIO" not in thread.name:
            thread.join(10)
            assert not thread.is_alive()


async def test_a_read_that_closing_overtakes_is_refused_and_opens_nothing(
    no_thread_is_left: None, folder: Path
) -> None:
    asked, closed = asyncio.Event(), asyncio.Event()

    async def before_read() -> None:
        asked.set()
        await closed.wait()

    store = HookEventStore(HookEvent, lambda what: folder / what.file, before_read=before_read)
    async with opened(store):
        await store.save(event())
        reading = asyncio.create_task(store.count())
        await asked.wait()
    closed.set()
    with pytest.raises(StoreClosedError):
        await reading


async def test_a_save_that_closing_overtakes_is_refused_and_opens_nothing(
    no_thread_is_left: None, folder: Path
) -> None:
    """It waits for the last file while the others are closed already."""
    async with opened(event_store(folder)) as store:
        first, middle, last = "claude-code", "codex", "gemini-cli"
        for tool in (first, middle, last):
            await store.save(event(tool=tool))
        wal = folder / f"{HOOK_EVENTS[middle].file}-wal"
        assert wal.exists()
        with write_lock.held(write_lock.lock_path(folder / HOOK_EVENTS[last].file), 1):
            some = [event(tool=tool) for tool in (last, middle, first)]
            saving = asyncio.create_task(store.save_many(some))
            await asyncio.sleep(0)
            closing = asyncio.create_task(store.close())
            async with asyncio.timeout(10):
                while wal.exists():
                    await asyncio.sleep(0)
        await closing
        with pytest.raises(StoreClosedError):
            await saving
    async with opened(event_store(folder)) as again:
        assert await again.count() == 4


async def test_what_was_begun_before_closing_is_done(no_thread_is_left: None, folder: Path) -> None:
    async with opened(plan_store(folder)) as store:
        begun: list[asyncio.Task[Any]] = [asyncio.create_task(store.save(plan())) for _ in range(5)]
        begun.append(asyncio.create_task(store.save_many([plan(), plan()])))
        await asyncio.sleep(0)
    await asyncio.gather(*begun)
    async with opened(plan_store(folder)) as again:
        assert await again.count() == 7


EARLY_LEAVING = """
import anyio
from khive_persist import PlannerSession, field, open_store

async def main():
    async with open_store(PlannerSession) as plans:
        for cost in range(200):
            content = {"session_id": "s", "task_description": "", "planning_cost": cost}
            await plans.save(PlannerSession(content=content))
        async for plan in plans.stream(order_by=field("planning_cost")):
            break
        await plans.find(field("planning_cost") > 3)
        await plans.follow()
    async for plan in PlannerSession.stream():
        break
    print(len(await PlannerSession.get_recent(300)))

anyio.run(main)
"""
LEAVING_AT_THE_END = """
import anyio
from khive_persist import PlannerSession

async def main():
    content = {"session_id": "s", "task_description": ""}
    for _ in range(3):
        await PlannerSession(content=content).save()
    async for plan in PlannerSession.stream():
        print(200)
        break

anyio.run(main)
"""


@pytest.mark.parametrize("script", [EARLY_LEAVING, LEAVING_AT_THE_END])
def test_a_program_that_leaves_a_stream_early_ends(script: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        check=False,
        env={"HOME": str(tmp_path), "KHIVE_DIR": str(tmp_path)},
        timeout=30,
    )
    assert (done.returncode, done.stdout) == (0, b"200\n")
    assert b"Warning" not in done.stderr


async def test_a_hook_event_is_found_by_its_id_in_any_file(events: HookEventStore) -> None:
    saved = [await events.save(event(tool=tool)) for tool in ("gemini-cli", "codex")]
    for one in saved:
        assert isinstance(found := await events.get(one.id), HookEvent)
        assert found.content == one.content
