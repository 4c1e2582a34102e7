"""A terminal of a given width, for a command in this process or a program of its own."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Container, Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from khive_persist.cli.root import run

_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Shown(str):
    """What a terminal got."""

    __slots__ = ()

    @property
    def lines(self) -> list[str]:
        """Its lines without colours."""
        return _ESCAPES.sub("", self).splitlines()


@contextmanager
def _terminal(columns: int, got: bytearray) -> Iterator[int]:
    """Open a terminal whose output is collected; when it is closed all of it is there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def collect() -> None:
        # Linux says by an error that the last who had the terminal has left.
        while True:
            try:
                part = os.read(ours, 65_536)
            except OSError:
                return
            got.extend(part)

    reader = Thread(target=collect)
    reader.start()
    try:
        yield theirs
    finally:
        os.close(theirs)
        reader.join(30)
        os.close(ours)


def shown(columns: int, *words: str, codes: Container[int] = (0,)) -> Shown:
    """Run a command on a terminal so wide, and return what it shows there."""
    got = bytearray()
    with _terminal(columns, got) as descriptor, pytest.MonkeyPatch.context() as patch:
        patch.delenv("COLUMNS", raising=False)
        stream = open(descriptor, "w", closefd=False)  # noqa: SIM115 - closed below
        for name in ("stdout", "stderr", "__stdout__"):
            patch.setattr(sys, name, stream)
        code = run([*words])
        stream.close()
    assert code in codes, got
    return Shown(got.decode().replace("\r\n", "\n"))


def program_shown(columns: int, *words: str) -> Shown:
    """Start the program on a terminal so wide, and return what it shows there."""
    got = bytearray()
    without = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    with _terminal(columns, got) as descriptor:
        subprocess.run(
            [sys.executable, "-m", "khive_persist", *words],
            stdin=subprocess.DEVNULL, stdout=descriptor, stderr=descriptor, check=True, timeout=60,
            env=without,
        )  # fmt: skip
    return Shown(got.decode().replace("\r\n", "\n"))
