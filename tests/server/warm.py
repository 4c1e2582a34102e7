"""Programs that start at once: forks of a process that has imported all that ours need."""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

ROOT = Path(__file__).parents[2]


class Forked:
    """A running program, with what tests use of a `subprocess.Popen`."""

    def __init__(
        self,
        program: str,
        words: Sequence[str],
        stderr: IO[bytes] | None = None,
        *,
        stdin: IO[bytes] | None = None,
        directory: Path = ROOT,
        before: str = "",
    ) -> None:
        what = {
            "program": program,
            "words": words,
            "environment": dict(os.environ),
            "directory": str(directory),
        }
        reading, writing = os.pipe()
        self._told, telling = socket.socketpair()
        with open(os.devnull, "rb") as nothing:
            files = [
                (stdin or nothing).fileno(),
                writing,
                stderr.fileno() if stderr else 2,
                telling.fileno(),
            ]
            socket.send_fds(_parent(before), [json.dumps(what).encode()], files)
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


def run(
    program: str,
    *words: str,
    input: bytes = b"",
    directory: Path = ROOT,
    timeout: float = 60,
    before: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a program of Python as `python -c` does, and wait for its end.

    What it shows is what an interpreter of its own would, but for how one starts.

    Args:
        program: Its text.
        words: What it is told.
        input: Its stdin.
        directory: Where it runs, and imports from.
        timeout: For how many seconds.
        before: What is run before anything of ours is imported, once for all that name the same.

    Raises:
        subprocess.TimeoutExpired: It took longer, and was killed.
    """
    with TemporaryFile() as stdin, TemporaryFile() as stderr:
        stdin.write(input)
        stdin.seek(0)
        process = Forked(program, words, stderr, stdin=stdin, directory=directory, before=before)
        with process.stdout, ThreadPoolExecutor(1) as reader:
            reading = reader.submit(process.stdout.read)
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
            stdout = reading.result()
        stderr.seek(0)
        return subprocess.CompletedProcess(words, code, stdout, stderr.read().decode())


def run_module(
    module: str, *words: str, input: bytes = b"", directory: Path = ROOT, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a module as `python -m` does; else as `run`."""
    return run(of_module(module), *words, input=input, directory=directory, timeout=timeout)


def of_module(module: str) -> str:
    """Return a program that is a module."""
    return f"import runpy; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"


# Python's shortest start, and what it is told goes on to the one that forks.
_COMMAND = """#!{python} -IS
import json, os, socket, sys
asking = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
asking.connect({address!r})
what = {{
    "program": {program!r}, "words": sys.argv[1:],
    "environment": dict(os.environ), "directory": os.getcwd(),
}}
socket.send_fds(asking, [json.dumps(what).encode()], [0, 1, 2])
asking.recv(100)
code = int(asking.recv(100) or b"1")
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


@contextmanager
def command_in(folder: Path) -> Iterator[None]:
    """Put a `khive-persist` for a shell's PATH into a folder; each of its runs is a fork."""
    address = str(folder / "asked")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(address)
        listening.listen()
        command = folder / "khive-persist"
        program = "from khive_persist.cli.root import main; main()"
        command.write_text(_COMMAND.format(python=sys.executable, address=address, program=program))
        command.chmod(0o700)
        with ThreadPoolExecutor(1) as thread:
            thread.submit(_hand_on, listening)
            yield
            listening.shutdown(socket.SHUT_RDWR)


def _hand_on(listening: socket.socket) -> None:
    while True:
        try:
            asking, _ = listening.accept()
        except OSError:
            return
        with asking:
            message, files, _, _ = socket.recv_fds(asking, 1 << 17, 3)
            socket.send_fds(_parent(""), [message], [*files, asking.fileno()])
        for file in files:
            os.close(file)


@cache
def _parent(before: str) -> socket.socket:
    asking, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-P", str(Path(__file__).with_name("warm_parent.py")), before]
    process = subprocess.Popen(command, stdin=asked.fileno(), stdout=subprocess.PIPE, cwd="/")
    asked.close()

    def end() -> None:
        asking.close()
        process.communicate()

    atexit.register(end)
    return asking
