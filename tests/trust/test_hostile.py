"""What came with a clone, or a pull into a trusted project, has no effect outside or inside."""

import json
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.cli.root import run
from khive_persist.project import Project
from tests.factories import make_project
from tests.payloads import Hook
from tests.trust.hostile import HOSTILE, MARK, Around

VICTIM = json.dumps(
    {
        "session_id": "victim",
        "hook_event_name": "PreToolUse",
        "tool_name": "Bash",
        "tool_input": {"command": "export KEY=AKIAQWERTYUIOPASDFGH"},
    }
).encode()


@pytest.fixture
def around(home: Path, tmp_path: Path) -> Around:
    khive = home / ".khive"
    khive.mkdir(mode=0o700)
    (khive / "config.toml").write_text("[capture]\nlinger_seconds = 0\n[sync]\nat_stop = false\n")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious = 1\n")
    (home / ".bashrc").write_text("precious")
    (home / ".ssh").mkdir()
    other = make_project(tmp_path / "other")
    target = outside / "folder"
    target.mkdir()
    return Around(home, outside / "precious", target, other.root)


def outside(around: Around) -> dict[str, bytes | None]:
    """All that must stay as it is, by path."""
    paths = [around.precious, around.folder, around.home, *around.folder.rglob("*")]
    paths += [*around.precious.parent.iterdir(), *around.other.rglob("*")]
    paths += [path for path in around.home.iterdir() if path.name != ".khive"]
    paths += (around.home / ".ssh").iterdir()
    return {
        str(path): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in paths
    }


def shown(project: Project) -> list[str]:
    """The sessions of the events that are recorded."""
    drain(project)
    with closing(sqlite3.connect(project.database("claude_hooks.db"))) as connection:
        contents = [text for (text,) in connection.execute("SELECT content FROM hook_events")]
    assert "AKIAQWERTYUIOPASDFGH" not in "".join(contents)
    return sorted(json.loads(text)["session_id"] for text in contents)


def doctor(capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert run(["doctor"]) == 1
    return capsys.readouterr().out


@pytest.mark.parametrize("name", HOSTILE)
def test_a_clone_is_not_obeyed(
    name: str,
    around: Around,
    hook: Hook,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    clone = Project(tmp_path / "clone")
    clone.khive.mkdir(parents=True)
    # Anybody's mark, or an empty database, would do: it is more than settings.
    (clone.khive / "id").symlink_to(MARK)
    HOSTILE[name].make(clone.khive, around)
    before = outside(around)
    done = hook(VICTIM, cwd=clone.root)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    monkeypatch.chdir(clone.root)
    assert str(clone.khive) in doctor(capsys)
    assert run(["--dir", str(clone.root), "stats"]) == 1
    assert "khive-persist --dir" in capsys.readouterr().err
    assert outside(around) == before
    # Moved away by the person's word, it gets what was kept for it: that alone, and once.
    assert run(["trust", "--yes"]) == 0
    assert shown(clone) == ["victim"]
    assert outside(around) == before


@pytest.mark.parametrize("name", HOSTILE)
def test_a_pull_into_a_trusted_project_is_not_obeyed(
    name: str,
    around: Around,
    hook: Hook,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project.config.write_text("[capture]\nlinger_seconds = 0\n[sync]\nat_stop = false\n")
    HOSTILE[name].make(project.khive, around)
    before = outside(around)
    monkeypatch.chdir(project.root)
    assert os.path.basename(HOSTILE[name].named) in doctor(capsys)
    done = hook(VICTIM)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    run(["stats"])
    assert outside(around) == before
    assert run(["trust", "--yes"]) == 0
    assert shown(project) == ["victim"]
    assert outside(around) == before


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_person_takes_as_it_is_still_leads_nowhere(
    name: str, around: Around, tmp_path: Path
) -> None:
    taken = Project(tmp_path / "taken")
    taken.khive.mkdir(parents=True)
    HOSTILE[name].make(taken.khive, around)
    before = outside(around)
    assert run(["--dir", str(taken.root), "trust", "--keep", "--yes"]) == 0
    run(["--dir", str(taken.root), "stats"])
    assert outside(around) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_another_users_project_is_none_of_ours(
    around: Around, hook: Hook, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = Project(tmp_path / "theirs")
    theirs.khive.mkdir(parents=True)
    os.chown(theirs.khive, 65_534, 65_534)
    (theirs.root / "below").mkdir()
    done = hook(VICTIM, cwd=theirs.root / "below")
    assert (done.returncode, done.stderr) == (0, b"")
    assert os.listdir(theirs.khive) == []
    assert run(["--dir", str(theirs.root), "stats"]) == 1
    assert "belongs to nobody: sudo -u nobody khive-persist" in capsys.readouterr().err
    assert shown(Project(around.home)) == ["victim"]


def test_a_real_clone_with_a_journal(around: Around, hook: Hook, tmp_path: Path) -> None:
    git = shutil.which("git")
    if git is None:
        pytest.skip("needs git")
    evil = tmp_path / "evil"
    (evil / ".khive").mkdir(parents=True)
    HOSTILE["journal leads out"].make(evil / ".khive", around)
    for path in ("a/b/c/d", "o/b/c/d"):
        (evil / ".khive" / path / "keep").touch()
    for words in (
        ["init", "-q"],
        ["add", "-f", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"],
        ["clone", "-q", str(evil), str(around.home / "cloned")],
    ):
        subprocess.run([git, *words], cwd=evil, check=True)
    assert hook(VICTIM, cwd=around.home / "cloned").returncode == 0
    run(["--dir", str(around.home / "cloned"), "stats"])
    assert (around.home / ".bashrc").read_text() == "precious"
    assert [event.is_away for event in Spool(Project(around.home)).events()] == [True]
