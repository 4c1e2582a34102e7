"""The cache of sessions: how long and how much it keeps, and that it never gives what is past."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from khive_persist import ApplicationSession, open_store
from khive_persist.errors import NotFoundError, StoreBusyError, VersionError
from khive_persist.project import Project
from khive_persist.server.context import ServerContext, close_context, open_context
from khive_persist.server.http.limits import Limits
from khive_persist.server.routes.application_sessions.cache import (
    KEPT_SECONDS,
    MOST_BYTES,
    SessionCache,
)
from khive_persist.server.routes.application_sessions.retries import PAUSES_SECONDS, retried
from khive_persist.store.application_sessions import ApplicationSessionStore


class Clock:
    """A clock that is set by hand."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def serving(project: Project) -> AsyncIterator[ServerContext]:
    made = await open_context(project, "127.0.0.1", Limits())
    yield made
    await close_context(made)


def cache_of(serving: ServerContext, clock: Callable[[], float] = time.monotonic) -> SessionCache:
    return SessionCache(serving.project, serving.live, serving.stores, serving.metrics, clock)


def looked_up(serving: ServerContext) -> tuple[float, float]:
    """Hits and misses."""
    found = [
        serving.metrics.registry.get_sample_value("khive_session_lookups_total", {"result": word})
        for word in ("hit", "miss")
    ]
    return found[0] or 0, found[1] or 0


async def begin(cache: SessionCache, id: str, **fields: Any) -> None:
    async def work(store: ApplicationSessionStore) -> ApplicationSession:
        return (await store.start({"session_id": id, **fields})).session

    await cache.write(id, work)


async def test_an_entry_is_kept_for_five_minutes(serving: ServerContext) -> None:
    clock = Clock()
    cache = cache_of(serving, clock)
    await begin(cache, "s1")
    clock.now += KEPT_SECONDS - 1
    await cache.get("s1")
    assert looked_up(serving) == (1, 0)
    # To be read does not make it younger.
    clock.now += 1
    await cache.get("s1")
    await cache.get("s1")
    assert looked_up(serving) == (2, 1)
    assert KEPT_SECONDS == 300


