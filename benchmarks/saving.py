"""Saving through the store against the same rows through `sqlite3` alone."""

import random
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

import anyio

from benchmarks.samples import plan, prose
from benchmarks.table import Line, median_ratio, milliseconds
from khive_persist import PlannerSession, open_store
from khive_persist.place import Place, sync_directory, sync_file
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
    for name in ("many", "mirrored"):
        (folder / name).mkdir()
    for name in (".", "many"):
        _without_mirror(folder / name)
    together, alone, many, raw_many, mirrored = [], [], [], [], []
    async with open_store(PlannerSession, dir=folder) as plans:
        for number in range(ROUNDS + 1):
            records = _records(TASKS, number)
            began = time.perf_counter()
            async with anyio.create_task_group() as tasks:
                for record in records:
                    tasks.start_soon(plans.save, record)
            together.append(time.perf_counter() - began)
            records = _records(TASKS, number)
            began = time.perf_counter()
            for record in records:
                await plans.save(record)
            alone.append(time.perf_counter() - began)
    raw = open_writer(folder / "raw.db", PLANNER_SESSIONS)
    async with open_store(PlannerSession, dir=folder / "many") as plans:
        for number in range(ROUNDS + 1):
            records = _records(MANY, number)
            began = time.perf_counter()
            await plans.save_many(records)
            many.append(time.perf_counter() - began)
            raw_many.append(_execute_many(raw, _records(MANY, number)))
    raw.close()
    async with open_store(PlannerSession, dir=folder / "mirrored") as plans:
        for number in range(ROUNDS + 1):
            records = _records(TASKS, number)
            began = time.perf_counter()
            await plans.save_many(records)
            mirrored.append(time.perf_counter() - began)
    return [
        Line(
            f"a durable save from each of {TASKS} tasks, against one commit a row (FULL)",
            milliseconds(together[1:]),
            milliseconds(alone[1:]),
            median_ratio(alone[1:], together[1:]),
            8,
        ),
        Line(
            f"save_many of {MANY:,} models, against sqlite3.executemany of the same rows",
            f"{MANY / statistics.median(many[1:]):,.0f} rows/s",
            f"{MANY / statistics.median(raw_many[1:]):,.0f} rows/s",
            median_ratio(raw_many[1:], many[1:]),
            0.5,
        ),
        Line(
            f"save_many of {TASKS} models and their mirror, against synced files alone",
            milliseconds(mirrored[1:]),
            milliseconds(files := [_write_files(folder, number) for number in range(ROUNDS)]),
            median_ratio(files, mirrored[1:]),
            0.5,
        ),
    ]


def _without_mirror(folder: Path) -> None:
    place = Place(folder)
    place.make()
    place.config.write_text('[mirror]\noff = ["planner_sessions"]\n')


def _write_files(folder: Path, number: int) -> float:
    """What a file a record costs by itself: written beside, synced, renamed; the folder synced."""
    texts = [str(record.content) for record in _records(TASKS, number)]
    target = folder / "files"
    target.mkdir(exist_ok=True)
    began = time.perf_counter()
    for at, text in enumerate(texts):
        path = target / f"{number}-{at}.tmp"
        path.write_text(text)
        sync_file(path)
        path.rename(path.with_suffix(".json"))
    sync_directory(target)
    return time.perf_counter() - began


def _records(count: int, seed: int) -> list[PlannerSession]:
    some = random.Random(seed)
    text = prose(1_300, seed)
    return [PlannerSession(content=plan(number, some, text)) for number in range(count)]


def _execute_many(raw: sqlite3.Connection, records: list[PlannerSession]) -> float:
    rows = [codec.to_row(record) for record in records]
    began = time.perf_counter()
    raw.execute("BEGIN IMMEDIATE")
    raw.executemany(upsert(PLANNER_SESSIONS.table), rows)
    raw.execute("COMMIT")
    return time.perf_counter() - began
