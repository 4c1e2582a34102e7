"""A server of the test's own place."""

from collections.abc import Iterator

import httpx
import pytest

from khive_persist.project import Place
from tests.homes import known_places
from tests.server.process import Server

__all__ = ["known_places"]


@pytest.fixture
def server(place: Place) -> Iterator[Server]:
    with Server(place) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as made:
        yield made