async def test_it_keeps_a_bounded_size_of_those_that_were_used_last(serving: ServerContext) -> None:
    cache = cache_of(serving)
    text = "x" * (MOST_BYTES // 20)
    for number in range(30):
        await begin(cache, f"s{number}", text=text)
        await cache.get("s0")
    assert looked_up(serving) == (30, 0)
    held = sum(len(entry.body) for _, entry in cache._entries.values())
    assert MOST_BYTES * 0.8 < held <= MOST_BYTES
    await cache.get("s1")
    assert looked_up(serving) == (30, 1)
    await begin(cache, "large", text="x" * (MOST_BYTES // 10))
    assert (await cache.get("large")).version == 1
    assert (await cache.get("large")).version == 1
    assert looked_up(serving) == (30, 3)


async def test_what_was_read_before_a_write_is_not_kept_after_it(serving: ServerContext) -> None:
    cache = cache_of(serving)
    await begin(cache, "s1")
    with cache._accessing("s1") as reading:
        await cache.write("s1", lambda own: own.update("s1", {"step": 1}, 1))
        # A reader who began before the write, and is done only now.
        assert reading.is_stale
    assert (await cache.get("s1")).version == 2
    assert looked_up(serving) == (1, 0)


async def test_a_read_that_others_overtake_is_not_kept(serving: ServerContext) -> None:
    cache = cache_of(serving)
    await begin(cache, "s1")
    await cache.get("s1")
    with cache._accessing("s1") as reading:
        async with open_store(ApplicationSession, dir=serving.project.root) as other:
            await other.update("s1", {"step": 1}, 1)
        assert (await cache.get("s1")).version == 2
        assert reading.is_stale


@pytest.mark.parametrize("others", ["refused", "another session", "past the server"])
async def test_what_was_there_before_a_write_is_not_kept_beside_others(
    others: str, serving: ServerContext
) -> None:
    cache = cache_of(serving)
    for id in ("s1", "s2"):
        await begin(cache, id)

    async def work(store: ApplicationSessionStore) -> ApplicationSession:
        written = await store.update("s1", {"step": 1}, 1)
        # Between the commit and what is kept of it.
        if others == "refused":
            with pytest.raises(VersionError):
                await cache.write("s2", lambda own: own.update("s2", {"step": 1}, 7))
        elif others == "another session":
            await cache.write("s2", lambda own: own.update("s2", {"step": 1}, 1))
        else:
            async with open_store(ApplicationSession, dir=serving.project.root) as other:
                await other.update("s1", {"step": 2}, 2)
            await cache.get("s2")
        return written

    await cache.write("s1", work)
    before = looked_up(serving)
    assert (await cache.get("s1")).version == (3 if others == "past the server" else 2)
    hits, misses = looked_up(serving)
    assert (hits - before[0], misses - before[1]) == (
        (0, 1) if others == "past the server" else (1, 0)
    )


async def test_of_two_writes_at_once_the_newer_is_given(serving: ServerContext) -> None:
    cache = cache_of(serving)
    await begin(cache, "s1")

    async def work(store: ApplicationSessionStore) -> ApplicationSession:
        written = await store.update("s1", {"step": 1}, 1)
        await cache.write("s1", lambda own: own.update("s1", {"step": 2}, 2))
        return written

    assert (await cache.write("s1", work)).version == 2
    assert (await cache.get("s1")).version == 3


async def test_what_could_not_be_written_is_read_anew(serving: ServerContext) -> None:
    cache = cache_of(serving)
    await begin(cache, "s1")

    async def work(store: ApplicationSessionStore) -> ApplicationSession:
        # Committed, and not answered, as where the mirror cannot be written.
        await store.update("s1", {"step": 1}, 1)
        raise VersionError("no")

    with pytest.raises(VersionError):
        await cache.write("s1", work)
    assert (await cache.get("s1")).version == 2
    with pytest.raises(NotFoundError):
        await cache.get("s2")
    await begin(cache, "s2")
    assert (await cache.get("s2")).version == 1


async def test_it_gives_what_the_file_has_whoever_writes(serving: ServerContext) -> None:
    cache = cache_of(serving)
    await begin(cache, "s1")
    written = {"s1": 1}
    async with open_store(ApplicationSession, dir=serving.project.root) as other:

        async def write(*, past: bool) -> None:
            for _ in range(40):
                version = written["s1"]
                try:
                    if past:
                        await other.update("s1", {}, version)
                    else:
                        await cache.write("s1", lambda own, v=version: own.update("s1", {}, v))  # type: ignore[misc]
                except VersionError:
                    continue
                written["s1"] = max(written["s1"], version + 1)

        async def read() -> None:
            for _ in range(200):
                least = written["s1"]
                assert (await cache.get("s1")).version >= least
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: write(past=True))
            tasks.start_soon(lambda: write(past=False))
            for _ in range(4):
                tasks.start_soon(read)
    assert written["s1"] > 40
    assert looked_up(serving)[0] > 0


@pytest.mark.parametrize("failures", [0, 1, len(PAUSES_SECONDS), len(PAUSES_SECONDS) + 1])
async def test_a_busy_file_is_tried_again_so_many_times(
    failures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "khive_persist.server.routes.application_sessions.retries.PAUSES_SECONDS",
        (0.0,) * len(PAUSES_SECONDS),
    )
    tries = 0

    async def work() -> str:
        nonlocal tries
        tries += 1
        if tries <= failures:
            raise StoreBusyError("busy")
        return "done"

    if failures > len(PAUSES_SECONDS):
        with pytest.raises(StoreBusyError):
            await retried(work)
        assert tries == len(PAUSES_SECONDS) + 1
    else:
        assert await retried(work) == "done"
        assert tries == failures + 1


async def test_other_errors_are_not_tried_again() -> None:
    tries = 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        raise NotFoundError("none")

    with pytest.raises(NotFoundError):
        await retried(work)
    assert tries == 1
