"""What the tests of a team share: a server on loopback, and homes that know places of modules."""

from collections.abc import Iterator

import pytest

from tests.homes import known_projects
from tests.team.team_server import TeamServer, team_server

__all__ = ["known_projects"]


@pytest.fixture(scope="module")
def running() -> Iterator[TeamServer]:
    with team_server() as server:
        yield server


@pytest.fixture
def server(running: TeamServer) -> TeamServer:
    running.forget()
    return running
