"""The hook as a tool runs it: what it keeps, and how it ends."""

import importlib.util
import os
import posix
import py_compile
import resource
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from khive_persist.capture import hook_path, spool_writer
from khive_persist.capture.drainer_start import wake_drainer
from khive_persist.capture.hook_config.command import hook_command
from khive_persist.capture.spool import Spool, split_away
from khive_persist.project import Project
from tests.compiled_hook import KINDS, HookKind, compiled
from tests.payloads import Hook

PAYLOAD = b'{"session_id":"s1","hook_event_name":"Stop","cwd":"/x"}\n'
PYTHON = [sys.executable, "-I", "-S"]
TOOL = ["--tool", "claude-code"]
DEADLINE_SECONDS = 2.0
DRAINED_SECONDS = 10.0
# The interpreter's own start, and what a busy machine adds, are not the hook's.
START_SECONDS = 1.5
NOBODY = 65534


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch, project: Project) -> Project:
    """A project whose drainer is held off, so that what the hook wrote can be looked at."""
    held = project.spool / "wake"
    project.spool.mkdir(mode=0o700)
    os.mkfifo(held, 0o600)
    reader = os.open(held, os.O_RDWR | os.O_NONBLOCK)
    monkeypatch.setattr(project, "reader", reader, raising=False)
    return project


@pytest.fixture(params=KINDS)
def hook_kind(request: pytest.FixtureRequest) -> HookKind:
    """Each test of a hook is one of both."""
    kind: HookKind = request.param
    return kind


@pytest.fixture
def command(hook_words: list[str]) -> list[str]:
    return [*hook_words, *TOOL]


def kept(project: Project) -> list[bytes]:
    spool = Spool(project)
    return [spool.read(event) for event in spool.events()]


def test_an_event_is_kept_as_it_came_in_silence(quiet: Project, hook: Hook) -> None:
    done = hook(PAYLOAD)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert kept(quiet) == [PAYLOAD]


def test_everything_is_private_whatever_the_umask(project: Project, hook: Hook) -> None:
    project.khive.chmod(0o700)
    fresh = Project(project.root / "fresh")
    fresh.root.mkdir()
    done = hook(PAYLOAD, "claude-code", "--dir", str(fresh.root), preexec_fn=lambda: os.umask(0))
    assert done.returncode == 0
    modes = {
        path.name: path.stat().st_mode & 0o777
        for path in fresh.khive.rglob("*")
        if not path.is_symlink()
    }
    assert fresh.khive.stat().st_mode & 0o777 == 0o700
    assert modes.pop("spool") == 0o700
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize("words", [[], ["--tool"], ["--tool", "vim"], ["--nonsense", "x"]])
def test_wrong_use_is_one_line_and_never_two_or_more(
    words: list[str], project: Project, hook_words: list[str]
) -> None:
    done = subprocess.run(
        [*hook_words, *words], input=PAYLOAD, capture_output=True, cwd=project.root, check=False
    )
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.startswith(b"khive-hook: ")
    assert done.stderr.count(b"\n") == 1


def test_where_the_project_is_found(project: Project, hook: Hook, home: Path) -> None:
    below = project.root / "a" / "b"
    below.mkdir(parents=True)
    elsewhere = project.root.parent / "elsewhere"
    elsewhere.mkdir()
    environment = dict(os.environ)
    assert hook(PAYLOAD, cwd=below).returncode == 0
    by_variable = environment | {"CLAUDE_PROJECT_DIR": str(below)}
    assert hook(PAYLOAD, cwd=elsewhere, env=by_variable).returncode == 0
    by_name = environment | {"KHIVE_DIR": str(project.root)}
    assert hook(PAYLOAD, cwd=elsewhere, env=by_name).returncode == 0
    assert hook(PAYLOAD, "claude-code", f"--dir={project.root}", cwd=elsewhere).returncode == 0
    assert hook(PAYLOAD, cwd=elsewhere).returncode == 0
    with_drain = Spool(Project(home))
    assert (home / ".khive").is_dir()
    assert with_drain.path.is_dir()
    assert not (elsewhere / ".khive").exists()


