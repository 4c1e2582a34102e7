"""Records whose database cannot take them: they wait in the spool, and come in once, in order."""

import asyncio
import json
import logging
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from khive_persist import (
    Experiment,
    Node,
    PlannerSession,
    open_store,
    purpose,
    save_planning_session,
)
from khive_persist.capture import record_file
from khive_persist.capture.drain import DrainResult, drain
from khive_persist.capture.spool import Spool
from khive_persist.cli.root import run
from khive_persist.errors import StoreBusyError
from khive_persist.maintenance.retention.purge import purge
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store.sqlite import write_lock
from tests import read_only
from tests.stored import select

SECRET = "ghp_0123456789abcdefghijABCDEFGHIJ012345"


class Note(Node):
    purpose = purpose("spooled_notes")


@pytest.fixture
def project(project: Project) -> Iterator[Project]:
    """A project whose writers wait for a moment only, and where no drainer of a test's own runs."""
    project.config.write_text("[store]\nbusy_timeout_seconds = 0.1\n")
    project.spool.mkdir(mode=0o700)
    # A reader of the pipe that drains nothing: to whoever looks, a drainer runs.
    os.mkfifo(project.spool / "wake", 0o600)
    pipe = os.open(project.spool / "wake", os.O_RDWR | os.O_NONBLOCK)
    yield project
    os.close(pipe)


@contextmanager
def locked(project: Project, file: str = "planner_sessions.db") -> Iterator[None]:
    """Another program writes to the database for as long as the `with`."""
    with write_lock.held(write_lock.lock_path(project.database(file)), 1.0):
        yield


def rows(project: Project, table: str = "planner_sessions") -> dict[str, str]:
    """The `task_description` of each row, by its id, as `sqlite3` reads it."""
    sql = f"SELECT id, json_extract(content, '$.task_description') FROM {table}"
    return dict(select(project, f"{table}.db", sql))


def spooled(project: Project) -> list[Path]:
    return [project.spool / file.name for file in Spool(project).records()]


async def save(project: Project, text: str = "", session_id: str = "s1") -> PlannerSession:
    return await save_planning_session(
        session_id=session_id, task_description=text, dir=project.root
    )


