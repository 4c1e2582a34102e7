"""A server of the test's own project."""

from collections.abc import Iterator

import httpx
import pytest

from khive_persist.project import Project
from tests.homes import known_projects
from tests.server.process import Server

__all__ = ["known_projects"]


@pytest.fixture
def server(project: Project) -> Iterator[Server]:
    with Server(project) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as made:
        yield made
