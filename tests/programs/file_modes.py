"""Save and read under a umask; print the modes of all that was made."""

import os
import sys
from pathlib import Path

import anyio

from khive_persist import HookEvent, PlannerSession, open_store
from tests.factories import event, plan


async def main() -> None:
    root = Path(sys.argv[1])
    async with (
        open_store(PlannerSession, dir=root) as plans,
        open_store(HookEvent, dir=root) as events,
    ):
        await plans.save(plan())
        await events.save(event(tool="codex"))
        await plans.find()
        for path in sorted((root / ".khive").rglob("*")):
            if not path.is_symlink():
                print(oct(path.stat().st_mode), path.name)
        print(oct((root / ".khive").stat().st_mode), ".khive")


os.umask(int(sys.argv[2], 8))
anyio.run(main)
