"""Files that the original wrote: read as they are, written to beside what is there."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from khive_persist.models.planner_session import PlannerSession
from khive_persist.models.purposes import HOOK_EVENTS, PLANNER_SESSIONS, Purpose
from khive_persist.models.query import Filter, column, field
from khive_persist.store.hook_events import HookEventStore
from khive_persist.store.planner_sessions import PlannerSessionStore
from khive_persist.store.reader import Reader
from khive_persist.store.source import select
from tests.factories import event, plan
from tests.store import old_files
from tests.store.old_files import MALFORMED, ROWS
from tests.store.records import opened, plan_store

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
BY_TIME = [row.id for row in sorted(ROWS, key=lambda row: row.minute or 0) if row.minute]
WITHOUT_TIME = {row.id for row in ROWS if row.minute is None}
created_at = column("created_at")


@pytest.fixture
async def old(folder: Path, database: Path) -> AsyncIterator[PlannerSessionStore]:
    old_files.make(database)
    async with opened(plan_store(folder)) as store:
        yield store


def ids(found: list[Any]) -> list[str]:
    return [one.id for one in found]


def minute(number: float) -> datetime:
    return NOON + timedelta(minutes=number)


async def test_every_row_is_listed_as_it_is(old: PlannerSessionStore) -> None:
    found = {one.id: one for one in await old.find()}
    assert set(found) == {row.id for row in ROWS}
    assert found["naive"].created_at == minute(10) + timedelta(microseconds=123_456)
    assert found["offset"].created_at == minute(20)
    assert found["epoch"].created_at == minute(15) + timedelta(seconds=0.25)
    assert found["epoch text"].created_at == minute(25)
    assert dict(found["naive"].content)["unknown"] == {"kept": [1, 2]}
    assert found["naive"].node_metadata == {"lion_class": "khive.models.PlannerSession"}
    assert found["naive"].embedding is None
    assert found["empty"].model_dump(include={"content", "node_metadata"}) == {
        "content": None,
        "node_metadata": {},
    }
    assert found["empty"].embedding == [0.5, 1]


async def test_a_time_that_cannot_be_read_is_told_from_one_that_can(
    old: PlannerSessionStore,
) -> None:
    undated, misdated = await old.get("undated"), await old.get("misdated")
    assert undated.created_at == misdated.created_at == datetime(1970, 1, 1, tzinfo=UTC)
    assert undated.node_metadata["unreadable_created_at"] == "null"
    assert misdated.node_metadata["unreadable_created_at"] == '"yesterday"'


async def test_dates_sort_by_instant_whatever_their_spelling(old: PlannerSessionStore) -> None:
    ascending = ids(await old.find(order_by=created_at))
    assert set(ascending[: len(WITHOUT_TIME)]) == WITHOUT_TIME
    assert ascending[len(WITHOUT_TIME) :] == BY_TIME
    assert ids(await old.get_recent(4)) == BY_TIME[:-5:-1]
    assert [one.id async for one in old.stream(created_at >= NOON, order_by=created_at)] == BY_TIME


async def test_dates_filter_by_instant_whatever_their_spelling(old: PlannerSessionStore) -> None:
    assert ids(await old.get_by_date_range(minute(15), minute(30))) == [
        "epoch",
        "offset",
        "epoch text",
    ]
    assert ids(await old.find(created_at == "2026-11-01 13:20+01:00")) == ["offset"]
    undated = await old.find(created_at.is_null())
    assert set(ids(undated)) == WITHOUT_TIME
    assert await old.count(created_at < minute(20)) == 3
    stats = await old.stats()
    assert (stats["total"], stats["last"]) == (len(ROWS), minute(45))
    assert stats["first"] == minute(5)


async def test_fields_are_found_and_counted(old: PlannerSessionStore) -> None:
    assert ids(await old.get_by_session_id("s2")) == ["offset", "behind"]
    assert ids(await old.get_by_complexity("complex")) == ["offset", "naive"]
    assert ids(await old.find(field("unknown.kept").contains(2))) == ["naive"]
    stats = await old.get_stats()
    assert (stats["total_sessions"], stats["complexities"]) == (10, {"complex": 2, "simple": 1})
    assert stats["avg_confidence"] == pytest.approx(0.55)


async def test_old_and_new_rows_are_sorted_together(old: PlannerSessionStore) -> None:
    new = plan("s2")
    new.id, new.created_at = "new", minute(22)
    await old.save(new)
    assert ids(await old.get_by_session_id("s2")) == ["offset", "new", "behind"]
    assert ids(await old.get_by_date_range(minute(20), minute(26))) == [
        "offset",
        "new",
        "epoch text",
    ]


async def test_new_rows_leave_the_bytes_of_old_ones(folder: Path, database: Path) -> None:
    old_files.make(database)
    before = old_files.stored(database)
    async with opened(plan_store(folder)) as store:
        await store.save_many(plan(f"new {number}") for number in range(50))
        await store.get_stats()
        await store.delete((await store.get_recent(1))[0].id)
    after = old_files.stored(database)
    assert len(after) == len(ROWS) + 49
    assert {id: after[id] for id in before} == before


async def test_an_old_row_that_is_saved_again_keeps_the_bytes_of_its_time(
    old: PlannerSessionStore, database: Path
) -> None:
    before = old_files.stored(database)["epoch"]
    one = await old.get("epoch")
    one.content["complexity"] = "simple"
    await old.save(one)
    after = old_files.stored(database)["epoch"]
    assert after[6:8] == before[6:8]
    assert "epoch" in ids(await old.get_by_complexity("simple"))


async def test_only_reading_changes_no_byte(folder: Path, database: Path) -> None:
    old_files.make(database, [*ROWS, MALFORMED])
    before = old_files.digest(folder)
    reader = Reader([(database, PLANNER_SESSIONS)])
    filters: tuple[Filter, ...] = (created_at >= NOON,)
    found = await reader.fetch(lambda source: select(source, filters, order_by=created_at))
    assert [row[0] for row in found] == [*BY_TIME, "nan"]
    streamed = [row[0] async for row in reader.stream(lambda source: select(source, filters))]
    assert set(streamed) == {row[0] for row in found}
    await reader.close()
    assert old_files.digest(folder) == before


async def test_a_row_that_is_no_json_hides_no_other(folder: Path, database: Path) -> None:
    old_files.make(database, [*ROWS, MALFORMED])
    before = old_files.stored(database)
    async with opened(plan_store(folder)) as store:
        assert len(await store.find()) == len(ROWS) + 1
        assert str((await store.get("nan")).content) == MALFORMED.content
        assert ids(await store.get_by_date_range(minute(45), minute(60))) == ["empty", "nan"]
        assert ids(await store.get_recent(2)) == ["nan", "empty"]
        new = await store.save(plan("s2", complexity="complex"))
        assert ids(await store.get_by_complexity("complex")) == [new.id, "offset", "naive"]
        assert ids(await store.find(field("confidence") > 0.5)) == ["naive"]
        assert ids(await store.find(field("unknown.kept").contains(2))) == ["naive"]
        assert await store.count(field("complexity").is_null()) == 8
        assert (await store.get_stats())["total_sessions"] == len(ROWS) + 2
    after = old_files.stored(database)
    assert {id: after[id] for id in before} == before
    async with opened(plan_store(folder)) as store:
        assert await store.count() == len(ROWS) + 2


async def test_old_and_new_files_of_events_are_read_as_one(
    events: HookEventStore, folder: Path
) -> None:
    purpose: Purpose = HOOK_EVENTS["codex"]
    rows = [row._replace(content='{"event_type": "stop", "tool": "codex"}') for row in ROWS]
    old_files.make(folder / purpose.file, rows, purpose.table)
    new = event("stop", tool="gemini-cli")
    new.id, new.created_at = "new", minute(12)
    await events.save(new)
    in_order = ["t", "naive", "new", *BY_TIME[2:]]
    assert ids(await events.get_since(NOON)) == in_order
    assert ids(await events.get_by_type("stop"))[:9] == in_order[::-1]


async def test_a_class_is_named_and_never_imported(folder: Path, database: Path) -> None:
    """`lion_class` of an old row is data: a file from elsewhere must not choose what is run."""
    hostile = ROWS[0]._replace(node_metadata='{"lion_class": "os.system"}')
    old_files.make(database, [hostile])
    async with opened(plan_store(folder)) as store:
        (found,) = await store.find()
    assert type(found) is PlannerSession
    assert found.node_metadata == {"lion_class": "os.system"}
