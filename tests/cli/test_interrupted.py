"""Commands that are stopped from outside: by Ctrl-C, and by a reader that leaves."""

import hashlib
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from khive_persist.project import Project
from tests.exchange.rows import put, row

PROGRAM = [sys.executable, "-m", "khive_persist.cli"]
ROWS = 3_000
ENDLESS = """
SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT n
FROM (WITH RECURSIVE r(n) AS (SELECT 3 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r WHERE n < 0)
"""


@pytest.fixture
def planned(project: Project) -> Project:
    content = '{{"session_id":"s{0}","task_description":"fix {1}"}}'
    names = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(ROWS)]
    put(project, (row(f"p{name}", content.format(n, name)) for n, name in enumerate(names)))
    return project


def interruptible() -> None:
    """Take Ctrl-C, which a shell keeps from what runs in its background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def started(project: Project, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A command that has begun to write."""
    with subprocess.Popen(
        [*PROGRAM, "--dir", str(project.root), *words],
        preexec_fn=interruptible,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as command:
        try:
            assert command.stdout is not None
            assert command.stdout.readline()
            yield command
        finally:
            command.kill()


@pytest.mark.parametrize(
    "words",
    [
        ("query", "--jsonl", ENDLESS),
        ("query", "--jsonl", "SELECT * FROM planner_sessions"),
        ("outcomes", "--jsonl"),
        ("export", "--purpose", "planner_sessions"),
        ("tail",),
    ],
    ids=lambda words: words[0],
)
def test_ctrl_c_ends_a_reading_command_without_a_traceback(
    planned: Project, words: tuple[str, ...]
) -> None:
    with started(planned, *words) as command:
        command.send_signal(signal.SIGINT)
        _, errors = command.communicate(timeout=20)
    # The empty line is for the ^C of a terminal.
    said = f"no events in {planned.khive}; waiting for the first\n" if words == ("tail",) else ""
    assert (command.returncode, errors.decode()) == (130, f"{said}\nkhive-persist: interrupted\n")


@pytest.mark.parametrize("words", [("outcomes", "--jsonl"), ("export",)], ids=lambda w: w[0])
def test_a_reader_that_leaves_ends_the_command_in_silence(
    planned: Project, words: tuple[str, ...]
) -> None:
    with started(planned, *words) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.close()
        assert command.stderr.read() == b""
        assert command.wait(timeout=20) == 128 + signal.SIGPIPE


def limited() -> None:
    """Let no file grow above a size, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))


@pytest.mark.parametrize("form", ["jsonl", "csv", "xlsx", "parquet"])
def test_an_export_without_room_ends_with_one_line(
    planned: Project, tmp_path: Path, form: str
) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    target = folder / f"plans.{form}"
    done = subprocess.run(
        [*PROGRAM, "--dir", str(planned.root), "export", "-o", str(target)],
        capture_output=True,
        check=False,
        preexec_fn=limited,
        text=True,
        timeout=20,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "File too large" in done.stderr
    assert str(target) in done.stderr
    assert not any(folder.iterdir())
