"""A server of PostgreSQL of the tests' own, and a database of it for each test."""

from collections.abc import Iterator

import anyio
import pytest

from benchmarks.postgres_server import new_database, running_server
from khive_persist.project import Project


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Start a server; the address of its first database."""
    with running_server() as address:
        yield address


@pytest.fixture
def database(server: str) -> str:
    """Make an empty database; its address."""
    return anyio.run(new_database, server)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, project: Project) -> str | None:
    """The place of the records: None for the files of the project."""
    return None if request.param == "sqlite" else request.getfixturevalue("database")
