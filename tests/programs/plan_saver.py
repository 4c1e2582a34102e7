"""Save plans; print the id and number of each, and when it was begun."""

import sys
import time

import anyio

from khive_persist import PlannerSession, open_store
from tests.factories import plan
from tests.programs.numbers_to_write import numbers


async def main() -> None:
    async with open_store(PlannerSession, dir=sys.argv[1]) as plans:
        for number in numbers():
            id, begun = f"{sys.argv[2]}-{number}", time.monotonic()
            await plans.save(plan(id, id=id, task_description="x" * 200))
            print(id, number, begun, flush=True)


anyio.run(main)
