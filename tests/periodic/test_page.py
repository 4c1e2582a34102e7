"""A report on paper: it stands by itself, and what comes from records is text in it."""

import html
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Request

from khive_persist.analytics.periodic_report.page import page
from khive_persist.analytics.periodic_report.tables import tables
from khive_persist.analytics.periodic_report.text import text
from khive_persist.project import Project
from tests.chromium import chromium
from tests.factories import make_project
from tests.periodic.records import (
    AFTER,
    PRICES,
    call,
    day,
    events,
    messages,
    plan,
    plans,
    report,
    said,
    verdicts,
)
from tests.server.filling import event, message

# SQLite's JSON ends a text at its first NUL.
EVIL = (
    "<script>alert(1)</script>",
    "$x^2$ <img src=http://evil.test/x onerror=alert(2)>",
    "\x1b[31m\u202e é 日\x00",
    "</style><svg onload=alert(3)>",
    "' onmouseover='alert(4)",
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A report of a project in which every name and text is hostile."""
    project = make_project(tmp_path_factory.mktemp("hostile"), PRICES)
    rows = []
    for number, evil in enumerate(EVIL):
        for week in (0, -7):
            rows += call(evil, day(week + number), evil, success=False, error=f"{evil}\n{evil}",
                         duration_ms=1_000 * number, cwd=evil, model=evil)  # fmt: skip
        asked = event(evil, day(number), event_type="prompt_submitted", payload={"prompt": evil})
        rows.append(asked)
        messages(
            project,
            said(evil, day(number), input=1_000_000),
            message(evil, day(number), model=evil, cwd=evil, tokens={"input": 5}),
        )
        plans(project, plan(evil, day(number), confidence=0.5, complexity=evil))
        verdicts(project, (evil, day(number), "success", "person"))
    events(project, rows)
    return report(project)


def test_the_page_loads_nothing_and_runs_nothing(tmp_path: Path, hostile: dict[str, Any]) -> None:
    target = tmp_path / "report.html"
    target.write_text(page(hostile, AFTER), "utf-8", "replace")
    asked: list[Request] = []
    heard: list[str] = []
    with chromium() as browser:
        opened = browser.new_page()
        opened.on("request", lambda one: asked.append(one))
        opened.on("dialog", lambda dialog: heard.append(dialog.message))
        opened.on("console", lambda line: heard.append(line.text))
        opened.goto(target.as_uri())
        shown = opened.inner_text("body")
        pictures = opened.evaluate("[...document.images].map((one) => one.naturalWidth > 0)")
        foreign = opened.evaluate("document.querySelectorAll('script, body svg, [onload]').length")
        styled = opened.evaluate("getComputedStyle(document.body).maxWidth")
    assert heard == []
    assert styled == "960px"
    assert foreign == 0
    assert {one.url.partition(":")[0] for one in asked} <= {"file", "data"}
    assert pictures == [True, True]
    for evil in (EVIL[0], EVIL[1], EVIL[3], EVIL[4]):
        assert evil in shown


def test_the_page_has_every_figure(hostile: dict[str, Any]) -> None:
    made = page(hostile, AFTER)
    for one in tables(hostile):
        assert f"<h2>{one.title}</h2>" in made
        for row in one.rows:
            for cell in row:
                assert cell is None or f"<td>{html.escape(_shown(cell))}</td>" in made
    for sentence in hostile["sentences"]:
        assert f"<p>{html.escape(sentence)}</p>" in made
    assert made == page(hostile, AFTER)


def test_the_text_moves_no_cursor(hostile: dict[str, Any]) -> None:
    made = text(hostile, AFTER)
    assert all(c.isprintable() or c == "\n" for c in made)
    assert "\\x1b[31m\\u202e é 日" in made
    for one in tables(hostile):
        assert f"\n{one.title}\n" in made


def test_a_report_of_nothing_says_so(project: Project) -> None:
    found = report(project)
    for made in (page(found, AFTER), text(found, AFTER)):
        assert "Nothing was recorded in 2026-W47." in made
        assert "In all" not in made


def _shown(cell: object) -> str:
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)
