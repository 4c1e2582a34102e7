"""Events that kill, hang or fill who reads them: set aside or marked, and the next ones come in."""

import errno
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from khive_persist.capture import time_limit
from khive_persist.capture.drain import drain
from khive_persist.capture.drain_journal import JOURNAL
from khive_persist.capture.long_payloads import most_bytes
from khive_persist.capture.spool import Event, Spool
from khive_persist.capture.time_limit import OutOfTime, TimeLimit
from khive_persist.cli.root import run
from khive_persist.project import Project
from khive_persist.trust.processes import module_command
from tests.capture.stored import sessions, stop

# Read by every process that is started with its folder in PYTHONPATH.
HURTS = """
import os, signal
from khive_persist.capture import long_payloads
from khive_persist.redaction import Redactor

long_payloads.SECONDS = 0.5
redact = Redactor.redact_json

def redact_json(self, text):
    while "hangs" in text:
        pass
    if "kills" in text:
        os.kill(os.getpid(), signal.SIGKILL)
    return redact(self, text)

Redactor.redact_json = redact_json

from khive_persist.store.sqlite.transaction import Transaction
insert_new = Transaction.insert_new

def insert_or_die(self, rows):
    if any("is fatal" in row[1] for row in rows):
        os.kill(os.getpid(), signal.SIGKILL)
    return insert_new(self, rows)

Transaction.insert_new = insert_or_die
"""
DRAINS = """
import sys
from khive_persist.capture.drain import Drain
from khive_persist.project import Project
with Drain(Project(sys.argv[1]), is_timed=True) as draining:
    draining.run()
"""
READS = {
    "call": """
import sys
from khive_persist.capture.drain import drain
from khive_persist.project import Project
result = drain(Project(sys.argv[1]))
sys.exit(result.waiting_count + len(result.errors))
""",
    "thread": """
import sys
import anyio
from khive_persist.capture.shared_drain import drained
from khive_persist.project import Project
result = anyio.run(drained, Project(sys.argv[1]))
sys.exit(result.waiting_count + len(result.errors))
""",
}
BASE = """
import resource, sys
from khive_persist.capture.isolation import read_alone
from khive_persist.capture.spool import Spool
from khive_persist.project import Project
spool = Spool(Project(sys.argv[1]))
small, large = spool.events()
for event in (small, large):
    read_alone(spool, [event])
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""

Drained = Callable[[], int]


@pytest.fixture
def drained(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drained:
    """Drain as the drainer does, in a process that some events hurt; how it ended."""
    folder = tmp_path / "hurts"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(HURTS)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    command = [sys.executable, "-P", "-c", DRAINS, str(project.root)]

    def once() -> int:
        return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode

    return once


def quarantined(project: Project) -> list[str]:
    return sorted(os.listdir(project.quarantine)) if project.quarantine.exists() else []


@pytest.mark.parametrize(
    ("session", "ends"), [("kills", -signal.SIGKILL), ("hangs", -signal.SIGPROF)]
)
def test_what_kills_who_reads_it_twice_is_set_aside(
    session: str, ends: int, project: Project, drained: Drained, capsys: pytest.CaptureFixture[str]
) -> None:
    spool = Spool(project)
    spool.accept("claude-code", stop("before"))
    bad = spool.accept("claude-code", stop(session))
    spool.accept("claude-code", stop("after"))
    assert drained() == ends
    spool.accept("claude-code", stop("late"))
    assert drained() == 0
    assert sessions(project) == ["before", "after", "late"]
    assert (project.quarantine / bad.name).read_bytes() == stop(session)
    assert not (project.spool / JOURNAL).exists()
    assert run(["--dir", str(project.root), "doctor"]) == 1
    assert bad.name in capsys.readouterr().out


@pytest.mark.usefixtures("drained")
@pytest.mark.parametrize("program", READS)
def test_a_program_that_reads_goes_on_where_an_event_hangs(project: Project, program: str) -> None:
    spool = Spool(project)
    spool.accept("claude-code", stop("before"))
    bad = spool.accept("claude-code", stop("hangs"))
    spool.accept("claude-code", stop("after"))
    command = [sys.executable, "-P", "-c", READS[program], str(project.root)]
    assert subprocess.run(command, check=False, timeout=60).returncode == 0
    assert sessions(project) == ["before", "after"]
    assert quarantined(project) == [bad.name]
    assert not (project.spool / JOURNAL).exists()


def endless() -> None:
    while True:
        pass


def some(number: int) -> int:
    done = 0
    while done < number:
        done += 1
    return done


def test_a_limit_ends_what_it_is_of_and_nothing_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limit, "_LOOK_SECONDS", 0)
    limit = TimeLimit()
    over = within = number = 0
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        while over < 100 or within < 100:
            number += 1
            # At whatever point of it the time is over.
            try:
                limit.call(partial(some, number % 1000 + 1), number % 7 * 1e-5)
                within += 1
            except OutOfTime:
                over += 1
            some(50)
    finally:
        sys.setswitchinterval(interval)
    with pytest.raises(OutOfTime):
        limit.call(endless, 0.05)
    assert limit.call(lambda: 1, 60) == 1


def test_whoever_reads_first_is_not_killed_by_it(project: Project, drained: Drained) -> None:
    """The drainer died of it; a command of the user's drains next."""
    bad = Spool(project).accept("claude-code", stop("kills"))
    assert drained() == -signal.SIGKILL
    result = drain(project)
    assert (result.waiting_count, result.errors) == (0, ())
    assert quarantined(project) == [bad.name]


