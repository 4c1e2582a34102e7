"""The team's dashboard in Chromium, over real pushes; a copy, beside the server of its source."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import httpx
import pytest
from playwright.sync_api import Browser, expect

from benchmarks.postgres_server import new_database
from khive_persist.project import Project
from khive_persist.server.http.tokens import ROLES, Tokens
from khive_persist.server.team.project_key import ProjectKey
from khive_persist.team.push import push
from tests.dashboard.conftest import browser, built, new_project
from tests.dashboard.opened import Opened
from tests.dashboard.records import SESSIONS, fill
from tests.dashboard.test_access import AXE, violations
from tests.factories import event, message, save, save_many
from tests.homes import known_projects
from tests.server.process import Server

__all__ = ["browser", "built", "known_projects"]

pytestmark = pytest.mark.postgres

TEAM = """
[team]
url = "{url}"
form = "{form}"
person = "{person}"
machine = "{person}s-laptop"
project = "shop"
token_variable = "KHIVE_TEAM_TOKEN"
every_minutes = 0.0
"""


class Team(NamedTuple):
    """A team's server, the tokens of its people, and the project whose records all left."""

    server: Server
    tokens: dict[str, str]
    source: Project


def key_of(person: str) -> str:
    return ProjectKey(person, f"{person}s-laptop", "shop").text


