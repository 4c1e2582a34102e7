"""Save the one plan that other processes save, too, once told to begin."""

import sys

import anyio

from khive_persist import PlannerSession, open_store
from tests.factories import plan


async def main() -> None:
    async with open_store(PlannerSession, dir=sys.argv[1]) as plans:
        for count in range(int(sys.argv[3])):
            await plans.save(plan(sys.argv[2], id="shared", task_description=f"{count}"))
            assert (await plans.get("shared")).content["session_id"]


print("ready", flush=True)
sys.stdin.readline()
anyio.run(main)
