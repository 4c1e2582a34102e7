"""python -m tests.dashboard.pictures FOLDER: take the pictures of the documents anew.

Each page of the dashboard with sample sessions of three tools, on a wide screen and on a phone's,
light and dark side by side, and the report of the training example.
"""

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from typing import Final, Literal, NamedTuple
from zlib import crc32

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, expect

from benchmarks.postgres_server import new_database, running_server
from khive_persist.project import Project
from khive_persist.server.http.tokens import ROLES, Tokens
from khive_persist.team.http_destination import HttpDestination
from khive_persist.team.push import rehearse
from khive_persist.team.team_record import TeamRecord
from tests.chromium import chromium
from tests.dashboard.opened import Opened
from tests.dashboard.records import COMPARED, PLAN, REPORT, STORY, TRIAL_PAGE, fill
from tests.factories import in_own_thread, make_project
from tests.server.process import ROOT, Server, until

Scheme = Literal["light", "dark"]
SCHEMES: Final[tuple[Scheme, ...]] = ("light", "dark")


class Screen(NamedTuple):
    """A screen, and how a picture of it is kept: its size, and its name's end."""

    viewport: ViewportSize
    size: tuple[int, int]
    suffix: str


SCREENS: Final = (
    Screen({"width": 1280, "height": 800}, (900, 562), ""),
    Screen({"width": 390, "height": 780}, (390, 780), "_narrow"),
)
GAP: Final = 12
LOGIN: Final = "dialog[open]"
# The address of each page, and what is there once it has its content.
PAGES: Final = {
    "overview": ("#/", "figure canvas"),
    "sessions": ("#/sessions", "[data-index] .title"),
    "session": (f"#/sessions/{STORY}", "canvas"),
    "search": ("#/search?q=importer+part&kind=prompt", "mark"),
    "events": ("#/events", "tbody tr[data-index] a"),
    "plans": ("#/plans", "figure canvas"),
    "plan": (PLAN, "figure canvas"),
    "applications": ("#/application_sessions", "[aria-label^=Experiment] tbody td"),
    "application_session": (TRIAL_PAGE, "figure canvas"),
    "compare": (COMPARED, "figure canvas"),
    "report": (REPORT, "figure canvas"),
    "health": ("#/health", "main h2"),
    "login": ("#/", LOGIN),
}


def take(folder: Path) -> None:
    """Take every picture into a folder."""
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        # The marks of what is made here go with it.
        os.environ["HOME"] = os.environ["KHIVE_HOME"] = name
        project = make_project(Path(name, "shop"))
        fill(project)
        with Server(project, is_fork=False) as server:
            _index(server)
            for (page, (address, content)), screen in product(PAGES.items(), SCREENS):
                halves = [_half(browser, server, screen, scheme, address, content)
                          for scheme in SCHEMES]  # fmt: skip
                _save(_beside(halves), folder / f"{page}{screen.suffix}.png")
        with _team(Path(name), project) as (server, token):
            for screen in SCREENS:
                halves = [_half(browser, server, screen, scheme, "#/", "figure canvas", token)
                          for scheme in SCHEMES]  # fmt: skip
                _save(_beside(halves), folder / f"team{screen.suffix}.png")
        with _training_report(Path(name)) as url:
            page_of_report = browser.new_page(viewport={"width": 780, "height": 600})
            page_of_report.goto(url)
            _save(_picture(page_of_report, is_whole=True), folder / "training_report.png")


def _index(server: Server) -> None:
    """Search until the index, which the first search begins to make, has everything."""
    with server.client() as client:
        until(lambda: client.get("/v1/search?q=importer").json()["behind"] == 0, 120)


@contextmanager
def _team(folder: Path, source: Project) -> Iterator[tuple[Server, str]]:
    """A team's server, and a lead's token: three people have pushed what one project has."""
    project = make_project(folder / "team")
    tokens = Tokens(project)
    lead = tokens.create("lea", ROLES["lead"])
    token = tokens.create("machines", ["ingest"])
    with running_server() as database:
        words = ("--port", "0", "--store", in_own_thread(partial(new_database, database)))
        with Server(project, words=words, is_fork=False) as server:
            source.local_config.write_text("[team]\nurl = 'http://127.0.0.1'\nform = 'metrics'\n")
            records: list[TeamRecord] = []
            in_own_thread(partial(rehearse, source, records.append))
            for number, person in enumerate(("ann", "bob", "carla"), 1):
                # Each did some of it, on a machine and in a project of their own.
                own = [
                    record._replace(person=person, machine=f"{person}s-laptop",
                                    project=("shop", "site")[number % 2])
                    for record in records
                    if crc32(record.session.encode()) % number == 0
                ]  # fmt: skip
                in_own_thread(partial(HttpDestination(server.url, token).send, own))
            yield server, lead


def _half(
    browser: Browser,
    server: Server,
    screen: Screen,
    scheme: Scheme,
    address: str,
    content: str,
    token: str = "",
) -> Image.Image:
    with Opened.of(browser, server, viewport=screen.viewport, color_scheme=scheme) as opened:
        if content != LOGIN:
            opened.log_in(token or server.token)
        page = opened.go(address)
        expect(page.locator(content).first).to_be_visible()
        if address.endswith(STORY):
            page.get_by_role("button", name="Next failure").click()
            expect(page.get_by_label("The entry", exact=True)).to_contain_text("Out: failed")
        # Who is not logged in is refused what the page asks for first.
        assert content == LOGIN or opened.errors == []
        picture = _picture(page)
        if picture.size == screen.size:
            return picture
        return picture.resize(screen.size, Image.Resampling.LANCZOS)


@contextmanager
def _training_report(folder: Path) -> Iterator[str]:
    report = folder / "report"
    command = [sys.executable, "-m", "examples.training_platform", "--report", str(report)]
    subprocess.run(
        [*command, "--dir", str(folder / "training")], cwd=ROOT, check=True, stdout=sys.stderr
    )
    yield (report / "report.html").as_uri()


def _picture(page: Page, *, is_whole: bool = False) -> Image.Image:
    # What moves has come to its end.
    shot = page.screenshot(animations="disabled", full_page=is_whole)
    return Image.open(io.BytesIO(shot)).convert("RGB")


def _beside(pictures: list[Image.Image]) -> Image.Image:
    width = sum(picture.width for picture in pictures) + GAP * (len(pictures) - 1)
    joined = Image.new("RGB", (width, pictures[0].height), "gray")
    left = 0
    for picture in pictures:
        joined.paste(picture, (left, 0))
        left += picture.width + GAP
    return joined


def _save(picture: Image.Image, path: Path) -> None:
    # 256 colours are enough for pages, at a third of the size; an octree keeps the rare ones.
    picture.quantize(256, Image.Quantize.FASTOCTREE).save(path, optimize=True)
    print(path)


if __name__ == "__main__":
    take(Path(sys.argv[1]))
