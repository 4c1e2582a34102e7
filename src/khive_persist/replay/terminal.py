"""The playing of a session in a terminal: lines as they become due, and keys that steer."""

import math
import os
import selectors
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from khive_persist.replay.playback import Playback

KEYS: Final = (
    ("space", "pause, and go on"),
    ("n, .", "one entry more, then pause"),
    ("b, ,", "one entry back, then pause"),
    ("right, left", "10 seconds on, or back"),
    ("1 to 9, 0", "to that tenth of the session, or its begin"),
    ("up, down", "twice as fast, half as fast"),
    ("e, E", "to the next failure, or the one before, then pause"),
    ("q", "leave"),
)
_SEEK_SECONDS: Final = 10.0
_ARROWS: Final = {b"A": "up", b"B": "down", b"C": "right", b"D": "left"}
_CLEAR_LINE: Final = "\r\x1b[K"
_CLEAR_SCREEN: Final = "\x1b[H\x1b[2J\x1b[3J"
# The running time is shown so often.
_TICK_SECONDS: Final = 0.25

Write = Callable[[str], None]
LinesFrom = Callable[[int, int], Iterator[str]]


def play(playback: Playback, lines: LinesFrom, failures: Sequence[int], write: Write) -> None:
    """Write the lines of entries as they become due, until all are written or someone leaves.

    Keys steer it where stdin and stdout are a terminal, which is put back as it was; elsewhere it
    only plays.

    Args:
        playback: The position to begin at, and the speed.
        lines: The function that gives the lines of the entries from one index up to another.
        failures: The indexes of failed entries, ascending.
        write: The function that writes text.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        _play_out(playback, lines, write)
        return
    with _keys() as pressed:
        _Screen(playback, lines, failures, write).run(pressed)


def _play_out(playback: Playback, lines: LinesFrom, write: Write) -> None:
    clock = time.monotonic()
    position = 0
    while True:
        position = _write_due(playback, lines, write, position)
        wait = playback.wait()
        if wait is None:
            return
        time.sleep(wait)
        instant = time.monotonic()
        playback.pass_by(instant - clock)
        clock = instant


def _write_due(playback: Playback, lines: LinesFrom, write: Write, position: int) -> int:
    for line in lines(position, playback.shown):
        write(line + "\n")
    return playback.shown


class _Screen:
    """A terminal: the timeline scrolls, the last line shows the position in it."""

    def __init__(
        self, playback: Playback, lines: LinesFrom, failures: Sequence[int], write: Write
    ) -> None:
        self._playback = playback
        self._lines = lines
        self._failures = failures
        self._write = write
        self._position = 0
        self._notice = ""

    def run(self, pressed: Callable[[float | None], list[str]]) -> None:
        clock = time.monotonic()
        self._show()
        while not (self._playback.is_over and not self._playback.is_paused):
            wait = self._playback.wait()
            keys = pressed(None if wait is None else min(wait, _TICK_SECONDS))
            instant = time.monotonic()
            self._playback.pass_by(instant - clock)
            clock = instant
            for key in keys:
                if key == "q":
                    self._write(_CLEAR_LINE)
                    return
                self._notice = ""
                self._steer(key)
            self._show()
        self._write(_CLEAR_LINE)

    def _steer(self, key: str) -> None:
        playback = self._playback
        if key == " ":
            playback.is_paused = not playback.is_paused
        elif key in ("n", "."):
            playback.is_paused = True
            playback.step()
        elif key in ("b", ","):
            playback.is_paused = True
            playback.step(-1)
        elif key in ("right", "left"):
            playback.seek(playback.at + (_SEEK_SECONDS if key == "right" else -_SEEK_SECONDS))
        elif key in ("up", "down"):
            playback.faster(2 if key == "up" else 0.5)
        elif key.isdigit():
            playback.seek(playback.end * int(key) / 10)
        elif key in ("e", "E"):
            self._go_to_failure(backwards=key == "E")
        else:
            self._notice = "  ".join(f"{keys}: {effect}" for keys, effect in KEYS)

    def _go_to_failure(self, *, backwards: bool) -> None:
        index = self._playback.find(self._failures, backwards=backwards)
        if index is None:
            self._notice = "no failure before this" if backwards else "no failure after this"
            return
        self._playback.is_paused = True
        self._playback.show(index + 1)

    def _show(self) -> None:
        playback = self._playback
        self._write(_CLEAR_LINE)
        if playback.shown < self._position:
            # Written lines cannot be taken back: the timeline begins anew, up to here.
            self._write(_CLEAR_SCREEN)
            self._position = 0
        self._position = _write_due(playback, self._lines, self._write, self._position)
        width = shutil.get_terminal_size().columns - 1
        self._write((self._notice or self._status())[:width])

    def _status(self) -> str:
        playback = self._playback
        state = "paused" if playback.is_paused else f"{playback.speed:g}x"
        at, end = _clock(playback.at), _clock(playback.end)
        count = f"{playback.shown}/{len(playback)}"
        failures = f"{len(self._failures)} failed"
        return f"[{state}] {at} of {end}  {count}  {failures}  ? keys, q leaves"


def _clock(seconds: float) -> str:
    total = int(seconds)
    hours, minutes = total // 3600, total // 60 % 60
    return f"{hours}:{minutes:02}:{total % 60:02}" if hours else f"{minutes}:{total % 60:02}"


@contextmanager
def _keys() -> Iterator[Callable[[float | None], list[str]]]:
    """Yield a function that returns the keys that were pressed, after a time at the most."""
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    attributes = termios.tcgetattr(descriptor)
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)

        def pressed(seconds: float | None) -> list[str]:
            if seconds is not None and math.isinf(seconds):
                seconds = None
            if not selector.select(seconds):
                return []
            read = os.read(descriptor, 64)
            # The terminal is gone: nobody can press anything any more.
            return list(_named(read)) if read else ["q"]

        try:
            tty.setcbreak(descriptor)
            yield pressed
        finally:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, attributes)


def _named(read: bytes) -> Iterator[str]:
    at = 0
    while at < len(read):
        if read[at : at + 2] in (b"\x1b[", b"\x1bO"):
            name = _ARROWS.get(read[at + 2 : at + 3])
            at += 3
            if name:
                yield name
        else:
            yield chr(read[at])
            at += 1
