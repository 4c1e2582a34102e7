"""What is asked of events, over the files of all tools."""

from datetime import UTC, datetime, timedelta

from khive_persist.models.hook_event import HookEvent
from khive_persist.store.hook_events import HookEventStore
from tests.factories import event

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
TOOLS = ("claude-code", "codex", "gemini-cli")


async def fill(events: HookEventStore, count: int = 12) -> None:
    """One event a minute, by the tools in turn, stored in an order of its own."""
    made = []
    for minute in range(count):
        one = event(
            ("stop", "pre_edit")[minute % 2], tool=TOOLS[minute % 3], session_id=f"s{minute % 4}"
        )
        one.id = f"{minute:02}"
        one.created_at = NOON + timedelta(minutes=minute)
        made.append(one)
    await events.save_many(made[1::2] + made[-2::-2])


def ids(events: list[HookEvent]) -> list[int]:
    return [int(one.id) for one in events]


async def test_the_events_of_a_type_come_newest_first_over_all_tools(
    events: HookEventStore,
) -> None:
    await fill(events)
    assert ids(await events.get_by_type("pre_edit")) == [11, 9, 7, 5, 3, 1]
    assert ids(await events.get_by_type("pre_edit", limit=2)) == [11, 9]
    assert await events.get_by_type("absent") == []


async def test_the_events_of_a_session_come_as_they_arrived(events: HookEventStore) -> None:
    await fill(events)
    assert ids(await events.get_by_session("s1")) == [1, 5, 9]


async def test_the_events_since_an_instant_have_that_instant(events: HookEventStore) -> None:
    await fill(events)
    assert ids(await events.get_since(NOON + timedelta(minutes=9))) == [9, 10, 11]
    naive = (NOON + timedelta(minutes=11)).replace(tzinfo=None)
    assert ids(await events.get_since(naive)) == [11]


async def test_recent_counted_and_paged_as_one(events: HookEventStore) -> None:
    await fill(events)
    assert ids(await events.get_recent(4)) == [11, 10, 9, 8]
    assert await events.count() == 12
    stats = await events.stats()
    assert stats == {"total": 12, "first": NOON, "last": NOON + timedelta(minutes=11)}
    assert [one.id async for one in events.stream(limit=5)] == [
        one.id for one in await events.find(limit=5)
    ]
