"""`replay` as a person has it: a real terminal, keys pressed, and the terminal as it was after."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

from khive_persist.project import Project
from tests.replay.sessions import SESSION, six

_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_SECONDS = 30


class Terminal:
    """A program on a terminal of its own, and what it has shown."""

    def __init__(self, process: "subprocess.Popen[bytes]", descriptor: int) -> None:
        self.process = process
        self.descriptor = descriptor
        self.raw = ""

    def press(self, keys: bytes) -> None:
        os.write(self.descriptor, keys)

    def read_until(self, text: str) -> str:
        """What is shown, once this is."""
        end = time.monotonic() + _SECONDS
        while text not in self.text:
            assert time.monotonic() < end, self.text
            self._read()
        return self.text

    def clear(self) -> None:
        self.raw = ""

    def ended(self) -> int:
        end = time.monotonic() + _SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < end, self.text
            self._read()
        while self._read():
            pass
        return self.process.returncode

    @property
    def text(self) -> str:
        return _ESCAPES.sub("", self.raw)

    def _read(self) -> bool:
        if not select.select([self.descriptor], [], [], 0.05)[0]:
            return False
        try:
            read = os.read(self.descriptor, 65_536)
        except OSError:  # Linux says so once the last who had the terminal has left.
            return False
        self.raw += read.decode(errors="replace")
        return bool(read)


@contextmanager
def replaying(project: Project, *words: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "khive_persist.cli", "--dir", str(project.root), "replay"]
    process = subprocess.Popen(
        [*command, SESSION, *words],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        # Who runs tests in the background may have it ignored, which children inherit.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env=os.environ | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"},
    )  # fmt: skip
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


def is_usual(terminal: Terminal) -> bool:
    """Whether the terminal gives whole lines, and shows what is typed."""
    wanted = termios.ICANON | termios.ECHO
    flags: int = termios.tcgetattr(terminal.descriptor)[3]
    return flags & wanted == wanted


def test_keys_pause_step_seek_and_change_the_speed(project: Project) -> None:
    six(project)
    with replaying(project) as terminal:
        terminal.read_until("please do")
        terminal.press(b"n")
        terminal.read_until("I begin")
        terminal.read_until("[paused] 0:05 of 0:30  2/6")
        terminal.clear()
        terminal.press(b" ")
        terminal.read_until("[1x]")
        terminal.press(b" ")
        terminal.read_until("[paused]")
        terminal.press(b"n")
        assert "second-command" not in terminal.read_until("first-output")
        terminal.clear()
        terminal.press(b"b")
        # What was shown is shown anew, without the last.
        again = terminal.read_until("2/6")
        assert "please do" in again
        assert "first-command" not in again
        terminal.press(b"\x1b[C")
        terminal.read_until("0:15 of 0:30  4/6")
        terminal.press(b"\x1b[D")
        terminal.read_until("0:05 of 0:30  2/6")
        terminal.press(b"9")
        terminal.read_until("0:27 of 0:30  5/6")
        terminal.press(b"0")
        terminal.read_until("0:00 of 0:30  1/6")
        terminal.press(b"\x1b[A\x1b[A ")
        terminal.read_until("[4x]")
        terminal.press(b"q")
        assert terminal.ended() == 0


def test_it_goes_to_the_next_failure_and_back(project: Project) -> None:
    six(project)
    with replaying(project) as terminal:
        terminal.press(b"e")
        terminal.read_until("0:10 of 0:30  3/6  2 failed")
        terminal.press(b"e")
        terminal.read_until("0:20 of 0:30  5/6")
        terminal.press(b"e")
        terminal.read_until("no failure after this")
        terminal.clear()
        terminal.press(b"E")
        assert "second-command" not in terminal.read_until("3/6")
        terminal.press(b"E")
        terminal.read_until("no failure before this")
        terminal.press(b"?")
        terminal.read_until("space: pause, and go on")
        terminal.press(b"q")
        assert terminal.ended() == 0


def test_it_ends_by_itself_and_leaves_the_terminal_as_it_was(project: Project) -> None:
    six(project)
    with replaying(project, "--speed", "60") as terminal:
        text = terminal.read_until("the end")
        assert terminal.ended() == 0
        assert is_usual(terminal)
    told = ["please do", "I begin", "first-command", "again", "the end"]
    assert [text.index(word) for word in told] == sorted(text.index(word) for word in told)


def test_an_interrupt_ends_it_and_leaves_the_terminal_as_it_was(project: Project) -> None:
    six(project)
    with replaying(project) as terminal:
        terminal.read_until("[1x]")
        assert not is_usual(terminal)
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.ended() == 130
        assert is_usual(terminal)


def test_into_a_pipe_it_plays_by_itself(project: Project) -> None:
    six(project)
    command = [sys.executable, "-m", "khive_persist.cli", "--dir", str(project.root), "replay"]
    command += [SESSION, "--speed", "10"]
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert time.monotonic() - start >= 3
    assert done.stdout.count("\n") == 9
    assert "\x1b" not in done.stdout
    short = subprocess.run([*command, "--max-gap", "0"], capture_output=True, text=True, check=True)
    assert short.stdout == done.stdout