@pytest.fixture
def as_nobody(
    hook_kind: HookKind,
) -> Iterator[tuple[Path, Callable[..., "subprocess.CompletedProcess[bytes]"]]]:
    """A directory that everybody may use, and the hook run as a user without rights."""
    interpreter = Path("/usr/bin/python3")
    if os.geteuid() != 0 or not interpreter.exists():
        pytest.skip("only root can run as another user, and with an interpreter open to all")
    with tempfile.TemporaryDirectory() as name:
        shared = Path(name)
        shared.chmod(0o755)
        words = [str(shared / "khive-hook")]
        if hook_kind == "native":
            shutil.copy(compiled(), shared)
        else:
            words = [str(interpreter), *PYTHON[1:], str(shared / "hook.py")]
            for file in ("hook.py", "spool_writer.py"):
                shutil.copy(hook_path().with_name(file), shared)

        def run(cwd: Path, home: Path) -> "subprocess.CompletedProcess[bytes]":
            return subprocess.run(
                [*words, *TOOL],
                input=PAYLOAD, capture_output=True, cwd=cwd, env={"HOME": str(home)},
                user=NOBODY, group=NOBODY, extra_groups=[], check=False,
            )  # fmt: skip

        yield shared, run


def test_a_khive_of_another_user_is_passed_over(
    as_nobody: tuple[Path, Callable[..., "subprocess.CompletedProcess[bytes]"]],
) -> None:
    shared, run = as_nobody
    home, project = shared / "home", shared / "project"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    (project / ".khive").mkdir(parents=True)
    (project / ".khive").chmod(0o777)
    assert run(project, home).returncode == 0
    assert len(Spool(Project(home)).events()) == 1
    assert list((project / ".khive").iterdir()) == []


def test_a_khive_that_may_not_be_written_to_leaves_it_to_home(
    as_nobody: tuple[Path, Callable[..., "subprocess.CompletedProcess[bytes]"]],
) -> None:
    shared, run = as_nobody
    home, project = shared / "home", shared / "project"
    for path in (home, project / ".khive"):
        path.mkdir(parents=True)
        os.chown(path, NOBODY, NOBODY)
    (project / ".khive").chmod(0o500)
    assert run(project, home).returncode == 0
    assert [event.is_away for event in Spool(Project(home)).events()] == [True]
    home.joinpath(".khive", "spool").chmod(0o500)
    done = run(project, home)
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1


def test_what_the_project_cannot_take_waits_at_home_and_moves_back(
    project: Project, hook: Hook, home: Path
) -> None:
    project.spool.write_text("a file where the spool should be")
    done = hook(PAYLOAD)
    assert (done.returncode, done.stderr) == (0, b"")
    (event,) = [e for e in Spool(Project(home)).events() if e.is_away]
    assert split_away(Spool(Project(home)).read(event)) == (str(project.root), PAYLOAD)


