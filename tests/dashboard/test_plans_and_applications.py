"""The page of one plan, and that of an application's session, which grows while it is looked at."""

import re
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.dashboard.conftest import new_project
from tests.dashboard.opened import Opened
from tests.dashboard.records import MEASUREMENTS, PLAN, TRIAL, TRIAL_PAGE
from tests.server.process import Server


def test_a_plan_leads_to_plans_like_it_and_to_its_session(opened: Opened) -> None:
    page = opened.go("#/plans?complexity=simple")
    page.locator("tbody tr[data-index] a").first.click()
    expect(page).to_have_url(re.compile("#/plans/"))
    expect(page.get_by_role("region", name="Phases")).to_contain_text("look around")
    opened.follow(PLAN)
    title = page.locator("h1")
    expect(title).to_have_text("mend the scrubber, part 255")
    expect(page.get_by_role("region", name="Phases")).to_contain_text("after: look around")
    expect(page.get_by_role("region", name="Evaluations, table")).to_contain_text("first planner")
    expect(page.get_by_role("region", name="Consensus as saved")).to_contain_text("two phases")
    became = page.get_by_role("region", name="Planned, and what became of it, table")
    expect(became.locator("tr", has_text="Confidence")).to_contain_text(re.compile("partial|fail"))
    expect(page.get_by_role("note")).to_contain_text(re.compile(r"Of the \d+ judged plans"))
    similar = page.get_by_role("region", name="Similar plans, table").locator("tbody tr")
    expect(similar).to_have_count(5)
    similar.first.locator("a").click()
    expect(title).not_to_have_text("mend the scrubber, part 255")
    expect(title).to_contain_text("scrubber")
    page.go_back()
    expect(title).to_have_text("mend the scrubber, part 255")
    page.click("text=Look at the session")
    expect(page).to_have_url(re.compile("#/sessions/session-0255"))


def test_sessions_of_applications_are_filtered_and_each_is_drawn(opened: Opened) -> None:
    page = opened.go("#/application_sessions")
    rows = page.locator("tbody tr[data-index]")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("active")
    # From its start to its end, which is not from its first record to its last.
    heads = page.get_by_role("table", name="Application sessions").locator("th")
    expect(heads.filter(has_text="Took")).to_be_visible()
    expect(heads.filter(has_text="Lasted")).to_have_count(0)
    experiment = page.get_by_role("region", name="Experiment prompt, variants").locator("tbody tr")
    expect(experiment.locator("td:nth-child(3)")).to_have_text(["2", "1"])
    page.get_by_label("Group").fill("b")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("passed")
    rows.locator("a").click()
    expect(page.locator(".facts").first).to_contain_text("hints at random")
    opened.follow(TRIAL_PAGE)
    expect(page.locator("figure canvas")).to_have_count(2)
    row = page.get_by_role("region", name="Scores and measurements, table").locator("tr")
    expect(row.filter(has_text="heart_rate").locator("td").first).to_have_text(str(MEASUREMENTS))
    expect(page.get_by_role("region", name="Scores", exact=True)).to_contain_text("7 of 10")
    page.get_by_role("link", name="chest_pain").click()
    expect(rows).to_have_count(3)


def test_a_session_grows_on_the_page_and_shows_texts_of_any_kind(
    browser: Browser, tmp_path: Path
) -> None:
    project = new_project(tmp_path / "live", "[server]\nrequire_token = false\n")
    at = f"/v1/application_sessions/{TRIAL}"
    with Server(project) as server, Opened.of(browser, server) as opened, server.client() as client:
        client.post("/v1/application_sessions", json={"session_id": TRIAL, "participant": "ann"})
        page = opened.go(TRIAL_PAGE)
        expect(page.locator(".state")).to_have_text("live")
        expect(page.locator("main")).to_contain_text("Nothing is in this session yet")
        values = [{"name": "pulse", "value": value} for value in (70, 0, 90)]
        client.post(f"{at}/measurements", json=values)
        expect(page.locator("figure")).to_contain_text("3 values, mean 53.33, 0 to 90")
        client.post(f"{at}/scores", json={"name": "all", "value": -1e300, "max_value": 1e300})
        scored = page.get_by_role("region", name="Scores", exact=True).locator("td").nth(1)
        expect(scored).to_have_text("-1.00e+300 of 1.00e+300")
        assert scored.evaluate("cell => cell.scrollWidth <= cell.clientWidth")
        text = "<b>مرحبا</b> " + "word " * 2_000
        client.post(f"{at}/messages", json={"role": "user", "text": text})
        page.get_by_role("region", name="Messages", exact=True).get_by_role("button").click()
        expect(page.get_by_role("region", name="The whole message")).to_have_text(text)
        client.post(f"{at}/complete", json={"outcome": {"passed": True}})
        expect(page.locator(".facts").first).to_contain_text('{"passed":true}')
        expect(page.locator(".facts").first).to_contain_text("completed")
        over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert over <= 0
        assert opened.errors == []
