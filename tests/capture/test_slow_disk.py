"""A disk that takes long: what is synced is kept, and the hook says no more than it knows."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from khive_persist.capture import hook_path
from khive_persist.capture.spool import Spool
from khive_persist.place import Place

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
import arrival
arrival.ALL_SECONDS = 0.5
arrival.main()
"""


SLOW = """
import posix, sys, time
sys.path.insert(0, sys.argv.pop(1))
name = sys.argv.pop(1)
call = getattr(posix, name)
def slow(*words, **options):
    time.sleep(8)
    return call(*words, **options)
setattr(posix, name, slow)
import arrival
arrival.ALL_SECONDS = 0.5
arrival.main()
"""


def run(
    place: Place, number: int, seconds: float, ends: str
) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", PROGRAM, str(hook_path().parent), str(number),
         str(seconds), ends, "--tool", "codex", "--dir", str(place.root)],
        input=b"{}", capture_output=True, check=False, timeout=20,
    )  # fmt: skip


def kept(place: Place) -> int:
    return len(Spool(place).events())


@pytest.fixture
def quiet(place: Place) -> Place:
    """A place whose database takes no event, so that they stay in the spool."""
    Spool(place).make()
    place.database("codex_hooks.db").mkdir()
    return place


@pytest.mark.parametrize("number", [1, 2])
def test_a_slow_sync_is_finished_by_a_child(number: int, quiet: Place) -> None:
    began = time.monotonic()
    done = run(quiet, number, 8, "well")
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
        ("lstat", 1, b"khive-hook: event not kept: looking for .khive takes too long\n"),
        ("posix_spawn", 0, b""),
    ],
)
def test_the_deadline_holds_before_and_after_the_disk(
    call: str, code: int, line: bytes, quiet: Place
) -> None:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", SLOW, str(hook_path().parent), call,
         "--tool", "codex", "--dir", str(quiet.root)],
        input=b"{}", capture_output=True, check=False, timeout=20,
    )  # fmt: skip
    assert time.monotonic() - began < 7
    assert (done.returncode, done.stdout, done.stderr) == (code, b"", line)
    assert kept(quiet) == (code == 0)


def test_a_sync_within_the_time_is_silent(quiet: Place) -> None:
    done = run(quiet, 1, 0.05, "well")
    assert (done.returncode, done.stderr) == (0, b"")
    assert kept(quiet) == 1


def test_what_is_synced_is_never_thrown_away_nor_called_lost(quiet: Place, home: Path) -> None:
    done = run(quiet, 2, 0, "error")
    assert done.returncode == 1
    assert b"not yet known to be on the disk" in done.stderr
    assert kept(quiet) == 1
    assert not (home / ".khive" / "spool").exists()


def test_what_cannot_be_synced_goes_to_the_homes_spool(quiet: Place, home: Path) -> None:
    done = run(quiet, 1, 0, "error")
    assert (done.returncode, done.stderr) == (0, b"")
    assert kept(quiet) == 0
    assert [event.away for event in Spool(Place(home)).events()] == [True]
