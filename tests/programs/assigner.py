"""Assign a variant to each session, or take the one that another process was first to assign."""

import sys

import anyio

from khive_persist import assign
from khive_persist.errors import ConflictError


async def main() -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(int(sys.argv[3])):
        try:
            assignment = await assign(f"s{number}", "race", sys.argv[2], dir=sys.argv[1])
        except ConflictError:
            assignment = await assign(f"s{number}", "race", dir=sys.argv[1])
        print(assignment.content["variant"], flush=True)


anyio.run(main)
