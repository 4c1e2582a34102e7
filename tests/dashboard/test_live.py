"""What happens while the page is open: events arrive, and the server goes and comes back."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from khive_persist.project import Project
from tests.dashboard.conftest import new_project
from tests.dashboard.opened import Opened
from tests.dashboard.records import fill
from tests.server.process import Server

WITHOUT_TOKEN = "[server]\nrequire_token = false\n"


@pytest.fixture
def live_project(tmp_path: Path) -> Project:
    return new_project(tmp_path / "live", WITHOUT_TOKEN)


@pytest.fixture
def live(live_project: Project) -> Iterator[Server]:
    with Server(live_project) as server:
        yield server


def send(server: Server, word: str) -> None:
    payload = {
        "session_id": "live-session", "hook_event_name": "PreToolUse", "tool_name": "Bash",
        "tool_use_id": word, "tool_input": {"command": f"echo {word}"},
    }  # fmt: skip
    with server.client() as client:
        answer = client.post("/hooks/claude-code", json=payload)
        assert answer.status_code == 200, answer.text


def test_events_appear_as_they_come_and_a_pause_loses_none(browser: Browser, live: Server) -> None:
    with Opened.of(browser, live) as opened:
        page = opened.go("#/")
        tail = page.get_by_role("region", name="Live events")
        rows = tail.locator("tbody tr")
        expect(tail.locator(".state")).to_have_text("live")
        send(live, "first")
        expect(rows).to_have_count(1)
        expect(rows.first).to_contain_text("echo first")
        send(live, "second")
        expect(rows.first).to_contain_text("echo second")
        tail.get_by_role("button", name="Pause").click()
        expect(tail.locator(".state")).to_have_text("paused")
        for number in range(5):
            send(live, f"meanwhile-{number}")
        expect(rows).to_have_count(2)
        tail.get_by_role("button", name="Resume").click()
        expect(rows).to_have_count(7)
        expect(rows.first).to_contain_text("echo meanwhile-4")
        texts = rows.all_inner_texts()
        assert len(set(texts)) == 7
        expect(page.locator(".totals div", has_text="Events").locator("dd")).to_have_text("7")
        tail.locator("select").select_option("codex")
        expect(rows).to_have_count(0)
        assert opened.errors == []


def test_new_sessions_come_into_the_list_by_themselves(browser: Browser, live: Server) -> None:
    with Opened.of(browser, live) as opened:
        page = opened.go("#/sessions")
        expect(page.locator("main")).to_contain_text("Nothing is recorded yet")
        send(live, "first")
        expect(page.locator("tbody tr[data-index]")).to_have_count(1)


def test_a_server_that_is_killed_is_told_and_taken_up_again(
    browser: Browser, live_project: Project
) -> None:
    fill(live_project)
    first = Server(live_project)
    port = str(first.address[1])
    with Opened.of(browser, first) as opened:
        page = opened.go("#/")
        tail = page.get_by_role("region", name="Live events")
        rows = tail.locator("tbody tr")
        send(first, "before")
        expect(rows.first).to_contain_text("echo before")
        expect(page.locator(".totals")).to_be_visible()
        first.kill()
        outage = page.locator(".outage")
        expect(outage).to_contain_text("The server does not answer")
        expect(tail.locator(".state")).to_have_text("waiting for the server")
        # All figures stay.
        assert re.match(r"Events\n[1-9]", page.locator(".totals").inner_text())
        expect(rows.first).to_contain_text("echo before")
        page.click("nav >> text=Health")
        page.click("nav >> text=Overview")
        with Server(live_project, words=("--port", port, "--log-json")) as second:
            expect(outage).to_have_text("")
            expect(tail.locator(".state")).to_have_text("live")
            send(second, "after")
            expect(rows.first).to_contain_text("echo after")
            expect(rows.nth(1)).to_contain_text("echo before")
            expect(page.locator(".totals")).to_contain_text("Sessions")


def test_a_live_tail_goes_on_where_it_broke_off(browser: Browser, live_project: Project) -> None:
    first = Server(live_project)
    port = str(first.address[1])
    with Opened.of(browser, first) as opened:
        page = opened.go("#/")
        rows = page.get_by_role("region", name="Live events").locator("tbody tr")
        for number in range(3):
            send(first, f"before-{number}")
        expect(rows).to_have_count(3)
        first.kill()
        expect(page.locator(".outage")).to_contain_text("The server does not answer")
        with Server(live_project, words=("--port", port, "--log-json")) as second:
            for number in range(3):
                send(second, f"after-{number}")
            expect(rows).to_have_count(6)
            expect(rows.first).to_contain_text("echo after-2")
            expect(rows.last).to_contain_text("echo before-0")


def test_after_a_restart_the_login_is_asked_for_over_what_is_shown(
    browser: Browser, tmp_path: Path
) -> None:
    project = new_project(tmp_path / "guarded")
    fill(project)
    first = Server(project)
    port = str(first.address[1])
    with Opened.of(browser, first) as opened:
        opened.log_in(first.token)
        page = opened.go("#/sessions?q=drainer")
        rows = page.locator("tbody tr[data-index]")
        expect(rows.first).to_contain_text("drainer")
        first.stop()
        with Server(project, words=("--port", port, "--log-json")) as second:
            # The cookies of the first are none of the second's, unless it keeps its secret.
            state = page.locator("dialog, .outage:has-text('does not answer')")
            expect(state.or_(rows).first).to_be_visible()
            expect(page.get_by_role("dialog")).to_be_visible()
            expect(rows.first).to_contain_text("drainer")
            page.get_by_label("Token").fill(second.token)
            page.keyboard.press("Enter")
            expect(page.get_by_role("dialog")).to_have_count(0)
            expect(rows.first).to_contain_text("drainer")
            assert json.dumps(page.evaluate("location.hash")) == '"#/sessions?q=drainer"'
