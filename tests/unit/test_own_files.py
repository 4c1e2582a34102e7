"""Our hooks as files of ours in a client's folder: programs and plugins."""

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from khive_persist.capture.hook_config import install, settings_path, status, uninstall
from khive_persist.capture.hook_config.entry import Target
from khive_persist.capture.hook_config.hook_files import Plan
from khive_persist.capture.hook_config.own_files import OwnHookFiles
from khive_persist.errors import InvalidSettingsError
from khive_persist.tools import TOOLS, OwnFiles
from tests.factories import make_project

CLIENTS = [name for name, tool in TOOLS.items() if isinstance(tool.registration, OwnFiles)]
MARK = "Written by khive-persist (hooks install {tool}), which overwrites and removes it."


@pytest.fixture(autouse=True)
def no_clients(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path_factory.mktemp('programs')}:/usr/bin:/bin")


def names(tool: str) -> list[str]:
    registration = TOOLS[tool].registration
    assert isinstance(registration, OwnFiles)
    return [*registration.contents(lambda _hook: "")]


def folder(tool: str, root: Path) -> Path:
    registration = TOOLS[tool].registration
    assert isinstance(registration, OwnFiles)
    return root / registration.project_folder


@pytest.mark.parametrize("tool", CLIENTS)
def test_the_files_are_there_with_their_mode_and_no_others(tool: str, tmp_path: Path) -> None:
    install(tool, "project", tmp_path)
    files = sorted(folder(tool, tmp_path).iterdir())
    assert [file.name for file in files] == sorted(names(tool))
    registration = TOOLS[tool].registration
    assert isinstance(registration, OwnFiles)
    for file in files:
        mode = stat.S_IMODE(file.stat().st_mode)
        assert mode == 0o755 if registration.is_program else not mode & 0o111
        text = file.read_text()
        lines = text.splitlines()[bool(text.startswith("#!")) :]
        sign = "#" if text.startswith("#!") else "//"
        assert lines[0] == f"{sign} {MARK.format(tool=tool)}"
        commands = json.loads(lines[1].removeprefix(f"{sign} It runs: "))
        assert all(f"--tool {tool}" in command for command in commands)


@pytest.mark.parametrize(
    "kind", ["text", "link", "folder", "bytes", "pipe", "a mark alone", "another mark"]
)
@pytest.mark.parametrize("tool", CLIENTS)
def test_a_file_of_the_users_stays_and_is_told(tool: str, kind: str, tmp_path: Path) -> None:
    path = folder(tool, tmp_path) / names(tool)[0]
    path.parent.mkdir(parents=True)
    target = tmp_path / "mine"
    target.write_text("mine\n")
    if kind == "text":
        path.write_text("#!/bin/sh\necho mine\n")
    elif kind == "link":
        path.symlink_to(target)
    elif kind == "folder":
        path.mkdir()
    elif kind == "bytes":
        path.write_bytes(b"\xff\xfe\x00")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "another mark":
        path.write_text(f'// Mine.\n// It runs: ["khive-hook --tool {tool}"]\n')
    else:
        path.write_text(f"// {MARK.format(tool=tool)}\n// It runs: [[\n")
    before = os.lstat(path)
    change = install(tool, "project", tmp_path)
    assert change.occupied == (path,)
    found = status(tool, "project", tmp_path)
    is_partly = len(names(tool)) > 1
    assert found.state == ("partly installed" if is_partly else "not installed")
    told = [line for line in found.problems if str(path) in line and "file of your own" in line]
    assert told
    assert not any("install the hooks again" in line for line in found.problems)
    assert uninstall(tool, "project", tmp_path).written is is_partly
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert (os.lstat(path).st_ino, os.lstat(path).st_mtime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
    )
    assert target.read_text() == "mine\n"


def test_a_users_program_alone_is_nobodys_problem(tmp_path: Path) -> None:
    path = folder("cline", tmp_path) / names("cline")[0]
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\necho mine\n")
    found = status("cline", "project", tmp_path)
    assert (found.state, found.problems) == ("not installed", ())


@pytest.mark.parametrize("tool", CLIENTS)
def test_a_file_of_an_earlier_version_is_told_and_renewed(tool: str, tmp_path: Path) -> None:
    install(tool, "project", tmp_path)
    path = folder(tool, tmp_path) / names(tool)[0]
    now = path.read_bytes()
    path.write_bytes(now + b"\nwhat an earlier version had\n")
    found = status(tool, "project", tmp_path)
    assert found.state == "stale"
    assert f"{path} is that of an earlier version" in found.problems[0]
    assert install(tool, "project", tmp_path).written
    assert path.read_bytes() == now
    path.write_bytes(now + b"\nwhat an earlier version had\n")
    uninstall(tool, "project", tmp_path)
    assert not path.exists()


def test_a_program_may_be_started_by_all_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        path = install("cline", "project", tmp_path).path / names("cline")[0]
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


