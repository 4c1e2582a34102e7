"""The unit that starts a server with its user's session."""

import plistlib
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from khive_persist.cli.root import run
from khive_persist.errors import InvalidSettingsError
from khive_persist.project import Project
from khive_persist.server.service_units import unit_of
from khive_persist.trust.processes import module_command

NAMES = ["project", "with space", 'quote"s', "100%", "do$$ar $HOME", "back\\slash", "ünï", "a;b#c"]


def words_of(content: bytes) -> list[str]:
    """What systemd would run, as it reads ExecStart."""
    (line,) = [one for one in content.decode().splitlines() if one.startswith("ExecStart=")]
    return [
        word.replace("%%", "%").replace("$$", "$")
        for word in shlex.split(line.removeprefix("ExecStart="))
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_service_runs_serve_of_that_project(name: str, tmp_path: Path, home: Path) -> None:
    project = Project(tmp_path / name)
    unit = unit_of(project, ["--port", "9000"], "linux")
    expected = module_command("khive_persist.cli", "--dir", str(project.root), "serve")
    assert words_of(unit.content) == [*expected, "--port", "9000"]
    assert unit.path.parent == home / ".config" / "systemd" / "user"
    assert f"systemctl --user enable --now {unit.path.name}" in unit.to_start
    assert unit.path.name != unit_of(Project(tmp_path / "other" / name), (), "linux").path.name
    verify = shutil.which("systemd-analyze")
    if verify is not None:
        unit.path.parent.mkdir(parents=True)
        unit.path.write_bytes(unit.content)
        done = subprocess.run(
            [verify, "--user", "verify", str(unit.path)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert unit.path.name not in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_the_agent_of_macos_says_the_same(name: str, tmp_path: Path, home: Path) -> None:
    project = Project(tmp_path / name)
    unit = unit_of(project, ["--insecure"], "darwin")
    said = plistlib.loads(unit.content)
    expected = module_command("khive_persist.cli", "--dir", str(project.root), "serve")
    assert said["ProgramArguments"] == [*expected, "--insecure"]
    assert said["Label"] == unit.path.stem
    assert said["KeepAlive"] == {"SuccessfulExit": False}
    assert unit.path.parent == home / "Library" / "LaunchAgents"


def test_a_path_that_no_unit_can_say_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettingsError):
        unit_of(Project(tmp_path / "a\nExecStart=evil"), (), "linux")


def test_the_command_writes_and_removes_it(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    root = str(project.root)
    monkeypatch.chdir(project.root)
    Path("cert.pem").touch()
    tls = ["--tls-cert", "cert.pem", "--tls-key", "cert.pem"]
    assert run(["serve", "--install", "--port", "0", *tls, "--log-json", "--dir", root]) == 0
    said = capsys.readouterr().out
    path = Path(said.split(" is written")[0])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    cert = str(project.root / "cert.pem")
    assert words_of(path.read_bytes())[7:] == [
        "--port", "0", "--tls-cert", cert, "--tls-key", cert, "--log-json"
    ]  # fmt: skip
    assert "systemctl --user daemon-reload" in said
    assert run(["--dir", root, "serve", "--uninstall"]) == 0
    assert "disable --now" in capsys.readouterr().out
    assert not path.exists()
    assert run(["--dir", root, "serve", "--uninstall"]) == 1
