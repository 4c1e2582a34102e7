"""Who takes which lock: seen where the interpreter asks the system for it."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple

import khive_persist

PACKAGE: Final = str(Path(khive_persist.__file__).parent) + "/"
# These take a lock for somebody else.
FOR_OTHERS: Final = frozenset(
    {
        "try_acquire", "acquire", "held", "held_alone", "_held", "turn", "in_turn", "_turn",
        "_locked", "_lock", "_take", "take_range", "_set_range", "_wait", "_pass_turnstile",
        "_leave_turnstile",
    }
)  # fmt: skip


class Taken(NamedTuple):
    """One lock that was asked for.

    Attributes:
        function: Whose it is: `module.py:function`.
        name: The name of the lock's file or folder.
    """

    function: str
    name: str


_taken: set[Taken] = set()
_is_on = threading.Event()


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("fcntl.flock", "fcntl.fcntl") and _is_on.is_set():
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and (
            not frame.f_code.co_filename.startswith(PACKAGE) or frame.f_code.co_name in FOR_OTHERS
        ):
            frame = frame.f_back
        if frame is not None:
            module = frame.f_code.co_filename.removeprefix(PACKAGE)
            path = os.readlink(f"/proc/self/fd/{arguments[0]}")
            _taken.add(Taken(f"{module}:{frame.f_code.co_qualname}", os.path.basename(path)))


sys.addaudithook(_look)


@contextmanager
def locks_taken() -> Iterator[set[Taken]]:
    """The locks that are asked for within the `with`, by whichever thread."""
    _taken.clear()
    _is_on.set()
    try:
        yield _taken
    finally:
        _is_on.clear()
