"""Save until files may not grow, then again; print what was kept."""

import resource
import sys
from pathlib import Path

import anyio

from khive_persist.errors import KhiveError
from tests.factories import plan
from tests.store.records import opened, plan_store


async def main() -> None:
    async with opened(plan_store(Path(sys.argv[1]))) as store:
        kept = {(await store.save(plan())).id}
        resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, resource.RLIM_INFINITY))
        try:
            while True:
                kept.add((await store.save(plan(text="x" * 20_000))).id)
        except KhiveError as error:
            print(error.code, len(kept), kept == {stored.id for stored in await store.find()})
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await store.save(plan())
        print(await store.count() - len(kept))


anyio.run(main)
