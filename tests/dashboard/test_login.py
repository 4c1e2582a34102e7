"""The login: a token for a cookie, and what is told of one that is wrong."""

import os
import subprocess
import sys

from playwright.sync_api import Browser, expect

from tests.dashboard.opened import Opened
from tests.server.process import Server


def test_a_wrong_token_is_refused_and_the_right_one_opens_the_page_that_was_asked_for(
    browser: Browser, filled: Server
) -> None:
    with Opened.of(browser, filled) as opened:
        page = opened.go("#/sessions?q=drainer")
        field = page.get_by_label("Token")
        expect(field).to_be_focused()
        expect(field).to_have_attribute("type", "password")
        expect(page.get_by_role("dialog")).to_contain_text(".khive/server.token")
        field.fill("khive_wrong")
        field.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("This token is not known here.")
        expect(field).to_be_focused()
        expect(field).to_have_value("")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_visible()
        field.fill(filled.token)
        field.press("Enter")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.locator("tbody tr[data-index]").first).to_contain_text("drainer")
        assert filled.token not in page.content()
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        page.reload()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert all("401" in said for said in opened.errors)


def test_a_token_that_may_not_read_is_told_so(browser: Browser, filled: Server) -> None:
    root = str(filled.project.root)
    words = ["--dir", root, "serve", "token", "create", "writer", "--rights", "ingest"]
    made = subprocess.run(
        [sys.executable, "-m", "khive_persist.cli", *words],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    with Opened.of(browser, filled) as opened:
        page = opened.go("#/")
        page.get_by_label("Token").fill(made.stdout.strip())
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("This token may not read.")
        expect(page.get_by_role("dialog")).to_be_visible()


def test_the_command_opens_a_page_that_is_logged_in(browser: Browser, filled: Server) -> None:
    # Which browsers there are is looked up once in a process.
    command = [sys.executable, "-m", "khive_persist", "--dir", str(filled.project.root)]
    environment = os.environ | {"BROWSER": "true %s"}
    subprocess.run([*command, "open", "plans"], env=environment, check=True)
    with Opened.of(browser, filled) as opened:
        page = opened.page
        page.goto((filled.project.khive / "open.html").as_uri())
        expect(page).to_have_url(f"{filled.url}/#/plans")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Plans")
        expect(page.get_by_role("dialog")).to_have_count(0)
        assert opened.errors == []
