"""A project that is merged into another one: each record once, in both copies, and named so."""

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist import Node, PlannerSession, open_store
from khive_persist.capture import spool_writer
from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.cli.root import run
from khive_persist.copies import rebuild, verify
from khive_persist.project import Project
from khive_persist.store.sqlite import write_lock
from khive_persist.tombstones import Tombstones
from khive_persist.transfer import merge as merging
from khive_persist.transfer.import_ import import_rows
from khive_persist.trust import marks
from tests.retention.events import contents

QUIET = "[capture]\nlinger_seconds = 0\n[sync]\nat_stop = false\n"
EVENTS = "claude_hooks.db"


@pytest.fixture(autouse=True)
def quiet_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(merging, "_HOOK_SECONDS", 0)
    (home / ".khive").mkdir(mode=0o700)
    (home / ".khive" / "config.toml").write_text(QUIET)


def payload(session: str) -> bytes:
    return json.dumps({"session_id": session, "hook_event_name": "Stop"}).encode()


def new_project(root: Path, *sessions: str) -> Project:
    project = Project(root)
    root.mkdir()
    project.make()
    for session in sessions:
        Spool(project).accept("claude-code", payload(session))
    assert drain(project).waiting_count == 0
    return project


def save(project: Project, record: Node) -> None:
    async def put() -> None:
        async with open_store(type(record), dir=project.root) as store:
            await store.save(record)

    anyio.run(put)


def plan(session: str, **fields: Any) -> PlannerSession:
    content = {"session_id": session, "task_description": f"of {session}"}
    return PlannerSession.model_validate({"content": content, **fields})


def merge(old: Project, target: Project, code: int = 0) -> None:
    assert run(["projects", "merge", str(old.root), str(target.root)]) == code


def sessions(project: Project, file: str = EVENTS) -> list[str]:
    return sorted(content["session_id"] for content in contents(project, file).values())


def is_equal(project: Project) -> bool:
    async def compare() -> bool:
        return (await verify(dir=project.root)).is_equal

    return anyio.run(compare)


def listed(capsys: pytest.CaptureFixture[str], code: int = 0) -> dict[str, dict[str, Any]]:
    capsys.readouterr()
    assert run(["projects", "--json"]) == code
    return {one["name"]: one for one in json.loads(capsys.readouterr().out)}


def waits_at_home(home: Path, root: Path, session: str) -> None:
    Spool(Project(home)).make()
    name = spool_writer.file_name("claude-code", True).replace(".event", ".away")
    content = os.fsencode(root) + b"\0" + payload(session)
    os.close(spool_writer.keep(str(home), name, content))


