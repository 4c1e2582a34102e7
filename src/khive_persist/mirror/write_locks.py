"""Exclusive access to several databases and their mirror: no other process writes meanwhile."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from khive_persist.models.purposes import Purpose
from khive_persist.project import Project
from khive_persist.store.sqlite import atomic_switch, write_lock

LOCK_SECONDS: Final = 30.0


@contextmanager
def turn(project: Project, purposes: Iterable[Purpose]) -> Iterator[None]:
    """Keep others from writing to the databases of these purposes, and to their mirror.

    What was committed before is copied, and no switch of the databases is pending.

    Raises:
        StoreBusyError: Others held one for longer than 30 s.
        StoreUnavailableError: A lock's file cannot be made, or a switch cannot be finished.
    """
    # In one order, or two processes that wait for several would wait for each other.
    paths = sorted({project.database(purpose.file) for purpose in purposes})
    while True:
        atomic_switch.settle(project.khive, LOCK_SECONDS)
        with ExitStack() as stack:
            for path in paths:
                stack.enter_context(write_lock.held_alone(path, LOCK_SECONDS))
            # A switch waits for these locks itself, so none may begin before they are held.
            if not atomic_switch.is_pending(project.khive):
                yield
                return


def sharing(purposes: Iterable[Purpose], purpose: Purpose) -> list[Purpose]:
    """Return the purposes whose files have names that begin alike, `purpose` included."""
    return [
        other
        for other in {*purposes, purpose}
        if (other.document, other.is_stream) == (purpose.document, purpose.is_stream)
    ]
