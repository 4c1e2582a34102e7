"""A disk that takes long: what is synced is kept, and the hook says no more than it knows."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from khive_persist.capture import hook_path
from khive_persist.capture.spool import Spool
from khive_persist.maintenance.doctor.clients import lost_events
from khive_persist.project import Project
from tests.compiled_hook import KINDS, HookKind, compiled

# The system's own call, but for how long it takes or how it ends.
PROGRAM = """
import posix, sys, time
sys.path.insert(0, sys.argv.pop(1))
number, seconds, ends = int(sys.argv.pop(1)), float(sys.argv.pop(1)), sys.argv.pop(1)
calls, sync, begin = [], posix.fsync, posix.getpid()
def fsync(descriptor):
    calls.append(descriptor)
    if len(calls) == number and posix.getpid() == begin:
        time.sleep(seconds)
        if ends == "error":
            raise OSError(5, "Input/output error")
    sync(descriptor)
posix.fsync = fsync
import spool_writer
spool_writer.ALL_SECONDS = 0.5
spool_writer.main()
"""


# A call takes long; then, in the child that goes on, another one waits for a word, or fails.
SLOW = """
import posix, sys, time
sys.path.insert(0, sys.argv.pop(1))
name, other, gate = sys.argv.pop(1), sys.argv.pop(1), sys.argv.pop(1)
begin = posix.getpid()
def slow(*words, call=getattr(posix, name), **options):
    if posix.getpid() == begin:
        time.sleep(8)
    return call(*words, **options)
setattr(posix, name, slow)
def stopped(*words, call=getattr(posix, other or name), **options):
    if posix.getpid() != begin:
        with open(gate) as word:
            if word.read():
                raise OSError(5, "Input/output error")
    return call(*words, **options)
if other:
    setattr(posix, other, stopped)
