"""Saving through the store against the same rows through `sqlite3` alone."""

import random
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import anyio

from benchmarks.samples import plan, prose
from benchmarks.table import Line, median_ratio, milliseconds
from khive_persist import PlannerSession, open_store
from khive_persist.purposes import PLANNER_SESSIONS
from khive_persist.store import codec
from khive_persist.store.sqlite.connection import open_writer
from khive_persist.store.sqlite.statements import upsert

TASKS = 64
MANY = 5_000
ROUNDS = 7


def measure() -> list[Line]:
    """Group commit and `save_many`."""
    with tempfile.TemporaryDirectory() as name:
        return anyio.run(_measure, Path(name))


async def _measure(folder: Path) -> list[Line]:
    together, alone, raw_alone, many, raw_many = [], [], [], [], []
    raw = open_writer(folder / "raw.db", PLANNER_SESSIONS)
    async with open_store(PlannerSession, dir=folder) as plans:
        for number in range(ROUNDS + 1):
            records = _records(TASKS, number)
            began = time.perf_counter()
            async with anyio.create_task_group() as tasks:
                for record in records:
                    tasks.start_soon(plans.save, record)
            first = time.perf_counter() - began
            second = _one_commit_a_row(raw, _records(TASKS, number))
            records = _records(MANY, number)
            began = time.perf_counter()
            await plans.save_many(records)
            third = time.perf_counter() - began
            fourth = _execute_many(raw, _records(MANY, number))
            if number:
                together.append(first)
                raw_alone.append(second)
                many.append(third)
                raw_many.append(fourth)
        for record in _records(TASKS, 99):
            began = time.perf_counter()
            await plans.save(record)
            alone.append(time.perf_counter() - began)
    raw.close()
    return [
        Line(
            f"a durable save from each of {TASKS} tasks, against one commit a row (sqlite3)",
            milliseconds(together),
            milliseconds(raw_alone),
            median_ratio(raw_alone, together),
            8,
        ),
        Line(
            f"the same, against {TASKS} awaited saves one after the other",
            milliseconds(together),
            f"{sum(alone) * 1e3:.2f} ms",
            sum(alone) / statistics.median(together),
            8,
        ),
        Line(
            f"save_many of {MANY:,} models, against sqlite3.executemany of the same rows",
            f"{MANY / statistics.median(many):,.0f} rows/s",
            f"{MANY / statistics.median(raw_many):,.0f} rows/s",
            median_ratio(raw_many, many),
            0.5,
        ),
    ]


def _records(count: int, seed: int) -> list[PlannerSession]:
    some = random.Random(seed)
    text = prose(1_300, seed)
    return [PlannerSession(content=_content(number, some, text)) for number in range(count)]


def _content(number: int, some: random.Random, text: str) -> Any:
    return plan(number, some, text)


def _one_commit_a_row(raw: sqlite3.Connection, records: list[PlannerSession]) -> float:
    rows = [codec.to_row(record) for record in records]
    sql = upsert(PLANNER_SESSIONS.table)
    began = time.perf_counter()
    for row in rows:
        raw.execute("BEGIN IMMEDIATE")
        raw.execute(sql, row)
        raw.execute("COMMIT")
    return time.perf_counter() - began


def _execute_many(raw: sqlite3.Connection, records: list[PlannerSession]) -> float:
    rows = [codec.to_row(record) for record in records]
    began = time.perf_counter()
    raw.execute("BEGIN IMMEDIATE")
    raw.executemany(upsert(PLANNER_SESSIONS.table), rows)
    raw.execute("COMMIT")
    return time.perf_counter() - began
