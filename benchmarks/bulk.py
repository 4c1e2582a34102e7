"""`save_many` against `sqlite3` alone, and how long another program's save waits beside it."""

import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

import anyio

from benchmarks.saving import records, without_mirror
from benchmarks.table import Line
from khive_persist import PlannerSession, open_store
from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.store import codec
from khive_persist.store.sqlite.connection import open_writer
from khive_persist.store.sqlite.statements import upsert

MANY: Final = 300_000
TRANSACTION_ROWS: Final = 1_000
_MODELS: Final = 5_000
_ALONE: Final = 30
_ENDLESS: Final = 1_000_000
_PAUSE_SECONDS: Final = 0.05


def measure(many: int = MANY) -> list[Line]:
    """Bulk without the mirror and with the default settings, each beside its floor."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = records(_MODELS, 1)
        without_mirror(folder / "without")
        (folder / "with").mkdir()
        off = anyio.run(_save_many, folder / "without", models, many)
        floor_of_off = _execute_many(folder / "raw_1.db", models, many)
        alone = _alone(folder / "with")
        with _another(folder / "with") as beside:
            mirrored = anyio.run(_save_many, folder / "with", models, many)
        floor_of_mirrored = _execute_many(folder / "raw_2.db", models, many)
    what = f"save_many of {many:,} validated models, {{}}, against sqlite3.executemany of the rows"
    return [
        _line(what.format("mirror off"), many, off, floor_of_off, 0.5),
        _line(what.format("default settings"), many, mirrored, floor_of_mirrored, 0.1),
        _waiting(alone, beside, off / many * TRANSACTION_ROWS),
    ]


def save_one_by_one(folder: str, count: int) -> None:
    """Save so many plans, and print how long each save took."""

    async def save() -> None:
        async with open_store(PlannerSession, dir=folder) as plans:
            for number in range(count):
                (record,) = records(1, number)
                began = time.perf_counter()
                await plans.save(record)
                print(time.perf_counter() - began, flush=True)
                await anyio.sleep(_PAUSE_SECONDS)

    anyio.run(save)


async def _save_many(folder: Path, models: list[PlannerSession], many: int) -> float:
    async with open_store(PlannerSession, dir=folder) as plans:
        before = await plans.count()
        ids = [str(uuid4()) for _ in range(many)]
        began = time.perf_counter()
        await plans.save_many(_renamed(models, ids))
        seconds = time.perf_counter() - began
        if (saved := await plans.count() - before) < many:
            raise RuntimeError(f"saved {saved} of {many}")
    return seconds


def _renamed(models: list[PlannerSession], ids: Sequence[str]) -> Iterator[PlannerSession]:
    """The models again and again, each time under another id: so many at once need no memory.

    Each save validates them as those that were never saved.
    """
    for number, id in enumerate(ids):
        model = models[number % len(models)]
        object.__setattr__(model, "id", id)
        yield model


def _execute_many(path: Path, models: list[PlannerSession], many: int) -> float:
    """The rows through `sqlite3` in one transaction, without the time to make them."""
    raw: sqlite3.Connection = open_writer(path, PLANNER_SESSIONS)
    sql = upsert(PLANNER_SESSIONS.table)
    made = [codec.to_row(model) for model in models]
    seconds = 0.0
    raw.execute("BEGIN IMMEDIATE")
    for begin in range(0, many, len(made)):
        rows = [(str(uuid4()), *row[1:]) for row in made[: many - begin]]
        began = time.perf_counter()
        raw.executemany(sql, rows)
        seconds += time.perf_counter() - began
    began = time.perf_counter()
    raw.execute("COMMIT")
    seconds += time.perf_counter() - began
    raw.close()
    return seconds


@contextmanager
def _another(folder: Path) -> Iterator[list[float]]:
    """Another program that saves beside; what its saves took is there at the end."""
    waits: list[float] = []
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(_saving(folder, _ENDLESS), stdout=output)
        try:
            yield waits
        finally:
            process.terminate()
            process.wait()
        output.seek(0)
        waits += map(float, output)


def _alone(folder: Path) -> list[float]:
    command = _saving(folder, _ALONE)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [float(line) for line in done.stdout.splitlines()]


def _saving(folder: Path, count: int) -> list[str]:
    program = f"from benchmarks.bulk import save_one_by_one as save; save({str(folder)!r}, {count})"
    return [sys.executable, "-c", program]


def _line(what: str, many: int, ours: float, floor: float, goal: float) -> Line:
    rates = f"{many / ours:,.0f} rows/s", f"{many / floor:,.0f} rows/s"
    return Line(what, rates[0], rates[1], floor / ours, goal)


def _waiting(alone: Sequence[float], beside: Sequence[float], transaction: float) -> Line:
    """What 95 of 100 saves took at most; the longest is in the text."""
    ordered = sorted(beside)
    most = ordered[int(0.95 * (len(ordered) - 1))]
    usual = statistics.median(alone)
    return Line(
        f"a save of another program beside that ({len(ordered):,} saves, 95 % of them), against one"
        f" alone and a transaction of {TRANSACTION_ROWS:,} rows",
        f"{most * 1e3:.1f} ms (at most {ordered[-1] * 1e3:.0f})",
        f"{usual * 1e3:.1f} + {transaction * 1e3:.1f} ms",
        most / (usual + transaction),
        1,
        at_most=True,
    )
