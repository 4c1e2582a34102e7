"""Fork while a store is open: the child is refused the parent's stores, and opens its own."""

import asyncio
import os
import sys
from collections.abc import Awaitable

import anyio
import pytest

from khive_persist import PlannerSession, Store, open_store
from khive_persist.errors import StoreClosedError
from tests.factories import plan

Plans = Store[PlannerSession]


async def child(plans: Plans) -> None:
    uses: tuple[Awaitable[object], ...] = (
        plans.save(plan("never", id="never")),
        plans.count(),
        PlannerSession.count(),
        save_in(sys.argv[1]),
    )
    for use in uses:
        with pytest.raises(StoreClosedError, match="fork"):
            await use
    await save_in(sys.argv[2])


async def save_in(folder: str) -> None:
    async with open_store(PlannerSession, dir=folder) as own:
        await own.save(plan("child", id="child"))


async def main() -> None:
    async with open_store(PlannerSession, dir=sys.argv[1]) as plans:
        await asyncio.gather(
            *(plans.save(plan(f"before {n}", id=f"before {n}")) for n in range(20))
        )
        pid = os.fork()
        if not pid:
            code = 1
            try:
                # The loop of the parent runs here, too; its own one begins.
                asyncio.events._set_running_loop(None)
                asyncio.run(child(plans))
                code = 0
            finally:
                os._exit(code)
        _, status = await asyncio.to_thread(os.waitpid, pid, 0)
        assert status == 0, status
        await plans.save(plan("parent", id="parent"))


anyio.run(main)
