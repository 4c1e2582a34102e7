"""Save, change, move and delete events; print the id and number of each."""

import sys

import anyio

from khive_persist import HookEvent, open_store
from tests.factories import event
from tests.programs.numbers_to_write import numbers


async def main() -> None:
    async with open_store(HookEvent, dir=sys.argv[1]) as events:
        for number in numbers():
            kept = number % 4
            id = f"event{'-kept' if kept else ''}-{sys.argv[2]}-{number % 97}"
            tool = ("claude-code", "codex")[number % 97 % 2]
            if not kept and number % 3 == 0:
                await events.delete(id)
            else:
                session = f"session-{number % 5}"
                await events.save(event("stop", session, id=id, tool=tool, number=number))
            print(id, number, flush=True)


anyio.run(main)
