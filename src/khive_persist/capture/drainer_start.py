"""Waking the drainer of a spool from a program that goes on, and starting one where none runs."""

import os
import stat
import subprocess
import sys
from contextlib import suppress
from typing import Final

from khive_persist.capture import spool_writer

_WRITING: Final = os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_START: Final = """
import sys
from khive_persist.capture import spool_writer
spool_writer.wake_drainer(sys.argv[1], spool_writer.open_private(sys.argv[1] + "/.khive/spool"))
"""
_START_SECONDS: Final = 10.0


def wake_drainer(root: str) -> None:
    """Wake the drainer of the spool below a directory, or start one. Call it in a thread.

    Where that fails what lies there is kept all the same: the next hook or reader drains it.
    """
    if _is_woken(root):
        return
    # Nobody listens there. One that was started from here would stay our child, and a zombie after
    # its end; so the one who starts it leaves at once.
    command = [sys.executable, "-E", "-P", "-c", _START, root]
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(  # noqa: S603 - the path is a word of its own
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=_START_SECONDS,
        )


def _is_woken(root: str) -> bool:
    """Wake the drainer that listens; False where none does, or its pipe is something else."""
    try:
        pipe = os.open(f"{root}/.khive/spool/{spool_writer.WAKE}", _WRITING)
    except OSError:
        return False
    try:
        if not stat.S_ISFIFO(os.fstat(pipe).st_mode):
            return False
        # It is full: whoever reads it is awake.
        with suppress(BlockingIOError):
            os.write(pipe, b"\n")
        return True
    finally:
        os.close(pipe)