async def test_a_plan_whose_database_is_locked_waits_in_the_spool_redacted(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    await save(project)
    with locked(project), caplog.at_level(logging.WARNING, "khive_persist"):
        plan = await save(project, f"token {SECRET}")
    (path,) = spooled(project)
    assert plan.id in path.name
    assert path.name.endswith("_planner_sessions.record")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SECRET not in path.read_text()
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(
        f"1 record waits in {project.spool} until it can be written"
    )
    async with open_store(PlannerSession, dir=project.root) as plans:
        (found,) = [one for one in await plans.find() if one.id == plan.id]
        copy = await plans.paths_of(plan.id)
    assert found.content["task_description"].startswith("token [REDACTED:github_token:")
    assert found.created_at == plan.created_at
    assert copy.mirror is not None
    assert json.loads(copy.mirror.read_bytes())["id"] == plan.id
    assert spooled(project) == []


async def test_a_damaged_database_is_left_as_it_is_and_the_plan_comes_in_once_it_is_mended(
    project: Project,
) -> None:
    await save(project, "before")
    database = project.database("planner_sessions.db")
    sound = database.read_bytes()
    database.write_bytes(b"SELECT 1;\n" * 1_000)
    plan = await save(project, "damaged")
    assert database.read_bytes() == b"SELECT 1;\n" * 1_000
    assert len(spooled(project)) == 1
    database.write_bytes(sound)
    async with open_store(PlannerSession, dir=project.root):
        pass
    assert sorted(rows(project).values()) == ["before", "damaged"]
    assert rows(project)[plan.id] == "damaged"


READ_ONLY = """
import sys
import anyio
from khive_persist import save_planning_session

async def main():
    plan = await save_planning_session(session_id="s1", task_description="x", dir=sys.argv[1])
    print(plan.id)

import logging
logging.disable(logging.WARNING)
anyio.run(main)
"""


async def test_a_database_that_nobody_may_write_to(project: Project) -> None:
    await save(project)
    database = project.database("planner_sessions.db")
    database.chmod(0o400)
    id = read_only.run("-c", READ_ONLY, str(project.root)).strip()
    assert [id in path.name for path in spooled(project)] == [True]
    # Its log and its index have the modes that SQLite took from it.
    for file in project.khive.glob("planner_sessions.db*"):
        file.chmod(0o600)
    assert drain(project).stored_count == 1
    assert rows(project)[id] == "x"


async def test_where_the_spool_may_not_be_written_to_either_the_error_says_both(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    await save(project)
    pipes = project.spool.rename(project.root / "spool")
    project.spool.write_bytes(b"")
    with locked(project), pytest.raises(StoreBusyError, match="nor does the spool take it"):
        await save(project)
    assert caplog.messages == []
    assert list(pipes.glob("*.record")) == []


async def test_what_a_program_saves_through_its_own_store_is_refused_as_ever(
    project: Project,
) -> None:
    plan = await save(project)
    async with open_store(PlannerSession, dir=project.root) as plans:
        with locked(project), pytest.raises(StoreBusyError):
            await plans.save(plan)
        with locked(project), pytest.raises(StoreBusyError):
            await plan.save()
    assert spooled(project) == []


async def test_what_hangs_on_what_is_there_is_not_spooled(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KHIVE_DIR", str(project.root))
    experiment = Experiment.model_validate(
        {
            "content": {
                "name": "e",
                "variants": [{"name": "a", "weight": 1}, {"name": "b", "weight": 1}],
            }
        }
    )
    with locked(project, "experiments.db"), pytest.raises(StoreBusyError):
        await experiment.save()
    assert spooled(project) == []


@pytest.fixture
def at(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The project that a record's own calls go to."""
    monkeypatch.setenv("KHIVE_DIR", str(project.root))
    return project


async def test_a_later_save_is_not_overwritten_by_an_older_one_that_waited(
    at: Project, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_store(PlannerSession, dir=at.root) as plans:
        with locked(at):
            plan = await save(at, "older")
        plan.content["task_description"] = "later"
        await plans.save(plan)
        assert len(spooled(at)) == 1
        caplog.clear()
        assert drain(at).stored_count == 0
    assert rows(at) == {plan.id: "later"}
    assert spooled(at) == []
    (aside,) = at.quarantine.glob("*.record")
    assert plan.id in aside.name
    assert "saved by somebody else since" in caplog.text


async def test_versions_that_wait_come_in_in_their_order(at: Project) -> None:
    plan = await save(at, "first")
    with locked(at):
        for text in ("second", "third", "fourth"):
            plan.content["task_description"] = text
            await plan.save()
    assert len(spooled(at)) == 3
    assert rows(at) == {plan.id: "first"}
    (found,) = await PlannerSession.find()
    assert (found.content["task_description"], found.created_at) == ("fourth", plan.created_at)
    assert rows(at) == {plan.id: "fourth"}
    assert not at.quarantine.exists()


async def test_a_version_that_waits_and_one_after_it_is_drained(at: Project) -> None:
    with locked(at):
        plan = await save(at, "first")
    assert drain(at).stored_count == 1
    with locked(at):
        plan.content["task_description"] = "second"
        await plan.save()
    assert drain(at) == DrainResult(1, 0, ())
    assert rows(at) == {plan.id: "second"}


async def test_a_version_newer_than_the_copy_of_a_database_that_could_not_be_read(
    at: Project,
) -> None:
    plan = await save(at, "first")
    database = at.database("planner_sessions.db")
    sound = database.read_bytes()
    database.write_bytes(b"no database\n" * 1_000)
    plan.content["task_description"] = "second"
    await plan.save()
    database.write_bytes(sound)
    assert drain(at) == DrainResult(1, 0, ())
    assert rows(at) == {plan.id: "second"}


async def test_an_open_store_reads_what_waited(at: Project) -> None:
    async with open_store(PlannerSession, dir=at.root) as plans:
        with locked(at):
            plan = await save(at, "waited")
        assert rows(at) == {}
        assert [one.id for one in await plans.find()] == [plan.id]
        with locked(at):
            await save(at, "waits")
        assert await plans.count() == 2


async def test_ids_of_any_kind(at: Project) -> None:
    ids = ["a/../../b", "é" * 100, "x" * 200, "A", "a"]
    await Note(id="first", content={}).save()
    with locked(at, "spooled_notes.db"):
        for id in ids:
            await Note(id=id, content={"task_description": id}).save()
    assert len(spooled(at)) == len(ids)
    async with open_store(Note, dir=at.root) as notes:
        assert [one.id for one in await notes.find()] == ["first", *ids]


def signed(project: Project, id: str, text: str = "x") -> Path:
    """A record that waits, and was not put there by a save."""
    file = record_file.file_of(1, id, "planner_sessions")
    row = (id, json.dumps({"session_id": text}), "{}", "2026-01-01 00:00:00.000000", None)
    path = project.spool / file.name
    path.write_bytes(record_file.encode(project.khive, file, record_file.SpooledRecord(row, ())))
    return path


ID = "00000000-0000-4000-8000-000000000001"


@pytest.mark.parametrize("kind", ["forged", "torn", "renamed", "a link", "empty"])
async def test_what_this_users_programs_did_not_write_is_set_aside(
    project: Project, kind: str
) -> None:
    path = signed(project, ID)
    raw = path.read_bytes()
    if kind == "a link":
        path.rename(project.root / "target")
        path.symlink_to(project.root / "target")
    elif kind == "renamed":
        path = path.rename(path.with_name(path.name.replace("0001_", "0002_", 1)))
    else:
        path.write_bytes({"forged": b"0" * 64 + raw[64:], "torn": raw[:-9], "empty": b""}[kind])
    await save(project)
    assert ID not in rows(project)
    assert [file.name for file in project.quarantine.iterdir()] == [path.name]


async def test_what_a_killed_save_left_behind_comes_in_if_it_is_whole(project: Project) -> None:
    await save(project)
    whole = signed(project, ID)
    torn = signed(project, ID[:-1] + "2")
    torn.write_bytes(torn.read_bytes()[:-1])
    for path in (whole, torn):
        temporary = path.rename(path.with_name(f".{path.name}.tmp"))
        os.utime(temporary, (0, 0))
    # Nobody may have acknowledged it; the next that comes looks.
    Spool(project).accept("claude-code", b"{}")
    drain(project)
    assert ID in rows(project)
    assert ID[:-1] + "2" not in rows(project)
    assert [file.name for file in project.quarantine.iterdir()] == [torn.name]


async def test_a_kind_that_nobody_opened_here_waits(project: Project) -> None:
    await save(project)
    path = signed(project, ID)
    file = record_file.file_of(1, ID, "unknown_kind")
    row = (ID, "{}", "{}", "2026-01-01 00:00:00.000000", None)
    unknown = project.spool / file.name
    unknown.write_bytes(record_file.encode(project.khive, file, record_file.SpooledRecord(row, ())))
    result = drain(project)
    assert (result.stored_count, result.waiting_count) == (1, 1)
    assert "unknown_kind" in str(result.errors[0])
    assert unknown.exists()
    assert not path.exists()


async def test_one_that_the_table_does_not_take_keeps_no_other_out(project: Project) -> None:
    await save(project)
    signed(project, ID)
    bad = signed(project, ID[:-1] + "2", "not taken")
    connection = sqlite3.connect(project.database("planner_sessions.db"))
    connection.execute("CREATE UNIQUE INDEX one ON planner_sessions (created_at)")
    connection.commit()
    connection.close()
    assert drain(project).stored_count == 1
    assert ID in rows(project)
    assert [file.name for file in project.quarantine.iterdir()] == [bad.name]


async def test_purge_takes_what_waits_of_a_session_alone(project: Project) -> None:
    await save(project)
    session = "ünï code"
    with locked(project):
        await save(project, session_id=session)
        other = await save(project, f"mentions {session}", session_id="other")
        purged = purge(project, session, [], Settings())
    assert purged.spooled == 1
    assert [other.id in path.name for path in spooled(project)] == [True]


async def test_what_waits_in_a_folder_that_was_moved_comes_in_once_it_is_trusted(
    project: Project, tmp_path: Path
) -> None:
    with locked(project):
        plan = await save(project, "moved")
    moved = Project(project.root.rename(tmp_path / "moved"))
    assert run(["--dir", str(moved.root), "trust", "--yes", "--keep"]) == 0
    assert rows(moved) == {plan.id: "moved"}


async def test_many_at_once_that_find_their_database_locked(project: Project) -> None:
    with locked(project):
        plans = await asyncio.gather(*(save(project, str(n)) for n in range(64)))
    assert len(spooled(project)) == 64
    assert drain(project) == DrainResult(64, 0, ())
    assert rows(project) == {plan.id: plan.content["task_description"] for plan in plans}


async def test_a_drainer_brings_it_in_by_itself(project: Project) -> None:
    os.unlink(project.spool / "wake")
    await save(project)
    with locked(project):
        plan = await save(project, "drained by a process of its own")
    with anyio.fail_after(20):
        while plan.id not in rows(project):
            await anyio.sleep(0.02)


async def test_a_database_of_a_newer_program(project: Project) -> None:
    await save(project)
    connection = sqlite3.connect(project.database("planner_sessions.db"))
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute("PRAGMA user_version = 99")
    plan = await save(project, "newer")
    assert len(spooled(project)) == 1
    assert "has schema 99" in str(drain(project).errors[0])
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    assert drain(project) == DrainResult(1, 0, ())
    assert rows(project)[plan.id] == "newer"
