"""The page that compares groups: what it is told to compare, what it shows, and what it refuses."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.dashboard.conftest import new_project
from tests.dashboard.opened import Opened
from tests.dashboard.records import COMPARED, LAST
from tests.server.process import Server

CODEX: Final = sum(number % 3 == 1 for number in range(1, LAST + 1)) + 1
GEMINI: Final = sum(number % 3 == 2 for number in range(1, LAST + 1))
METRICS: Final = ("failures", "success", "todos_finished")
TWO: Final = "&metric=".join((COMPARED, *METRICS))


def told_by_the_command(server: Server, *words: str) -> Any:
    """What `compare --json` answers."""
    command = [sys.executable, "-m", "khive_persist.cli", "--dir", str(server.project.root)]
    done = subprocess.run(
        [*command, "compare", *words, "--json"], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def row(page: Page, metric: str) -> list[list[str]]:
    """The cells of each group of a metric."""
    table = page.get_by_role("region", name="Figures, table")
    rows = table.locator("tbody", has_text=metric).locator("tr")
    return [one.locator("th, td").all_inner_texts() for one in rows.all()]


def test_it_shows_what_the_command_says_in_words_drawn_and_as_tables(
    opened: Opened, filled: Server
) -> None:
    page = opened.go(TWO)
    groups = page.get_by_role("region", name="Groups")
    expect(groups).to_contain_text(f"codex {CODEX}")
    expect(groups).to_contain_text(f"gemini-cli {GEMINI}")
    expect(groups).to_contain_text(f"{LAST + 2 - CODEX - GEMINI} of other groups")
    words = ["codex", "gemini-cli", "--by", "tool"]
    for name in METRICS:
        words += ["--metric", name]
    said = told_by_the_command(filled, *words)
    told = page.get_by_role("region", name="In words")
    for metric in said["metrics"]:
        expect(told).to_contain_text(metric["sentence"])
    expect(told).to_contain_text("too few sessions (codex 0, gemini-cli 0): each group needs 5")
    failures, success, _ = said["metrics"]
    drawn = page.get_by_role("img", name=re.compile("Effect sizes"))
    expect(drawn).to_have_accessible_name(f"Effect sizes. {failures['sentence']}")
    shares = page.get_by_role("img", name=re.compile("Differences of shares"))
    expect(shares).to_have_accessible_name(f"Differences of shares. {success['sentence']}")
    expect(page.locator("figure canvas")).to_have_count(2)
    page.locator("figure", has_text="Effect sizes").locator("summary").click()
    effect = failures["effect"]
    cells = page.locator("figure", has_text="Effect sizes").locator("tbody td").all_inner_texts()
    assert float(cells[0]) == pytest.approx(effect["g"], rel=1e-3)
    assert [float(end) for end in cells[1].split(" to ")] == pytest.approx(
        [effect["g_interval"]["low"], effect["g_interval"]["high"]], rel=1e-3
    )
    first, second = row(page, "failures")
    assert first[1:4] == ["codex", str(CODEX - 1), "1"]
    assert second[:3] == ["gemini-cli", str(GEMINI), "0"]
    assert float(first[4]) == pytest.approx(failures["groups"][0]["description"]["mean"], rel=1e-3)
    assert float(first[-2]) == pytest.approx(failures["p"], abs=5e-4)
    assert float(first[-1]) == pytest.approx(failures["p_holm"], abs=5e-4)
    # Of a share only the mean says something.
    mean = success["groups"][0]["description"]["mean"]
    assert row(page, "success")[0][4:8] == [f"{mean:.0%}", "–", "–", "–"]
    every = page.get_by_role("region", name="Every test", exact=True)
    every.locator("summary", has_text="failures").click()
    tests = page.get_by_role("region", name="Every test of failures")
    for test in ("Welch's t", "Mann-Whitney U", "Shapiro-Wilk", "Brown-Forsythe", "power"):
        expect(tests).to_contain_text(test)
    expect(tests).to_contain_text(f"U {failures['mann_whitney']['u']:g}")
    expect(every.locator("summary", has_text="todos finished")).to_contain_text(
        "not tested: too few sessions"
    )
    # In a new tab, with the login of this one.
    with page.expect_popup() as popup:
        page.get_by_role("link", name="Open the full report").click()
    expect(popup.value.locator("h1")).to_have_text("codex against gemini-cli, by tool")
    expect(popup.value.locator("img").first).to_be_visible()


def test_choices_are_in_the_address_and_the_button_compares(opened: Opened) -> None:
    page = opened.go("#/compare")
    expect(page.locator("main")).to_contain_text("Nothing is compared yet")
    expect(page.locator("#fields option[value=workflow_pattern]")).to_have_count(1)
    page.get_by_label("Groups by").fill("experiment:layout")
    page.get_by_label("Paired by").fill("participant")
    page.get_by_label("also those assigned late").check()
    expect(page).to_have_url(
        re.compile(r"by=experiment%3Alayout&paired_by=participant&include_late=true$")
    )
    page.get_by_label("Paired by").fill("")
    page.get_by_label("Groups by").fill("tool")
    page.get_by_role("button", name="failures").click()
    expect(page.get_by_label("also those assigned late")).to_have_count(0)
    groups = page.get_by_role("group", name=re.compile("Only the groups"))
    for name in ("gemini-cli", "codex"):
        groups.get_by_role("textbox").fill(name)
        groups.get_by_role("textbox").press("Enter")
    expect(page).to_have_url(
        re.compile(r"#/compare\?by=tool&metric=failures&group=gemini-cli&group=codex$")
    )
    expect(page.locator("main")).to_contain_text("Nothing is compared yet")
    page.get_by_role("button", name="Compare", exact=True).click()
    sizes = page.get_by_role("region", name="Groups").locator("li")
    expect(sizes.first).to_have_text(f"gemini-cli {GEMINI}")
    groups.get_by_role("button", name="gemini-cli").click()
    expect(page.get_by_role("form").get_by_role("status")).to_contain_text("have changed since")
    page.get_by_label("At least").fill("300")
    page.get_by_label("At least").press("Enter")
    expect(sizes).to_have_count(1)
    expect(page.get_by_role("region", name="In words")).to_contain_text("one group alone")
    expect(page).to_have_url(re.compile("min_n=300"))
    page.reload()
    expect(sizes).to_have_count(1)
    expect(page.get_by_label("At least")).to_have_value("300")


def test_by_keyboard_alone_it_is_begun_and_broken_off(opened: Opened) -> None:
    page = opened.go("#/")
    expect(page.locator(".totals")).to_be_visible()
    held: list[Route] = []
    page.route("**/v1/compare?*", lambda route: held.append(route))
    page.keyboard.press("g")
    page.keyboard.press("c")
    expect(page.locator("h1")).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Cancel it")
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    expect(page.get_by_role("progressbar", name="Comparing")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    # The server is told: what it computes there is of no use any more.
    with page.expect_event("requestfailed", lambda one: "/v1/compare?" in one.url) as failed:
        page.keyboard.press("x")
    assert failed.value.failure == "net::ERR_ABORTED"
    expect(page.locator("main")).to_contain_text("The comparison was cancelled")
    expect(page.get_by_role("progressbar")).to_have_count(0)
    assert len(held) == 1


def test_a_wrong_name_is_told_and_is_no_empty_comparison(browser: Browser, filled: Server) -> None:
    with Opened.of(browser, filled) as opened:
        opened.log_in(filled.token)
        page = opened.go("#/compare?by=nonsense&metric=failures")
        expect(page.get_by_role("alert")).to_contain_text("nothing to group by is named 'nonsense'")
        expect(page.get_by_role("region", name="In words")).to_have_count(0)
        page.get_by_label("Groups by").fill("complexity")
        page.get_by_label("Groups by").press("Enter")
        expect(page.get_by_role("region", name="Groups")).to_contain_text("simple 12")
        expect(page.get_by_role("alert")).to_have_count(0)
        assert all("400" in said for said in opened.errors)


def test_without_scipy_it_says_what_to_install(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "scipy.py").write_text("raise ModuleNotFoundError(\"no scipy\", name='scipy')\n")
    monkeypatch.setenv("PYTHONPATH", str(hidden), prepend=os.pathsep)
    project = new_project(tmp_path / "place")
    with Server(project, is_fork=False) as server, Opened.of(browser, server) as opened:
        opened.log_in(server.token)
        page = opened.go("#/compare?by=tool")
        expect(page.locator("main")).to_contain_text(
            "Nothing can be compared here: this needs scipy"
        )
        expect(page.locator("main code")).to_contain_text("khive-persist[analysis]")
