"""Two file locks beside each database: the queue of its writers, and the gate of its consumers.

SQLite's own waiting is unfair: under many writers some are refused, however long their timeout. And
its versions up to 3.51.2 can lose a commit when two connections write and reset the WAL at once. So
every writer of ours takes the first lock before it asks SQLite for its own, and gives it back after
the commit. Who has waited longest keeps a turnstile that all others stop at, so that who gives the
lock back cannot take it again first.

What was committed is then copied while others write. Who copies holds the second lock, shared, from
before the commit until the copy is done; the kernel gives it back for a process that is killed. Who
gets it alone knows that nobody alive is between the two.

Where others held a lock for longer than the timeout, a StoreBusyError is raised; where its file
cannot be made or opened, a StoreUnavailableError.
"""

import fcntl
import logging
import os
import random
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from khive_persist.errors import StoreBusyError, StoreUnavailableError
from khive_persist.project import PRIVATE_FILE

_SHORTEST_WAIT_SECONDS: Final = 0.0005
_LONGEST_WAIT_SECONDS: Final = 0.01
_OFD_SETLK: Final[int | None] = getattr(fcntl, "F_OFD_SETLK", None)
_OFD_GETLK: Final[int | None] = getattr(fcntl, "F_OFD_GETLK", None)
# struct flock: type, whence, start, length, process (0 for such locks).
# https://man7.org/linux/man-pages/man2/fcntl_locking.2.html
_FLOCK: Final = "hhqqi4x"
_TURNSTILE: Final = 0
_NEWS: Final = 1
# Nobody waits for longer than this in silence.
SILENT_SECONDS: Final = 5.0

_logger = logging.getLogger("khive_persist")


def try_acquire(path: Path) -> int | None:
    """Take the lock if it is free; its file is made where it is missing.

    Returns:
        A descriptor that holds it until closed; None where others hold it.
    """
    with _opened(path) as descriptor:
        if _take(descriptor, shared=False):
            return descriptor
    os.close(descriptor)
    return None


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
        timeout_seconds: The longest wait for others.
        shared: Share it with others who do.
        is_wanted: Whether it is still worth waiting.

    Returns:
        A descriptor that holds it until closed.
    """
    with _opened(path) as descriptor:
        _wait(path, descriptor, timeout_seconds, shared, is_wanted)
    return descriptor


def _wait(
    path: Path,
    descriptor: int,
    timeout_seconds: float,
    shared: bool,
    is_wanted: Callable[[], bool],
) -> None:
    started_at = time.monotonic()
    is_silent = True
    wait = _SHORTEST_WAIT_SECONDS
    # Who shares the lock comes while others have it.
    is_next = shared
    while True:
        is_next = is_next or _pass_turnstile(descriptor)
        if is_next and _take(descriptor, shared=shared):
            break
        waited = time.monotonic() - started_at
        if waited >= timeout_seconds or not is_wanted():
            raise StoreBusyError(
                f"{path} was held by other writers for {timeout_seconds:g} s", hint="try again"
            )
        if is_silent and waited > SILENT_SECONDS:
            is_silent = False
            _logger.warning("%s has been held by other writers for %.0f s", path, waited)
        # Waiters that wake at the same moments would meet again and again. For the next one all
        # others wait, so it sleeps briefly.
        time.sleep(wait * random.uniform(0.5, 1))  # noqa: S311 - no secret
        wait = _SHORTEST_WAIT_SECONDS if is_next else min(wait * 2, _LONGEST_WAIT_SECONDS)
    if not shared:
        _leave_turnstile(descriptor)


def is_awaited(path: Path) -> bool:
    """Return whether somebody waits for a lock that the caller holds; true where none can tell."""
    if _OFD_GETLK is None:
        return True
    try:
        descriptor = _open(path)
        try:
            return _is_held_by_others(descriptor, _TURNSTILE)
        finally:
            os.close(descriptor)
    except OSError:
        return True


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
    """Keep everybody from writing to a database, and to the copies of what it has."""
    # In this order, as who commits has it: with the first lock held nobody new comes to the gate.
    with held(lock_path(database), timeout_seconds), held(gate_path(database), timeout_seconds):
        yield


def lock_path(database: Path) -> Path:
    """Return where a database's lock lies."""
    return database.with_name(database.name + ".lock")


def gate_path(database: Path) -> Path:
    """Return where the lock lies that is shared by who copies what was committed."""
    return database.with_name(database.name + ".gate.lock")


def announce_news(path: Path) -> int | None:
    """Tell others that something was copied of which the log does not know yet.

    Args:
        path: The gate.

    Returns:
        A descriptor for `end_news`, which the kernel closes for a process that is killed; None
        where the system has no such locks, or keeps none there.
    """
    if _OFD_SETLK is None:
        return None
    try:
        descriptor = _open(path)
        try:
            # Shared: several may have such news.
            _set_range(descriptor, _NEWS, fcntl.F_RDLCK)
        except BaseException:
            os.close(descriptor)
            raise
    except OSError:
        return None
    return descriptor


def end_news(descriptor: int) -> None:
    """Take back what `announce_news` told."""
    with suppress(OSError):
        # A process that was forked since has it open, too.
        _set_range(descriptor, _NEWS, fcntl.F_UNLCK)
    os.close(descriptor)


def have_others_news(descriptor: int) -> bool:
    """Return whether others have announced news; False where it cannot be told.

    Args:
        descriptor: An open gate; the one of `announce_news` where this process has announced some.
    """
    try:
        return _OFD_GETLK is not None and _is_held_by_others(descriptor, _NEWS)
    except OSError:
        return False


def take_range(descriptor: int, offset: int) -> bool:
    """Take one byte of a file for an open descriptor; whether nobody else has it.

    Where the system has no such locks (`F_OFD_SETLK` is of Linux), the whole file is taken.

    Raises:
        OSError: The file system keeps no locks.
    """
    try:
        if _OFD_SETLK is None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            _set_range(descriptor, offset, fcntl.F_WRLCK)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _set_range(descriptor: int, offset: int, kind: int) -> None:
    assert _OFD_SETLK is not None
    fcntl.fcntl(descriptor, _OFD_SETLK, struct.pack(_FLOCK, kind, os.SEEK_SET, offset, 1, 0))


def _is_held_by_others(descriptor: int, offset: int) -> bool:
    assert _OFD_GETLK is not None
    request = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, offset, 1, 0)
    kind, *_ = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, _OFD_GETLK, request))
    return bool(kind != fcntl.F_UNLCK)


def _pass_turnstile(descriptor: int) -> bool:
    """Take the turnstile if it is free, or there is none: the lock alone is then asked for."""
    try:
        return _OFD_SETLK is None or take_range(descriptor, _TURNSTILE)
    except OSError:
        return True


def _leave_turnstile(descriptor: int) -> None:
    if _OFD_SETLK is not None:
        with suppress(OSError):
            _set_range(descriptor, _TURNSTILE, fcntl.F_UNLCK)


def _take(descriptor: int, *, shared: bool) -> bool:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Open the file of a lock; it stays open, unless something is raised within the `with`."""
    try:
        descriptor = _open(path)
        try:
            yield descriptor
        except BaseException:
            os.close(descriptor)
            raise
    except StoreBusyError:
        raise
    except OSError as error:
        raise StoreUnavailableError(f"{path}: {error.strerror}") from error


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        descriptor = os.open(path, flags | os.O_CREAT, PRIVATE_FILE)
        os.fchmod(descriptor, PRIVATE_FILE)
        return descriptor
