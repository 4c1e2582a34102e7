"""A program that begins reads and stops each at some random point, in every way there is.

    python -m tests.store.cancelled_reads DIR COUNT SEED

It ends with 0 and prints one line, unless something crashed, hung, or stayed open.
"""

import asyncio
import gc
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

from khive_persist import (
    HookEvent,
    KhiveError,
    PlannerSession,
    field,
    open_store,
    outcomes,
    similar_plans,
)
from khive_persist.project import Project
from khive_persist.sessions.facts import session_facts
from khive_persist.sessions.read import read_session
from khive_persist.store.store import Store
from khive_persist.transfer.export import export, parts_of

ROWS = 400
LONGEST_SECONDS = 0.012
PATIENCE_SECONDS = 20.0
Read = Callable[[], Awaitable[Any]]


class Left(Exception):
    """Raised in the midst of a read by who reads."""


async def fill(root: Path) -> None:
    async with open_store(PlannerSession, dir=root) as plans:
        await plans.save_many(
            PlannerSession(content={"session_id": f"s{n}", "task_description": f"fix {n} " * 20})
            for n in range(ROWS)
        )
    async with open_store(HookEvent, dir=root) as events:
        await events.save_many(
            HookEvent(
                content={"event_type": "stop", "session_id": f"s{n % 40}", "tool": "claude-code"}
            )
            for n in range(ROWS)
        )


async def leave(stream: AsyncGenerator[Any, None], after: int, *, raises: bool) -> None:
    """Leave a stream after some rows, without closing it."""
    async for _ in stream:
        after -= 1
        if after < 0 and raises:
            raise Left
        if after < 0:
            break


async def drained(stream: AsyncGenerator[Any, None]) -> None:
    async with aclosing(stream) as rows:
        async for _ in rows:
            pass


async def followed(store: Store[Any]) -> None:
    await drained(await store.follow(poll_seconds=0.001))


def reads(root: Path, plans: Store[Any], events: Store[Any], chance: random.Random) -> list[Read]:
    project = Project(root)
    newest = -field("task_description")

    async def exported() -> None:
        target = root / f"export-{chance.random()}.jsonl"
        try:
            await export(project, parts_of(PlannerSession), target, "jsonl")
        finally:
            target.unlink(missing_ok=True)

    return [
        lambda: plans.find(order_by=newest),
        lambda: plans.count(field("confidence") > 0.5),
        lambda: drained(plans.stream(order_by=newest)),
        lambda: drained(events.stream()),
        lambda: followed(events),
        lambda: drained(outcomes(dir=root)),
        lambda: drained(session_facts(project)),
        lambda: similar_plans("fix", dir=root),
        lambda: read_session(root, f"s{chance.randrange(40)}"),
        exported,
    ]


async def stopped(read: Read, way: str, seconds: float) -> None:
    """Begin a read and stop it."""
    if way == "timeout":
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await read()
    elif way == "cancel":
        task = asyncio.ensure_future(read())
        await asyncio.wait([task], timeout=seconds)
        task.cancel()
        await asyncio.wait([task])
    elif way == "group":

        async def fail() -> None:
            await asyncio.sleep(seconds)
            raise Left

        async def run() -> None:
            await read()

        async def both() -> None:
            with suppress(ExceptionGroup):
                async with asyncio.TaskGroup() as group:
                    group.create_task(run())
                    group.create_task(fail())

        # In a task of its own: Python 3.11 leaves that of a group counted as cancelled.
        await asyncio.create_task(both())
    else:
        asyncio.get_running_loop().call_later(seconds, signal.raise_signal, signal.SIGINT)
        await read()
        await asyncio.sleep(seconds)


async def batch(root: Path, left: list[int], chance: random.Random, ways: Counter[str]) -> None:
    async with (
        open_store(PlannerSession, dir=root) as plans,
        open_store(HookEvent, dir=root) as events,
    ):
        chosen = reads(root, plans, events, chance)
        while left:
            left.pop()
            way = chance.choice(["timeout", "cancel", "group", "break", "exception", "ctrl-c"])
            if way == "ctrl-c" and chance.random() > 0.2:
                # Each of these opens the stores anew.
                way = "timeout"
            ways[way] += 1
            if way in ("break", "exception"):
                streams: list[Callable[[], AsyncGenerator[Any, None]]] = [
                    plans.stream,
                    events.stream,
                    lambda: outcomes(dir=root),
                ]
                with suppress(Left):
                    await leave(
                        chance.choice(streams)(), chance.randrange(200), raises=way == "exception"
                    )
            else:
                seconds = chance.uniform(0, LONGEST_SECONDS)
                await stopped(chance.choice(chosen), way, seconds)


def open_descriptors() -> list[str]:
    names = []
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            names.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return [name for name in names if ".khive" in name]


def main(root: Path, count: int, seed: int) -> int:
    # A shell lets what it starts in the background ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    asyncio.run(fill(root))
    chance, ways = random.Random(seed), Counter[str]()
    left = [0] * count
    while left:
        try:
            asyncio.run(batch(root, left, chance, ways))
        except KeyboardInterrupt:
            continue
    gc.collect()
    until = time.monotonic() + PATIENCE_SECONDS
    while (threading.active_count() > 1 or open_descriptors()) and time.monotonic() < until:
        time.sleep(0.01)
    others = [thread.name for thread in threading.enumerate()][1:]
    if others or open_descriptors():
        print("left open:", others, open_descriptors())
        return 1
    print(f"{sum(ways.values())} reads stopped")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
    except KhiveError as error:
        sys.exit(f"{type(error).__name__}: {error}")
