"""Each page shows what is recorded, keeps its filters in its address, loads little and fits."""

import re
from typing import Final, Literal

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.dashboard.conftest import new_project
from tests.dashboard.opened import Opened
from tests.dashboard.records import (
    COMPARED,
    LAST,
    PLAN,
    REPORT,
    SESSIONS,
    STORY,
    TRIAL_PAGE,
)
from tests.server.process import Server

FIRST_LOAD_BYTES: Final = 350_000
# The colour of the page in each.
SCHEMES: Final[dict[Literal["light", "dark"], str]] = {
    "light": "rgb(251, 251, 250)",
    "dark": "rgb(22, 23, 26)",
}
PAGES: Final = {
    "#/": "Events",
    "#/sessions": f"part {LAST}",
    "#/events": "make test",
    f"#/sessions/{STORY}": "The importer is done",
    "#/plans": "What confidence is worth",
    PLAN: "Similar plans",
    "#/application_sessions": "ann 2",
    TRIAL_PAGE: "heart_rate",
    COMPARED: "Every test",
    REPORT: "Slowest tools",
    "#/health": "conversations.db",
    "#/search?q=importer": "matches in",
    "#/fixes?error=it+broke+badly": "Nothing mended it yet",
    "#/file?path=/src/a.py": "the latest edit",
}
DRAWN: Final = ("#/", "#/plans", PLAN, TRIAL_PAGE, COMPARED, REPORT)


def test_the_overview_counts_and_its_links_lead_to_sessions(opened: Opened) -> None:
    page = opened.go("#/")
    expect(page.locator(".totals")).to_contain_text("Sessions")
    expect(page.locator(".totals div", has_text="Sessions").locator("dd")).to_have_text(
        str(SESSIONS)
    )
    expect(page.locator("figure canvas")).to_have_count(4)
    page.locator("figure", has_text="Sessions").locator("summary").click()
    rows = page.locator("figure", has_text="Sessions").locator("tbody tr")
    expect(rows.first).to_contain_text("(UTC)")
    page.select_option("label:has-text('By') select", "project")
    expect(page).to_have_url(re.compile("by=project"))
    expect(page.locator("[aria-label='By project']")).to_contain_text("/src/place")
    page.select_option("label:has-text('By') select", "tool")
    page.click("[aria-label='By tool'] >> text=Codex")
    expect(page).to_have_url(re.compile(r"#/sessions\?tool=codex"))
    expect(page.get_by_role("group", name="Filters in force")).to_contain_text("Tool: Codex")


def test_a_stretch_of_a_chart_becomes_the_time_that_is_looked_at(opened: Opened) -> None:
    page = opened.go("#/")
    chart = page.locator("figure", has_text="Events").locator(".chart")
    expect(chart.locator("canvas")).to_have_count(1)
    # What comes above it moves it.
    expect(page.get_by_role("region", name="Cost of today")).to_be_visible()
    expect(page.get_by_role("region", name="In progress", exact=True)).to_be_visible()
    chart.hover()
    box = chart.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.4, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, y, steps=4)
    page.mouse.move(box["x"] + box["width"] * 0.6, y, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"since=\d{4}-.*until=\d{4}-"))
    count = page.locator(".totals div", has_text="Sessions").locator("dd")
    expect(count).not_to_have_text(str(SESSIONS))
    assert 0 < int(count.inner_text()) < SESSIONS
    page.go_back()
    expect(count).to_have_text(str(SESSIONS))


def test_sessions_are_searched_while_typing_and_filtered(opened: Opened) -> None:
    page = opened.go("#/sessions")
    rows = page.locator("tbody tr[data-index]")
    expect(rows.first).to_contain_text(f"part {LAST}")
    page.get_by_label("Find").press_sequentially("exporter part 186", delay=20)
    expect(rows.first).to_contain_text("mend the exporter, part 186")
    expect(page).to_have_url(re.compile("q=exporter"))
    assert all("exporter" in text for text in rows.all_inner_texts())
    page.get_by_label("Find").fill("no such words anywhere")
    expect(page.locator("main")).to_contain_text("No session passes these filters")
    page.click("text=Clear filters >> nth=0")
    expect(rows.first).to_contain_text(f"part {LAST}")
    page.keyboard.press("f")
    filters = page.get_by_role("group", name="Filters in force")
    filters.get_by_role("button", name="Verdict").click()
    page.get_by_role("button", name="failure 13").click()
    expect(page).to_have_url(re.compile("verdict=failure"))
    expect(rows.first).to_contain_text("failure")
    texts = rows.all_inner_texts()
    assert len(texts) == 13
    assert all("failure" in text for text in texts)


