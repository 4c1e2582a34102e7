"""Stores that are open for reading only, and files in folders that nobody can write to."""

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from khive_persist import HookEvent, PlannerSession, column, open_store
from khive_persist.errors import StoreUnavailableError
from khive_persist.project import Project
from tests.exchange.rows import put, row
from tests.factories import plan
from tests.read_only import ROOT, read_only, run, without_powers

LARGE = '{"session_id":"s","task_description":"' + "x" * 2_000 + '"}'


def names(project: Project) -> set[str]:
    """What lies in a project, but for what SQLite's own readers make."""
    return {p.name for p in project.khive.iterdir() if not p.name.endswith(("-wal", "-shm"))}


async def test_what_is_stored_is_read_and_nothing_is_made(project: Project) -> None:
    async with open_store(PlannerSession, dir=project.root) as plans:
        await plans.save_many(plan(f"s{n}") for n in range(3))
    before = names(project)
    async with open_store(PlannerSession, dir=project.root, read_only=True) as plans:
        assert len(await plans.find(order_by=column("created_at"))) == 3
        assert len([record async for record in plans.stream()]) == 3
        assert await plans.count() == await PlannerSession.count() == 3
        for writing in (plans.save(plan()), plans.save_many([plan()]), plan().save()):
            with pytest.raises(StoreUnavailableError, match="reading only"):
                await writing
    async with open_store(HookEvent, dir=project.root, read_only=True) as events:
        assert await events.count() == 0
    assert names(project) == before


async def test_a_project_that_is_missing_is_read_as_an_empty_one(tmp_path: Path) -> None:
    async with open_store(PlannerSession, dir=tmp_path, read_only=True) as plans:
        assert await plans.get_recent() == []
    assert not any(tmp_path.iterdir())


def test_a_frozen_file_that_is_changed_all_the_same_is_read_anew(project: Project) -> None:
    path = put(project, (row(f"plan-{n}", LARGE) for n in range(300)))
    with read_only(project.khive):
        with subprocess.Popen(
            without_powers("-m", "tests.programs.frozen_reader", str(path)),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as reading:
            assert reading.stdin is not None
            assert reading.stdout is not None
            assert [reading.stdout.readline() for _ in range(2)] == ["300\n", "begun\n"]
            project.khive.chmod(0o700)
            for file in project.khive.iterdir():
                if not file.is_symlink():
                    file.chmod(0o700 if file.is_dir() else 0o600)
            put(project, [row("another", LARGE)])
            project.khive.chmod(0o500)
            out, _ = reading.communicate("\n", timeout=30)
    assert (reading.returncode, out.split()) == (0, ["store_busy", "301"])


LOG = """
import sys
from pathlib import Path

from khive_persist.errors import StoreUnavailableError
from khive_persist.store.sqlite.connection import open_reader

try:
    reader = open_reader(Path(sys.argv[1]))
    print(reader.execute("SELECT count(*) FROM planner_sessions").fetchone())
except StoreUnavailableError as error:
    print(error)
"""


def test_a_log_that_cannot_be_read_is_an_error_with_the_way_out(
    project: Project, tmp_path: Path
) -> None:
    path = put(project, [row("stored")])
    copy = tmp_path / "copy" / path.name
    copy.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE planner_sessions SET id = 'changed'")
        connection.commit()
        shutil.copy(path, copy)
        shutil.copy(f"{path}-wal", copy.parent)
    with read_only(copy.parent):
        assert "copy both to another folder" in run("-c", LOG, str(copy))
    # One without anything in it is none.
    copy.with_name(f"{copy.name}-wal").write_bytes(b"")
    with read_only(copy.parent):
        assert run("-c", LOG, str(copy)) == "(1,)\n"
