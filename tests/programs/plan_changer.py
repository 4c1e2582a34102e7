"""Save, change and delete plans; print the id and number of each."""

import sys

import anyio

from khive_persist import PlannerSession, open_store
from tests.factories import plan
from tests.programs.numbers_to_write import numbers


async def main() -> None:
    async with open_store(PlannerSession, dir=sys.argv[1]) as plans:
        for number in numbers():
            kept = number % 4
            id = f"plan{'-kept' if kept else ''}-{sys.argv[2]}-{number % 97}"
            if not kept and number % 3 == 0:
                await plans.delete(id)
            else:
                await plans.save(plan(id, id=id, task_description="x" * 200, number=number))
            print(id, number, flush=True)


anyio.run(main)
