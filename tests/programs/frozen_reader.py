"""Read a file that this user cannot write, once more while it changes."""

import sys
from functools import partial
from pathlib import Path

import anyio

from khive_persist.errors import KhiveError
from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.store.reader import Reader
from khive_persist.store.source import select
from khive_persist.store.sqlite.connection import frozen_version

path = Path(sys.argv[1])
ALL = partial(select, filters=())


async def main() -> None:
    assert frozen_version(path) is not None
    async with Reader([(path, PLANNER_SESSIONS)]) as reader:
        print(len(await reader.fetch(ALL)), flush=True)
        pages = reader.pages(ALL)
        await anext(pages)
        print("begun", flush=True)
        input()
        try:
            await anext(pages)
        except KhiveError as error:
            print(error.code, flush=True)
        print(len(await reader.fetch(ALL)), flush=True)


anyio.run(main)
