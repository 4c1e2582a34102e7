"""Streams that are read slowly: their rows are of one moment, and the log is emptied meanwhile."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing, closing
from functools import partial
from pathlib import Path

import pytest

from khive_persist import column
from khive_persist.errors import StoreFullError
from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.project import Project
from khive_persist.store import pages as long_reads
from khive_persist.store.reader import Reader
from khive_persist.store.source import select
from tests.exchange.rows import put, row

ROWS = 1_000
SECONDS = 20
IDS = [f"plan-{number:04}" for number in range(ROWS)]
ALL = partial(select, filters=(), order_by=-column("id"))


@pytest.fixture
def filled(project: Project) -> Path:
    return put(project, (row(id, '{"session_id":"s","odd":"\\ud800 é"}') for id in IDS))


@pytest.fixture
async def reader(filled: Path) -> AsyncIterator[Reader]:
    async with Reader([(filled, PLANNER_SESSIONS)]) as reader:
        yield reader


def is_emptied(database: Path) -> bool:
    """Whether nobody reads what was in the log before now."""
    with closing(sqlite3.connect(database, timeout=0)) as connection:
        (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def write(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "UPDATE planner_sessions SET id = 'changed-' || id WHERE id < 'plan-0500'"
        )
        connection.execute("DELETE FROM planner_sessions WHERE id >= 'plan-0500'")


async def test_a_slow_stream_lets_the_log_be_emptied_and_reads_on_at_its_moment(
    reader: Reader, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_reads, "SNAPSHOT_SECONDS", 0.05)
    async with aclosing(reader.stream(ALL)) as rows:
        ids = [(await anext(rows))[0]]
        write(filled)
        async with asyncio.timeout(SECONDS):
            while not is_emptied(filled):
                await asyncio.sleep(0.005)
        ids += [row[0] async for row in rows]
    assert ids == IDS[::-1]


async def test_a_loop_that_is_blocked_does_not_keep_the_log_either(
    reader: Reader, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_reads, "SNAPSHOT_SECONDS", 0.05)
    async with aclosing(reader.pages(ALL)) as pages:
        await anext(pages)
        write(filled)
        waited = threading.Event()
        while not is_emptied(filled):
            # Nothing else runs in the loop.
            assert not waited.wait(0.005)


async def test_an_export_holds_its_moment(
    reader: Reader, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_reads, "SNAPSHOT_SECONDS", 0)
    async with aclosing(reader.stream(ALL, holds_snapshot=True)) as rows:
        ids = [(await anext(rows))[0]]
        write(filled)
        ids += [(await anext(rows))[0] for _ in range(200)]
        assert not is_emptied(filled)
        ids += [row[0] async for row in rows]
    assert ids == IDS[::-1]


async def test_a_copy_that_finds_no_room_is_an_error_and_lets_go(
    reader: Reader, filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_reads, "SNAPSHOT_SECONDS", 0)
    missing = tmp_path / "missing"
    monkeypatch.setattr(long_reads, "_folder", lambda: str(missing))
    async with aclosing(reader.pages(ALL)) as pages:
        await anext(pages)
        with pytest.raises(StoreFullError, match="cannot be copied"):
            async for _ in pages:
                pass
    assert is_emptied(filled)


async def test_a_stream_that_is_left_is_not_copied(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_reads, "SNAPSHOT_SECONDS", 3600)
    async with aclosing(reader.pages(ALL)) as pages:
        await anext(pages)
    async with asyncio.timeout(SECONDS):
        await reader.close()
