"""Leave a stream and a list after their first record, and end."""

import asyncio
import sys

from khive_persist import PlannerSession, open_store, outcomes
from tests.factories import plan


async def main() -> None:
    async with open_store(PlannerSession, dir=sys.argv[1]) as plans:
        await plans.save_many(plan(f"s{number}") for number in range(500))
        async for _ in plans.stream():
            break
    async for _ in outcomes(dir=sys.argv[1]):
        break
    print("left", flush=True)


asyncio.run(main())
