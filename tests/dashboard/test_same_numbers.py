"""No number of a page is another than that of the commands."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from khive_persist.cli.root import run
from tests.dashboard.opened import Opened
from tests.dashboard.records import MEASUREMENTS, STORY, TRIAL, TRIAL_PAGE
from tests.server.process import Server

# With a failure, a plan and a verdict.
PLANNED = "session-0245"
DOLLARS = 0.005
CENTS = 0.00005


def number(text: str) -> float:
    """The first number of a text, whose thousands have commas."""
    match = re.search(r"-?\d[\d,]*\.?\d*", text)
    assert match, text
    return float(match[0].replace(",", ""))


def by_name(box: Locator) -> dict[str, Locator]:
    """What stands beside each name of a list of facts, or of a table's row heads."""
    rows = box.locator("div:has(> dt), tbody tr")
    return {rows.nth(n).locator("dt, th").first.inner_text(): rows.nth(n).locator("dd, td").last
            for n in range(rows.count())}  # fmt: skip


def test_every_page_has_the_numbers_of_the_commands(
    opened: Opened, filled: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    def cli(*words: str) -> Any:
        command = ["--dir", str(filled.project.root), *words, "--json"]
        # This thread has the loop of playwright.
        with ThreadPoolExecutor(1) as thread:
            assert thread.submit(run, command).result() == 0
        return json.loads(capsys.readouterr().out)

    stats, sessions, outcomes = cli("stats"), cli("sessions"), cli("outcomes")
    page = opened.go("#/")
    totals = page.locator(".totals")
    expect(totals).to_contain_text("Cost")
    facts = by_name(totals)
    events = sum(row["events"] for row in stats["events"])
    assert number(facts["Events"].inner_text()) == events == sum(one["events"] for one in sessions)
    # One call failed of which messages alone tell: it is in no event, and in its session.
    failures = sum(row["failures"] for row in stats["events"]) + 1
    assert number(facts["Failures"].inner_text()) == failures
    assert failures == sum(one["failures"] for one in sessions)
    assert number(facts["Sessions"].inner_text()) == len(sessions)
    assert number(facts["Messages"].inner_text()) == sum(one["messages"] for one in sessions)
    (model,) = stats["tokens"]
    for name, column in {"Tokens in": "input", "Tokens out": "output"}.items():
        assert number(facts[name].get_attribute("title") or "") == model[column]
    assert number(facts["Cost"].inner_text()) == pytest.approx(model["cost"], abs=DOLLARS)

    opened.follow("#/sessions?columns=title,events,messages,failures,verdict")
    rows = page.locator("tbody tr[data-index]")
    expect(rows.first).to_contain_text(sessions[0]["title"])
    shown = [row.locator("td").all_inner_texts()[1:] for row in rows.all()]
    assert len(shown) > 10
    for texts, session in zip(shown, sessions, strict=False):
        columns = ("events", "messages", "failures")
        assert [number(text) for text in texts[:3]] == [session[name] for name in columns]
        assert texts[3].split()[-1] == (session["verdict"] or "–")
    opened.follow("#/sessions?failed=true")
    failed = len(cli("sessions", "--failed"))
    expect(page.get_by_role("status").filter(has_text="sessions")).to_have_text(
        f"{failed} sessions"
    )

    opened.follow(f"#/sessions/{STORY}")
    expect(page.locator(".facts")).to_contain_text("tokens")
    facts = by_name(page.locator(".facts"))
    main = cli("lineage", STORY)["agents"][0]
    assert number(facts["messages"].inner_text()) == main["total"]["messages"]
    assert number(facts["tokens"].get_attribute("title") or "") == main["total"]["tokens"]
    assert number(facts["cost"].inner_text()) == pytest.approx(main["total"]["cost"], abs=CENTS)
    page.get_by_text("what each did and cost").click()
    agent = page.get_by_role("region", name="Agents, table").locator("tbody tr").first
    names = ("messages", "tool_calls", "failures")
    cells = agent.locator("td").all_inner_texts()[2:]
    assert [number(text) for text in cells[:3]] == [main["own"][name] for name in names]

    opened.follow("#/plans")
    expect(rows.first).to_contain_text(outcomes[0]["task_description"])
    first, outcome = rows.first.locator("td").all_inner_texts(), outcomes[0]
    assert number(first[2]) == round(100 * outcome["confidence"])
    assert number(first[3]) == pytest.approx(outcome["planning_cost"], abs=CENTS)
    assert number(first[4]) == pytest.approx(outcome["actual_cost"], abs=CENTS)
    assert first[6] == f"{outcome['failures']}/{outcome['tool_calls']}"

    plan = cli("plans", "show", PLANNED)
    outcome = plan["outcome"]
    assert outcome["failures"] == 1
    opened.follow(f"#/plans/{PLANNED}")
    table = page.get_by_role("region", name="Planned, and what became of it, table")
    expect(table).to_contain_text(outcome["verdict"])
    facts = by_name(table)
    assert number(facts["Cost"].inner_text()) == pytest.approx(outcome["actual_cost"], abs=CENTS)
    assert facts["Tool calls"].inner_text() == (
        f"{outcome['tool_calls']}, {outcome['failures']} failed"
    )
    tokens = [number(span.get_attribute("title") or "") for span in
              facts["Tokens"].locator("span").all()]  # fmt: skip
    assert tokens == list(outcome["tokens"].values())
    assert number(facts["Lasted"].inner_text()) == outcome["duration_seconds"]
    phases = by_name(page.locator("dl.facts"))["phases"].inner_text()
    assert number(phases) == len(plan["plan"]["phases"])

    records = cli("show", TRIAL)
    values = [record["content"]["value"] for record in records["measurements"]]
    opened.follow(TRIAL_PAGE)
    table = page.get_by_role("region", name="Scores and measurements, table")
    row = table.locator("tr", has_text="heart_rate").locator("td")
    expect(row.first).to_have_text(str(MEASUREMENTS))
    assert [number(text) for text in row.all_inner_texts()] == [
        len(values), pytest.approx(sum(values) / len(values), rel=1e-3), min(values), max(values),
    ]  # fmt: skip
    expect(page.locator("p.facts")).to_contain_text(f"{len(records['scores'])} scores")
