"""PostgreSQL as the store, beside asyncpg alone: bulk, group commit, the top of many plans.

The server is one of its own with the settings that it comes with, in the temporary folder: where
that is memory, name a disk by `TMPDIR`. asyncpg writes the same columns, made before, into a table
with the same indexes.
"""

import json
import random
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import anyio
import asyncpg

from benchmarks.postgres_server import new_database, running_server
from benchmarks.samples import plan, prose
from benchmarks.sync_time import sync_seconds
from benchmarks.table import Line, median_ratio, milliseconds
from khive_persist import PlannerSession, clock, field, open_store
from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.store import codec
from khive_persist.store.postgres.reader import numbered
from khive_persist.store.postgres.rows import COLUMNS, PostgresRow, to_postgres
from khive_persist.store.postgres.source import source_of
from khive_persist.store.source import select

MANY: Final = 100_000
_TABLE: Final = PLANNER_SESSIONS.table
_TEXT_CHARACTERS: Final = 350
_ROUNDS: Final = 3
_TASKS: Final = 64
_SAVES: Final = 20
_QUESTIONS: Final = 20
_SCANS: Final = 3
_PART_ROWS: Final = 50_000
_INSERT: Final = (
    f"INSERT INTO {_TABLE} ({', '.join(COLUMNS)}) VALUES"
    f" ({', '.join(f'${number}' for number, _ in enumerate(COLUMNS, start=1))})"
)
_CONFIDENT: Final = -field("confidence")


def measure(rows: int, many: int = MANY) -> list[Line]:
    """Measure each in a database of its own, all in one server."""
    with tempfile.TemporaryDirectory() as folder, running_server() as server:
        return [
            anyio.run(_bulk, server, folder, many),
            anyio.run(_group_commit, server, folder),
            anyio.run(_top, server, folder, rows),
        ]


async def _bulk(server: str, folder: str, many: int) -> Line:
    ours, raw = [], []
    for number in range(_ROUNDS):
        records = _records(many, number)
        url = await new_database(server)
        async with open_store(PlannerSession, url, dir=folder) as plans:
            began = time.perf_counter()
            await plans.save_many(records)
            ours.append(time.perf_counter() - began)
            _check(await plans.count(), many)
        rows = [to_postgres(codec.to_row(record)) for record in records]
        kilobytes = sum(len(row[3] or "") for row in rows) / many / 1_024
        url = await new_database(server)
        async with open_store(PlannerSession, url, dir=folder) as plans:
            connection = await asyncpg.connect(url)
            began = time.perf_counter()
            await connection.copy_records_to_table(_TABLE, records=rows, columns=COLUMNS)
            raw.append(time.perf_counter() - began)
            await connection.close()
            _check(await plans.count(), many)
    return Line(
        f"PostgreSQL: save_many of {many:,} plans of {kilobytes:.1f} KB, against asyncpg's COPY of"
        " the rows in one transaction",
        f"{many / sorted(ours)[_ROUNDS // 2]:,.0f} rows/s",
        f"{many / sorted(raw)[_ROUNDS // 2]:,.0f} rows/s",
        median_ratio(raw, ours),
        0.5,
    )


async def _group_commit(server: str, folder: str) -> Line:
    ours, raw = [], []
    count = _TASKS * _SAVES
    url = await new_database(server)
    async with open_store(PlannerSession, url, dir=folder) as plans:
        connection = await asyncpg.connect(url)
        insert = await connection.prepare(_INSERT)
        for number in range(_ROUNDS + 1):
            records = iter(_records(count, number))

            async def save(records: Iterator[PlannerSession] = records) -> None:
                for _ in range(_SAVES):
                    await plans.save(next(records))

            began = time.perf_counter()
            async with anyio.create_task_group() as tasks:
                for _ in range(_TASKS):
                    tasks.start_soon(save)
            ours.append(time.perf_counter() - began)
            rows = [to_postgres(codec.to_row(record)) for record in _records(count, number)]
            began = time.perf_counter()
            for row in rows:
                await insert.fetch(*row)
            raw.append(time.perf_counter() - began)
        await connection.close()
        _check(await plans.count(), 2 * count * (_ROUNDS + 1))
    sync = sync_seconds(Path(folder))
    return Line(
        f"PostgreSQL: {_SAVES} saves of each of {_TASKS} tasks, each awaited, against as many rows"
        " of asyncpg in one connection, a commit a row, where a sync of the disk takes"
        f" {sync * 1e3:.2f} ms",
        milliseconds(ours[1:]),
        milliseconds(raw[1:]),
        median_ratio(raw[1:], ours[1:]),
        8,
    )


async def _top(server: str, folder: str, count: int) -> Line:
    url = await new_database(server)
    took, scans = [], []
    statement = numbered(select(source_of({"plans": _TABLE}), (), _CONFIDENT, 50))
    async with open_store(PlannerSession, url, dir=folder) as plans:
        connection = await asyncpg.connect(url)
        for first in range(0, count, _PART_ROWS):
            rows = [_small(number) for number in range(first, min(count, first + _PART_ROWS))]
            await connection.copy_records_to_table(_TABLE, records=rows, columns=COLUMNS)
        await connection.execute(f"ANALYZE {_TABLE}")
        for _ in range(_QUESTIONS + 1):
            began = time.perf_counter()
            top = await plans.find(order_by=_CONFIDENT, limit=50)
            took.append(time.perf_counter() - began)
        for kind in ("indexscan", "indexonlyscan", "bitmapscan"):
            await connection.execute(f"SET enable_{kind} = off")
        for _ in range(_SCANS):
            began = time.perf_counter()
            scanned = await connection.fetch(statement.sql, *statement.values)
            scans.append(time.perf_counter() - began)
        await connection.close()
    by_index = [record.content["confidence"] for record in top]
    if by_index != [json.loads(row["content"])["confidence"] for row in scanned]:
        raise RuntimeError("the scan gives other plans")
    seconds, scan = sorted(took[1:])[_QUESTIONS // 2], sorted(scans)[_SCANS // 2]
    return Line(
        f"PostgreSQL: the 50 most confident of {count:,} plans, against the same statement without"
        " the index",
        f"{seconds * 1e3:.2f} ms",
        f"scan {scan * 1e3:,.0f} ms",
        scan / seconds,
        100,
    )


def _records(count: int, seed: int) -> list[PlannerSession]:
    some = random.Random(seed)
    texts = [prose(_TEXT_CHARACTERS, number) for number in range(50)]
    return [
        PlannerSession(content=plan(number, some, texts[number % 50])) for number in range(count)
    ]


def _small(number: int) -> PostgresRow:
    """Return a plan of about 300 bytes."""
    some = random.Random(number)
    content = {
        "session_id": f"session-{number:08d}",
        "task_description": "Make the tests of the store quicker than they are",
        "complexity": some.choice(("simple", "medium", "complex")),
        "agent_count": some.randint(1, 12),
        "confidence": some.random(),
        "planning_cost": round(some.random() * 2, 6),
        "execution_plan": "Look at what takes longest, then at what is not needed, then measure.",
    }
    at = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=number)
    return to_postgres((clock.new_id(), json.dumps(content), None, clock.to_text(at), None))


def _check(counted: int, expected: int) -> None:
    if counted != expected:
        raise RuntimeError(f"{counted} of {expected} are there")
