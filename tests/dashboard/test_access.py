"""For the keyboard, for screen readers, and for eyes that need contrast."""

from typing import Any, Final, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.opened import Opened
from tests.dashboard.records import LAST
from tests.dashboard.test_pages import PAGES
from tests.server.process import ROOT, Server

AXE: Final = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
# All rules of WCAG 2.2 A and AA, and axe's own advice; nothing but contrast hangs on the colours.
RULES: Final[dict[Literal["light", "dark"], list[str]]] = {
    "light": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "dark": ["color-contrast"],
}
RUN: Final = """async (runOnly) => {
  const { violations } = await axe.run(document, { runOnly });
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`);
}"""


def violations(page: Page) -> list[Any]:
    """What axe finds in light and in dark."""
    page.evaluate(AXE.read_text("utf-8"))
    found = []
    for scheme, rules in RULES.items():
        page.emulate_media(color_scheme=scheme)
        found += [f"{scheme}: {one}" for one in page.evaluate(RUN, rules)]
    return found


def test_axe_finds_nothing(browser: Browser, filled: Server) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: make web")
    # The policy would not let axe in; it is tested elsewhere.
    with Opened.of(browser, filled, bypass_csp=True) as opened:
        page = opened.go("#/")
        expect(page.get_by_role("dialog")).to_be_visible()
        assert violations(page) == []
        opened.log_in(filled.token)
        for hash, text in PAGES.items():
            page = opened.go(hash)
            expect(page.locator("main")).to_contain_text(text)
            for summary in page.locator("summary").all():
                summary.click()
            assert violations(page) == [], hash
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_visible()
        assert violations(page) == []


def focused(page: Page) -> str:
    found: str = page.evaluate("""() => {
      const here = document.activeElement;
      return (here.getAttribute('aria-label') || here.textContent || here.tagName).trim();
    }""")
    return found


def test_by_keyboard_alone_from_the_list_to_a_failure_and_back(opened: Opened) -> None:
    page = opened.go("#/")
    expect(page.locator("main")).to_contain_text("Events")
    page.keyboard.press("Tab")
    assert focused(page) == "To the content"
    page.keyboard.press("g")
    page.keyboard.press("s")
    expect(page.locator("h1")).to_have_text("Sessions")
    expect(page.locator("h1")).to_be_focused()
    expect(page.locator("tbody tr[data-index]").first).to_contain_text(f"part {LAST}")
    page.keyboard.press("j")
    expect(page.locator("tbody a").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator("tbody a").nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(page.locator("tbody a").first).to_be_focused()
    page.keyboard.press("i")
    page.keyboard.type("rewrite whole")
    expect(page.locator("tbody tr[data-index]")).to_have_count(1)
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Rewrite the whole importer")
    expect(page.locator("h1")).to_be_focused()
    expect(page.locator("[role=option]").first).to_be_visible()
    page.keyboard.press("e")
    expect(page.get_by_label("The entry", exact=True).locator("h2")).to_have_text("Bash make test")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Next failure")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.go_back()
    expect(page.get_by_label("Find")).to_have_value("rewrite whole")
