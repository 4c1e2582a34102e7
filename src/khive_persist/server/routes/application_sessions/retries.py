"""Trying again what may work at the next try."""

import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import anyio

from khive_persist.errors import StoreBusyError, StoreError

Result = TypeVar("Result")

# The last is longer than the recorder takes to be there again.
PAUSES_SECONDS: Final = (0.05, 0.2, 0.75, 2.0)
LONGEST_SECONDS: Final = 10.0


async def retried(
    work: Callable[[], Awaitable[Result]],
    errors: tuple[type[StoreError], ...] = (StoreBusyError,),
) -> Result:
    """Return what the work gives, tried up to five times while that may help.

    No try begins after 10 s: a client that waits must hear that it is so, as a 503.

    Args:
        work: The function to try; a failed try may have been done after all.
        errors: After which it is tried again.

    Raises:
        StoreError: Of the last try.
    """
    began = time.monotonic()
    for pause in PAUSES_SECONDS:
        try:
            return await work()
        except errors:
            if time.monotonic() - began + pause > LONGEST_SECONDS:
                raise
            await anyio.sleep(pause)
    return await work()