def test_sessions_are_sorted_by_their_heads(opened: Opened) -> None:
    page = opened.go("#/sessions")
    page.click("th >> text=Failed")
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Failed")
    rows = page.locator("tbody tr[data-index]")
    failed = rows.first.locator("td").nth(4)
    expect(failed).to_have_text("1")
    page.click("th >> text=Failed")
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("Failed")
    expect(failed).to_have_text("0")
    page.reload()
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("Failed")


def test_all_sessions_are_reached_and_few_rows_are_in_the_page(opened: Opened) -> None:
    page = opened.go("#/sessions")
    box = page.get_by_role("region", name="Sessions")
    seen: set[str] = set()
    rows = page.locator("tbody tr[data-index]")
    last: str | None = None
    while last != str(SESSIONS - 1):
        expect(rows.locator(".title").first).to_be_visible()
        seen |= set(rows.locator(".title").all_inner_texts())
        assert page.locator("tbody tr").count() < 60
        last = rows.last.get_attribute("data-index")
        if last != str(SESSIONS - 1):
            box.evaluate("box => box.scrollBy(0, 500)")
            expect(rows.last).not_to_have_attribute("data-index", str(last))
    assert len(seen) == SESSIONS


def test_deep_links_and_the_way_back(opened: Opened) -> None:
    page = opened.go("#/sessions?q=drainer&sort=started&order=asc")
    rows = page.locator("tbody tr[data-index]")
    expect(rows.first).to_contain_text("mend the drainer, part 1")
    rows.first.locator("a").click()
    expect(page.locator("h1")).to_contain_text("mend the drainer, part 1")
    page.go_back()
    expect(page.get_by_label("Find")).to_have_value("drainer")
    expect(rows.first).to_contain_text("mend the drainer, part 1")
    page.go_forward()
    expect(page.locator("h1")).to_contain_text("mend the drainer, part 1")
    opened.go("#/no/such/page")
    expect(page.locator("h1")).to_have_text("There is no such page")


def test_an_answer_that_takes_longer_than_a_page_asks_again_is_waited_for(opened: Opened) -> None:
    held: list[Route] = []
    page = opened.page
    page.clock.install()
    page.route(re.compile(rf"/v1/sessions/{STORY}$"), lambda route: held.append(route))
    opened.go(f"#/sessions/{STORY}")
    expect(page.locator("h1")).to_have_text(f"Session {STORY}")
    page.clock.run_for(11_000)
    assert len(held) == 1
    held[0].continue_()
    expect(page.locator("h1")).to_have_text("Rewrite the whole importer")


def test_what_is_unknown_is_told_and_is_no_empty_one(browser: Browser, filled: Server) -> None:
    with Opened.of(browser, filled) as opened:
        opened.log_in(filled.token)
        page = opened.go("#/sessions/nowhere")
        expect(page.locator("main")).to_contain_text("There is no such session")
        expect(page.locator("main")).not_to_contain_text("Nothing can be told")
        opened.follow("#/plans/nowhere")
        expect(page.locator("main")).to_contain_text("There is no such plan")
        opened.follow("#/application_sessions/nowhere")
        expect(page.locator("main")).to_contain_text("There is no such application session")
        expect(page.locator("main")).not_to_contain_text("Nothing is in this session yet")


def test_plans_are_drawn_and_stand_beside_what_became_of_them(opened: Opened) -> None:
    page = opened.go("#/plans")
    expect(page.locator("figure canvas")).to_have_count(2)
    expect(page.locator("main")).to_contain_text("51 of 51 plans judged")
    page.locator("figure", has_text="What confidence").locator("summary").click()
    expect(page.locator("figure", has_text="What confidence").locator("tbody")).to_contain_text("%")
    rows = page.locator("tbody tr[data-index]")
    expect(rows.first).to_contain_text("mend the")
    expect(rows.first.locator("td").last).to_have_text(re.compile("success|partial|failure"))
    page.get_by_role("combobox", name="Complexity").select_option("very_complex")
    page.locator("figure", has_text="What plans cost").locator("summary").click()
    kinds = page.locator("figure", has_text="What plans cost").locator("tbody tr")
    expect(kinds).to_have_count(1)
    expect(kinds).to_contain_text("very complex")


