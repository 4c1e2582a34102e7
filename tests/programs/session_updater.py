"""Add entries to one session, each again until no other process was first."""

import sys
from typing import Any

import anyio

from khive_persist import ApplicationSession, open_store
from khive_persist.errors import VersionError


async def main() -> None:
    root, id, name, count = sys.argv[1:]
    async with open_store(ApplicationSession, dir=root) as sessions:
        print("ready", flush=True)
        sys.stdin.readline()
        for number in range(int(count)):
            while True:
                content: Any = (await sessions.get(id)).content
                took = [*content.get("took", []), f"{name} {number}"]
                try:
                    await sessions.update(id, {"took": took}, content["version"])
                except VersionError:
                    continue
                break


anyio.run(main)
