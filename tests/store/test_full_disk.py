"""A disk without room: what cannot be saved is refused, and what is there stays."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from khive_persist.errors import StoreFullError, StoreUnavailableError
from khive_persist.store.sqlite.connection import check
from tests.factories import plan
from tests.store import old_files
from tests.store.records import opened, plan_store

DISK_BYTES = 3_000_000
FULL = (StoreFullError, StoreUnavailableError)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=700", "khive", str(mounted)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a file system may not be mounted here")
    yield mounted
    if subprocess.run(["umount", str(mounted)], check=False).returncode != 0:
        subprocess.run(["umount", "--lazy", str(mounted)], check=True)
        pytest.fail("a store that was closed has a file open")


def fill_up(disk: Path) -> Path:
    """Leave no block free."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(65_536))
            except OSError:
                return ballast


async def test_what_finds_no_room_is_refused_and_what_is_there_stays(disk: Path) -> None:
    async with opened(plan_store(disk)) as store:
        kept = {(await store.save(plan(f"s{number}"))).id for number in range(5)}
        ballast = fill_up(disk)

        async def save_on() -> None:
            while True:
                kept.add((await store.save(plan(text="x" * 20_000))).id)

        with pytest.raises(FULL):
            await save_on()
        assert {one.id for one in await store.find()} == kept
        with pytest.raises(FULL):
            await store.save_many(plan(text="x" * 20_000) for _ in range(1_000))
        assert {one.id for one in await store.find()} == kept
        ballast.unlink()
        kept.add((await store.save(plan(text="x" * 20_000))).id)
    check(store.paths[0])
    async with opened(plan_store(disk)) as again:
        assert {one.id for one in await again.find()} == kept


async def test_all_who_share_a_commit_that_finds_no_room_are_refused(disk: Path) -> None:
    async with opened(plan_store(disk)) as store:
        ballast = fill_up(disk)
        saves = (store.save(plan(text="x" * 100_000)) for _ in range(8))
        ended = await asyncio.gather(*saves, return_exceptions=True)
        assert all(isinstance(one, FULL) for one in ended)
        assert await store.count() == 0
        ballast.unlink()
        await store.save(plan())
        assert await store.count() == 1


async def test_a_file_that_cannot_be_made_is_refused(disk: Path) -> None:
    ballast = fill_up(disk)
    store = plan_store(disk)
    with pytest.raises(FULL):
        await store.open()
    ballast.unlink()
    async with opened(store):
        await store.save(plan())


async def test_an_old_file_whose_indexes_find_no_room_stays_as_it_is(disk: Path) -> None:
    path = disk / "planner_sessions.db"
    old_files.make(path, [old_files.ROWS[0]._replace(id=f"{number}") for number in range(5_000)])
    before = old_files.stored(path)
    ballast = fill_up(disk)
    os.truncate(ballast, ballast.stat().st_size - 65_536)
    store = plan_store(disk)
    with pytest.raises(FULL):
        await store.open()
    assert old_files.stored(path) == before
    ballast.unlink()
    async with opened(store):
        assert await store.count() == 5_000


def test_a_limit_on_the_size_of_files_is_met_as_a_full_disk_is(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.programs.limited_disk", str(folder)],
        capture_output=True,
        check=False,
        cwd=Path(__file__).parents[2],
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
    (code, kept, same), (after,) = (line.split() for line in done.stdout.splitlines())
    assert code in {"store_full", "store_unavailable"}
    assert int(kept) > 1
    assert (same, after) == ("True", "1")
