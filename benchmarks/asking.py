"""Questions to many plans, with the indexes and without; and the memory to read them all."""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import anyio

from benchmarks.samples import plan_rows
from benchmarks.table import Line
from khive_persist import PlannerSession, field, open_store
from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.store.sqlite.connection import open_reader, open_writer
from khive_persist.store.sqlite.source import extract
from khive_persist.store.sqlite.statements import upsert

FEW = 10_000
REPEATS = 20
TABLE = PLANNER_SESSIONS.table
COMPLEXITY, COST = extract("$.complexity"), extract("$.planning_cost")
CONFIDENCE, AGENTS = extract("$.confidence"), extract("$.agent_count")
SCANNED_TOP = (
    f"SELECT * FROM {TABLE} NOT INDEXED WHERE {COMPLEXITY} = 'complex' AND {CONFIDENCE} > 0.8"
    f" ORDER BY {COST} DESC LIMIT 50"
)
SCANNED_STATS = (
    f"SELECT {COMPLEXITY}, count(*), avg({AGENTS}), avg({CONFIDENCE}), sum({COST})"
    f" FROM {TABLE} NOT INDEXED GROUP BY {COMPLEXITY}"
)


def measure(rows: int) -> list[Line]:
    """Every line that needs many rows."""
    with tempfile.TemporaryDirectory() as name:
        many, few = Path(name) / "many", Path(name) / "few"
        for folder, count in ((many, rows), (few, FEW)):
            (folder / ".khive").mkdir(parents=True, mode=0o700)
            _fill(folder / ".khive" / PLANNER_SESSIONS.file, count)
        return [*anyio.run(_ask, many, rows), _memory(many, few, rows)]


def stream(folder: str) -> None:
    """Read every plan of a project, and print the most memory that it took, in KiB."""

    async def read() -> int:
        count = 0
        async with open_store(PlannerSession, dir=folder) as plans:
            async for _ in plans.stream():
                count += 1
        return count

    anyio.run(read)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _fill(path: Path, count: int) -> None:
    connection = open_writer(path, PLANNER_SESSIONS)
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(upsert(TABLE), plan_rows(count))
    connection.execute("COMMIT")
    connection.close()


async def _ask(folder: Path, rows: int) -> list[Line]:
    raw = open_reader(folder / ".khive" / PLANNER_SESSIONS.file)
    scan_top = _timed(lambda: len(raw.execute(SCANNED_TOP).fetchall()))
    scan_stats = _timed(lambda: len(raw.execute(SCANNED_STATS).fetchall()))
    async with open_store(PlannerSession, dir=folder) as plans:
        await plans.count(field("complexity") == "none")
        began = time.perf_counter()
        for _ in range(REPEATS):
            found = await plans.find(
                field("complexity") == "complex",
                field("confidence") > 0.8,
                order_by=-field("planning_cost"),
                limit=50,
            )
        top = (time.perf_counter() - began) / REPEATS
        began = time.perf_counter()
        stats = await plans.get_stats()
        counted = time.perf_counter() - began
    raw.close()
    if len(found) != 50 or stats["total_sessions"] != rows:
        raise RuntimeError(f"found {len(found)} of 50, counted {stats['total_sessions']}")
    return [
        Line(
            f"complexity + confidence, by cost, the top 50 of {rows:,} plans",
            f"{top * 1e3:.2f} ms",
            f"scan {scan_top * 1e3:,.0f} ms",
            scan_top / top,
            1_000,
        ),
        Line(
            f"count, average and sum by complexity over {rows:,}",
            f"{counted * 1e3:.0f} ms",
            f"scan {scan_stats * 1e3:,.0f} ms",
            scan_stats / counted,
            20,
        ),
    ]


def _timed(question: Callable[[], int]) -> float:
    began = time.perf_counter()
    question()
    return time.perf_counter() - began


def _memory(many: Path, few: Path, rows: int) -> Line:
    peaks = [_peak_kib(folder) for folder in (many, few)]
    return Line(
        f"memory to stream {rows:,} plans, beyond that for {FEW:,}",
        f"{peaks[0] / 1024:.0f} MiB",
        f"{peaks[1] / 1024:.0f} MiB",
        (peaks[0] - peaks[1]) / 1024,
        20,
        at_most=True,
        unit="MiB",
    )


def _peak_kib(folder: Path) -> int:
    program = f"from benchmarks.asking import stream; stream({str(folder)!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return int(done.stdout)
