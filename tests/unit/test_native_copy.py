"""The compiled hook that is registered: before the Python one, and never in its way."""

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from khive_persist.capture.hook_config import (
    install,
    launcher,
    native_copy,
    settings_path,
    status,
    uninstall,
)
from khive_persist.capture.hook_config.command import (
    SHARED,
    SHARED_NATIVE,
    hook_command,
    is_ours,
    native_of,
)
from khive_persist.capture.spool import Spool
from khive_persist.errors import InvalidSettingsError
from khive_persist.maintenance.doctor import hooks as doctor
from khive_persist.project import Project
from tests.compiled_hook import compiled

PAYLOAD = b'{"hook_event_name":"Stop","session_id":"s"}'
VERSION = f'-DKHIVE_VERSION="{version("khive-persist")}"'


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation that has a compiled hook."""
    program = tmp_path / "package" / "khive-hook"
    program.parent.mkdir()
    shutil.copy(compiled((), None, "-UKHIVE_VERSION", VERSION), program)
    for module in (native_copy, doctor):
        monkeypatch.setattr(module, "native_hook_path", lambda: program)
    return program


@pytest.fixture
def copy(package: Path, home: Path) -> Path:
    """The link that settings name."""
    launcher.project_launcher()
    path = native_copy.project_native()
    assert path == home / ".khive/bin/khive-hook-native"
    return path


def shared(*, blocks: bool = False) -> str:
    return hook_command(
        "claude-code", blocks=blocks, is_shared=True, native=Path("/elsewhere/khive-hook-native")
    )


def run(command: str, cwd: Path, payload: bytes = PAYLOAD) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        ["/bin/sh", "-c", command], input=payload, capture_output=True, cwd=cwd, check=False,
        env={"HOME": os.environ["HOME"], "PATH": "/usr/bin:/bin"}, timeout=30,
    )  # fmt: skip


def kept(project: Project) -> list[bytes]:
    spool = Spool(project)
    return [spool.read(event) for event in spool.events()]


@pytest.fixture
def quiet(project: Project, hold_off: Callable[[Project], None]) -> Project:
    """A project whose drainer is held off, so that its events stay in the spool."""
    hold_off(project)
    return project


@pytest.mark.parametrize("blocks", [True, False])
def test_the_shared_command_runs_it_and_names_no_path(
    quiet: Project, copy: Path, *, blocks: bool
) -> None:
    launcher_copy = copy.with_name("khive-hook")
    launcher_copy.write_bytes(b"#!/bin/sh\nexit 7\n")
    done = run(shared(blocks=blocks), quiet.root)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert kept(quiet) == [PAYLOAD]
    assert str(Path.home()) not in shared(blocks=blocks)
    assert is_ours(shared(blocks=blocks), "claude-code")


@pytest.mark.parametrize("blocks", [True, False])
def test_the_shared_command_is_silent_where_nothing_is_installed(
    tmp_path: Path, home: Path, *, blocks: bool
) -> None:
    done = run(shared(blocks=blocks), tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert not (home / ".khive").exists()


REFUSES = b"""#!/bin/sh
case "$*" in *--exit-zero*) exit 0;; esac
exit 1
"""


@pytest.mark.parametrize("blocks", [True, False])
@pytest.mark.parametrize(
    "harm", ["gone", "no program", "mode", "another machine's", "damaged", "refuses"]
)
def test_what_cannot_be_run_leaves_it_to_the_python_hook(
    quiet: Project, copy: Path, harm: str, *, blocks: bool
) -> None:
    program = copy.resolve()
    if harm == "gone":
        program.unlink()
    elif harm == "mode":
        program.chmod(0o600)
    elif harm == "no program":
        program.write_bytes(b"\x7fELF\0\0\n")
    elif harm == "damaged":
        program.write_bytes(program.read_bytes()[:100])
    elif harm == "refuses":
        # As one of another version does whose arguments are others.
        program.write_bytes(REFUSES)
    else:
        content = bytearray(program.read_bytes())
        content[18:20] = b"\x28\x00"
        program.write_bytes(content)
    done = run(shared(blocks=blocks), quiet.root)
    assert (done.returncode, done.stdout) == (0, b"")
    assert kept(quiet) == [PAYLOAD]


def test_an_event_that_it_could_not_keep_is_none_for_the_python_hook(
    project: Project, copy: Path, home: Path
) -> None:
    project.spool.write_text("a file")
    (home / ".khive/spool").write_text("and another")
    done = run(shared(blocks=True), project.root)
    assert (done.returncode, done.stderr.count(b"\n")) == (0, 1)
    assert len(list((home / ".khive/lost").iterdir())) == 1
    (home / ".khive/spool").unlink()
    told = run(shared(), project.root)
    assert (told.returncode, told.stdout) == (1, b"")
    assert told.stderr == (
        b"khive-hook: this event is kept; 1 before it were not: khive-persist doctor\n"
    )
    assert kept(Project(home)) == [os.fsencode(project.root) + b"\0" + PAYLOAD]


def test_its_name_carries_the_machine_and_nobody_else_may_write_it(copy: Path) -> None:
    target = os.readlink(copy)
    assert target == native_copy.copy_name()
    assert target.startswith("khive-hook-")
    assert os.uname().machine.lower() in target
    assert stat.S_IMODE(copy.stat().st_mode) == 0o700


def test_a_newer_copy_stays_and_an_older_one_goes(copy: Path, package: Path) -> None:
    label = b"# khive-persist " + version("khive-persist").encode()
    newest = label.replace(version("khive-persist").encode(), b"9" * len(label[16:]))
    content = package.read_bytes()
    copy.resolve().write_bytes(content.replace(label, newest))
    native_copy.renew()
    assert newest in copy.read_bytes()
    copy.resolve().write_bytes(content.replace(label, b"# khive-persist 0.0.0"[: len(label)]))
    assert native_copy.problem_of(copy).endswith("is that of an earlier version")
    native_copy.renew()
    assert copy.read_bytes() == content
    assert native_copy.problem_of(copy) == ""


def test_a_copy_is_not_made_by_renewing(package: Path, home: Path) -> None:
    native_copy.renew()
    assert not (home / ".khive/bin").exists()


def test_a_drainer_renews_what_an_older_version_wrote(project: Project, copy: Path) -> None:
    launcher_copy = copy.with_name("khive-hook")
    current = launcher_copy.read_text()
    launcher_copy.write_text(current.replace("\n# khive-persist ", "\n# khive-persist 0.0."))
    Spool(project).accept("claude-code", PAYLOAD)
    drainer = wake_and_wait(project)
    assert drainer == 0
    assert launcher_copy.read_text() == current


def wake_and_wait(project: Project) -> int:
    """Run a drainer to its end."""
    pipe = os.open(_pipe(project), os.O_RDWR | os.O_NONBLOCK)
    command = [launcher.interpreter(), "-P", "-m", "khive_persist.capture.drainer"]
    with os.fdopen(pipe, "rb", buffering=0):
        return subprocess.run(
            [*command, str(project.root), str(pipe)], pass_fds=[pipe], check=False, timeout=60
        ).returncode


def _pipe(project: Project) -> Path:
    path = project.spool / "wake"
    if not path.exists():
        os.mkfifo(path, 0o600)
    return path


@pytest.mark.parametrize("scope", ["project", "user"])
def test_status_says_which_hook_is_run(tmp_path: Path, copy: Path, scope: str) -> None:
    install("claude-code", scope, tmp_path)  # type: ignore[arg-type]
    text = settings_path("claude-code", scope, tmp_path).read_text()  # type: ignore[arg-type]
    assert SHARED_NATIVE in text
    assert SHARED in text
    hooks = status("claude-code", scope, tmp_path)  # type: ignore[arg-type]
    assert (hooks.state, hooks.hook, hooks.problems) == ("installed", "native", ())
    assert not install("claude-code", scope, tmp_path).written  # type: ignore[arg-type]
    copy.resolve().unlink()
    assert status("claude-code", scope, tmp_path).hook == "python"  # type: ignore[arg-type]
    install("claude-code", scope, tmp_path, hook="python")  # type: ignore[arg-type]
    text = settings_path("claude-code", scope, tmp_path).read_text()  # type: ignore[arg-type]
    assert "native" not in text
    assert status("claude-code", scope, tmp_path).hook == "python"  # type: ignore[arg-type]
    uninstall("claude-code", scope, tmp_path)  # type: ignore[arg-type]
    assert not settings_path("claude-code", scope, tmp_path).exists()  # type: ignore[arg-type]


def test_one_that_cannot_be_run_is_told(tmp_path: Path, copy: Path) -> None:
    install("codex", "project", tmp_path)
    copy.resolve().write_bytes(b"#!/bin/sh\nexit 3\n")
    hooks = status("codex", "project", tmp_path)
    assert (hooks.state, hooks.hook) == ("stale", "python")
    assert any("cannot be run, so that hooks are Python's" in line for line in hooks.problems)


def test_an_empty_one_takes_events_that_no_hook_records(tmp_path: Path, copy: Path) -> None:
    install("codex", "project", tmp_path)
    copy.resolve().write_bytes(b"")
    problems = status("codex", "project", tmp_path).problems
    assert any(f"{copy} cannot be run, so that nothing is recorded: " in line for line in problems)


def test_without_a_shell_nothing_comes_in_its_place_and_status_says_so(
    project: Project, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client(project.root, monkeypatch, "2.1.197")
    install("claude-code", "user", project.root, shell=False)
    (copy.parent / "python").unlink()
    hooks = status("claude-code", "user", project.root)
    (problem,) = hooks.problems
    assert "events wait in the spool" in problem
    copy.resolve().write_bytes(b"#!/bin/sh\nexit 3\n")
    hooks = status("claude-code", "user", project.root)
    assert (hooks.state, hooks.hook) == ("stale", "native")
    (problem,) = hooks.problems
    assert problem.startswith(f"{copy} cannot be run, so that nothing is recorded: ")


def test_without_a_shell_it_is_a_program_and_its_arguments(
    project: Project, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client(project.root, monkeypatch, "2.1.197")
    install("claude-code", "user", project.root, shell=False)
    path = settings_path("claude-code", "user", project.root)
    settings = json.loads(path.read_text())
    for event, blocks in (("PreToolUse", True), ("PostToolUse", False)):
        (entry,) = settings["hooks"][event][-1]["hooks"]
        assert entry["command"] == str(copy)
        done = subprocess.run(
            [entry["command"], *entry["args"]], input=PAYLOAD, capture_output=True,
            cwd=project.root, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert ("--exit-zero" in entry["args"]) is blocks
        assert ("--tell-lost" in entry["args"]) is not blocks
    hooks = status("claude-code", "user", project.root)
    assert (hooks.state, hooks.hook, hooks.problems) == ("installed", "native", ())
    assert not install("claude-code", "user", project.root, shell=False).written
    install("claude-code", "user", project.root)
    assert '"args"' not in path.read_text()
    install("claude-code", "user", project.root, shell=False)
    uninstall("claude-code", "user", project.root)
    assert not path.exists()


def client(folder: Path, monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    """Put a Claude Code of that version on PATH, alone."""
    programs = folder / "programs"
    programs.mkdir()
    (programs / "claude").write_text(f"#!/bin/sh\necho '{number} (Claude Code)'\n")
    (programs / "claude").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")


@pytest.mark.usefixtures("copy")
@pytest.mark.parametrize(
    ("tool", "scope", "number", "says"),
    [
        ("claude-code", "project", "2.1.197", "starts no hook of --scope project"),
        ("codex", "user", "2.1.197", "starts no hook of --scope user"),
        ("claude-code", "user", "2.1.100", "without its arguments"),
    ],
)
def test_a_shell_is_needed_where_others_read_the_settings_or_the_tool_is_old(
    tool: str, scope: str, number: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client(tmp_path, monkeypatch, number)
    with pytest.raises(InvalidSettingsError, match=says):
        install(tool, scope, tmp_path, shell=False)  # type: ignore[arg-type]
    assert not settings_path(tool, scope, tmp_path).exists()  # type: ignore[arg-type]


def test_one_that_blocks_and_would_not_end_in_zero_is_told(
    project: Project, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client(project.root, monkeypatch, "2.1.197")
    install("claude-code", "user", project.root, shell=False)
    path = settings_path("claude-code", "user", project.root)
    path.write_text(path.read_text().replace(', "--exit-zero"', ""))
    problems = status("claude-code", "user", project.root).problems
    assert any("refuse a tool" in line for line in problems)


def test_without_one_the_python_hook_is_registered_and_doctor_says_so(tmp_path: Path) -> None:
    install("codex", "project", tmp_path)
    assert status("codex", "project", tmp_path).hook == "python"
    assert doctor.compiled_hook() == "Python's, as this installation has no compiled one"
    with pytest.raises(InvalidSettingsError, match="has no compiled hook"):
        install("codex", "project", tmp_path, hook="native")


def test_doctor_compares_versions(package: Path, project: Project) -> None:
    assert doctor.compiled_hook() == f"{version('khive-persist')}, compiled"
    assert doctor.examine_hooks(project)[1] == []
    content = package.read_bytes().replace(b"# khive-persist 0", b"# khive-persist 7")
    package.write_bytes(content)
    (finding,) = doctor.examine_hooks(project)[1]
    assert finding.text.endswith("install it again")


@pytest.mark.parametrize(
    "command",
    [
        "[ -x /x/khive-hook-native ] && /x/khive-hook-native --tool codex || rm -rf /x",
        "[ -x /x/khive-hook-native ] && /x/other --tool codex || /x/.khive/bin/khive-hook"
        " --tool codex || exit 1",
        "[ -x /x/khive-hook-native ] && /x/khive-hook-native --tool codex",
        "/x/khive-hook-native --tool codex && rm -rf /x",
    ],
)
def test_a_command_of_the_users_is_none_of_ours(command: str) -> None:
    assert not is_ours(command, "codex")


def test_the_copy_that_a_command_names(home: Path) -> None:
    assert native_of(shared()) == home / ".khive/bin/khive-hook-native"
    assert native_of("~/.khive/bin/khive-hook --tool codex || exit 1") is None
