"""`completion`: files that shells read, once, and the words that they complete."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from khive_persist.cli import completion_files
from khive_persist.cli.root import COMMANDS, root
from khive_persist.project import Project
from tests.cli.conftest import Khive
from tests.factories import event, make_project, plan, save_many


@pytest.fixture(autouse=True)
def folders(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR", "SHELL"):
        monkeypatch.delenv(name, raising=False)


def completed(*words: str) -> list[str]:
    *arguments, incomplete = words
    shell = ShellComplete(root, {}, "khive-persist", "_KHIVE_PERSIST_COMPLETE")
    return [item.value for item in shell.get_completions(arguments, incomplete)]


def listed(project: Project) -> dict[Path, int]:
    """Return when each file was written, but for SQLite's own."""
    paths = (path for path in project.khive.rglob("*") if path.suffix != ".db-shm")
    return {path: path.lstat().st_mtime_ns for path in paths if path.suffix != ".db-wal"}


def test_commands_sessions_and_purposes_are_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(tmp_path / "project")
    save_many(project, [event("stop", "s-one"), event("stop", "other"), plan("s-two")])
    before = listed(project)
    monkeypatch.chdir(project.root)
    assert completed("pl") == ["plans"]
    assert set(completed("")) == set(COMMANDS)
    assert completed("show", "s-") == ["s-one", "s-two"]
    assert completed("events", "--session", "o") == ["other"]
    assert completed("import", "--purpose", "planner") == ["planner_sessions"]
    assert completed("record", "h") == ["hook-event"]
    assert completed("config", "get", "server.p") == ["server.port"]
    assert completed("plans", "sh") == ["show"]
    monkeypatch.chdir(tmp_path)
    assert completed("show", "") == []
    assert completed("--dir", str(project.root), "show", "s-o") == ["s-one"]
    assert completed("show", "--dir", str(project.root), "s-o") == ["s-one"]
    assert completed("--dir", "/nowhere", "show", "s") == []
    assert listed(project) == before


def test_bash_completes_by_the_script_that_is_installed(
    project: Project, home: Path, khive: Khive, monkeypatch: pytest.MonkeyPatch
) -> None:
    if (bash := shutil.which("bash")) is None:
        pytest.skip("there is no bash")
    monkeypatch.setenv("SHELL", bash)
    monkeypatch.setattr(completion_files, "_BASH_COMPLETION", ("/",))
    script = home / ".local/share/bash-completion/completions/khive-persist"
    done = khive("completion", "install")
    assert (done.code, done.out.splitlines()[0]) == (0, f"{script} is written")
    assert "nothing was changed" in khive("completion", "install").out
    assert not (home / ".bashrc").exists()
    environment = with_program(home)
    asks = (
        f'. "{script}"; COMP_WORDS=(khive-persist pla); COMP_CWORD=1;'
        ' _khive_persist_completion khive-persist; echo "${COMPREPLY[@]}"'
    )
    answer = subprocess.run(
        [bash, "--norc", "-c", asks], capture_output=True, text=True, check=False, env=environment
    )
    assert answer.stdout == "plans\n", answer.stderr
    assert khive("completion", "uninstall").out == f"{script} is removed\n"
    assert "no completion of bash" in khive("completion", "uninstall").out


def test_fish_completes_by_the_script_that_is_installed(
    project: Project, home: Path, khive: Khive
) -> None:
    if (fish := shutil.which("fish")) is None:
        pytest.skip("there is no fish")
    save_many(project, [event("stop", "s,one"), event("stop", "s,two")])
    khive("completion", "install", "fish")
    asks = "; ".join(
        f"complete -C 'khive-persist --dir {project.root} {words}'"
        for words in ("plans s", "config get server.p", "show s,o")
    )
    answer = subprocess.run(
        [fish, "-c", asks], capture_output=True, text=True, check=False, timeout=60,
        env=with_program(home),
    )  # fmt: skip
    shown, setting, session = answer.stdout.splitlines()
    assert shown.startswith("show\tShow a plan: its phases, its planners'"), answer.stderr
    assert (setting, session) == ("server.port", "s,one")


def test_zsh_completes_in_a_shell_that_was_started_after(
    project: Project, home: Path, khive: Khive
) -> None:
    if (zsh := shutil.which("zsh")) is None:
        pytest.skip("there is no zsh")
    khive("completion", "install", "zsh", "--yes")
    ours, theirs = pty.openpty()
    shell = subprocess.Popen(
        [zsh, "-i"], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env=with_program(home) | {"TERM": "xterm", "ZDOTDIR": str(home)}, cwd=project.root,
    )  # fmt: skip
    os.close(theirs)
    try:
        os.write(ours, b"PROMPT=ready; khive-persist config get server.p\t\n")
        assert "\n8423" in until_shown(ours, "8423", "ready")
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)


def with_program(home: Path) -> dict[str, str]:
    """The environment of a shell that finds the command."""
    shim = home / "bin" / "khive-persist"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m khive_persist.cli "$@"\n')
    shim.chmod(0o755)
    return os.environ | {"PATH": f"{shim.parent}:{os.environ['PATH']}"}


def until_shown(terminal: int, *texts: str) -> str:
    """Read a terminal until it has shown each text, one behind the other, or for 30 seconds."""
    got = ""
    end = time.monotonic() + 30
    while not re.search(".*".join(map(re.escape, texts)), got, re.DOTALL):
        ready, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
        assert ready, got
        got += os.read(terminal, 65_536).decode(errors="replace")
    return got


def test_a_shell_that_has_to_be_told_gets_one_line(
    project: Project, home: Path, khive: Khive, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = home / ".zshrc"
    start.write_text("alias a=b")
    refused = khive("completion", "install", "zsh")
    assert (refused.code, refused.out) == (2, "")
    assert f"add a line to {start}: say --yes" in refused.err
    assert start.read_text() == "alias a=b"
    done = khive("completion", "install", "zsh", "--yes", "--json").json
    assert done["written"] == [done["script"], str(start)]
    alias, line = start.read_text().splitlines()
    assert alias == "alias a=b"
    assert "# khive-persist: completion" in line
    assert Path(done["script"]).read_text().startswith("#compdef khive-persist")
    assert khive("completion", "install", "zsh").code == 0
    assert start.read_text().count("khive-persist: completion") == 1
    khive("completion", "uninstall", "zsh")
    assert start.read_bytes() == b"alias a=b"
    monkeypatch.setattr(completion_files, "_BASH_COMPLETION", ())
    khive("completion", "install", "bash", "--yes")
    assert "bash-completion/completions/khive-persist" in (home / ".bashrc").read_text()
    khive("completion", "install", "fish")
    assert (home / ".config/fish/completions/khive-persist.fish").is_file()


def test_a_shell_is_named_where_it_is_not_known(project: Project, khive: Khive) -> None:
    done = khive("completion", "install")
    assert (done.code, done.err) == (2, "khive-persist: name the shell: bash, zsh or fish\n")
    assert "complete -o nosort -F" in khive("completion", "show", "bash").out