@pytest.mark.usefixtures("drained")
def test_who_reads_alone_ends_by_itself(project: Project) -> None:
    """Who started it may be gone."""
    bad = Spool(project).accept("claude-code", stop("hangs"))
    command = module_command("khive_persist.capture.isolation", "read", str(project.root), bad.name)
    assert subprocess.run(command, check=False, timeout=30).returncode == -signal.SIGXCPU


def test_a_drain_that_was_killed_by_somebody_costs_no_event(project: Project) -> None:
    spool = Spool(project)
    names = [spool.accept("claude-code", stop(f"s{number}")).name for number in range(20)]
    for deaths in (1, 2, 4):
        (project.spool / JOURNAL).write_text("\n".join([str(deaths), *names]))
        assert drain(project).waiting_count == 0
        assert len(sessions(project)) == 20
        names = [spool.accept("claude-code", stop(f"s{number}")).name for number in range(20)]
        with closing(sqlite3.connect(project.database("claude_hooks.db"))) as connection:
            connection.execute("DELETE FROM hook_events")
            connection.commit()
    assert quarantined(project) == []


def test_what_kills_who_stores_it_is_set_aside(project: Project, drained: Drained) -> None:
    spool = Spool(project)
    bad = spool.accept("claude-code", stop("is fatal"))
    spool.accept("claude-code", stop("good"))
    assert [drained() for _ in range(3)] == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert sessions(project) == ["good"]
    assert quarantined(project) == [bad.name]


def test_a_database_that_takes_nothing_is_no_fault_of_an_event(project: Project) -> None:
    event = Spool(project).accept("claude-code", stop("s1"))
    (project.spool / JOURNAL).write_text(f"2\n{event.name}")
    project.database("claude_hooks.db").mkdir()
    result = drain(project)
    assert (result.stored_count, result.waiting_count, len(result.errors)) == (0, 1, 1)
    project.database("claude_hooks.db").rmdir()
    assert drain(project).waiting_count == 0
    assert sessions(project) == ["s1"]


@pytest.mark.parametrize("content", [b"", b"x\ny", b"\xff", b"1", b"9" * 5000 + b"\nx"])
def test_a_journal_of_anything_harms_nothing(project: Project, content: bytes) -> None:
    Spool(project).accept("claude-code", stop("s1"))
    (project.spool / JOURNAL).write_bytes(content)
    assert drain(project).waiting_count == 0
    assert sessions(project) == ["s1"]


def test_a_link_in_place_of_the_journal_is_not_followed(project: Project, tmp_path: Path) -> None:
    Spool(project).accept("claude-code", stop("s1"))
    (project.spool / JOURNAL).symlink_to(tmp_path / "precious")
    assert drain(project).waiting_count == 0
    assert sessions(project) == ["s1"]
    assert not (tmp_path / "precious").exists()


