"""The queue of writers: one file lock beside each database.

SQLite's own waiting is unfair: under many writers some are refused, however long their timeout. And
its versions up to 3.51.2 can lose a commit when two connections write and reset the WAL at once. So
every writer of ours takes this lock before it asks SQLite for its own, and gives it back after.
"""

import fcntl
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from khive_persist.errors import StoreBusyError, StoreUnavailableError
from khive_persist.place import PRIVATE_FILE

_SHORTEST_WAIT_SECONDS: Final = 0.0005
_LONGEST_WAIT_SECONDS: Final = 0.01


def try_acquire(path: Path) -> int | None:
    """Take the lock if it is free; a descriptor that holds it until closed, or None.

    Raises:
        StoreUnavailableError: The lock's file cannot be made or opened.
    """
    try:
        descriptor = _open(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
    except OSError as error:
        raise StoreUnavailableError(f"{path}: {error.strerror}") from error
    return descriptor


def acquire(path: Path, timeout_seconds: float) -> int:
    """Take the lock; a descriptor that holds it until closed.

    Raises:
        StoreBusyError: Others held it for longer than the timeout.
        StoreUnavailableError: The lock's file cannot be made or opened.
    """
    end = time.monotonic() + timeout_seconds
    wait = _SHORTEST_WAIT_SECONDS
    while (descriptor := try_acquire(path)) is None:
        if time.monotonic() >= end:
            raise StoreBusyError(
                f"{path} was held by other writers for {timeout_seconds:g} s", hint="try again"
            )
        # Waiters that wake at the same moments would meet again and again.
        time.sleep(wait * random.uniform(0.5, 1))  # noqa: S311 - no secret
        wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
    return descriptor


@contextmanager
def held(path: Path, timeout_seconds: float) -> Iterator[None]:
    """Hold the lock."""
    descriptor = acquire(path, timeout_seconds)
    try:
        yield
    finally:
        os.close(descriptor)


def lock_path(database: Path) -> Path:
    """Where a database's lock lies."""
    return database.with_name(database.name + ".lock")


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        descriptor = os.open(path, flags | os.O_CREAT, PRIVATE_FILE)
        os.fchmod(descriptor, PRIVATE_FILE)
        return descriptor
