"""The lists of sessions and events: filters, columns, views, downloads, keys, narrow screens."""

import csv
import json
import re
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Download, Page, expect

from tests.dashboard.opened import Opened
from tests.dashboard.records import LAST, STORY
from tests.server.process import Server

ROWS: Final = "tbody tr[data-index]"


def heads(page: Page) -> list[str]:
    return [re.sub(r"[ ↑↓]+$", "", text) for text in page.locator("thead th").all_inner_texts()]


def text_of(download: Download) -> str:
    return Path(download.path()).read_text("utf-8")


def download(page: Page, name: str) -> str:
    page.get_by_text("Download", exact=True).click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name=name).click()
    return text_of(waiting.value)


def test_a_wrong_filter_is_marked_says_why_and_is_taken_away(
    browser: Browser, filled: Server
) -> None:
    with Opened.of(browser, filled) as opened:
        opened.log_in(filled.token)
        page = opened.go("#/sessions?verdict=nobody&tool=codex&colour=red")
        main, chips = page.locator("main"), page.locator(".chip")
        expect(main).to_contain_text("No session passes these filters.")
        expect(main).to_contain_text("Verdict nobody: nothing has this value. There are:")
        expect(page.locator(".chip.wrong")).to_have_count(2)
        expect(chips.filter(has_text="colour")).to_contain_text("there is no such filter")
        page.get_by_role("button", name="success 25").click()
        expect(page.locator(ROWS).first).to_contain_text("success")
        expect(page.locator(".chip.wrong")).to_have_count(1)
        page.get_by_role("button", name="Remove the filter colour").click()
        expect(chips).to_have_count(2)
        chips.filter(has_text="Tool").locator("summary").click()
        page.get_by_role("button", name="Gemini CLI").click()
        expect(page).to_have_url(re.compile("tool=gemini-cli"))
        expect(page.locator(ROWS).first).to_contain_text("Gemini CLI")
        page.locator("h1").focus()
        page.keyboard.press("x")
        expect(chips).to_have_count(0)
        expect(page.locator(ROWS).first).to_contain_text(f"part {LAST}")
        assert opened.errors == []
        for name, value in {"tool": "vim", "since": "yesterday", "sort": "beauty"}.items():
            opened.follow(f"#/sessions?{name}={value}")
            expect(main).to_contain_text(f"The filter {name} cannot be used.")
            expect(page.locator(".chip.wrong")).to_have_count(int(name != "sort"))
            page.get_by_role("button", name=f"Remove {name}", exact=True).click()
            expect(page.locator(ROWS).first).to_contain_text(f"part {LAST}")
        assert all("400" in text for text in opened.errors)


def test_columns_and_views_are_kept_and_are_what_is_downloaded(opened: Opened) -> None:
    page = opened.go("#/sessions?tool=codex")
    expect(page.locator(ROWS).first).to_be_visible()
    page.keyboard.press("c")
    for name in ("Lasted", "Tokens", "Verdict", "Last"):
        page.get_by_role("checkbox", name=name, exact=True).uncheck()
    page.get_by_role("checkbox", name="Model").check()
    page.get_by_role("button", name="Move Model to the left").click()
    page.keyboard.press("Escape")
    shown = ["Session", "Events", "Failed", "Model", "Cost"]
    assert heads(page) == shown
    page.click("th >> text=Model")
    page.click("th >> text=Model")
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("Model")
    rows = list(csv.DictReader(download(page, "CSV").splitlines()))
    fields = ["session_id", "title", "events", "failures", "model", "cost", "unpriced"]
    assert [*rows[0]] == fields
    links = page.locator(f"{ROWS} .title")
    titles = links.all_inner_texts()
    assert [row["title"] or row["session_id"] for row in rows][: len(titles)] == titles
    documents = json.loads(download(page, "JSON, one document"))
    assert [document["title"] or None for document in documents] == [
        row["title"] or None for row in rows
    ]
    page.locator("h1").focus()
    page.keyboard.press("v")
    page.get_by_label("Save this view as").fill("Codex by model")
    page.keyboard.press("Enter")
    saved = page.evaluate("location.hash")
    opened.go("#/sessions")
    expect(page.locator("thead")).to_contain_text("Model")
    expect(page).to_have_url(re.compile("columns="))
    page.get_by_text("View: All sessions", exact=True).click()
    page.get_by_role("link", name="Codex by model").click()
    expect(page.locator(".chip")).to_contain_text("Tool: Codex")
    assert page.evaluate("location.hash") == saved
    page.get_by_text("View: Codex by model").click()
    page.get_by_role("button", name="Delete the view Codex by model").click()
    expect(page.get_by_role("list", name="Views")).not_to_contain_text("Codex by model")
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    page.get_by_role("button", name="The usual columns").click()
    expect(page.locator("thead")).not_to_contain_text("Model")
    opened.go("#/sessions?columns=title,nonsense,cost")
    expect(page.locator(ROWS).first).to_be_visible()
    assert heads(page) == ["Session", "Cost"]


def test_lists_are_cards_on_a_narrow_screen_and_go_by_keys(
    browser: Browser, filled: Server
) -> None:
    with Opened.of(browser, filled, viewport={"width": 390, "height": 800}) as opened:
        opened.log_in(filled.token)
        page = opened.go("#/sessions?sort=started&order=asc")
        first = page.locator(ROWS).first
        expect(first).to_contain_text("Failed")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.get_by_label("Sort").select_option("failures")
        page.get_by_role("button", name="Order").click()
        expect(first).to_contain_text("Failed 1")
        page.locator("h1").focus()
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("k")
        title = page.locator(":focus").inner_text()
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text(title)
        page = opened.go("#/events")
        expect(page.locator(ROWS).first).to_contain_text("make test")
        page.locator("h1").focus()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_contain_text("Saved views")


def test_events_are_filtered_and_each_is_shown_whole(opened: Opened) -> None:
    page = opened.go("#/events")
    rows = page.locator(ROWS)
    expect(rows.first).to_contain_text("make test")
    page.keyboard.press("f")
    page.get_by_role("button", name="Event", exact=True).click()
    page.get_by_role("button", name=re.compile("^session_start 2")).click()
    expect(rows.first).to_contain_text("session_start")
    opened.follow(f"#/events?session={STORY}")
    expect(rows).to_have_count(2)
    rows.first.get_by_role("link").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("session_end")
    expect(dialog).to_contain_text(STORY)
    page.reload()
    expect(dialog).to_contain_text("session_end")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page).to_have_url(re.compile(rf"#/events\?session={STORY}$"))
    lines = [json.loads(line) for line in download(page, "JSON Lines").splitlines()]
    assert [line["event_type"] for line in lines] == ["session_end", "session_start"]
    assert [*lines[0]] == [
        "created_at", "tool", "event_type", "tool_name", "subject", "session_id",
    ]  # fmt: skip
