"""SIGKILL at random moments: whatever was acknowledged is there, once, in a sound file."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

import pytest

from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.project import Project
from tests.compiled_hook import KINDS
from tests.server import warm
from tests.server.warm import Forked

KILLS = 200
FEW_KILLS = 5


def rounds() -> list[object]:
    return [
        pytest.param(FEW_KILLS, id="a few"),
        pytest.param(KILLS, id="many", marks=pytest.mark.long),
    ]


def ids(path: Path, table: str) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        return [row[0] for row in connection.execute(f"SELECT id FROM {table}")]
    finally:
        connection.close()


@pytest.mark.parametrize("hook_kind", KINDS)
@pytest.mark.parametrize("kills", rounds())
@pytest.mark.timeout(1800)
def test_killed_hooks(project: Project, kills: int, hook_words: list[str]) -> None:
    command = [*hook_words, "--tool", "claude-code"]
    some = random.Random(1)
    acknowledged = ["unharmed"]
    payload = b'{"hook_event_name": "Stop", "session_id": "unharmed"}'
    times = []
    # The first makes the project, and starts a drainer.
    for _ in range(3):
        start = time.monotonic()
        subprocess.run(command, input=payload, cwd=project.root, check=True)
        times.append(time.monotonic() - start)
    # How long it takes tells what else the machine does; kills are to hit it at any point.
    most = 2 * min(times)
    for number in range(kills):
        payload = json.dumps({"hook_event_name": "Stop", "session_id": f"s{number}"}).encode()
        process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=project.root)
        if not number:
            # The others may all come too late: this one comes before there is anything to read.
            process.kill()
        timer = threading.Timer(some.uniform(0, most), process.send_signal, [signal.SIGKILL])
        timer.start()
        try:
            process.communicate(payload)
        except BrokenPipeError:
            process.wait()
        timer.cancel()
        if process.returncode == 0:
            acknowledged.append(f"s{number}")
    for name in os.listdir(project.spool):
        if name.endswith(".tmp"):
            os.utime(project.spool / name, (1, 1))
    result = drain(project)
    assert (result.waiting_count, result.errors) == (0, ())
    connection = sqlite3.connect(project.database("claude_hooks.db"))
    sessions = [row[0] for row in connection.execute("SELECT session_id FROM events")]
    connection.close()
    assert len(acknowledged) <= kills
    assert set(acknowledged) <= set(sessions)
    known = [session for session in sessions if session not in (None, "unharmed")]
    assert len(known) == len(set(known))


@pytest.mark.parametrize("kills", rounds())
@pytest.mark.timeout(1800)
def test_killed_drainers(project: Project, kills: int) -> None:
    some = random.Random(2)
    spool = Spool(project)
    accepted = []
    program = f"""
from khive_persist.capture.drain import Drain
from khive_persist.project import Project
with Drain(Project({str(project.root)!r})) as drain:
    print("ready", flush=True)
    while True:
        drain.run()
"""
    for number in range(kills):
        process = Forked(program, [])
        process.stdout.readline()
        killed = threading.Timer(some.uniform(0, 0.05), process.send_signal, [signal.SIGKILL])
        killed.start()
        while process.poll() is None:
            payload = b'{"hook_event_name":"Stop","session_id":"s%d"}' % number
            accepted.append(spool.accept("claude-code", payload).id)
        process.stdout.close()
    result = drain(project)
    assert (result.waiting_count, result.errors) == (0, ())
    assert sorted(ids(project.database("claude_hooks.db"), "hook_events")) == sorted(accepted)


@pytest.mark.parametrize("kills", rounds())
@pytest.mark.timeout(1800)
def test_killed_savers(project: Project, kills: int) -> None:
    some = random.Random(3)
    acknowledged: list[str] = []
    for number in range(kills):
        process = Forked(warm.of_module("tests.programs.saver"), [str(project.root), str(number)])
        acknowledged.append(process.stdout.readline().strip())
        threading.Timer(some.uniform(0, 0.1), process.send_signal, [signal.SIGKILL]).start()
        with process.stdout:
            rest = process.stdout.read()
        # The last line may be half of one: an id that was never said.
        whole = rest[: rest.rfind("\n") + 1]
        acknowledged += whole.splitlines()
        assert process.wait(60) == -signal.SIGKILL
    saved = ids(project.database("planner_sessions.db"), "planner_sessions")
    assert len(acknowledged) > kills
    assert set(acknowledged) <= set(saved)
    assert len(saved) == len(set(saved))
