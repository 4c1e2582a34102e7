"""The page of a day or a week beside the one before."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.opened import Opened
from tests.dashboard.records import BEGAN, LAST, REPORT, REPORTED
from tests.server.process import Server

A_DAY: Final = timedelta(days=1)
WEEK: Final = timedelta(weeks=1)
MONDAY: Final = REPORTED.replace(hour=0) - REPORTED.weekday() * A_DAY
# Each has two events, of which every seventh has a failure, two messages and every fifth a plan.
BEGUN: Final = {number: BEGAN + timedelta(hours=2 * number) for number in range(1, LAST + 1)}


def within(since: datetime, until: datetime) -> list[int]:
    return [number for number, began in BEGUN.items() if since <= began < until]


def plans(since: datetime, until: datetime) -> int:
    return sum(number % 5 == 0 for number in within(since, until))


# It has more plans, or less, than the day before.
DAY: Final = next(
    day
    for day in (REPORTED.replace(hour=0) + number * A_DAY for number in range(5))
    if plans(day, day + A_DAY) != plans(day - A_DAY, day)
)


def told(page: Page, name: str) -> str:
    tile = page.locator("dl > div", has=page.locator("dt", has_text=re.compile(f"^{name}$")))
    return tile.locator("dd").inner_text().split("\n")[0]


def test_it_tells_what_was_recorded(opened: Opened) -> None:
    page = opened.go(REPORT)
    expect(page.locator("main h2").first).to_have_text(
        f"{MONDAY:%Y-%m-%d} to {MONDAY + 6 * A_DAY:%Y-%m-%d}"
    )
    own = within(MONDAY, MONDAY + WEEK)
    expect(page.locator("figure canvas").first).to_be_visible()
    assert told(page, "Sessions") == str(len(own))
    assert told(page, "Events") == str(2 * len(own))
    assert told(page, "Tool calls") == str(len(own))
    assert told(page, "Messages") == str(2 * len(own))
    failed = sum(number % 7 == 0 for number in own)
    assert told(page, "Failures") == str(failed)
    assert told(page, "Plans") == str(plans(MONDAY, MONDAY + WEEK))
    expect(page.get_by_role("list", name="In words").locator("li").first).to_contain_text(
        f"{len(own)} sessions"
    )
    tools = page.get_by_role("region", name="Failures, table").locator("tbody tr")
    assert sum(int(one) for one in tools.locator("td:nth-child(2)").all_inner_texts()) == failed
    expect(page.get_by_role("region", name="By model", exact=True)).to_contain_text("claude-opus")
    expect(page.get_by_role("img", name=re.compile("What confidence is worth"))).to_be_visible()
    expect(page.get_by_role("region", name="Figures, table")).to_contain_text("planning cost")
    with page.expect_popup() as popup:
        page.get_by_role("link", name="Open as one page").click()
    expect(popup.value.locator("body")).to_contain_text(f"{MONDAY:%Y-%m-%d}")
    dearest = page.get_by_role("region", name="Dearest sessions", exact=True).locator("tbody a")
    title = dearest.first.inner_text()
    dearest.first.click()
    expect(page.locator("h1")).to_have_text(title)


def test_days_and_weeks_are_gone_through_and_stand_in_the_address(opened: Opened) -> None:
    page = opened.go(f"#/report?at={DAY:%Y-%m-%d}&period=day")
    head = page.locator("main h2").first
    expect(head).to_have_text(f"{DAY:%Y-%m-%d}")
    own = within(DAY, DAY + A_DAY)
    assert told(page, "Sessions") == str(len(own))
    now, before = plans(DAY, DAY + A_DAY), plans(DAY - A_DAY, DAY)
    tile = page.locator("dl > div", has=page.locator("dt", has_text=re.compile("^Plans$")))
    expect(tile.locator(".before")).to_contain_text(f"before {before}")
    share = round(100 * (now / before - 1))
    changed = f"{abs(share)}% {'more' if share > 0 else 'less'} than in the day before"
    expect(tile.locator(".change")).to_contain_text(changed)
    page.get_by_role("combobox", name="Show").select_option("failures")
    expect(page).to_have_url(re.compile("days=failures"))
    figure = page.locator("figure", has_text="Failures by day")
    figure.locator("summary").click()
    failed = sum(number % 7 == 0 for number in own)
    expect(figure.locator("tbody td").first).to_have_text(str(failed))
    page.reload()
    expect(figure).to_be_visible()
    page.get_by_role("button", name="before").click()
    yesterday = DAY - A_DAY
    expect(head).to_have_text(f"{yesterday:%Y-%m-%d}")
    page.locator("h1").focus()
    page.keyboard.press("n")
    expect(head).to_have_text(f"{DAY:%Y-%m-%d}")
    page.keyboard.press("p")
    expect(head).to_have_text(f"{yesterday:%Y-%m-%d}")
    page.get_by_label("that has").fill(f"{DAY:%Y-%m-%d}")
    expect(head).to_have_text(f"{DAY:%Y-%m-%d}")
    page.get_by_role("combobox", name="Of a").select_option("week")
    expect(head).to_contain_text(f"{DAY - DAY.weekday() * A_DAY:%Y-%m-%d} to")
    page.go_back()
    expect(head).to_have_text(f"{DAY:%Y-%m-%d}")
    page.click("text=Look at its events")
    expect(page.locator("h1")).to_have_text("Overview")
    count = page.locator(".totals div", has_text="Sessions").locator("dd")
    expect(count).to_have_text(str(len(own)))


def test_an_empty_week_is_said_and_leads_to_one_with_records(opened: Opened) -> None:
    page = opened.go("#/report?at=2020-01-08")
    expect(page.locator("main")).to_contain_text(
        "Nothing was recorded from 2020-01-06 to 2020-01-12."
    )
    page.get_by_role("button", name="Look at the week that is running").click()
    expect(page).to_have_url(re.compile(rf"at={datetime.now(UTC):%Y-%m-%d}$"))
    expect(page.locator("main")).to_contain_text("Nothing was recorded from")
    expect(page.get_by_role("button", name="next")).to_be_disabled()
    page.get_by_role("button", name="Look at the week of").click()
    latest = max(BEGUN.values())
    expect(page).to_have_url(re.compile(f"at={latest:%Y-%m-%d}"))


@pytest.mark.parametrize("query", ["at=nonsense", "period=year"])
def test_a_wrong_period_is_told_and_is_no_empty_one(
    browser: Browser, filled: Server, query: str
) -> None:
    with Opened.of(browser, filled) as opened:
        opened.log_in(filled.token)
        page = opened.go(f"#/report?{query}")
        expect(page.get_by_role("alert")).to_contain_text(query.partition("=")[0])
        expect(page.locator("main")).not_to_contain_text("Nothing was recorded")
