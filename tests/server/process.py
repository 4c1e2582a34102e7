"""A real server: a process of its own on a free port, and clients that speak to it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import httpx

from khive_persist.project import Project
from tests.server.warm import ROOT as ROOT
from tests.server.warm import Forked

START_SECONDS = 30

COMMAND = "from khive_persist.cli.root import main; main()"
# As `serve` does, with other limits and rhythms, which are no settings.
PROGRAM = """
import json, sys
from khive_persist.capture.drain import usable_settings
from khive_persist.project import Project
from khive_persist.recorder import logs
from khive_persist.server.http.limits import Limits
from khive_persist.server.run import Options, serve
from khive_persist.server.background_tasks import Intervals

project = Project(sys.argv[1])
limits, intervals = json.loads(sys.argv[2])
logs.set_up(as_json=True)
options = Options(port=0, limits=Limits(**limits), intervals=Intervals(**intervals))
serve(project, usable_settings(project), options, lambda url: print(url, flush=True))
"""
QUICK = {"settings": 0.05, "spool": 0.1, "backup": 0.2, "sync": 0.1}


class Server:
    """A running server of a project.

    Args:
        project: Where it records.
        words: What `serve` is told.
        limits: Other limits.
        intervals: Other rhythms.
        is_fork: Of a process with all of its imports, which are most of a start. Where it matters
            how an interpreter starts, or what it has in memory, it is one of its own.
    """

    def __init__(
        self,
        project: Project,
        *,
        words: tuple[str, ...] = ("--port", "0", "--log-json"),
        limits: Mapping[str, float] | None = None,
        intervals: Mapping[str, float] | None = None,
        is_fork: bool = True,
    ) -> None:
        self.project = project
        program, arguments = COMMAND, ["--dir", str(project.root), "serve", *words]
        if limits is not None or intervals is not None:
            options = json.dumps([limits or {}, QUICK if intervals is None else intervals])
            program, arguments = PROGRAM, [str(project.root), options]
        self._log = (project.root / "server.log").open("ab")
        self.process: Forked | subprocess.Popen[str]
        if is_fork:
            self.process = Forked(program, arguments, self._log)
        else:
            start = ["-m", "khive_persist.cli"] if program is COMMAND else ["-c", program]
            self.process = subprocess.Popen(
                [sys.executable, *start, *arguments],
                stdout=subprocess.PIPE, stderr=self._log, text=True, cwd=ROOT,
            )  # fmt: skip
        assert self.process.stdout is not None
        # It ends where the process does; a process that hangs meets the test's own timeout.
        self.url = self.process.stdout.readline().strip()

    @property
    def log(self) -> str:
        """What it has said on stderr by now."""
        return (self.project.root / "server.log").read_text("utf-8")

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, _, port = self.url.rpartition("//")[2].rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def token(self) -> str:
        """The local token, with every right."""
        return (self.project.khive / "server.token").read_text().strip()

    def client(self, token: str | None = None, **headers: str) -> httpx.Client:
        """A client that sends a token; the local one unless another is given, none for ''."""
        chosen = self.token if token is None else token
        if chosen:
            headers["authorization"] = f"Bearer {chosen}"
        return httpx.Client(base_url=self.url, headers=headers, timeout=50, trust_env=False)

    def connect(self) -> socket.socket:
        """A bare connection, for what no client sends."""
        return socket.create_connection(self.address, timeout=20)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to stop; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.end()

    def end(self) -> int:
        """Wait until it has ended; its exit code."""
        code = self.process.wait(timeout=60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()
        return code

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()
        self.end()

    def __enter__(self) -> Self:
        assert self.url.startswith("http"), self.log
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.end()


def event(number: int, size: int = 2_000, **fields: Any) -> bytes:
    """A payload of Claude Code's with a session and a number of its own."""
    document = {
        "session_id": f"s{number % 4}",
        "hook_event_name": "PreToolUse",
        "tool_name": "Bash",
        "tool_input": {"command": "x" * size},
        "number": number,
    }
    return json.dumps(document | fields).encode()


def until(happens: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for what another process does."""
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def read_answer(connection: socket.socket) -> tuple[int, bytes]:
    """The status and the rest of what a bare connection is answered until it ends or pauses."""
    received = b""
    try:
        while piece := connection.recv(65_536):
            received += piece
            head, found, body = received.partition(b"\r\n\r\n")
            if found and len(body) >= _length(head):
                break
    except ConnectionResetError:
        # What was answered before it was cut off counts.
        pass
    if not received.startswith(b"HTTP/1.1 "):
        return 0, received
    return int(received.split(b" ", 2)[1]), received


def memory_bytes(pid: int) -> int:
    """What a process holds in memory now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        # A thread may end between being listed and being asked.
        with suppress(OSError):
            found += map(int, (task / "children").read_text().split())
    return found


def recorder_of(pid: int) -> int:
    """The recorder of a server; one that was killed is started anew within moments."""
    while True:
        for child in children(pid):
            with suppress(OSError):
                if b"recorder.process" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return child
        time.sleep(0.02)


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0
