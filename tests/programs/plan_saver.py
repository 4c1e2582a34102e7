"""Save plans; print the id and number of each."""

import sys

import anyio

from khive_persist import PlannerSession, open_store
from tests.factories import plan
from tests.programs.numbers_to_write import numbers


async def main() -> None:
    async with open_store(PlannerSession, dir=sys.argv[1]) as plans:
        for number in numbers():
            id = f"{sys.argv[2]}-{number}"
            await plans.save(plan(id, id=id, task_description="x" * 200))
            print(id, number, flush=True)


anyio.run(main)
