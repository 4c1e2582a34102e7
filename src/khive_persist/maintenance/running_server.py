"""Keep a server away from a project that is about to go."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from khive_persist.errors import StoreBusyError
from khive_persist.project import Project
from khive_persist.store.sqlite import write_lock

# The server holds it while it runs, and writes its version into it.
LOCK: Final = "server.lock"


@contextmanager
def without_server(project: Project) -> Iterator[None]:
    """Let no server of a project begin meanwhile.

    Raises:
        StoreBusyError: One runs.
    """
    descriptor = write_lock.try_acquire(project.khive / LOCK)
    if descriptor is None:
        raise StoreBusyError(f"a server runs in {project.root}", hint="stop it, and try again")
    try:
        yield
    finally:
        os.close(descriptor)
