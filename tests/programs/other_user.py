"""Save and read a plan; print what came of it."""

import sys
from pathlib import Path

import anyio

from khive_persist.errors import KhiveError
from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.store.reader import Reader
from khive_persist.store.source import select
from tests.factories import plan
from tests.store.records import plan_store

folder = Path(sys.argv[1])


async def save() -> None:
    store = plan_store(folder)
    try:
        await store.open()
        await store.save(plan())
        print("saved")
    except KhiveError as error:
        print(error.code)
    await store.close()


async def read() -> None:
    reader = Reader([(folder / PLANNER_SESSIONS.file, PLANNER_SESSIONS)])
    try:
        print(len(await reader.fetch(lambda source: select(source))))
    except KhiveError as error:
        print(error.code)
    await reader.close()


async def main() -> None:
    await save()
    await read()


anyio.run(main)
