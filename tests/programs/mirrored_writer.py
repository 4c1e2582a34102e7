"""Save, delete and spool until killed; print each record that is kept, and each that is gone."""

import sys
import threading
from typing import Any

import anyio

from khive_persist import HookEvent, PlannerSession, Store, open_store
from khive_persist.capture.drain import Drain
from khive_persist.capture.spool import Spool
from khive_persist.project import Project
from tests.factories import event, plan

ROOT, FIRST = sys.argv[1], int(sys.argv[2])
# Half of a line is said by nobody, and the lines of two tasks do not mix.
printing = threading.Lock()


def say(*words: object) -> None:
    with printing:
        print(*words, flush=True)


async def save_plans(plans: Store[PlannerSession], worker: int) -> None:
    for number in range(100_000):
        kept = f"plan-{worker}-{number % 7}"
        content: Any = {"session_id": "s", "task_description": "x" * 300, "number": number + FIRST}
        await plans.save(plan(id=kept, **content))
        say(kept, number + FIRST)
        if number % 5 == 0:
            other = plan(**content)
            await plans.save(other)
            await plans.delete(other.id)
            say(other.id, "gone")


async def save_events(events: Store[HookEvent], worker: int) -> None:
    for number in range(100_000):
        kept = f"event-{worker}-{number % 7}"
        content: Any = {
            "tool": ("codex", "claude-code")[worker % 2],
            "session_id": f"session-{number % 4}",
            "number": number + FIRST,
        }
        await events.save(event(id=kept, **content))
        say(kept, number + FIRST)
        if number % 5 == 0:
            other = event(**content)
            await events.save(other)
            await events.delete(other.id)
            say(other.id, "gone")


def spool_and_drain() -> None:
    project = Project(ROOT)
    spool = Spool(project)
    with Drain(project) as drain:
        for number in range(100_000):
            payload = b'{"hook_event_name":"Stop","session_id":"session-%d"}' % (number % 3)
            say(spool.accept("claude-code", payload).id, "spooled")
            if number % 8 == 7:
                drain.run(60)


async def main() -> None:
    async with (
        open_store(PlannerSession, dir=ROOT) as plans,
        open_store(HookEvent, dir=ROOT) as events,
        anyio.create_task_group() as tasks,
    ):
        threading.Thread(target=spool_and_drain, daemon=True).start()
        for worker in range(3):
            tasks.start_soon(save_plans, plans, worker)
        for worker in range(2):
            tasks.start_soon(save_events, events, worker)


anyio.run(main)