import spool_writer
spool_writer.ALL_SECONDS = 0.5
spool_writer.main()
"""

WRAPPERS = Path(__file__).parents[1] / "native" / "slow_disk.c"
WRAPPED = ("fsync", "lstat", "renameat", "posix_spawn")
LATE = b"khive-hook: event not yet known to be on the disk: %s takes too long\n"


@pytest.fixture(params=KINDS)
def hook_kind(request: pytest.FixtureRequest) -> HookKind:
    kind: HookKind = request.param
    return kind


class SlowHook(NamedTuple):
    """The hook, with calls of the system that take long, or end otherwise."""

    words: list[str]
    project: Project

    def with_sync(
        self, number: int, seconds: float, ends: str
    ) -> "subprocess.CompletedProcess[bytes]":
        """Run it with one sync that takes seconds, and fails where it `ends` in an error."""
        variables = {
            "SLOW_NUMBER": str(number), "SLOW_SECONDS": str(seconds), "SLOW_ENDS": ends
        }  # fmt: skip
        return self._run([PROGRAM, str(hook_path().parent), *variables.values()], variables)

    def with_call(
        self, call: str, then: str = "", gate: Path = Path("/dev/null")
    ) -> "subprocess.CompletedProcess[bytes]":
        """Run it with a call that takes long; in the child another one waits at the gate."""
        variables = {"SLOW_CALL": call, "SLOW_THEN": then, "SLOW_GATE": str(gate)}
        return self._run([SLOW, str(hook_path().parent), *variables.values()], variables)

    def _run(
        self, program: list[str], variables: dict[str, str]
    ) -> "subprocess.CompletedProcess[bytes]":
        words = [*self.words, *(program if "-c" in self.words else [])]
        return subprocess.run(
            [*words, "--tool", "codex", "--dir", str(self.project.root)],
            input=b"{}", capture_output=True, check=False, timeout=20, env=os.environ | variables,
        )  # fmt: skip


def kept(project: Project) -> int:
    return len(Spool(project).events())


@pytest.fixture
def quiet(project: Project) -> Project:
    """A project whose database takes no event, so that they stay in the spool."""
    Spool(project).make()
    project.database("codex_hooks.db").mkdir()
    return project


@pytest.fixture
def slow_hook(quiet: Project, hook_kind: HookKind) -> SlowHook:
    words = [sys.executable, "-I", "-S", "-c"]
    if hook_kind == "native":
        words = [str(compiled(WRAPPED, WRAPPERS, "-DALL_SECONDS=0.5"))]
    return SlowHook(words, quiet)


@pytest.mark.parametrize("number", [1, 2])
def test_a_slow_sync_is_finished_by_a_child(
    number: int, quiet: Project, slow_hook: SlowHook
) -> None:
    began = time.monotonic()
    done = slow_hook.with_sync(number, 8, "well")
    assert time.monotonic() - began < 7
    assert done.returncode == 1
    assert done.stdout == b""
    assert b"not yet known to be on the disk" in done.stderr
    assert done.stderr.count(b"\n") == 1
    end = time.monotonic() + 5
    while not kept(quiet):
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("call", "code", "line"),
    [
        ("lstat", 1, LATE % b"looking for .khive"),
        ("posix_spawn", 0, b""),
    ],
)
def test_the_deadline_holds_before_and_after_the_disk(
    call: str, code: int, line: bytes, quiet: Project, home: Path, slow_hook: SlowHook
) -> None:
    began = time.monotonic()
    done = slow_hook.with_call(call)
    assert time.monotonic() - began < 7
    assert (done.returncode, done.stdout, done.stderr) == (code, b"", line)
    waited(lambda: kept(quiet) == 1 and not notes(home))


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "gate"
    os.mkfifo(path)
    yield path
    # Whoever still waits goes on, and whoever comes later finds no gate.
    pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    path.unlink()
    os.close(pipe)


@pytest.mark.parametrize("call", ["lstat", "fsync"])
def test_of_what_comes_late_the_next_that_may_speak_tells(
    call: str, quiet: Project, home: Path, gate: Path, slow_hook: SlowHook
) -> None:
    done = slow_hook.with_call(call, "rename", gate)
    assert b"not yet known to be on the disk" in done.stderr
    waited(lambda: len(notes(home)) == 1)
    (line,) = lost_events()
    assert line.startswith("of 1 events since ")
    assert hook(quiet).stderr == b""
    told = hook(quiet, "--tell-lost")
    assert (told.returncode, told.stderr) == (
        1,
        b"khive-hook: this event is kept; of 1 it is not yet known: the disk takes too long:"
        b" khive-persist doctor\n",
    )
    assert hook(quiet, "--tell-lost").stderr == b""
    assert kept(quiet) == 3
    gate.write_text("")
    waited(lambda: kept(quiet) == 4)
    assert lost_events() == []


@pytest.mark.parametrize("call", ["lstat", "fsync"])
def test_what_came_late_and_is_not_kept_is_told(
    call: str, quiet: Project, home: Path, gate: Path, slow_hook: SlowHook
) -> None:
    def is_lost() -> bool:
        return [line[:27] for line in lost_events()] == ["1 events could not be kept "]

    slow_hook.with_call(call, "fsync", gate)
    refusing = threading.Thread(target=said_each_time, args=(gate, is_lost))
    refusing.start()
    waited(is_lost)
    refusing.join()
    assert kept(quiet) == 0
    told = hook(quiet, "--tell-lost")
    assert told.stderr == (
        b"khive-hook: this event is kept; 1 before it were not: khive-persist doctor\n"
    )


def said_each_time(gate: Path, is_done: Callable[[], bool]) -> None:
    while not is_done():
        try:
            with open(os.open(gate, os.O_WRONLY | os.O_NONBLOCK), "wb", buffering=0) as pipe:
                pipe.write(b"no")
        except OSError:
            # Nobody waits for the word now, or who waited has gone meanwhile.
            time.sleep(0.01)


def hook(project: Project, *options: str) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-I", "-S", str(hook_path()), "--tool", "codex", *options]
    return subprocess.run(
        [*command, "--dir", str(project.root)], input=b"{}", capture_output=True, check=False
    )


def notes(home: Path) -> list[str]:
    folder = home / ".khive" / "lost"
    return os.listdir(folder) if folder.exists() else []


def waited(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_sync_within_the_time_is_silent(quiet: Project, slow_hook: SlowHook) -> None:
    done = slow_hook.with_sync(1, 0.05, "well")
    assert (done.returncode, done.stderr) == (0, b"")
    assert kept(quiet) == 1


def test_what_is_synced_is_never_thrown_away_nor_called_lost(
    quiet: Project, home: Path, slow_hook: SlowHook
) -> None:
    done = slow_hook.with_sync(2, 0, "error")
    assert done.returncode == 1
    assert b"not yet known to be on the disk" in done.stderr
    assert kept(quiet) == 1
    assert not (home / ".khive" / "spool").exists()


def test_what_cannot_be_synced_goes_to_the_homes_spool(
    quiet: Project, home: Path, slow_hook: SlowHook
) -> None:
    done = slow_hook.with_sync(1, 0, "error")
    assert (done.returncode, done.stderr) == (0, b"")
    assert kept(quiet) == 0
    assert [event.is_away for event in Spool(Project(home)).events()] == [True]
