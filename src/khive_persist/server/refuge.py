"""Where an event goes that its database does not take in time: the spool, as from a hook.

It has one id from its arrival on. So a commit that comes late, or came and could not be mirrored,
and the spool's own drain later, store it once.
"""

import os
import stat
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Final

from khive_persist.capture import arrival
from khive_persist.capture.spool import Event, parse
from khive_persist.errors import CaptureError
from khive_persist.place import Place

_WRITING: Final = os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_START: Final = """
import sys
from khive_persist.capture import arrival
arrival.wake_drainer(sys.argv[1], arrival.open_private(sys.argv[1] + "/.khive/spool"))
"""
_START_SECONDS: Final = 10.0


def new_event(tool: str) -> Event:
    """An event that has arrived just now."""
    event = parse(arrival.file_name(tool, True))
    assert event is not None
    return event


class Refuge:
    """The spool of a place, and behind it that of the home directory."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._waking = threading.Lock()

    def keep(self, event: Event, raw: bytes) -> None:
        """Put an event into the place's spool, else into that of the home directory.

        It survives a power loss on return, and a drainer was woken. Call it in a thread.

        Raises:
            CaptureError: Neither takes it.
        """
        root = str(self._place.root)
        try:
            os.close(arrival.keep(root, event.name, raw))
        except OSError as error:
            home = arrival.home()
            if not home or home == root:
                raise CaptureError(f"{self._place.spool}: {error.strerror}") from error
            try:
                os.close(arrival.keep_away(home, os.path.realpath(root), event.name, raw, None))
            except OSError as second:
                raise CaptureError(
                    f"{self._place.spool}: {error.strerror}; {home}/.khive: {second.strerror}"
                ) from second
            root = home
        self.wake_drainer(root)

    def wake_drainer(self, root: str) -> None:
        """Wake the drainer of the spool below a directory, or start one. Call it in a thread.

        Where that fails the events are kept all the same: the next hook or reader drains them.
        """
        try:
            pipe = os.open(f"{root}/.khive/spool/{arrival.WAKE}", _WRITING)
        except OSError:
            # Nobody listens there. One that was started from here would stay our child, and a
            # zombie after its end; so the one who starts it leaves at once.
            command = [sys.executable, "-E", "-P", "-c", _START, root]
            with self._waking, suppress(subprocess.TimeoutExpired):
                subprocess.run(  # noqa: S603 - the path is a word of its own
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    check=False,
                    timeout=_START_SECONDS,
                )
            return
        try:
            if stat.S_ISFIFO(os.fstat(pipe).st_mode):
                os.write(pipe, b"\n")
        except BlockingIOError:
            # It is full: whoever reads it is awake.
            pass
        finally:
            os.close(pipe)
