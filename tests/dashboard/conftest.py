"""A server with real records, and a page of its dashboard in a real Chromium."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from khive_persist.project import Project
from tests.chromium import chromium
from tests.dashboard.opened import Opened
from tests.dashboard.records import fill
from tests.factories import make_project
from tests.homes import known_projects
from tests.server.process import ROOT, Server

__all__ = ["known_projects"]

PAGE = ROOT / "src" / "khive_persist" / "server" / "web" / "index.html"


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    if not PAGE.is_file():
        pytest.skip("the dashboard is not built: make web, which needs Node")


@pytest.fixture(scope="module")
def browser(built: None) -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def filled(first_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a project with sessions, messages, plans, verdicts and to-dos, for reading."""
    project = new_project(tmp_path_factory.mktemp("filled"))
    fill(project)
    with Server(project) as server:
        yield server
        assert server.process.poll() is None, "it ended by itself"


def new_project(root: Path, config: str = "") -> Project:
    project = make_project(root)
    project.local_config.write_text(f"[capture]\nlinger_seconds = 0.2\n{config}")
    return project


@pytest.fixture
def opened(browser: Browser, filled: Server) -> Iterator[Opened]:
    """A page of the filled server, logged in, in a zone that is not UTC."""
    with Opened.of(browser, filled) as made:
        made.log_in(filled.token)
        yield made
        assert made.errors == []
        assert made.elsewhere == []
        assert made.dialogs == []
