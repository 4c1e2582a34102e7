"""The turn of the writers of several databases at once."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from khive_persist.place import Place
from khive_persist.purposes import Purpose
from khive_persist.store.sqlite import lock, switch

LOCK_SECONDS: Final = 30.0


@contextmanager
def turn(place: Place, purposes: Iterable[Purpose]) -> Iterator[None]:
    """Hold the locks of the databases of these purposes, with no switch of them pending.

    Raises:
        StoreBusyError: Others held one for longer than 30 s.
        StoreUnavailableError: A lock's file cannot be made, or a switch cannot be finished.
    """
    # In one order, or two who wait for several would wait for each other.
    paths = sorted({lock.lock_path(place.database(purpose.file)) for purpose in purposes})
    while True:
        switch.settle(place.khive, LOCK_SECONDS)
        with ExitStack() as stack:
            for path in paths:
                stack.enter_context(lock.held(path, LOCK_SECONDS))
            # A switch waits for these locks itself, so none may begin before they are held.
            if not switch.is_pending(place.khive):
                yield
                return


def sharing(known: Iterable[Purpose], purpose: Purpose) -> list[Purpose]:
    """The purposes whose streams have names that begin alike, itself among them."""
    return [
        other
        for other in {*known, purpose}
        if (other.document, other.is_stream) == (purpose.document, purpose.is_stream)
    ]
