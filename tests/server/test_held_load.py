"""Server, recorder and drainer are killed again and again under all kinds of clients at once."""

import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any, Self

import pytest

from khive_persist.capture.drain import drain
from khive_persist.cli.root import run
from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.project import Project
from tests.server.load import LISTENERS, TOOLS
from tests.server.process import ROOT, Server, recorder_of
from tests.server.sessions import KINDS, contents

FEW_KILLS = 6
KILLS = int(os.environ.get("KHIVE_TEST_KILLS", "1000"))


class Crowd:
    """The clients of one role, in a process of their own."""

    def __init__(self, role: str, server: Server) -> None:
        self.told: dict[str, Any] = {}
        self._role = role
        self._count = 0
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.server.load", role, str(server.project.root), server.url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        self._say(server.token)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def wait_for(self, count: int) -> None:
        """Wait until so many more are acknowledged."""
        with self._changed:
            wanted = self._count + count
            assert self._changed.wait_for(
                lambda: self._count >= wanted or self._process.poll() is not None, 90
            ), f"{self._role}: {wanted - self._count} of {count} are not acknowledged in 90 s"
        assert self._process.poll() is None, self._role

    def end(self) -> dict[str, Any]:
        """Let them bring to its end what they have begun; what was promised to them."""
        self._say("stop")
        self._thread.join()
        assert self._process.wait() == 0, self._role
        print(f"{self._role}: {self._count} acknowledged, {self.told['cuts']} cut")
        return self.told

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._thread.join()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                if line.startswith("{"):
                    self.told = json.loads(line)
                with self._changed:
                    self._count += line == "done\n"
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def drainers(project: Project) -> list[int]:
    """The drainers of a project."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if {b"khive_persist.capture.drainer", os.fsencode(project.root)} <= {*words}:
                found.append(int(folder.name))
    return found


def kill_drainer(project: Project) -> None:
    """Kill the one that there is; who puts events into the spool starts one where there is none."""
    ends = time.monotonic() + 60
    while True:
        with suppress(ProcessLookupError):
            for pid in drainers(project)[:1]:
                os.kill(pid, signal.SIGKILL)
                return
        assert time.monotonic() < ends


def kill_recorder(server: Server) -> None:
    while True:
        with suppress(ProcessLookupError):
            os.kill(recorder_of(server.process.pid), signal.SIGKILL)
            return


def stored(project: Project) -> dict[str, dict[str, Any]]:
    """The content of each event, by its id."""
    found: dict[str, dict[str, Any]] = {}
    for tool in TOOLS:
        path = project.database(HOOK_EVENTS[tool].file)
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            rows = connection.execute("SELECT id, content FROM hook_events").fetchall()
        for id, content in rows:
            assert id not in found
            found[id] = json.loads(content)
    return found


def lines_of_mirror(project: Project) -> Counter[str]:
    """How often each event stands in the mirror, as plain text."""
    found: Counter[str] = Counter()
    for path in project.sessions.glob("*.jsonl"):
        content = path.read_bytes()
        assert content.endswith(b"\n")
        found.update(json.loads(line)["id"] for line in content.splitlines())
    return found


@pytest.mark.parametrize(
    "kills",
    [pytest.param(FEW_KILLS, id="a few"), pytest.param(KILLS, id="many", marks=pytest.mark.long)],
)
@pytest.mark.timeout(7200)
def test_whoever_is_killed_under_whatever_load_nothing_is_lost_or_doubled(
    project: Project, kills: int
) -> None:
    some = random.Random(7)
    words = ("--port", str(free_port()), "--log-json")
    server = Server(project, words=words)
    killed: Counter[str] = Counter()
    whom = ["server", "recorder", "drainer"]
    began = time.monotonic()
    with ExitStack() as stack:
        listeners = stack.enter_context(Crowd("listeners", server))
        listeners.wait_for(LISTENERS)
        crowds = {
            role: stack.enter_context(Crowd(role, server))
            for role in ("writers", "spoolers", "users")
        }
        try:
            for number in range(kills):
                if number % len(whom) == 0:
                    some.shuffle(whom)
                for crowd in crowds.values():
                    crowd.wait_for(some.randint(1, 20))
                who = whom[number % len(whom)]
                if who == "drainer":
                    kill_drainer(project)
                elif who == "recorder":
                    kill_recorder(server)
                else:
                    server.kill()
                    server = Server(project, words=words)
                killed[who] += 1
            took = time.monotonic() - began
            told = {role: crowd.end() for role, crowd in crowds.items()}
            drained = drain(project)
            assert (drained.waiting_count, drained.errors) == (0, ())
            events = stored(project)
            file = project.root / "stored.json"
            of_whom = {id: (one["tool"], one["session_id"]) for id, one in events.items()}
            file.write_text(json.dumps(of_whom))
            told["listeners"] = listeners.end()
        finally:
            server.stop()
    print(f"{dict(killed)} killed in {took:.0f} s, {took / kills:.2f} s each; {len(events)} events")
    assert [one["wrong"] for one in told.values()] == [[]] * 4
    assert told["listeners"]["gaps"] == []
    assert told["listeners"]["heard"] >= len(events)
    ids = {id for role in ("writers", "spoolers") for id in told[role]["ids"]}
    numbers = Counter(one["payload"]["number"] for one in events.values())
    assert len(ids) > kills
    assert ids <= events.keys()
    assert numbers.keys() >= {*told["writers"]["numbers"]}
    assert {*numbers.values()} == {1}
    lines = lines_of_mirror(project)
    assert {id: lines[id] for id in events} == dict.fromkeys(events, 1)
    sessions = contents(project, "sessions")
    cases = told["users"]["cases"]
    assert sessions.keys() == cases.keys()
    assert sum(len(one["versions"]) for one in cases.values()) > kills
    for id, one in cases.items():
        said = [*one["versions"], *([one["completed"]] if one["completed"] else [])]
        assert len(said) == len({*said}), id
        assert sessions[id]["version"] == 1 + len(said) + one["unsaid"], (id, one)
    added = told["users"]["added"]
    assert len(added) == len({*added})
    assert {*added} <= {id for name in KINDS for id in contents(project, name)}
    assert run(["--dir", str(project.root), "verify"]) == 0
