"""Servers that start at once: forks of a process that has imported all that they need."""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]


class Forked:
    """A running program, with what tests use of a `subprocess.Popen`."""

    def __init__(self, program: str, words: Sequence[str], stderr: IO[bytes]) -> None:
        what = {
            "program": program,
            "words": words,
            "environment": dict(os.environ),
            "directory": str(ROOT),
        }
        reading, writing = os.pipe()
        self._told, telling = socket.socketpair()
        files = [writing, stderr.fileno(), telling.fileno()]
        socket.send_fds(_parent(), [json.dumps(what).encode()], files)
        os.close(writing)
        telling.close()
        self.stdout = os.fdopen(reading, encoding="utf-8")
        self._lines = self._told.makefile()
        self.pid = int(self._lines.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float) -> int:
        """Wait until it has ended; its exit code."""
        if self.returncode is None:
            ready, _, _ = select.select([self._told], [], [], timeout)
            if not ready:
                raise subprocess.TimeoutExpired("a server", timeout)
            self.returncode = int(self._lines.readline())
            self._lines.close()
            self._told.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.send_signal(signal.SIGKILL)


@cache
def _parent() -> socket.socket:
    asking, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-P", str(Path(__file__).with_name("warm_parent.py"))]
    process = subprocess.Popen(command, stdin=asked.fileno(), stdout=subprocess.PIPE, cwd="/")
    asked.close()

    def end() -> None:
        asking.close()
        process.communicate()

    atexit.register(end)
    return asking
