"""Save plans from several tasks until killed; print the id of each that is acknowledged."""

import sys

import anyio

from khive_persist import PlannerSession, Store, open_store
from tests.factories import plan


async def work(plans: Store[PlannerSession], worker: int) -> None:
    for number in range(100_000):
        id = f"{sys.argv[2]}-{worker}-{number}"
        await plans.save(plan(id, id=id, task_description="x" * 500))
        print(id, flush=True)


async def main() -> None:
    async with (
        open_store(PlannerSession, dir=sys.argv[1]) as plans,
        anyio.create_task_group() as tasks,
    ):
        for worker in range(8):
            tasks.start_soon(work, plans, worker)


anyio.run(main)
