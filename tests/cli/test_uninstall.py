"""`uninstall`: each thing goes that was put on this machine, and nothing else."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from khive_persist.cli import completion_files
from khive_persist.project import Project
from khive_persist.server import service_units
from khive_persist.store.sqlite import write_lock
from khive_persist.trust import marks
from tests.cli.conftest import Khive
from tests.factories import make_project, plan, save
from tests.stored import contents

CLAUDE = '{\n  "model": "x",   "hooks": {}\n}\n'
CODEX = 'model = "x"  # mine\n'


@pytest.fixture
def other(project: Project) -> Project:
    """Another project that is trusted, with a setting of its own."""
    other = make_project(project.root.parent / "other")
    (other.root / ".claude").mkdir()
    (other.root / ".claude" / "settings.json").write_text(CLAUDE)
    return other


@pytest.fixture
def installed(
    project: Project, other: Project, home: Path, khive: Khive, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """Hooks in each scope; what the folders had before, with the data."""
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    for directory in (
        home / ".codex", home / ".claude", home / "config" / "systemd" / "user",
        project.root / ".clinerules" / "hooks", project.root / ".claude",
    ):  # fmt: skip
        directory.mkdir(parents=True)
    (home / ".codex" / "config.toml").write_text(CODEX)
    save(project, plan("s1"))
    khive("doctor")
    monkeypatch.setattr(completion_files, "_BASH_COMPLETION", ())
    # Without an end of its last line, and one that the installation makes.
    (home / ".zshrc").write_bytes(b"setopt x\r\nalias a=b")
    before = files(project.root, other.root, home)
    assert khive("hooks", "install", "claude-code", "codex", "--scope", "user").code == 0
    assert khive("hooks", "install", "claude-code", "--scope", "local").code == 0
    assert khive("hooks", "install", "cline").code == 0
    assert khive("--dir", str(other.root), "hooks", "install", "claude-code").code == 0
    service_units.install(service_units.unit_of(other))
    for shell in ("bash", "zsh", "fish"):
        assert khive("completion", "install", shell, "--yes").code == 0
    assert files(project.root, other.root, home) != before
    return before


def files(*roots: Path) -> dict[str, str]:
    """The digests of all files but of those that reading itself may make."""
    found: dict[str, str] = {}
    for path in sorted(path for root in roots for path in root.rglob("*") if path.is_file()):
        if path.suffix != ".lock" and "marks" not in path.parts:
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


@pytest.mark.usefixtures("installed")
def test_a_trial_changes_nothing_and_says_all(
    project: Project, other: Project, home: Path, khive: Khive
) -> None:
    before = files(project.root, other.root, home)
    trial = khive("uninstall", "--dry-run", "--data")
    assert (trial.code, trial.err) == (0, "")
    assert files(project.root, other.root, home) == before
    assert all(" would be removed: " in line for line in trial.out.splitlines())
    done = khive("uninstall", "--data", "--confirm", "project", "--confirm", "other",
                 "--confirm", str(home))  # fmt: skip
    assert done.out.replace(" removed: ", " would be removed: ") == trial.out


def test_all_is_as_before_byte_for_byte(
    project: Project, other: Project, home: Path, khive: Khive, installed: dict[str, str]
) -> None:
    done = khive("uninstall")
    assert (done.code, done.err) == (0, "")
    for path in (
        home / ".claude" / "settings.json", home / ".codex" / "hooks.json",
        project.root / ".claude" / "settings.local.json", other.root / ".claude" / "settings.json",
        home / ".zshrc", home / ".bashrc", home / "config" / "fish" / "completions",
        home / "config" / "systemd" / "user", home / ".khive" / "bin", home / ".khive" / "marks",
    ):  # fmt: skip
        assert f" removed: {path}" in done.out
    assert "systemctl --user disable" in done.out
    assert f"stays: {project.khive}" in done.out
    assert files(project.root, other.root, home) == installed
    assert not marks.is_marked(project.khive)
    assert len(contents(project, "planner_sessions.db")) == 1
    again = khive("uninstall")
    assert (again.code, again.out.splitlines()[0]) == (0, "nothing is installed")


@pytest.mark.usefixtures("installed")
def test_a_file_that_cannot_be_changed_keeps_the_rest(
    project: Project, home: Path, khive: Khive
) -> None:
    path = home / ".claude" / "settings.json"
    text = path.read_text()
    path.write_text("{ no json")
    done = khive("uninstall")
    assert done.code == 1
    assert f"{path}:1:3" in done.err
    # Whoever runs that hook still finds it, and the next call the projects.
    assert (home / ".khive" / "bin" / "khive-hook").exists()
    assert marks.is_marked(project.khive)
    path.write_text(text)
    assert khive("uninstall").code == 0
    assert not (home / ".khive" / "bin").exists()


def test_data_goes_where_it_is_confirmed_by_name(
    project: Project, other: Project, home: Path, khive: Khive
) -> None:
    same = make_project(home / "deep" / "project")
    done = khive("uninstall", "--data", "--confirm", "project", "--confirm", str(other.root))
    assert done.code == 1
    # Two have this name: it confirms neither.
    assert f"{project.khive} stays: it was not confirmed" in done.err
    assert [folder.khive.exists() for folder in (project, same, other)] == [True, True, False]
    assert f"data removed: {other.khive}" in done.out
    assert khive("uninstall", "--confirm", "project").code == 2


def test_data_of_a_running_server_stays(project: Project, khive: Khive) -> None:
    descriptor = write_lock.try_acquire(project.khive / "server.lock")
    assert descriptor is not None
    done = khive("uninstall", "--data", "--confirm", "project")
    assert done.code == 1
    assert f"a server runs in {project.root}" in done.err
    assert project.khive.exists()
    os.close(descriptor)


def test_nothing_of_a_clone_is_deleted(project: Project, khive: Khive, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(project.root, clone, symlinks=True)
    done = khive("--dir", str(clone), "uninstall", "--data", "--confirm", "clone")
    assert (clone / ".khive").exists()
    assert str(clone) not in done.out
