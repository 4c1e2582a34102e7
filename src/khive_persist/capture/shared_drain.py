"""One drain at a time for all who read a place in this process.

Each would wait in a thread of its own otherwise, for the one that runs.
"""

import asyncio
import os
import threading
from concurrent.futures import Future

from khive_persist.capture.drain import Drained, drain
from khive_persist.place import Place

_mutex = threading.Lock()
# The drain that has not begun yet: whoever comes before it begins is served by it.
_next: "dict[Place, Future[Drained]]" = {}
_running: set[Place] = set()


async def drained(place: Place) -> Drained:
    """Bring in all that lay in the spool of a place when this was called; see `drain`."""
    return await asyncio.shield(asyncio.wrap_future(_joined(place)))


def _joined(place: Place) -> "Future[Drained]":
    with _mutex:
        future = _next.get(place)
        if future is None:
            future = _next[place] = Future()
        if place not in _running:
            _running.add(place)
            threading.Thread(target=_run, args=(place,), name="khive-drain", daemon=True).start()
        return future


def _run(place: Place) -> None:
    while True:
        with _mutex:
            future = _next.pop(place, None)
            if future is None:
                _running.discard(place)
                return
        try:
            future.set_result(drain(place))
        except BaseException as error:  # A mistake of ours; who waits must hear of it.
            future.set_exception(error)


def _begin_anew() -> None:
    """Forget, in the child of a fork, what threads of the parent do."""
    global _mutex
    _mutex = threading.Lock()
    _next.clear()
    _running.clear()


os.register_at_fork(after_in_child=_begin_anew)