def test_health_says_what_doctor_says(opened: Opened) -> None:
    page = opened.go("#/health")
    databases = page.get_by_role("region", name="Databases, table")
    expect(databases).to_contain_text("conversations.db")
    expect(databases.locator("tr", has_text="planner_sessions.db")).to_contain_text("51")
    expect(page.locator("main")).to_contain_text("There is no backup yet")
    expect(page.locator("main")).to_contain_text("Events in the spool")


@pytest.mark.parametrize("hash", list(PAGES))
def test_each_page_loads_little_fits_has_its_colours_and_is_reached_by_tab(
    browser: Browser, filled: Server, hash: str
) -> None:
    size = {"width": 380, "height": 800}
    with Opened.of(browser, filled, viewport=size) as opened:
        opened.log_in(filled.token)
        sizes = sizes_of(opened.page)
        page = opened.go(hash)
        expect(page.locator("main")).to_contain_text(PAGES[hash])
        if hash in DRAWN:
            expect(page.locator("figure canvas").first).to_be_visible()
        print(f"{hash}: {sum(sizes):,} bytes in {len(sizes)} answers")
        assert 20_000 < sum(sizes) <= FIRST_LOAD_BYTES
        for width in (380, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            for scheme, colour in SCHEMES.items():
                page.emulate_media(color_scheme=scheme)
                expect(page.locator("html")).to_have_css("background-color", colour)
                over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert over <= 0, (width, scheme)
        page.emulate_media(color_scheme="light")
        assert not_reached_by_tab(page) == []
        assert opened.errors == []
        assert opened.elsewhere == []
        assert opened.dialogs == []


def sizes_of(page: Page) -> list[int]:
    """The bytes of each answer that a page is given from now on, heads included."""
    sizes: list[int] = []
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda done: sizes.append(done["encodedDataLength"]))
    return sizes


def not_reached_by_tab(page: Page) -> list[str]:
    """The controls that are passed over; each that is reached has to show it."""
    wanted = page.locator("button:enabled, select, input:not(.hidden), summary, nav a").count()
    rounds = 0
    for _ in range(wanted * 4 + 60):
        page.keyboard.press("Tab")
        here = page.evaluate("""() => {
          const here = document.activeElement;
          const style = getComputedStyle(here);
          here.dataset.reached = 'yes';
          return [here.className, here.tagName, parseFloat(style.outlineWidth), style.outlineStyle];
        }""")
        # Behind the last comes the browser itself, then the first.
        if here[1] == "BODY":
            continue
        rounds += "skip" in here[0].split()
        if rounds == 2:
            break
        assert here[2] >= 1, here
        assert here[3] != "none", here
    left: list[str] = page.evaluate("""() => [...document.querySelectorAll(
      'button:enabled, select, input:not(.hidden), summary, nav a')]
      .filter((one) => !one.dataset.reached && one.checkVisibility())
      .map((one) => one.outerHTML)""")
    return left


def test_a_choice_of_colours_and_zone_is_kept(opened: Opened) -> None:
    page = opened.go(f"#/sessions/{STORY}")
    first = page.locator("[role=option] .at").first
    expect(first).to_have_text("14:30:00")
    expect(page.get_by_role("button", name="Times in")).to_contain_text("Asia/Calcutta UTC+05:30")
    page.keyboard.press("u")
    expect(first).to_have_text("09:00:00")
    page.keyboard.press("t")
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(first).to_have_text("09:00:00")
    expect(page.locator(".facts time").first).to_have_attribute("title", re.compile("09:00.* UTC"))


def test_an_empty_project_says_what_to_do(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = new_project(tmp_path_factory.mktemp("empty"))
    with Server(project) as server, Opened.of(browser, server) as opened:
        opened.log_in(server.token)
        for hash, text in {
            "#/": "hooks install",
            "#/sessions": "khive-persist sync",
            "#/events": "No events are recorded yet",
            "#/plans": "No plans are recorded yet",
            "#/application_sessions": "POST /v1/application_sessions",
            "#/health": "khive-persist backup create",
        }.items():
            expect(opened.go(hash).locator("main")).to_contain_text(text)
        assert opened.errors == []