def test_brackets_take_no_more_memory_than_they_may(project: Project) -> None:
    spool = Spool(project)
    spool.accept("claude-code", b"{}")
    size = 12_000_000
    raw = b'{"session_id":"s1","x":[' + b"[]," * (size // 3) + b"[]]}"
    event = spool.accept("claude-code", raw)
    done = subprocess.run(
        [sys.executable, "-P", "-c", BASE, str(project.root)], capture_output=True, check=True
    )
    base, most = (int(line) * 1024 for line in done.stdout.split())
    # What was mapped before, and is touched after, is beside the limit.
    assert most - base <= 1.1 * most_bytes(len(raw))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    spool.accept("claude-code", stop("next"))
    assert drain(project).waiting_count == 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before < most_bytes(len(raw))
    with closing(sqlite3.connect(project.database("claude_hooks.db"))) as connection:
        (text,) = connection.execute(
            "SELECT content FROM hook_events WHERE id = ?", [event.id]
        ).fetchone()
    content = json.loads(text)
    assert content["metadata"] == {"reason": "reading it takes too much memory", "truncated": True}
    assert content["payload"]["truncated"]["bytes"] == len(raw)
    assert sessions(project)[-1] == "next"


def test_a_process_that_cannot_be_started_is_no_fault_of_an_event(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python"
    broken.symlink_to("/bin/false")
    event = Spool(project).accept("claude-code", stop("s1"))
    for deaths in (1, 2):
        (project.spool / JOURNAL).write_text(f"{deaths}\n{event.name}")
        with monkeypatch.context() as patch:
            patch.setattr(sys, "executable", str(broken))
            result = drain(project)
        assert (result.stored_count, result.waiting_count, len(result.errors)) == (0, 1, 1)
    drain(project)
    assert sessions(project) == ["s1"]


def test_a_program_that_embeds_python_leaves_it_to_the_drainer(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(project)
    heavy = spool.accept("claude-code", b"[" * 1_100_000)
    spool.accept("claude-code", stop("s1"))
    monkeypatch.setattr(sys, "executable", "/usr/bin/editor")
    result = drain(project)
    assert (result.stored_count, result.waiting_count) == (1, 1)
    assert heavy.name in str(result.errors[0])
    monkeypatch.undo()


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Callable[[Event, int], None]:
    """Let the system refuse to open the file of an event."""
    opened = os.open

    def refuse(event: Event, number: int) -> None:
        def open_or_refuse(
            path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None
        ) -> int:
            if str(path).endswith(event.name):
                raise OSError(number, os.strerror(number), str(path))
            return opened(path, flags, mode, dir_fd=dir_fd)

        monkeypatch.setattr(os, "open", open_or_refuse)

    return refuse


def test_what_another_user_left_is_set_aside_and_the_others_come_in(
    project: Project, refused: Callable[[Event, int], None]
) -> None:
    foreign = Spool(project).accept("claude-code", stop("foreign"))
    Spool(project).accept("claude-code", stop("s1"))
    refused(foreign, errno.EACCES)
    assert drain(project).waiting_count == 0
    assert sessions(project) == ["s1"]
    assert quarantined(project) == [foreign.name]


def test_what_the_disk_does_not_give_waits_and_is_named(
    project: Project, refused: Callable[[Event, int], None]
) -> None:
    bad = Spool(project).accept("claude-code", stop("bad"))
    Spool(project).accept("claude-code", stop("s1"))
    refused(bad, errno.EIO)
    result = drain(project)
    assert (result.stored_count, result.waiting_count) == (1, 1)
    assert str(result.errors[0]) == f"{project.spool / bad.name}: Input/output error"
    assert sessions(project) == ["s1"]


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EPERM], ids=["gone", "fixed"])
def test_a_file_that_cannot_be_removed_keeps_no_other_tool_waiting(
    number: int, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = Spool(project).accept("claude-code", stop("s1"))
    Spool(project).accept("codex", stop("s2"))
    unlink = os.unlink

    def refuse(path: str, *, dir_fd: int | None = None) -> None:
        if str(path).endswith(event.name):
            raise OSError(number, os.strerror(number), str(path))
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refuse)
    result = drain(project)
    assert result.waiting_count == 1
    assert [str(error) for error in result.errors] == [
        f"{project.spool / event.name}: Operation not permitted"
    ] * (number == errno.EPERM)
    assert (sessions(project), sessions(project, "codex")) == (["s1"], ["s2"])
