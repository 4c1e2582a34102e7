"""The copy of the hook that is registered: it outlives the environment, and harms nobody."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from khive_persist.capture import hook_path
from khive_persist.capture.hook_config import install, launcher, settings_path, status
from khive_persist.capture.hook_config.command import SHARED, hook_command
from khive_persist.capture.spool import Spool
from khive_persist.project import Project

PAYLOAD = b'{"hook_event_name":"Stop","session_id":"s"}'


def run(command: str, cwd: Path, **more: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        ["/bin/sh", "-c", command], input=PAYLOAD, capture_output=True, cwd=cwd, check=False,
        env={"HOME": os.environ["HOME"], "PATH": "/usr/bin:/bin"} | more, timeout=30,
    )  # fmt: skip


def shared(tool: str = "claude-code", *, blocks: bool = False) -> str:
    return hook_command(tool, blocks=blocks, is_shared=True)


@pytest.fixture
def copy(home: Path) -> Path:
    launcher.project_launcher()
    return home / ".khive" / "bin" / "khive-hook"


def test_the_shared_command_records_and_names_no_path_of_the_machine(
    project: Project, copy: Path, home: Path
) -> None:
    done = run(shared(), project.root)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert Spool(project).path.is_dir()
    install("claude-code", "project", project.root)
    text = settings_path("claude-code", "project", project.root).read_text()
    for path in (str(home), str(project.root), sys.prefix, str(hook_path().parent)):
        assert path not in text
    assert SHARED in text


def test_it_is_silent_where_khive_persist_is_not_installed(tmp_path: Path, home: Path) -> None:
    for blocks in (True, False):
        done = run(shared(blocks=blocks), tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert not (home / ".khive").exists()


@pytest.mark.parametrize("harm", ["interpreter", "module", "damaged", "no program"])
@pytest.mark.parametrize("blocks", [True, False])
def test_a_broken_copy_never_blocks(
    project: Project, copy: Path, harm: str, *, blocks: bool
) -> None:
    if harm == "interpreter":
        text = copy.read_bytes().split(b"\n", 1)[1]
        copy.write_bytes(b"#!/gone/python -IS\n" + text)
    elif harm == "module":
        shutil.rmtree(copy.parent / "__pycache__")
        (copy.parent / "spool_writer.py").unlink()
    elif harm == "damaged":
        copy.write_bytes(b"#!/usr/bin/env nothing-such\n")
    else:
        copy.write_bytes(b"\x7fELF of another machine")
    done = run(shared(blocks=blocks), project.root)
    assert done.returncode == (0 if blocks else 1)
    assert done.stdout == b""
    assert done.stderr


def test_it_goes_on_without_its_environment(project: Project, copy: Path) -> None:
    link = copy.parent / "python"
    assert os.readlink(link) == launcher.interpreter()
    link.unlink()
    link.symlink_to("/gone/bin/python")
    done = run(shared(), project.root)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert len(Spool(project).events()) == 1
    install("claude-code", "project", project.root)
    assert os.readlink(link) == launcher.interpreter()


def test_its_drainer_is_that_of_the_environment(copy: Path) -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); import spool_writer as a"
    code += "; print(a.drainer_program())"
    command = [launcher.real_interpreter(), "-I", "-S", "-c", code, str(copy.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == launcher.interpreter()


def test_the_interpreter_is_none_of_an_environment(copy: Path) -> None:
    first = copy.read_bytes().split(b"\n", 1)[0].decode()
    program = first.removeprefix("#!").removesuffix(" -IS")
    assert Path(program).is_file()
    assert not (Path(program).parent.parent / "pyvenv.cfg").exists()


def test_nobody_else_may_write_it(copy: Path) -> None:
    assert copy.stat().st_mode & 0o777 == 0o700
    assert copy.parent.stat().st_mode & 0o777 == 0o700
    assert (copy.parent / "spool_writer.py").stat().st_mode & 0o777 == 0o600


def test_a_newer_copy_stays_and_an_older_one_goes(copy: Path) -> None:
    now = copy.read_text()
    label = next(line for line in now.splitlines() if line.startswith("# khive-persist "))
    copy.write_text(now.replace(label, "# khive-persist 999.0.0"))
    launcher.project_launcher()
    assert "999.0.0" in copy.read_text()
    copy.write_text(now.replace(label, "# khive-persist 0.0.1"))
    launcher.project_launcher()
    assert copy.read_text() == now
    (copy.parent / "spool_writer.py").write_text("# of the same version, and changed\n")
    launcher.project_launcher()
    assert launcher.runs(copy)
    assert (copy.parent / "spool_writer.py").read_bytes() == (
        hook_path().with_name("spool_writer.py").read_bytes()
    )


def test_an_interpreter_with_blanks_in_its_path(
    project: Project, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a b $HOME"
    folder.mkdir()
    real = folder / "python3"
    shutil.copy(os.path.realpath(sys.executable), real)
    monkeypatch.setattr(launcher, "real_interpreter", lambda: str(real))
    words = launcher.project_launcher()
    assert (home / ".khive/bin/khive-hook").read_bytes().startswith(b"#!/bin/sh\n")
    assert words == [str(home / ".khive/bin/khive-hook")]


def test_without_a_state_folder_the_package_itself_is_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KHIVE_HOME", "/proc")
    assert launcher.project_launcher() == launcher.package_words()
    change = install("claude-code", "project", tmp_path)
    text = settings_path("claude-code", "project", tmp_path).read_text()
    assert str(hook_path()) in text
    assert any("names paths of this machine" in line for line in change.by_hand)


def test_a_state_folder_elsewhere_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("KHIVE_HOME", str(other))
    install("claude-code", "project", tmp_path)
    text = settings_path("claude-code", "project", tmp_path).read_text()
    assert str(other / ".khive/bin/khive-hook") in text


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        ("gone", "khive-hook, which is not there"),
        ("interpreter", "runs /gone/python, which is not there"),
        ("mode", "khive-hook, which is not there"),
        ("broken", "cannot be run"),
        ("old", "is that of an earlier version"),
        ("environment", "events wait in the spool until a command reads it"),
    ],
)
def test_what_is_wrong_with_it_is_told(tmp_path: Path, copy: Path, harm: str, says: str) -> None:
    install("codex", "project", tmp_path)
    if harm == "gone":
        copy.unlink()
    elif harm == "interpreter":
        copy.write_bytes(b"#!/gone/python -IS\n")
    elif harm == "mode":
        copy.chmod(0o600)
    elif harm == "old":
        copy.write_text(copy.read_text().replace("\n# khive-persist ", "\n# khive-persist 0.0."))
    elif harm == "broken":
        copy.write_bytes(b"#!/bin/sh\nexit 7\n")
    else:
        (copy.parent / "python").unlink()
    found = status("codex", "project", tmp_path)
    assert found.state == "stale"
    assert any(says in line for line in found.problems)
    install("codex", "project", tmp_path)
    assert status("codex", "project", tmp_path).state == "installed"


def test_what_was_lost_in_silence_is_told_by_the_next_that_may_speak(
    project: Project, copy: Path, home: Path
) -> None:
    lost = shared(blocks=True).replace(" || exit 0", " --dir /proc || exit 0")
    # Neither the project nor the home takes it: its spool is a file.
    (home / ".khive/spool").write_text("")
    for _ in range(3):
        done = run(lost, project.root)
        assert done.returncode == 0
        assert b"event not kept" in done.stderr
    assert len(list((home / ".khive/lost").iterdir())) == 3
    quiet = run(shared(blocks=True), project.root)
    assert (quiet.returncode, quiet.stderr) == (0, b"")
    told = run(shared(), project.root)
    assert (told.returncode, told.stdout) == (1, b"")
    assert told.stderr == (
        b"khive-hook: this event is kept; 3 before it were not: khive-persist doctor\n"
    )
    again = run(shared(), project.root)
    assert (again.returncode, again.stderr) == (0, b"")


def test_wrong_use_is_no_lost_event(copy: Path, home: Path) -> None:
    assert subprocess.run([str(copy)], capture_output=True, check=False).returncode == 1
    assert not (home / ".khive/lost").exists()