def test_a_program_that_cannot_be_started_is_told_and_mended(tmp_path: Path) -> None:
    path = install("cline", "project", tmp_path).path / names("cline")[0]
    path.chmod(0o644)
    found = status("cline", "project", tmp_path)
    assert found.state == "stale"
    assert "cannot be started, as it is no program" in found.problems[0]
    assert install("cline", "project", tmp_path).written
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("tool", CLIENTS)
def test_a_link_of_a_clone_that_leads_out_is_refused(tool: str, level: int, tmp_path: Path) -> None:
    project, outside = tmp_path / "project", tmp_path / "outside"
    outside.mkdir()
    parts = folder(tool, project).relative_to(project).parts[:level]
    link = project.joinpath(*parts)
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    for act in (install, uninstall, status):
        with pytest.raises(InvalidSettingsError, match="leads out of the project, to"):
            act(tool, "project", project)
    assert [*outside.iterdir()] == []
    # One that stays inside is the user's own affair.
    link.unlink()
    (project / "inside").mkdir()
    link.symlink_to("inside" if level == 1 else "../inside")
    install(tool, "project", project)
    assert status(tool, "project", project).state == "installed"


@pytest.mark.parametrize("tool", CLIENTS)
def test_a_folder_of_dotfiles_in_the_home_is_followed(
    tool: str, tmp_path: Path, home: Path
) -> None:
    registration = TOOLS[tool].registration
    assert isinstance(registration, OwnFiles)
    link = home / registration.user_folder
    link.parent.mkdir(parents=True)
    (tmp_path / "dotfiles").mkdir()
    link.symlink_to(tmp_path / "dotfiles")
    install(tool, "user", tmp_path)
    assert sorted(os.listdir(tmp_path / "dotfiles")) == sorted(names(tool))
    uninstall(tool, "user", tmp_path)
    assert link.is_symlink()
    assert os.listdir(tmp_path / "dotfiles") == []


def test_a_file_in_the_place_of_the_folder_is_one_line(tmp_path: Path) -> None:
    rules = tmp_path / ".clinerules"
    rules.write_text("be brief\n")
    with pytest.raises(InvalidSettingsError, match="cannot be written") as error:
        install("cline", "project", tmp_path)
    assert "\n" not in str(error.value)
    assert status("cline", "project", tmp_path).state == "not installed"
    assert not uninstall("cline", "project", tmp_path).written
    assert rules.read_text() == "be brief\n"


def test_a_disk_that_is_full_leaves_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InvalidSettingsError):
        install("cline", "project", tmp_path)
    assert [*folder("cline", tmp_path).iterdir()] == []


def test_an_event_that_a_version_does_not_know_has_no_file(tmp_path: Path) -> None:
    registration = TOOLS["cline"].registration
    assert isinstance(registration, OwnFiles)
    first, *rest = registration.hooks
    newer = registration._replace(hooks=(first._replace(since="9.0.0"), *rest))
    files = OwnHookFiles(tmp_path / "hooks", "cline", newer, inside=None)
    known = OwnHookFiles(tmp_path / "hooks", "cline", registration, inside=None)

    def plan(unknown: str) -> Plan:
        return Plan(
            is_due=lambda hook: hook.event != unknown,
            is_unknown=lambda event: event == unknown,
            target_of=lambda _event: Target(command="khive-hook --tool cline || exit 0"),
        )

    known.install(plan(""))
    assert (tmp_path / "hooks" / first.event).exists()
    assert files.install(plan(first.event)).events == (first.event,)
    assert not (tmp_path / "hooks" / first.event).exists()
    assert len([*(tmp_path / "hooks").iterdir()]) == len(rest)


@pytest.mark.parametrize("state", ["whole", "hook gone", "spool gone", "no home"])
def test_a_program_of_cline_answers_whatever_becomes_of_the_hook(
    state: str, tmp_path: Path, home: Path
) -> None:
    project = make_project(tmp_path / "project", "[capture]\nlinger_seconds = 0.2\n")
    path = install("cline", "project", project.root).path / "PreToolUse"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home)}
    if state == "hook gone":
        for program in (home / ".khive/bin").glob("khive-hook*"):
            program.unlink()
    elif state == "spool gone":
        # A file stands in its place: nothing can be written there.
        project.spool.write_text("")
    elif state == "no home":
        del environment["HOME"]
    done = subprocess.run(
        [str(path)],
        input=b'{"hookName": "tool_call", "clineVersion": "3.0.65", "taskId": "1"}\n',
        capture_output=True,
        env=environment,
        cwd=project.root,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0
    if b"cancel" in path.read_bytes():
        assert json.loads(done.stdout) == {"cancel": False}
    assert project.spool.is_dir() is (state == "whole")


def test_a_path_of_ours_is_the_file_where_there_is_one_alone(tmp_path: Path) -> None:
    for tool in CLIENTS:
        path = settings_path(tool, "project", tmp_path)
        one = len(names(tool)) == 1
        assert path == (folder(tool, tmp_path) / names(tool)[0] if one else folder(tool, tmp_path))