@pytest.fixture(scope="module")
def team(server: str, first_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    project = Project(tmp_path_factory.mktemp("server"))
    project.make()
    tokens = Tokens(project)
    made = {name: tokens.create(name, ROLES["member"], name) for name in ("ann", "bob")}
    made["ada"] = tokens.create("ada", ROLES["admin"])
    database = anyio.run(new_database, server)
    with Server(project, words=("--port", "0", "--store", database)) as running:
        sources = {}
        for person, form in (("ann", "all"), ("bob", "metrics")):
            config = TEAM.format(url=running.url, form=form, person=person)
            sources[person] = source = new_project(tmp_path_factory.mktemp(person), config)
            if person == "ann":
                fill(source)
            else:
                save(source, event("post_command", "secret", 1, success=False))
                save_many(source, [message("secret", 2, text="nobody sees this")])
            os.environ["KHIVE_TEAM_TOKEN"] = made[person]
            assert anyio.run(push, source).records > 1
        del os.environ["KHIVE_TEAM_TOKEN"]
        yield Team(running, made, sources["ann"])


@pytest.fixture
def opened(browser: Browser, team: Team) -> Iterator[Opened]:
    with Opened.of(browser, team.server) as made:
        yield made
        assert (made.errors, made.elsewhere, made.dialogs) == ([], [], [])


def test_the_figures_are_the_servers_and_filters_narrow_them(team: Team, opened: Opened) -> None:
    opened.log_in(team.tokens["ada"])
    page = opened.go("#/")
    with team.server.client(team.tokens["ada"]) as client:
        totals = client.get("/v1/team").json()["totals"]
    figures = page.locator("dl.totals")
    for name in ("Sessions", "Events", "Failures", "Messages"):
        expect(figures).to_contain_text(f"{name}{totals[name.lower()]:,}")
    expect(figures).to_contain_text("People2")
    expect(page.get_by_role("region", name="Sums by person")).to_contain_text("bob")
    page.keyboard.press("f")
    page.get_by_role("button", name="Person", exact=True).click()
    page.get_by_role("button", name="bob", exact=True).click()
    expect(figures).to_contain_text("Sessions1")
    expect(page.get_by_role("region", name="Sessions").locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Reads").click()
    expect(page.get_by_role("heading", name="Reads")).to_be_visible()


def test_sessions_are_there_to_the_last(team: Team, opened: Opened) -> None:
    with team.server.client(team.tokens["ada"]) as client:
        every = client.get("/v1/team/sessions?limit=1000").json()["sessions"]
    opened.log_in(team.tokens["ada"])
    page = opened.go("#/")
    region = page.get_by_role("region", name="Sessions")
    last = region.locator(f'tbody a[title="{every[-1]["session"]}"]')
    first = region.locator("tbody tr[data-index] a").first
    expect(first).to_have_attribute("title", every[0]["session"])
    # Page after page, until there is no other.
    table = region.get_by_role("table")
    expect(table).to_have_attribute("aria-rowcount", "-1")
    box = region.evaluate_handle("box => { box.scrollTop = box.scrollHeight; return box; }")
    page.wait_for_function(
        """([box, session]) => {
            box.scrollTop = box.scrollHeight;
            return box.querySelector(`tbody a[title="${session}"]`) !== null;
        }""",
        arg=[box, every[-1]["session"]],
    )
    expect(last).to_be_visible()
    expect(table).to_have_attribute("aria-rowcount", str(len(every) + 1))


def test_a_session_opens_below_its_project(team: Team, opened: Opened) -> None:
    opened.log_in(team.tokens["ada"])
    outside: list[str] = []
    page = opened.go("#/?person=ann&by=tool")
    link = page.get_by_role("region", name="Sessions").locator("tbody a").first
    session = link.get_attribute("title")
    link.click()
    expect(page).to_have_url(f"{opened.url}/team/{key_of('ann')}/#/sessions/{session}")
    expect(page.get_by_text("ann · anns-laptop · shop")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_label("Entries").locator("a, button, [role=option]").first).to_be_visible()
    below = f"{opened.url}/team/{key_of('ann')}/"
    files = (f"{opened.url}/assets/", f"{opened.url}/v1/whoami")
    page.on(
        "request",
        lambda request: (
            outside.append(request.url) if not request.url.startswith((below, *files)) else None
        ),
    )
    for name in ("Sessions", "Events", "Plans", "Compare", "Report", "Overview"):
        page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
    for name in ("health", "application_sessions"):
        page.goto(f"{below}#/{name}")
        expect(page.get_by_role("heading", level=1)).to_have_text("There is no such page")
    assert outside == []
    page.get_by_role("link", name="Team").click()
    expect(page.get_by_role("region", name="Sums by tool")).to_be_visible()
    expect(page).to_have_url(f"{opened.url}/#/?person=ann&by=tool")


def test_a_copy_takes_no_verdict(team: Team, opened: Opened) -> None:
    opened.log_in(team.tokens["ann"])
    page = opened.go(f"team/{key_of('ann')}/#/sessions/story-0000")
    verdict = page.get_by_role("region", name="Verdict")
    expect(verdict).to_contain_text("This is the team’s copy, for reading")
    assert verdict.locator("form, select, button").count() == 0


def test_a_member_sees_nobody_else(team: Team, opened: Opened) -> None:
    opened.log_in(team.tokens["bob"])
    page = opened.go("#/")
    expect(page.get_by_role("region", name="Sums by tool")).to_be_visible()
    expect(page.get_by_role("heading", name="Your sessions")).to_be_visible()
    expect(page.get_by_role("region", name="Sessions").locator("tbody tr")).to_have_count(1)
    assert "ann" not in page.locator("main").inner_text().split()
    page.get_by_role("region", name="Sessions").get_by_role("link", name="shop").click()
    # Of metrics there is no text.
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Sessions").click()
    expect(page.get_by_role("table").locator("tbody tr, [role=row]").first).to_be_visible()
    assert "nobody sees this" not in page.content()


def test_axe_finds_nothing(team: Team, browser: Browser) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: make web")
    with Opened.of(browser, team.server, bypass_csp=True) as opened:
        opened.log_in(team.tokens["ada"])
        pages = {"#/": "tbody a", f"team/{key_of('ann')}/#/": "figure", "#/reads": "tbody td"}
        for address, content in pages.items():
            page = opened.go(address)
            expect(page.locator("main").locator(content).first).to_be_visible()
            assert violations(page) == [], address


PATHS = [
    "/v1/sessions?limit=100", "/v1/sessions?tool=codex&order=asc", "/v1/sessions/session-0255",
    "/v1/sessions/session-0255/story", "/v1/sessions/story-long/entries",
    "/v1/sessions/session-0010/lineage", "/v1/sessions/story-0000/focus",
    "/v1/events?limit=100", "/v1/events?type=post_command&limit=20", "/v1/conversations?limit=50",
    "/v1/overview?bucket=day&by=tool", "/v1/facets?of=sessions", "/v1/facets?of=events",
    "/v1/plans/outcomes", "/v1/plans/points", "/v1/calibration", "/v1/compare/names",
    "/v1/search?q=importer&limit=20", "/v1/search/file?path=src", "/v1/outcomes", "/v1/experiments",
]  # fmt: skip
# Where the project lies, what depends on when it was asked, and what does not leave.
APART = {"updated_at", "root", "node_metadata", "rank", "behind"}


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if name not in APART}
    return [plain(item) for item in value] if isinstance(value, list) else value


def test_a_copy_answers_as_the_projects_own_server(team: Team) -> None:
    with (
        Server(team.source) as own,
        own.client() as there,
        team.server.client(team.tokens["ann"]) as here,
    ):
        for path in PATHS:
            answers = [there.get(path), here.get(f"/team/{key_of('ann')}{path}")]
            assert [answer.status_code for answer in answers] == [200, 200], (path, answers[1].text)
            expected = answers[0].text.replace(str(team.source.root), "ann/anns-laptop/shop")
            assert plain(answers[1].json()) == plain(json.loads(expected)), path
        sessions = here.get("/v1/team/sessions?limit=1000").json()["sessions"]
        assert len(sessions) >= SESSIONS - 2


def test_the_way_there_takes_no_other_path(team: Team) -> None:
    with team.server.client(team.tokens["ada"]) as client:
        for path in ("/team/", "/team/x", "/team//v1/sessions", "/team/%2e%2e/v1/sessions"):
            assert client.get(path).status_code == 404
        raw = key_of("ann").replace("W", "%57")
        assert httpx.URL(raw).path != ""
        assert client.get(f"/team/{raw}/v1/sessions").status_code == 404
