"""Save plans of names of this process from several tasks, once told to begin."""

import sys

import anyio

from khive_persist import PlannerSession, open_store
from tests.factories import plan


async def save(number: int) -> None:
    for count in range(int(sys.argv[4])):
        name = f"{sys.argv[2]} {number} {count}"
        await plan(name, id=name).save()


async def main() -> None:
    async with open_store(PlannerSession, dir=sys.argv[1]), anyio.create_task_group() as group:
        for number in range(int(sys.argv[3])):
            group.start_soon(save, number)


print("ready", flush=True)
sys.stdin.readline()
anyio.run(main)
