"""End while a thread that owns a connection still works."""

import atexit
import threading

from tests.store.test_connection_thread import Connected

thread = Connected()
is_ending = threading.Event()
atexit.register(is_ending.set)


def work() -> None:
    is_ending.wait()
    for _ in range(3_000_000):
        pass
    print("finished", flush=True)


thread.submit(work)
