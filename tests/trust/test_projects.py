"""All trusted projects are listed and read, and one that was moved keeps its history."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from khive_persist.capture import spool_writer
from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.cli.root import run
from khive_persist.project import Project
from khive_persist.trust import marks
from tests.factories import make_project

QUIET = "[capture]\nlinger_seconds = 0\n[sync]\nat_stop = false\n"


@pytest.fixture(autouse=True)
def quiet_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    (home / ".khive").mkdir(mode=0o700)
    (home / ".khive" / "config.toml").write_text(QUIET)


def payload(session: str) -> bytes:
    return json.dumps({"session_id": session, "hook_event_name": "Stop"}).encode()


def new_project(root: Path, *sessions: str) -> Project:
    project = make_project(root)
    for session in sessions:
        Spool(project).accept("claude-code", payload(session))
    assert drain(project).waiting_count == 0
    return project


def waits_at_home(home: Path, root: Path, session: str) -> None:
    """Put an event of a project into the home's spool, as a hook does that cannot put it there."""
    Spool(Project(home)).make()
    name = spool_writer.file_name("claude-code", True).replace(".event", ".away")
    content = os.fsencode(root) + b"\0" + payload(session)
    os.close(spool_writer.keep(str(home), name, content))


def read(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert run([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def listed(capsys: pytest.CaptureFixture[str], code: int = 0) -> dict[str, dict[str, Any]]:
    found = read(capsys, "projects", code=code)
    assert len({one["path"] for one in found}) == len(found)
    return {one["name"]: one for one in found}


def test_projects_that_are_here_gone_and_replaced(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new_project(tmp_path / "a", "s1", "s2")
    os.rename(new_project(tmp_path / "b", "s1").root, tmp_path / "elsewhere")
    replaced = new_project(tmp_path / "c", "s1")
    os.rename(replaced.khive, tmp_path / "old")
    replaced.khive.mkdir(mode=0o700)
    (replaced.khive / "claude_hooks.db").write_bytes(b"not ours")
    waits_at_home(home, tmp_path / "c", "s9")
    before = sorted(replaced.khive.iterdir())
    found = listed(capsys, code=1)
    assert found["a"]["state"] == "here"
    assert found["a"]["sessions"] == 2
    assert found["a"]["last"]
    assert found["a"]["bytes"] > 0
    assert found["b"]["state"] == "gone"
    assert found["b"]["sessions"] is None
    assert found["c"]["state"] == "untrusted"
    assert found["c"]["waiting"] == 1
    assert "home" in found
    assert sorted(replaced.khive.iterdir()) == before


def test_one_session_id_in_two_projects_is_two_sessions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = new_project(tmp_path / "a", "s1"), new_project(tmp_path / "b", "s1", "s2")
    found = read(capsys, "sessions", "--all-projects")
    pairs = [(one["project"], one["session_id"]) for one in found]
    assert sorted(pairs) == [(str(a.root), "s1"), (str(b.root), "s1"), (str(b.root), "s2")]
    latest = read(capsys, "sessions", "--all-projects", "--limit", "1")
    assert [(one["project"], one["session_id"]) for one in latest] == [(str(b.root), "s2")]
    named = read(capsys, "sessions", "--all-projects", "--session", "s1")
    assert len(named) == 2


def test_each_project_is_counted_by_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = new_project(tmp_path / "a", "s1"), new_project(tmp_path / "b", "s1", "s2")
    found = {one["project"]: one for one in read(capsys, "stats", "--all-projects")}
    assert found[str(a.root)]["events"][0]["events"] == 1
    assert found[str(b.root)]["events"][0]["events"] == 2
    assert run(["stats", "--all-projects"]) == 0
    assert str(b.root) in capsys.readouterr().out
    reports = read(capsys, "report", "--all-projects", "--period", "day", "--at", "0h")
    days = {one["project"]: one["is_empty"] for one in reports}
    assert days[str(a.root)] is False
    assert days[str(b.root)] is False


def test_a_project_that_cannot_be_read_does_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = new_project(tmp_path / "a", "s1"), new_project(tmp_path / "b", "s1")
    a.database("claude_hooks.db").write_bytes(b"no database" * 1000)
    for arguments in (["sessions"], ["stats"], ["report", "--period", "day", "--at", "0h"]):
        capsys.readouterr()
        assert run([*arguments, "--all-projects", "--json"]) == 1
        said = capsys.readouterr()
        assert f"{a.root} is left out" in said.err
        assert str(b.root) in {one["project"] for one in json.loads(said.out)}


@pytest.mark.parametrize(
    "arguments",
    [
        ["sessions", "--all-projects", "--dir", "."],
        ["stats", "--all-projects", "--session", "s1"],
        ["report", "--all-projects", "--html", "x.html"],
    ],
)
def test_what_means_one_project_is_refused(arguments: list[str]) -> None:
    assert run(arguments) == 2


def test_a_project_that_was_moved_keeps_its_history(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = new_project(tmp_path / "a", "s1")
    os.rename(project.root, tmp_path / "b")
    assert run(["--dir", str(tmp_path / "b"), "trust", "--yes"]) == 0
    os.rename(tmp_path / "b", tmp_path / "c")
    assert run(["--dir", str(tmp_path / "c"), "trust", "--yes"]) == 0
    waits_at_home(home, tmp_path / "a", "s2")
    waits_at_home(home, tmp_path / "b", "s3")
    # Of itself, before the home's own drain brings them.
    assert drain(Project(tmp_path / "c")).stored_count == 2
    found = listed(capsys)
    assert "a" not in found
    assert "b" not in found
    assert found["c"]["known_as"] == [str(tmp_path / "a"), str(tmp_path / "b")]
    assert found["c"]["sessions"] == 3
    assert Spool(Project(home)).events() == []


def test_the_home_brings_what_waits_to_where_the_project_is_now(tmp_path: Path, home: Path) -> None:
    os.rename(new_project(tmp_path / "a", "s1").root, tmp_path / "b")
    assert run(["--dir", str(tmp_path / "b"), "trust", "--yes"]) == 0
    waits_at_home(home, tmp_path / "a", "s2")
    drain(Project(home))
    assert Spool(Project(home)).events() == []
    assert not Project(home).database("claude_hooks.db").exists()


def test_another_project_at_the_old_path_gets_its_own_events(tmp_path: Path, home: Path) -> None:
    os.rename(new_project(tmp_path / "a", "s1").root, tmp_path / "b")
    assert run(["--dir", str(tmp_path / "b"), "trust", "--yes"]) == 0
    new_project(tmp_path / "a")
    assert marks.moved_to(tmp_path / "a") == tmp_path / "a"
    assert marks.earlier_paths() == {}


def test_a_project_that_is_gone_is_forgotten(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = new_project(tmp_path / "a", "s1"), new_project(tmp_path / "b", "s1")
    a.config.write_text("[redaction]\nenabled = false\n")
    assert run(["--dir", str(a.root), "trust", "--keep", "--yes"]) == 0
    trusted = home / ".khive" / "trusted"
    assert len(list(trusted.iterdir())) == 1
    shutil.rmtree(a.root)
    assert listed(capsys)["a"]["state"] == "gone"
    assert run(["projects", "forget", str(a.root)]) == 0
    assert capsys.readouterr().out == f"{a.root} is forgotten\n"
    assert listed(capsys).keys() == {"home", "b"}
    assert list(trusted.iterdir()) == []
    assert run(["stats", "--all-projects"]) == 0
    assert "gone" not in capsys.readouterr().err
    # Another one that is made there is a project as any.
    new_project(tmp_path / "a", "s2")
    assert listed(capsys)["a"]["sessions"] == 1
    assert listed(capsys)["b"]["state"] == "here"
    assert marks.is_trusted(b.khive)


def test_a_project_that_is_there_is_forgotten_only_if_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    a = new_project(tmp_path / "a", "s1")
    assert run(["projects", "forget", str(a.root)]) == 2
    assert "say --yes" in capsys.readouterr().err
    assert marks.is_trusted(a.khive)
    monkeypatch.chdir(tmp_path)
    assert run(["projects", "forget", "a", "--yes"]) == 0
    assert not marks.is_trusted(a.khive)
    assert "a" not in listed(capsys)
    # Nothing of it was lost.
    assert run(["--dir", str(a.root), "trust", "--keep", "--yes"]) == 0
    assert listed(capsys)["a"]["sessions"] == 1


def test_what_is_no_trusted_project_cannot_be_forgotten(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for directory in (tmp_path / "nothing", home):
        assert run(["projects", "forget", str(directory), "--yes"]) == 1
        assert str(directory) in capsys.readouterr().err
