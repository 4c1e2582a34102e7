"""Files that are damaged, replaced, led astray or from the future: refused, and never altered."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from khive_persist.errors import (
    StoreDamagedError,
    StoreError,
    StoreNewerError,
    StoreUnavailableError,
)
from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.store.hook_events import HookEventStore
from khive_persist.store.planner_sessions import PlannerSessionStore
from khive_persist.store.reader import Reader
from khive_persist.store.source import select
from khive_persist.store.sqlite.connection import check, set_aside
from tests.factories import event, plan
from tests.store import old_files
from tests.store.records import opened, plan_store

ROWS = 120


async def fill(folder: Path) -> None:
    async with opened(plan_store(folder)) as store:
        await store.save_many(plan(f"s{number}", text="x" * 2_000) for number in range(ROWS))


async def ids_read(path: Path) -> set[str]:
    reader = Reader([(path, PLANNER_SESSIONS)])
    try:
        return {row[0] for row in await reader.fetch(lambda source: select(source))}
    finally:
        await reader.close()


async def save_one(folder: Path) -> None:
    store = plan_store(folder, busy_timeout_seconds=1)
    try:
        await store.open()
        await store.save(plan())
    finally:
        await store.close()


GARBAGE: dict[str, bytes] = {
    "noise": Random(7).randbytes(50_000),
    "text": b"SELECT * FROM planner_sessions;\n" * 100,
    "two bytes": b"SQ",
    "zeros": bytes(65_536),
    "a header and noise": b"SQLite format 3\0" + Random(8).randbytes(50_000),
}


@pytest.mark.parametrize("kind", GARBAGE)
async def test_garbage_is_named_damaged_and_left_as_it_is(
    kind: str, folder: Path, database: Path
) -> None:
    database.write_bytes(GARBAGE[kind])
    before = old_files.digest(folder)
    with pytest.raises(StoreDamagedError, match=r"planner_sessions\.db"):
        await save_one(folder)
    with pytest.raises(StoreDamagedError, match=r"planner_sessions\.db"):
        await ids_read(database)
    with pytest.raises(StoreError):
        check(database)
    assert old_files.digest(folder) == before


TRUNCATED = [2, 99, 100, 512, 4_095, 16_383, 16_384, 16_385, 32_768, -40_000, -16_384]


@pytest.mark.parametrize("size", TRUNCATED)
async def test_a_truncated_file_is_refused_and_left_as_it_is(
    size: int, folder: Path, database: Path
) -> None:
    await fill(folder)
    os.truncate(database, size if size > 0 else database.stat().st_size + size)
    before = old_files.digest(folder)
    with pytest.raises(StoreDamagedError):
        await save_one(folder)
    with pytest.raises(StoreDamagedError):
        await ids_read(database)
    with pytest.raises(StoreError):
        check(database)
    assert old_files.digest(folder) == before


@pytest.mark.parametrize("size", [100, 4_096, 8_192, -4_096])
async def test_a_truncated_old_file_is_refused_and_left_as_it_is(
    size: int, folder: Path, database: Path
) -> None:
    """It still has a rollback journal: to make it WAL is a write."""
    old_files.make(database, [old_files.ROWS[0]._replace(id=f"{number}") for number in range(200)])
    os.truncate(database, size if size > 0 else database.stat().st_size + size)
    before = old_files.digest(folder)
    with pytest.raises(StoreDamagedError):
        await save_one(folder)
    assert old_files.digest(folder) == before


async def test_an_empty_file_becomes_a_store(folder: Path, database: Path) -> None:
    database.touch()
    assert await ids_read(database) == set()
    await save_one(folder)
    assert len(await ids_read(database)) == 1


def to_a_file(path: Path, elsewhere: Path) -> None:
    shutil.move(path, elsewhere / path.name)
    path.symlink_to(elsewhere / path.name)


def to_nothing(path: Path, elsewhere: Path) -> None:
    path.unlink()
    path.symlink_to(elsewhere / path.name)


def parent_to_a_folder(path: Path, elsewhere: Path) -> None:
    shutil.copytree(path.parent, elsewhere, symlinks=True, dirs_exist_ok=True)
    shutil.rmtree(path.parent)
    path.parent.symlink_to(elsewhere)


@pytest.mark.parametrize("link", [to_a_file, to_nothing, parent_to_a_folder])
async def test_a_link_is_refused_and_nothing_is_written_where_it_leads(
    link: Callable[[Path, Path], None], folder: Path, database: Path, tmp_path: Path
) -> None:
    await fill(folder)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link(database, elsewhere)
    before = old_files.digest(elsewhere)
    with pytest.raises(StoreUnavailableError, match="is a symbolic link"):
        await save_one(folder)
    if database.exists():
        with pytest.raises(StoreUnavailableError, match="is a symbolic link"):
            await ids_read(database)
    assert old_files.digest(elsewhere) == before


@pytest.mark.parametrize("suffix", ["-wal", "-shm", ".lock"])
async def test_a_link_in_place_of_a_sidecar_is_not_followed(
    suffix: str, folder: Path, database: Path, tmp_path: Path
) -> None:
    await fill(folder)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_bytes(b"precious")
    sidecar = database.with_name(database.name + suffix)
    sidecar.unlink(missing_ok=True)
    sidecar.symlink_to(elsewhere / "precious")
    with pytest.raises(StoreUnavailableError):
        await save_one(folder)
    assert [path.read_bytes() for path in elsewhere.iterdir()] == [b"precious"]


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
async def test_what_is_no_file_is_refused_at_once(
    make: Callable[[Path], None], folder: Path, database: Path
) -> None:
    make(database)
    with pytest.raises(StoreUnavailableError, match="is not a file"):
        await save_one(folder)
    with pytest.raises(StoreUnavailableError, match="is not a file"):
        await ids_read(database)


async def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError):
        await save_one(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


def make_newer(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 3")


async def test_a_newer_file_is_refused_for_writing_read_and_not_altered(
    folder: Path, database: Path
) -> None:
    await fill(folder)
    make_newer(database)
    before = old_files.digest(folder)
    with pytest.raises(StoreNewerError, match="has schema 3") as raised:
        await save_one(folder)
    assert raised.value.hint == "upgrade khive-persist"
    assert len(await ids_read(database)) == ROWS
    with pytest.raises(StoreError, match="has schema 3"):
        check(database)
    assert old_files.digest(folder) == before


async def test_a_newer_file_that_was_not_closed_is_not_altered(
    folder: Path, database: Path
) -> None:
    """What its writer left in the WAL stays there: closing the file must not write it back."""
    await fill(folder)
    make_newer(database)
    copy = folder.parent / "copy"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("INSERT INTO planner_sessions (id) VALUES ('in the WAL')")
        connection.commit()
        shutil.copytree(folder, copy, symlinks=True)
    before = old_files.digest(copy)
    assert "planner_sessions.db-wal" in before
    with pytest.raises(StoreNewerError):
        await save_one(copy)
    assert "in the WAL" in await ids_read(copy / database.name)
    assert old_files.digest(copy) == before


async def test_a_newer_file_among_those_of_events_is_read_with_the_others(
    events: HookEventStore, folder: Path
) -> None:
    await events.save(event(tool="codex"))
    await events.save(event(tool="gemini-cli"))
    await events.close()
    make_newer(folder / "codex_hooks.db")
    async with opened(type(events)(events.record, lambda purpose: folder / purpose.file)) as store:
        assert await store.count() == 2
        with pytest.raises(StoreNewerError):
            await store.save(event(tool="codex"))
        await store.save(event(tool="gemini-cli"))
        assert await store.count() == 3


async def replace_with_other(folder: Path, database: Path) -> set[str]:
    """Put another file in its place, as a restore does."""
    other = folder.parent / "other"
    other.mkdir()
    await fill(other)
    set_aside(database, other)
    os.replace(other / database.name, database)
    return await ids_read(database)


async def test_a_save_goes_to_the_file_that_is_there_now(
    plans: PlannerSessionStore, folder: Path, database: Path
) -> None:
    await plans.save(plan())
    there = await replace_with_other(folder, database)
    saved = await plans.save(plan())
    assert {one.id for one in await plans.find()} == {*there, saved.id}
    assert await ids_read(database) == {*there, saved.id}


async def test_a_stream_ends_with_the_file_that_it_began_with(
    plans: PlannerSessionStore, folder: Path, database: Path
) -> None:
    await plans.save_many(plan() for _ in range(200))
    before = {one.id for one in await plans.find()}
    streamed: set[str] = set()
    async for one in plans.stream():
        if not streamed:
            await replace_with_other(folder, database)
        streamed.add(one.id)
    assert streamed == before
    assert await plans.count() == ROWS


async def test_a_file_that_was_deleted_is_made_again_at_the_next_save(
    plans: PlannerSessionStore, folder: Path, database: Path
) -> None:
    """The WAL of the old one is still there: it must not be taken for the new one's."""
    await plans.save_many(plan() for _ in range(5))
    database.unlink()
    assert await plans.find() == []
    saved = await plans.save(plan())
    assert [one.id for one in await plans.find()] == [saved.id]
    assert await ids_read(database) == {saved.id}
    check(database)


async def test_a_folder_that_is_gone_is_an_error_and_closing_is_not(folder: Path) -> None:
    async with opened(plan_store(folder)) as store:
        await store.save(plan())
        shutil.rmtree(folder)
        with pytest.raises(StoreError):
            await store.save(plan())
    assert not folder.exists()


async def test_a_file_that_is_set_aside_keeps_its_bytes(folder: Path, database: Path) -> None:
    database.write_bytes(GARBAGE["noise"])
    quarantine = folder / "quarantine"
    quarantine.mkdir(mode=0o700)
    aside = set_aside(database, quarantine)
    assert (aside / database.name).read_bytes() == GARBAGE["noise"]
    assert not database.exists()
    await save_one(folder)
    assert len(await ids_read(database)) == 1
