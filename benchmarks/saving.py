"""Saves one by one: at once from many tasks, against the same saves one after another."""

import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio

from benchmarks.samples import plan, prose
from benchmarks.sync_time import output_on_slower_disk, reason_against, sync_seconds
from benchmarks.table import Line, median_ratio, milliseconds
from khive_persist import PlannerSession, open_store, save_planning_session
from khive_persist.project import Project

TASKS: Final = 64
CALLS: Final = 1_000
ROUNDS: Final = 7
CALL_ROUNDS: Final = 3
# A sync of a common SSD.
_COMMON_SYNC_SECONDS: Final = 0.002

Value = TypeVar("Value")


def measure(calls: int = CALLS) -> list[Line]:
    """Group commit, without the mirror and with it; one-call saves."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        without_mirror(folder / "without")
        for kind in ("with", "slower", "calls", "open"):
            (folder / kind).mkdir()
        return [
            _group_commit(folder / "without", ", mirror off"),
            _group_commit(folder / "with", ", mirror included"),
            _group_commit_on_slower_disk(folder / "slower", ", mirror included"),
            anyio.run(_one_call_saves, folder, calls),
        ]


def without_mirror(folder: Path) -> None:
    """Make a project whose plans have no second copy."""
    folder.mkdir(exist_ok=True)
    project = Project(folder)
    project.make()
    # What records less counts from this file alone.
    local = project.khive / "config.local.toml"
    local.write_text('[mirror]\noff = ["planner_sessions"]\n')


def records(count: int, seed: int) -> list[PlannerSession]:
    """Plans of about 2 KB, validated."""
    some = random.Random(seed)
    text = prose(1_300, seed)
    return [PlannerSession(content=plan(number, some, text)) for number in range(count)]


def time_saves(folder: str) -> None:
    """Save from all tasks at once, and one after another; print the seconds of both, each round."""
    for together, alone in zip(*anyio.run(_save_both_ways, Path(folder)), strict=True):
        print(together, alone)


def _group_commit(folder: Path, mirror: str) -> Line:
    together, alone = anyio.run(_save_both_ways, folder)
    return _line_of_both(together, alone, mirror, sync_seconds(folder))


def _group_commit_on_slower_disk(folder: Path, mirror: str) -> Line:
    """The same, both ways, where each sync takes longer by that of a common disk."""
    sync = sync_seconds(folder) + _COMMON_SYNC_SECONDS
    if reason := reason_against():
        return _line_of_both([1.0], [0.0], mirror, sync)._replace(reason=reason)
    program = f"from benchmarks.saving import time_saves as save; save({str(folder)!r})"
    output = output_on_slower_disk([sys.executable, "-c", program], _COMMON_SYNC_SECONDS)
    rounds = [tuple(map(float, line.split())) for line in output.splitlines()]
    together, alone = zip(*rounds, strict=True)
    return _line_of_both(together, alone, mirror, sync)


def _line_of_both(
    together: Sequence[float], alone: Sequence[float], mirror: str, sync: float
) -> Line:
    return Line(
        f"a durable save from each of {TASKS} tasks, against one after another{mirror}, where a"
        f" sync of the disk takes {sync * 1e3:.2f} ms",
        milliseconds(together),
        milliseconds(alone),
        median_ratio(alone, together),
        8,
    )


async def _save_both_ways(folder: Path) -> tuple[list[float], list[float]]:
    """The seconds of all saves at once, and of as many one after another, round by round."""
    together, alone = [], []
    async with open_store(PlannerSession, dir=folder) as plans:
        for number in range(ROUNDS + 1):
            together.append(await _at_once(plans.save, records(TASKS, number)))
            waiting = records(TASKS, number)
            began = time.perf_counter()
            for record in waiting:
                await plans.save(record)
            alone.append(time.perf_counter() - began)
        await _check(plans.count, 2 * TASKS * (ROUNDS + 1))
    return together[1:], alone[1:]


async def _one_call_saves(folder: Path, calls: int) -> Line:
    async def save(record: PlannerSession) -> None:
        await save_planning_session(record.content, dir=folder / "calls")

    by_call, in_store = [], []
    for number in range(CALL_ROUNDS):
        by_call.append(await _at_once(save, records(calls, number)))
        async with open_store(PlannerSession, dir=folder / "open") as plans:
            in_store.append(await _at_once(plans.save, records(calls, number)))
    for kind in ("calls", "open"):
        async with open_store(PlannerSession, dir=folder / kind) as plans:
            await _check(plans.count, calls * CALL_ROUNDS)
    return Line(
        f"{calls:,} one-call saves at once, against the same in one open store",
        milliseconds(by_call),
        milliseconds(in_store),
        median_ratio(by_call, in_store),
        3,
        at_most=True,
    )


async def _at_once(
    save: Callable[[Value], Coroutine[Any, Any, object]], values: Iterable[Value]
) -> float:
    began = time.perf_counter()
    async with anyio.create_task_group() as tasks:
        for value in values:
            tasks.start_soon(save, value)
    return time.perf_counter() - began


async def _check(count: Callable[[], Awaitable[int]], expected: int) -> None:
    if (counted := await count()) != expected:
        raise RuntimeError(f"{counted} of {expected} are there")
