"""The HTML replay in a real Chromium: it asks for nothing, runs no payload, and scrubs."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from khive_persist.project import Project
from khive_persist.replay.page import page as made_page
from khive_persist.sessions.timeline.entry import Entry
from tests.chromium import chromium, scrubbing_seconds
from tests.factories import save_many
from tests.replay.sessions import SESSION, call, message, result, six

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ENTRIES = 10_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


class Opened:
    """A page, and what it did that it must not do."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.failed: list[tuple[str, str | None]] = []
        self.errors: list[str] = []
        self.dialogs: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("requestfailed", lambda one: self.failed.append((one.url, one.failure)))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self.errors.append(said.text))
        page.on("dialog", self._dismiss)

    def _dismiss(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def open(self, path: Path) -> None:
        self.page.goto(path.as_uri())

    def is_quiet(self) -> bool:
        """Whether it loaded nothing but itself, said nothing and asked nothing."""
        own = [url for url in self.requests if not url.startswith("file://")]
        return (own, len(self.requests), self.errors, self.dialogs) == ([], 1, [], [])


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opened]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, timezone_id="UTC")
    yield Opened(context.new_page())
    context.close()


def write(project: Project, target: Path) -> None:
    words = ["--dir", str(project.root), "replay", SESSION, "--to-html", str(target)]
    subprocess.run([sys.executable, "-m", "khive_persist.cli", *words], check=True)


def test_it_plays_steps_seeks_and_finds_failures(
    project: Project, tmp_path: Path, opened: Opened
) -> None:
    six(project)
    target = tmp_path / "session.html"
    write(project, target)
    opened.open(target)
    page = opened.page
    assert page.title() == f"Session {SESSION}"
    assert "6 entries · 2 failed" in page.inner_text("#facts")
    head = page.locator("#detail h2")
    expect(head).to_have_text("please do")
    page.keyboard.press("ArrowRight")
    expect(head).to_have_text("I begin")
    page.keyboard.press("e")
    expect(head).to_contain_text("first-c")
    assert "first-output" in page.inner_text("#detail pre")
    page.click("#failure")
    expect(head).to_contain_text("second-c")
    page.click("#failure")
    expect(page.locator("#clock")).to_have_text("no failure after this")
    page.fill("#find", "FIRST-OUTPUT")
    page.press("#find", "Enter")
    expect(head).to_contain_text("first-c")
    page.focus("#scrubber")
    page.keyboard.press("End")
    expect(head).to_have_text("the end")
    page.keyboard.press("Home")
    expect(head).to_have_text("please do")
    page.select_option("#speed", "100")
    page.click("#play")
    expect(head).to_have_text("the end")
    assert page.inner_text("#play") == "Play"
    page.click("text=again")
    expect(head).to_have_text("again")
    assert opened.is_quiet()


EVIL = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "<!--<script>",
    "]]><svg onload=alert(3)>",
    "javascript:alert(4)",
    "${alert(5)} $title $story {{7*7}}",
    "\u2028\u2029\x1b[31m\U0001f600 é",
    "http://evil.test/track.png",
    '"><iframe src="http://evil.test/"></iframe>',
]


def test_no_script_of_a_payload_runs_and_nothing_leaves_the_page(
    project: Project, tmp_path: Path, opened: Opened
) -> None:
    for number, text in enumerate(EVIL):
        save_many(
            project,
            [
                message(number, text=text, id=text, agent_id=text, model=text),
                message(number, "assistant", text=text, **call(f"t{number}", text)),
                message(number, "tool", **result(f"t{number}", text, is_error=True)),
            ],
        )
    target = tmp_path / "evil.html"
    write(project, target)
    opened.open(target)
    page = opened.page
    for number in range(3 * len(EVIL)):
        page.keyboard.press("ArrowRight")
        assert page.inner_text("#detail"), number
    titles = page.evaluate(
        "JSON.parse(document.getElementById('story').textContent).entries.map((one) => one[2])"
    )
    assert EVIL[0] in titles
    assert page.evaluate("document.scripts.length") == 2
    assert page.evaluate("document.querySelectorAll('img, iframe, svg').length") == 0
    assert opened.is_quiet()


def test_even_a_script_that_is_put_into_the_page_does_not_run(
    tmp_path: Path, opened: Opened
) -> None:
    text = made_page("t", ["codex"], entries(3))
    target = tmp_path / "changed.html"
    target.write_text(
        text.replace("<main>", "<main><script>alert(1)</script><img src='http://evil.test/x.png'>")
    )
    opened.open(target)
    assert opened.dialogs == []
    assert [failure for url, failure in opened.failed if "evil" in url] == ["csp"]
    refused = [said for said in opened.errors if "Content Security Policy" in said]
    assert len(refused) == len(opened.errors) >= 2


def entries(count: int) -> list[Entry]:
    kinds = ("prompt", "message", "tool", "tool", "focus")
    return [
        Entry(
            NOON + timedelta(seconds=number),
            kinds[number % 5],  # type: ignore[arg-type]
            f"entry {number} " + "word " * (number % 30),
            tuple(f"+line {line} of {number}" for line in range(number % 40)),
            depth=number % 3,
            agent_id=f"agent-{number % 3}" if number % 3 else None,
            is_failed=number % 97 == 0,
            tokens=number * 100,
            cost=number / 1000,
        )
        for number in range(count)
    ]


def test_ten_thousand_entries_scrub_smoothly(tmp_path: Path, opened: Opened) -> None:
    target = tmp_path / "long.html"
    target.write_text(made_page("long", ["codex"], entries(ENTRIES)))
    opened.open(target)
    seconds = scrubbing_seconds(opened.page, "#scrubber")
    print(f"{seconds * 1e3:.1f} ms a frame")
    assert opened.page.evaluate("document.querySelectorAll('.row').length") < 200
    assert 0 < seconds <= 0.05


def test_a_session_without_entries_says_so(tmp_path: Path, opened: Opened) -> None:
    target = tmp_path / "none.html"
    target.write_text(made_page("none", [], []))
    opened.open(target)
    assert "Nothing is recorded" in opened.page.inner_text("#detail")
    opened.page.click("#play")
    opened.page.click("#next")
    assert opened.is_quiet()
