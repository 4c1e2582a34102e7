"""Each finding names the command that mends it, and the command does."""

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.cli.root import run
from khive_persist.maintenance.doctor import care
from khive_persist.project import Project
from tests.factories import make_project, plan, save


class Doctor:
    """What `doctor` finds in a project."""

    def __init__(self, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
        self._words = ["--dir", str(project.root), "doctor", "--json"]
        self._capsys = capsys

    def report(self) -> Any:
        self._capsys.readouterr()
        run(self._words)
        return json.loads(self._capsys.readouterr().out)

    def commands(self, level: str) -> dict[str, str]:
        """The words of each command behind the project, by its finding's text."""
        return {
            finding["text"]: finding["command"]
            for finding in self.report()["findings"]
            if finding["level"] == level
        }


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = make_project(tmp_path / "a project; rm -rf")
    save(made, plan("s1"))
    return made


@pytest.fixture
def doctor(project: Project, capsys: pytest.CaptureFixture[str]) -> Doctor:
    return Doctor(project, capsys)


def words(command: str) -> list[str]:
    program, *rest = shlex.split(command)
    assert program == "khive-persist"
    return rest


def test_advice_ends_where_it_is_taken(project: Project, doctor: Doctor) -> None:
    report = doctor.report()
    assert report["problems"] == []
    assert report["last_verify"]["is_equal"] is True
    assert report["free_bytes"] > 0
    advice = doctor.commands("advice")
    assert advice.keys() == {
        f"{project.khive} has no backup",
        "no tool has our hooks: what agents do is not recorded",
    }
    assert run(words(advice[f"{project.khive} has no backup"])) == 0
    hooks = words(advice["no tool has our hooks: what agents do is not recorded"])
    assert hooks == ["--dir", str(project.root), "hooks", "install", "--all"]
    assert run(["--dir", str(project.root), "hooks", "install", "claude-code"]) == 0
    report = doctor.report()
    assert report["latest_backup"] is not None
    assert [f["text"] for f in report["findings"] if f["level"] == "advice"] == []


def test_what_differs_is_a_problem_until_it_is_rebuilt(project: Project, doctor: Doctor) -> None:
    (copy,) = project.sessions.glob("planner_session_*.json")
    copy.write_text(copy.read_text().replace('"s1"', '"s2"'))
    assert run(["--dir", str(project.root), "verify"]) == 1
    ((text, command),) = doctor.commands("problem").items()
    assert "differ" in text
    assert words(command) == ["--dir", str(project.root), "verify"]
    assert run(["--dir", str(project.root), "rebuild", "--from-database"]) == 0
    assert doctor.commands("problem") == {}


def test_files_that_are_open_are_closed(project: Project, doctor: Doctor) -> None:
    database = project.database("planner_sessions.db")
    for path, mode in ((database, 0o644), (project.sessions, 0o755)):
        path.chmod(mode)
    commands = doctor.commands("problem").values()
    assert sorted(commands) == sorted(
        f"chmod {mode} {shlex.quote(str(path))}"
        for mode, path in ((600, database), (700, project.sessions))
    )
    for command in commands:
        assert os.system(command) == 0
    assert doctor.commands("problem") == {}


def test_a_damaged_database_is_set_aside(project: Project, doctor: Doctor) -> None:
    Spool(project).accept("claude-code", b'{"hook_event_name": "Stop", "session_id": "s"}')
    drain(project)
    path = project.database("claude_hooks.db")
    path.write_bytes(b"no database" * 1_000)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    commands = doctor.commands("problem")
    (command,) = {command for command in commands.values() if command}
    assert words(command)[2:] == ["doctor", "--set-aside", "claude_hooks.db"]
    run(words(command))
    assert not any("--set-aside" in (c or "") for c in doctor.commands("problem").values())


def test_a_pause_and_little_room_are_said(
    project: Project, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["--dir", str(project.root), "pause", "--here"]) == 0
    ((text, command),) = doctor.commands("paused").items()
    assert "recording is off" in text
    assert run(words(command)) == 0
    assert doctor.commands("paused") == {}
    assert care.disk_findings(project, 10 << 30) == []
    (advice,) = care.disk_findings(project, 500 << 20)
    (problem,) = care.disk_findings(project, 10 << 20)
    assert (advice.level, problem.level) == ("advice", "problem")
    assert "has 500 MiB left" in advice.text


def test_a_server_of_another_version_is_a_problem() -> None:
    assert care.server_findings("", "2.0") == []
    assert care.server_findings("2.0", "2.0") == []
    (finding,) = care.server_findings("1.0", "2.0")
    assert finding.level == "problem"
    assert "khive-persist 1.0, and 2.0 is installed" in finding.text