def test_all_of_both_is_in_the_one_and_the_old_one_is_named_as_merged(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, target = new_project(tmp_path / "old", "s1", "s2"), new_project(tmp_path / "new", "s3")
    shared = plan("p")
    for project in (old, target):
        save(project, shared)
    save(old, plan("p1"))
    # It waits still.
    Spool(old).accept("claude-code", payload("s4"))
    waits_at_home(home, old.root, "s5")
    ids = set(contents(old, EVENTS)) | set(contents(target, EVENTS))
    merge(old, target)
    said = capsys.readouterr().out
    assert f"{old.root} is merged into {target.root}" in said
    assert "planner_sessions.db: 1 new, 1 same, 0 changed" in said
    assert sessions(target) == ["s1", "s2", "s3", "s4", "s5"]
    assert ids < set(contents(target, EVENTS))
    assert sessions(target, "planner_sessions.db") == ["p", "p1"]
    assert is_equal(target)
    before = contents(target, EVENTS)
    anyio.run(lambda: rebuild("mirror", dir=target.root))
    assert contents(target, EVENTS) == before
    # Nothing of the old one was deleted.
    assert not old.exists()
    assert (old.root / merging.MERGED / EVENTS).exists()
    found = listed(capsys)
    assert "old" not in found
    assert found["new"]["merged"] == [str(old.root)]
    assert found["new"]["known_as"] == []
    assert found["new"]["sessions"] == 7
    assert run(["projects"]) == 0
    assert "gone" not in capsys.readouterr().out
    # What comes for it later comes into the other one, and that keeps its history when it moves.
    waits_at_home(home, old.root, "s6")
    drain(target)
    assert "s6" in sessions(target)
    os.rename(target.root, tmp_path / "moved")
    assert run(["--dir", str(tmp_path / "moved"), "trust", "--yes"]) == 0
    found = listed(capsys)
    assert found["moved"]["merged"] == [str(old.root)]
    assert found["moved"]["known_as"] == [str(target.root)]
    # Another project at the old path is one of its own.
    new_project_at = Project(old.root)
    new_project_at.make()
    found = listed(capsys)
    assert found["moved"]["merged"] == []
    assert found["old"]["state"] == "here"


def test_a_project_that_was_moved_into_another_one_is_merged_into_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, target = new_project(tmp_path / "old", "s1"), new_project(tmp_path / "all", "s2")
    os.rename(old.root, target.root / "part")
    assert listed(capsys)["old"]["state"] == "gone"
    merge(Project(target.root / "part"), target)
    assert sessions(target) == ["s1", "s2"]
    found = listed(capsys)
    assert found.keys() == {"home", "all"}
    assert found["all"]["merged"] == [str(target.root / "part"), str(old.root)]
    # What is recorded below it is the other one's now.
    assert spool_writer.search(str(target.root / "part"), spool_writer.home())[0] == str(
        target.root
    )


def test_merged_projects_are_merged_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, c = (new_project(tmp_path / name, name) for name in ("a", "b", "c"))
    merge(a, b)
    merge(b, c)
    assert sessions(c) == ["a", "b", "c"]
    assert listed(capsys)["c"]["merged"] == [str(a.root), str(b.root)]
    # A new one at the path of one that was merged can be merged, too.
    a.make()
    save(a, plan("p"))
    merge(a, c)
    assert len(list(a.root.glob(f"{merging.MERGED}*"))) == 2
    assert listed(capsys)["c"]["merged"] == [str(a.root), str(b.root)]
    assert sessions(c, "planner_sessions.db") == ["p"]


def test_an_empty_project_is_merged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, target = new_project(tmp_path / "old"), new_project(tmp_path / "new", "s1")
    assert run(["projects", "merge", str(old.root), str(target.root), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["purposes"] == {}
    assert document["former_khive"] == str(old.root / merging.MERGED)
    assert listed(capsys)["new"]["merged"] == [str(old.root)]


def test_a_record_with_other_content_stays_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, target = new_project(tmp_path / "old"), new_project(tmp_path / "new")
    mine = plan("mine")
    save(target, mine)
    save(old, plan("other", id=mine.id))
    merge(old, target)
    assert "1 changed and left as they are" in capsys.readouterr().out
    assert sessions(target, "planner_sessions.db") == ["mine"]


def test_where_something_is_refused_both_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, target = new_project(tmp_path / "old", "s1"), new_project(tmp_path / "new")
    with closing(sqlite3.connect(old.database(EVENTS))) as connection, connection:
        connection.execute("UPDATE hook_events SET id = ''")
    merge(old, target, code=1)
    assert f"{old.root} is not merged" in capsys.readouterr().err
    assert marks.is_trusted(old.khive)
    found = listed(capsys)
    assert found["old"]["state"] == "here"
    assert found["new"]["merged"] == []


def test_what_cannot_be_merged_is_left_alone(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = new_project(tmp_path / "a", "s1"), new_project(tmp_path / "b", "s2")
    nothing, clone = Project(tmp_path / "nothing"), Project(tmp_path / "clone")
    shutil.copytree(b.root, clone.root, symlinks=True)
    for old, target, line in (
        (a, a, "are one project"),
        (Project(home), a, "is the home's"),
        (nothing, a, "is not there"),
        (a, nothing, "is not there"),
        (clone, a, "is not trusted"),
        (a, clone, "is not trusted"),
    ):
        merge(old, target, code=1)
        assert line in capsys.readouterr().err
    assert sessions(a) == ["s1"]
    assert a.exists()
    assert b.exists()
    assert clone.exists()
    assert not nothing.exists()


def test_a_server_there_is_to_be_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, target = new_project(tmp_path / "old", "s1"), new_project(tmp_path / "new")
    held = write_lock.try_acquire(old.khive / "server.lock")
    assert held is not None
    merge(old, target, code=1)
    assert "a server runs in" in capsys.readouterr().err
    os.close(held)
    merge(old, target)
    assert sessions(target) == ["s1"]


def test_a_merge_that_was_killed_is_completed_by_the_next(tmp_path: Path) -> None:
    old, target = new_project(tmp_path / "old", "s1"), new_project(tmp_path / "new")
    os.rename(old.khive, old.root / merging.MERGING)
    merge(old, target)
    assert sessions(target) == ["s1"]
    assert not marks.is_trusted(old.khive)
    # Was another one made there meanwhile, the person is told.
    old.make()
    os.rename(old.root / merging.MERGED, old.root / merging.MERGING)
    merge(old, target, code=1)


def test_an_event_that_comes_meanwhile_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook that had begun before puts it into the spool that was renamed."""
    old, target = new_project(tmp_path / "old", "s1"), new_project(tmp_path / "new")
    real = import_rows
    calls = []

    async def with_event(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            name = spool_writer.file_name("claude-code", True)
            (old.root / merging.MERGING / "spool" / name).write_bytes(payload("late"))
        return await real(*arguments, **options)

    monkeypatch.setattr(merging, "import_rows", with_event)
    merge(old, target)
    assert sessions(target) == ["late", "s1"]
    assert len(calls) == 2


def test_one_that_is_written_to_all_the_time_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old, target = new_project(tmp_path / "old", "s1"), new_project(tmp_path / "new")
    monkeypatch.setattr(merging, "_is_quiet", lambda _: False)
    merge(old, target, code=1)
    assert "was written to all the time" in capsys.readouterr().err
    assert marks.is_trusted(old.khive)


def test_one_that_is_made_anew_meanwhile_is_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old, target = new_project(tmp_path / "old", "s1"), new_project(tmp_path / "new")

    def look(_: Path) -> bool:
        old.make()
        return True

    with monkeypatch.context() as patch:
        patch.setattr(merging, "_is_quiet", look)
        merge(old, target, code=1)
    assert "was made anew meanwhile" in capsys.readouterr().err
    assert marks.is_trusted(old.khive)
    merge(old, target)
    assert listed(capsys)["new"]["merged"] == [str(old.root)]


def test_what_was_purged_in_either_stays_out(tmp_path: Path) -> None:
    old, target = new_project(tmp_path / "old", "s1", "s2"), new_project(tmp_path / "new", "s3")
    save(old, plan("s3"))
    save(target, plan("kept"))
    assert run(["--dir", str(old.root), "purge", "--session", "s1", "--yes"]) == 0
    assert run(["--dir", str(target.root), "purge", "--session", "s3", "--yes"]) == 0
    merge(old, target)
    assert sessions(target) == ["s2"]
    assert sessions(target, "planner_sessions.db") == ["kept"]
    stones = Tombstones.load(target)
    assert stones.purged_until("s1")
    assert stones.purged_until("s3")
    assert not stones.purged_until("s2")
    # Also from there on.
    third = new_project(tmp_path / "third")
    merge(target, third)
    assert run(["--dir", str(third.root), "purge", "--session", "s2", "--yes"]) == 0
    stones = Tombstones.load(third)
    assert all(stones.purged_until(f"s{number}") for number in (1, 2, 3))
