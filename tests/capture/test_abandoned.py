"""Unfinished files of the spool: taken when their writer is gone, whatever the clock says."""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from khive_persist.capture import spool_writer
from khive_persist.capture.abandoned import is_abandoned
from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.project import Project
from tests.capture.stored import sessions, stop

HOUR_SECONDS = 3600
pytestmark = pytest.mark.skipif(not hasattr(fcntl, "F_SETLEASE"), reason="needs leases")


def unfinished(project: Project, payload: bytes, age_seconds: float) -> Path:
    Spool(project).make()
    path = project.spool / f".{spool_writer.file_name('claude-code', True)}.tmp"
    path.write_bytes(payload)
    os.utime(path, (0, time.time() - age_seconds))
    return path


@pytest.mark.parametrize(
    "age_seconds",
    [
        pytest.param(HOUR_SECONDS, id="a clock that jumped on"),
        pytest.param(-HOUR_SECONDS, id="a clock that jumped back"),
    ],
)
def test_a_file_that_is_written_to_is_not_taken(project: Project, age_seconds: float) -> None:
    path = unfinished(project, stop("s1"), age_seconds)
    with path.open("ab"):
        drain(project)
        assert path.exists()
        Spool(project).accept("claude-code", stop("other"))
        drain(project)
        assert path.exists()
    Spool(project).accept("claude-code", stop("last"))
    drain(project)
    assert not path.exists()
    assert sorted(sessions(project)) == ["last", "other", "s1"]


def test_one_that_cannot_be_moved_does_not_hold_up_the_others(project: Project) -> None:
    path = unfinished(project, stop("s1"), HOUR_SECONDS)
    taken = project.spool / path.name.removeprefix(".").removesuffix(".tmp").replace(
        "_claude-code.", "_claude-code.cut."
    )
    taken.mkdir()
    (taken / "in the way").touch()
    Spool(project).accept("claude-code", stop("other"))
    drain(project)
    assert sessions(project) == ["other"]


OPENED = """
import fcntl, os, subprocess, sys
from khive_persist.capture import abandoned
request = fcntl.fcntl
def opened(descriptor, command, value):
    result = request(descriptor, command, value)
    if command == fcntl.F_SETLEASE:
        subprocess.run([sys.executable, "-c", "import os, sys;"
            "os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK)", sys.argv[1]], stderr=-3)
    return result
abandoned.fcntl.fcntl = opened
print(abandoned.is_abandoned(sys.argv[1]))
"""


def test_who_opens_a_file_that_is_looked_at_ends_nobody(project: Project) -> None:
    path = unfinished(project, stop("s1"), HOUR_SECONDS)
    done = subprocess.run(
        [sys.executable, "-c", OPENED, str(path)], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"True\n"), done.stderr


def test_a_link_is_no_file_of_a_hook(project: Project, tmp_path: Path) -> None:
    path = unfinished(project, stop("s1"), HOUR_SECONDS)
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    assert not is_abandoned(str(path))
