"""Locks on names of the mirror: a writer waits only for writers of the same file.

They are ranges of the folder's lock file, held while a descriptor is open: see
`write_lock.take_range`.
"""

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from khive_persist.errors import StoreBusyError
from khive_persist.mirror import names
from khive_persist.project import PRIVATE_FILE
from khive_persist.store.sqlite import write_lock

_TIMEOUT_SECONDS: Final = 30.0
_SHORTEST_WAIT_SECONDS: Final = 0.0005
_LONGEST_WAIT_SECONDS: Final = 0.01
_RANGES: Final = 1 << 40


@contextmanager
def held(folder: Path, keys: Iterable[str]) -> Iterator[None]:
    """Hold the locks of the names that files may have.

    Raises:
        StoreBusyError: Others held one of them for longer than 30 s.
        OSError: The lock's file cannot be made or opened.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(folder / names.LOCK, flags, PRIVATE_FILE)
    try:
        os.fchmod(descriptor, PRIVATE_FILE)
        end = time.monotonic() + _TIMEOUT_SECONDS
        # In one order, or two processes that hold several would wait for each other.
        for offset in sorted({_offset(key) for key in keys}):
            wait = _SHORTEST_WAIT_SECONDS
            while not write_lock.take_range(descriptor, offset):
                if time.monotonic() > end:
                    raise StoreBusyError(
                        f"{folder / names.LOCK} was held by others for {_TIMEOUT_SECONDS:g} s",
                        hint="try again",
                    )
                time.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _offset(key: str) -> int:
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) % _RANGES
