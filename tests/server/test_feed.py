"""The feed: one reading for all who listen, and no more kept than may be."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
import pytest

from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.models.query import field
from khive_persist.project import Project
from khive_persist.server import event_feed as feeds
from khive_persist.server.event_feed import FILES, Batch, Feed, Positions
from khive_persist.store.insertion_cursor import Stored, Wish, following
from khive_persist.store.reader import Reader
from tests.factories import store_rows
from tests.server.filling import BEGIN, delete, event

CLAUDE, CODEX = HOOK_EVENTS["claude-code"], HOOK_EVENTS["codex"]
ALL = Wish(FILES)
STOPS = Wish((CLAUDE,), [field("event_type") == "stop", field("session_id") == "s1"])

pytestmark = pytest.mark.anyio


def events(first: int, count: int, **fields: Any) -> list[Any]:
    kinds = ("stop", "post_command")
    return [
        event(
            f"s{n % 3}", BEGIN + timedelta(seconds=n), number=n, event_type=kinds[n % 2], **fields
        )
        for n in range(first, first + count)
    ]


def reader(project: Project, *purposes: Any) -> Reader:
    return Reader([(project.database(one.file), one) for one in purposes])


@asynccontextmanager
async def following_feed(project: Project) -> AsyncIterator[Feed]:
    feed = Feed([reader(project, one) for one in FILES], reader(project, *FILES))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(feed.keep, anyio.Event())
        try:
            yield feed
        finally:
            tasks.cancel_scope.cancel()
    await feed.close()


async def stands(feed: Feed) -> Positions:
    """Where it stands, once it does."""
    while feed.positions is None:
        await feed.next().wait()
    return feed.positions


async def next_batch(feed: Feed, begin: Positions) -> Batch:
    with anyio.fail_after(20):
        while True:
            changed = feed.next()
            if (found := feed.batch(begin, 0)) is not None:
                return found
            await changed.wait()


def ids(stored: Sequence[Stored]) -> list[bytes]:
    return [one.row[0].encode() for one in stored]


async def test_a_row_is_spelled_once_for_all_wishes_and_joined_once_for_all_who_have_one(
    project: Project,
) -> None:
    spelled: list[bytes] = []

    def spell(stored: Stored) -> bytes:
        spelled.append(stored.row[0].encode())
        return spelled[-1]

    async with following_feed(project) as feed:
        feed.join("all", ALL)
        feed.join("all", ALL)
        feed.join("stops", STOPS)
        begin = await stands(feed)
        store_rows(project, CLAUDE, events(0, 60))
        batch = await next_batch(feed, begin)
        found = batch.chunks("all", spell, list)
        assert found is not None
        assert batch.chunks("all", spell, list) is found
        stops = batch.chunks("stops", spell, list)
        assert len(spelled) == len(set(spelled)) == len(found) == 60
        async with reader(project, *FILES) as own:
            for chunks, wish in ((found, ALL), (stops, STOPS)):
                alone, after = await following(own, FILES, begin, [wish], "payload")
                assert chunks == ids(alone)
                assert after == batch.after
        assert stops
        assert batch.chunks("another", spell, list) is None


async def test_what_was_read_before_somebody_came_is_not_taken(project: Project) -> None:
    async with following_feed(project) as feed:
        feed.join("all", ALL)
        begin = await stands(feed)
        store_rows(project, CLAUDE, events(0, 3))
        batch = await next_batch(feed, begin)
        assert feed.batch(begin, batch.number) is batch
        assert feed.batch(begin, feed.count) is None


async def test_no_more_is_kept_than_may_be(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "KEPT_CHARACTERS", 5_000)
    async with following_feed(project) as feed:
        feed.join("all", ALL)
        first = begin = await stands(feed)
        batches = []
        for number in range(4):
            store_rows(project, CLAUDE, events(number, 1, output="x" * 2_000))
            batches.append(await next_batch(feed, begin))
            begin = batches[-1].after
        assert feed.batch(first, 0) is None
        assert feed.batch(batches[-2].after, 0) is batches[-1]
        assert sum(one.size for one in batches) > 5_000
        # What is larger than all that may be kept is told, too.
        store_rows(project, CLAUDE, events(9, 1, output="x" * 9_000))
        last = await next_batch(feed, begin)
        assert feed.batch(batches[-2].after, 0) is None
        assert last.size > 5_000
        feed.leave("all")
        with anyio.fail_after(20):
            while feed.positions is not None:
                await anyio.lowlevel.checkpoint()
        assert feed.batch(begin, 0) is None


async def test_a_project_that_is_gone_is_a_loss_and_nothing_is_kept(project: Project) -> None:
    async with following_feed(project) as feed:
        feed.join("all", ALL)
        begin = await stands(feed)
        store_rows(project, CLAUDE, events(0, 3))
        store_rows(project, CODEX, events(3, 3))
        await next_batch(feed, begin)
        before = feed.losses
        delete(project, CLAUDE, "1")
        with anyio.fail_after(20):
            while feed.losses == before:
                await feed.next().wait()
        assert feed.batch(begin, 0) is None
        last = await stands(feed)
        store_rows(project, CLAUDE, events(50, 2))
        batch = await next_batch(feed, last)
        assert batch.chunks("all", lambda one: one.row[0].encode(), list)