def test_where_nothing_takes_it_one_line_says_so(project: Project, hook: Hook, home: Path) -> None:
    project.spool.write_text("a file where the spool should be")
    shutil.rmtree(home / ".khive")
    (home / ".khive").write_text("and another")
    done = hook(PAYLOAD)
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.startswith(b"khive-hook: event not kept: ")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("project_of_link", [".khive", ".khive/spool"])
def test_a_link_is_not_followed(
    project_of_link: str, project: Project, hook: Hook, home: Path, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    link = project.root / project_of_link
    if link == project.khive:
        shutil.rmtree(project.khive)
    link.symlink_to(target)
    assert hook(PAYLOAD).returncode == 0
    assert list(target.iterdir()) == []
    assert [event.is_away for event in Spool(Project(home)).events()] == [True]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_closed_streams(quiet: Project, command: list[str], closed: str) -> None:
    """Without stdin it is an empty event that is cut; no line goes into a file of ours."""
    done = subprocess.run(
        ["/bin/sh", "-c", " ".join(["exec", *command, closed])],
        input=PAYLOAD, capture_output=True, cwd=quiet.root, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert kept(quiet) == [b"" if "<" in closed else PAYLOAD]
    assert Spool(quiet).events()[0].is_cut is ("<" in closed)


def test_a_line_that_nobody_can_read_goes_into_no_file(
    project: Project, command: list[str], home: Path
) -> None:
    shutil.rmtree(project.khive)
    project.khive.mkdir()
    words = [*command, "--dir", str(project.root), "<&-", ">&-", "2>&-"]
    done = subprocess.run(["/bin/sh", "-c", " ".join(["exec", *words])], check=False)
    assert done.returncode == 0
    (event,) = Spool(Project(home)).events()
    assert split_away(Spool(Project(home)).read(event)) == (str(project.root), b"")


def test_a_stalled_stdin_ends_in_time_and_keeps_what_came(
    quiet: Project, command: list[str]
) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b'{"half')
        began = time.monotonic()
        done = subprocess.run(
            command, stdin=theirs.fileno(), capture_output=True, cwd=quiet.root, check=False
        )
        took = time.monotonic() - began
    assert (done.returncode, done.stderr) == (0, b"")
    assert took < DEADLINE_SECONDS + START_SECONDS
    (event,) = Spool(quiet).events()
    assert event.is_cut
    assert kept(quiet) == [b'{"half']


def test_the_end_of_the_clients_process_group_is_not_that_of_the_hook(
    quiet: Project, command: list[str]
) -> None:
    """Kimi Code kills it soon after a call, with the hook that it does not wait for."""
    with subprocess.Popen(
        ["/bin/sh", "-c", f"{shlex.join(command)}; :"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=quiet.root,
        process_group=0,
    ) as shell:
        assert shell.stdin is not None
        assert shell.stdout is not None
        shell.stdin.write(PAYLOAD[:9])
        shell.stdin.flush()
        until = time.monotonic() + START_SECONDS
        while not _has_left(shell.pid) and time.monotonic() < until:
            time.sleep(0.001)
        os.killpg(shell.pid, signal.SIGKILL)
        shell.stdin.write(PAYLOAD[9:])
        shell.stdin.close()
        # It ends where the hook does.
        assert shell.stdout.read() == b""
        assert shell.wait() == -signal.SIGKILL
    assert kept(quiet) == [PAYLOAD]


def _has_left(shell: int) -> bool:
    """Return whether a shell's child leads a process group of its own."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,ppid=,pgid=", "-A"], capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in listed.stdout.splitlines()]
    return any(parent == str(shell) and pid == group for pid, parent, group in rows)


def test_a_tool_that_blocks_the_alarm_does_not_hold_up_the_hook(
    quiet: Project, command: list[str]
) -> None:
    def block() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])

    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b'{"half')
        done = subprocess.run(
            command, stdin=theirs.fileno(), capture_output=True, cwd=quiet.root, check=False,
            preexec_fn=block, timeout=DEADLINE_SECONDS + START_SECONDS,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert kept(quiet) == [b'{"half']


def test_an_endless_stdin_ends_in_time(quiet: Project, command: list[str]) -> None:
    with open("/dev/zero", "rb") as endless:
        began = time.monotonic()
        done = subprocess.run(
            command, stdin=endless, capture_output=True, cwd=quiet.root, check=False
        )
        took = time.monotonic() - began
    assert done.returncode in (0, 1)
    assert done.stderr.count(b"\n") == done.returncode
    assert took < DEADLINE_SECONDS + START_SECONDS
    assert all(event.is_cut for event in Spool(quiet).events())


def test_thirty_megabytes_are_kept_whole(quiet: Project, hook: Hook) -> None:
    payload = b'{"x":"' + b"y" * 30_000_000 + b'"}'
    assert hook(payload).returncode == 0
    assert kept(quiet) == [payload]
    assert not Spool(quiet).events()[0].is_cut


@pytest.mark.skipif(sys.platform != "linux", reason="this system has no limit of an address space")
def test_the_longest_payload_takes_no_more_memory_than_twice_its_size(
    quiet: Project, command: list[str]
) -> None:
    def limit() -> None:
        room = 2 * spool_writer.MAX_BYTES + (64 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (room, room))

    done = subprocess.run(
        command, input=b"x" * spool_writer.MAX_BYTES, capture_output=True, cwd=quiet.root,
        preexec_fn=limit, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    (event,) = Spool(quiet).events()
    assert not event.is_cut
    assert len(Spool(quiet).read(event)) == spool_writer.MAX_BYTES


@pytest.mark.parametrize("left", [1, 2, 3, 4, 8])
def test_without_file_descriptors_the_installed_command_says_so(
    project: Project, left: int, hook_words: list[str]
) -> None:
    def leave_few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3 + left, 3 + left))

    done = subprocess.run(
        ["/bin/sh", "-c", hook_command("claude-code", words=hook_words)],
        input=PAYLOAD, capture_output=True, cwd=project.root, preexec_fn=leave_few, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1)
    assert done.stdout == b""
    assert b"Traceback" not in done.stderr
    assert bool(done.stderr) == bool(done.returncode)


def test_a_full_disk_is_said_and_leaves_no_half(quiet: Project, hook: Hook) -> None:
    def almost_full() -> None:
        # A write beyond the limit fails as on a full disk, once the signal is ignored.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))

    done = hook(PAYLOAD, preexec_fn=almost_full)
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert list(quiet.spool.iterdir()) == [quiet.spool / "wake"]


def test_of_a_great_many_lost_ones_each_is_told_once(
    quiet: Project, hook: Hook, home: Path
) -> None:
    lost = home / ".khive" / "lost"
    lost.mkdir(parents=True)
    for index in range(spool_writer.MOST_TOLD + 1):
        os.symlink(spool_writer.NOT_KEPT, lost / str(index))
    lines = [hook(PAYLOAD, "codex", "--tell-lost").stderr for _ in range(3)]
    start = b"khive-hook: this event is kept; "
    end = b" before it were not: khive-persist doctor\n"
    assert lines == [start + b"10000" + end, start + b"1" + end, b""]
    assert len(kept(quiet)) == len(lines)


def test_the_environment_does_not_reach_the_drainer(project: Project, hook: Hook) -> None:
    secret = {"ANTHROPIC_API_KEY": "x" * 20, "KHIVE_DIR": str(project.root)}
    assert hook(PAYLOAD, env=dict(os.environ) | secret).returncode == 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if str(project.root).encode() in command and b"capture.drainer" in command:
                assert b"ANTHROPIC_API_KEY" not in (process / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue


@pytest.mark.parametrize("damage", [b"", b"cut off", None], ids=["empty", "cut off", "none"])
def test_a_damaged_bytecode_cache_does_not_stop_it(
    quiet: Project, tmp_path: Path, damage: bytes | None
) -> None:
    folder = tmp_path / "capture"
    folder.mkdir()
    for file in ("hook.py", "spool_writer.py"):
        shutil.copy(hook_path().with_name(file), folder)
    cached = Path(importlib.util.cache_from_source(str(folder / "spool_writer.py")))
    py_compile.compile(str(folder / "spool_writer.py"))
    whole = cached.read_bytes()
    if damage is None:
        cached.unlink()
    else:
        cached.write_bytes(whole[:16] + damage)
    before = sorted(cached.parent.iterdir())
    done = subprocess.run(
        [*PYTHON, str(folder / "hook.py"), *TOOL],
        input=PAYLOAD, capture_output=True, cwd=quiet.root, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert kept(quiet) == [PAYLOAD]
    assert sorted(cached.parent.iterdir()) == before, "a hook writes nothing outside .khive"


def test_the_hook_imports_only_what_is_built_in(project: Project) -> None:
    listing = subprocess.run(
        [sys.executable, "-I", "-S", "-v", str(hook_path()), "--tool", "claude-code"],
        input=PAYLOAD, capture_output=True, cwd=project.root, check=True, text=False,
    ).stderr  # fmt: skip
    floor = subprocess.run(
        [sys.executable, "-I", "-S", "-v", "-c", "pass"], capture_output=True, check=True
    ).stderr

    def imported(log: bytes) -> set[bytes]:
        return {line.split()[1] for line in log.splitlines() if line.startswith(b"import ")}

    assert imported(listing) - imported(floor) <= {b"'spool_writer'", b"'_signal'"}


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        # A socket's address is shorter than many a path.
        folder = os.open(path.parent, os.O_RDONLY)
        listening.bind(f"/proc/self/fd/{folder}/{path.name}")
        os.close(folder)


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "inside").write_bytes(b"precious")


IN_PROJECT_OF_THE_PIPE = {
    "a file": lambda path: path.write_bytes(b""),
    "a file that none may write": lambda path: path.touch(0o000),
    "a dangling link": lambda path: path.symlink_to("nowhere"),
    "a link to a pipe": lambda path: path.symlink_to("/dev/stdout"),
    "a folder": _folder,
    "a socket": _socket,
}


@pytest.mark.parametrize("way", [*KINDS, "a program"])
@pytest.mark.parametrize("make", IN_PROJECT_OF_THE_PIPE.values(), ids=IN_PROJECT_OF_THE_PIPE)
def test_what_stands_in_place_of_the_drainers_pipe_gives_way(
    make: Callable[[Path], None], way: str, project: Project
) -> None:
    spool = Spool(project)
    spool.make()
    make(project.spool / "wake")
    if way == "a program":
        spool.accept("claude-code", PAYLOAD)
        wake_drainer(str(project.root))
    else:
        words = [str(compiled())] if way == "native" else [*PYTHON, str(hook_path())]
        subprocess.run([*words, *TOOL], input=PAYLOAD, cwd=project.root, check=True)
    assert stat.S_ISFIFO((project.spool / "wake").lstat().st_mode)
    kept_folders = [path.read_bytes() for path in project.spool.glob("wake.*/inside")]
    assert kept_folders == [b"precious"] * (make is _folder)
    end = time.monotonic() + DRAINED_SECONDS
    while not spool.is_empty():
        assert time.monotonic() < end, "nobody was woken"
        threading.Event().wait(0.02)


@pytest.mark.parametrize("way", ["a hook", "a program"])
def test_a_drainer_that_ends_while_it_is_woken_gives_way_to_another(
    way: str, quiet: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(quiet)
    spool.accept("claude-code", PAYLOAD)
    reader = quiet.reader  # type: ignore[attr-defined]
    module = posix if way == "a hook" else os
    look = os.fstat

    def ends_then(descriptor: int) -> os.stat_result:
        monkeypatch.setattr(module, "fstat", look)
        os.close(reader)
        return look(descriptor)

    opened = spool_writer.open_private(str(quiet.spool))
    monkeypatch.setattr(module, "fstat", ends_then)
    if way == "a hook":
        spool_writer.wake_drainer(str(quiet.root), opened)
    else:
        wake_drainer(str(quiet.root))
    os.close(opened)
    end = time.monotonic() + DRAINED_SECONDS
    while not spool.is_empty():
        assert time.monotonic() < end, "nobody was woken"
        threading.Event().wait(0.02)


@pytest.mark.parametrize("text", ["0", "-", "0" * 31, "0" * 33])
def test_a_part_of_a_mark_is_none(text: str, home: Path, project: Project) -> None:
    (home / ".khive" / "marks" / str(project.khive).lstrip("/")).unlink()
    (home / ".khive" / "marks" / str(project.khive).lstrip("/")).symlink_to(
        "0" * 32 + "-" + "0" * 40
    )
    (project.khive / "id").unlink()
    (project.khive / "id").symlink_to(text)
    assert not spool_writer.is_trusted(str(project.khive), str(home))
    (project.khive / "id").unlink()
    (project.khive / "id").symlink_to("0" * 32)
    assert spool_writer.is_trusted(str(project.khive), str(home))
