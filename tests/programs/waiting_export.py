"""Export plans, and wait on stdin at each advance."""

import sys
from pathlib import Path
from typing import Any

import anyio

from khive_persist.models.planner_session import PlannerSession
from khive_persist.project import Project
from khive_persist.transfer.export import export, parts_of


def wait(count: int) -> None:
    print(count, flush=True)
    sys.stdin.read()


async def main() -> None:
    root, target = sys.argv[1:3]
    form: Any = sys.argv[3]
    parts = parts_of(PlannerSession)
    await export(Project(root), parts, Path(target), form, force=True, advance=wait)


anyio.run(main)
