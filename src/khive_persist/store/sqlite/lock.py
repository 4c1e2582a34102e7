"""Two file locks beside each database: the queue of its writers, and the gate of its consumers.

SQLite's own waiting is unfair: under many writers some are refused, however long their timeout. And
its versions up to 3.51.2 can lose a commit when two connections write and reset the WAL at once. So
every writer of ours takes the first lock before it asks SQLite for its own, and gives it back after
the commit.

What was committed is then copied while others write. Who copies holds the second lock, shared, from
before the commit until the copy is done; the kernel gives it back for a process that is killed. Who
gets it alone knows that nobody alive is between the two.
"""

import fcntl
import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from khive_persist.errors import StoreBusyError, StoreUnavailableError
from khive_persist.place import PRIVATE_FILE

_SHORTEST_WAIT_SECONDS: Final = 0.0005
_LONGEST_WAIT_SECONDS: Final = 0.01
# Nobody waits for longer than this in silence.
SILENT_SECONDS: Final = 5.0

_logger = logging.getLogger("khive_persist")


def try_acquire(path: Path, *, shared: bool = False) -> int | None:
    """Take the lock if it is free.

    Args:
        path: The lock's file, made where it is missing.
        shared: Share it with others who do.

    Returns:
        A descriptor that holds it until closed; None where others hold it.

    Raises:
        StoreUnavailableError: The lock's file cannot be made or opened.
    """
    try:
        descriptor = _open(path)
        try:
            mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
    except OSError as error:
        raise StoreUnavailableError(f"{path}: {error.strerror}") from error
    return descriptor


def acquire(
    path: Path,
    timeout_seconds: float,
    *,
    shared: bool = False,
    is_wanted: Callable[[], bool] = lambda: True,
) -> int:
    """Take the lock; after 5 seconds of waiting, a warning in the log says so.

    Args:
        path: The lock's file, made where it is missing.
        timeout_seconds: How long to wait for others.
        shared: Share it with others who do.
        is_wanted: Whether it is still worth waiting.

    Returns:
        A descriptor that holds it until closed.

    Raises:
        StoreBusyError: Others held it for longer than the timeout.
        StoreUnavailableError: The lock's file cannot be made or opened.
    """
    begin = time.monotonic()
    is_silent = True
    wait = _SHORTEST_WAIT_SECONDS
    while (descriptor := try_acquire(path, shared=shared)) is None:
        waited = time.monotonic() - begin
        if waited >= timeout_seconds or not is_wanted():
            raise StoreBusyError(
                f"{path} was held by other writers for {timeout_seconds:g} s", hint="try again"
            )
        if is_silent and waited > SILENT_SECONDS:
            is_silent = False
            _logger.warning("%s has been held by other writers for %.0f s", path, waited)
        # Waiters that wake at the same moments would meet again and again.
        time.sleep(wait * random.uniform(0.5, 1))  # noqa: S311 - no secret
        wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
    return descriptor


@contextmanager
def held(
    path: Path, timeout_seconds: float, is_wanted: Callable[[], bool] = lambda: True
) -> Iterator[None]:
    """Hold the lock; see `acquire`."""
    descriptor = acquire(path, timeout_seconds, is_wanted=is_wanted)
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def held_alone(database: Path, timeout_seconds: float) -> Iterator[None]:
    """Keep everybody from writing to a database, and to the copies of what it has.

    Raises:
        StoreBusyError: Others held a lock for longer than the timeout.
        StoreUnavailableError: A lock's file cannot be made or opened.
    """
    # In this order, as who commits has it: with the first lock held nobody new comes to the gate.
    with held(lock_path(database), timeout_seconds), held(gate_path(database), timeout_seconds):
        yield


def lock_path(database: Path) -> Path:
    """Where a database's lock lies."""
    return database.with_name(database.name + ".lock")


def gate_path(database: Path) -> Path:
    """Where the lock lies that is shared by who copies what was committed."""
    return database.with_name(database.name + ".gate.lock")


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        descriptor = os.open(path, flags | os.O_CREAT, PRIVATE_FILE)
        os.fchmod(descriptor, PRIVATE_FILE)
        return descriptor
