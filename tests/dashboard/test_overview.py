"""The overview shows this day and what wants a person, health what the doctor finds."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from khive_persist.cli.root import run
from khive_persist.project import Project
from tests.dashboard.conftest import new_project
from tests.dashboard.opened import Opened
from tests.factories import event, message, save_many
from tests.server.process import Server

CONFIG = """
[cost]
prices = ["m input=10", "n input=10"]
[budget]
day_usd = 15
session_usd = 100
"""
MILLION = {"input": 1_000_000}


def fill(project: Project) -> None:
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    call = {"tool_name": "Bash", "tool_use_id": "t1", "command": "make release", "cwd": "/src/shop"}
    minute = timedelta(minutes=1)
    save_many(
        project,
        [
            message("s-today", midnight, model="m", tokens=MILLION, cwd="/src/shop"),
            message("s-today", midnight, model="n", tokens={"input": 2_000_000}),
            message("s-before", midnight - timedelta(days=2), model="m", tokens=MILLION),
            # Later on its day than it is now on this one.
            message("s-before", midnight - timedelta(microseconds=1), model="m", tokens=MILLION),
            message("s-asks", now - minute, role="user", text="Release the shop", tokens={}),
            event("prompt_submitted", "s-today", now - 40 * minute, cwd="/src/shop"),
            event("pre_command", "s-stuck", now - 20 * minute, **call),
            event("permission_request", "s-asks", now - minute, tool_name="Deploy"),
            event("post_command", "s-today", now - 30 * minute, success=False, duration_ms=90_000,
                  error="no such target\nmore", **call),
            event("stop", "s-today", now - 29 * minute),
        ],
    )  # fmt: skip


def command(project: Project, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """Run a command, whose JSON is read; Playwright's thread has a loop already."""
    capsys.readouterr()
    with ThreadPoolExecutor(1) as thread:
        thread.submit(run, ["--dir", str(project.root), *words, "--json"]).result()
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def shop(first_home: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    project = new_project(tmp_path_factory.mktemp("shop"), CONFIG)
    fill(project)
    with Server(project) as server:
        yield server


def test_this_day_and_what_wants_a_person(
    browser: Browser, shop: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    with Opened.of(browser, shop) as opened:
        opened.log_in(shop.token)
        page = opened.go("#/?by=model")
        cost = page.get_by_role("region", name="Cost of today", exact=True)
        expect(cost.locator(".sum")).to_have_text("$30.00")
        expect(cost).to_contain_text("200% more than usual")
        expect(cost.get_by_role("row").nth(5)).to_contain_text("$10.00")
        expect(cost.get_by_role("row").nth(6)).to_contain_text("$0.00")
        budgets = page.get_by_role("region", name="Budgets")
        expect(budgets.get_by_role("status")).to_have_text("⚠ 1 limit is reached")
        expect(budgets).to_contain_text("$30.00 of $15.00")
        expect(budgets).to_contain_text("$30.00 of $100.00")
        rows = page.get_by_role("region", name="In progress, table").locator("tbody tr")
        expect(rows).to_have_count(3)
        expect(rows.nth(0)).to_contain_text("Release the shop")
        expect(rows.nth(0)).to_contain_text("waits for a permissionto call Deploy")
        expect(rows.nth(1)).to_contain_text("seems stuckin a call of Bash")
        expect(rows.nth(1)).to_contain_text("20m")
        expect(rows.nth(2)).to_contain_text("waits for you")
        rule = page.get_by_role("region", name="In progress", exact=True).locator(".rule")
        expect(rule).to_contain_text("seems stuck after 10m without an event within a turn")
        failed = page.get_by_role("region", name="What failed", exact=True)
        expect(failed).to_contain_text("no such target")
        expect(failed).to_contain_text("make release")
        expect(failed.get_by_role("link", name="s-today")).to_be_visible()
        slow = page.get_by_role("region", name="Slowest tools", exact=True)
        expect(slow).to_contain_text("1m 30s")
        # What names no model counts with its session; what is left is said.
        models = page.get_by_role("region", name="By model").locator("tbody tr")
        expect(models).to_have_count(2)
        expect(models.filter(has_text="n")).to_contain_text("3")
        left = page.get_by_role("region", name="By model").locator(".note")
        expect(left).to_contain_text("Left out: 2 events and 1 messages of 2 sessions")
        of_models = page.get_by_role("region", name="By model")
        expect(of_models).not_to_contain_text("unknown")
        assert opened.errors == []
    with shop.client() as client:
        total = client.get("/v1/overview").json()["totals"]["cost"]
    stats = command(shop.project, capsys, "stats")
    assert sum(group["cost"] for group in stats["tokens"] if group["cost"]) == total == 50.0
    report = command(shop.project, capsys, "report", "--period", "day", "--at", "0h")
    totals = {one["name"]: one["now"] for one in report["totals"]}
    assert totals["cost"] == stats["budgets"][0]["spent"] == 30.0


def test_health_says_each_finding_of_the_doctor_with_its_command(
    browser: Browser, shop: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    command(shop.project, capsys, "verify")
    findings = command(shop.project, capsys, "doctor")["findings"]
    with Opened.of(browser, shop, permissions=["clipboard-read", "clipboard-write"]) as opened:
        opened.log_in(shop.token)
        page = opened.go("#/health")
        items = page.get_by_role("region", name="Findings").locator("li")
        expect(items).to_have_count(len(findings))
        for number, finding in enumerate(findings):
            expect(items.nth(number)).to_contain_text(finding["text"])
            if finding["command"]:
                expect(items.nth(number).locator("code")).to_have_text(finding["command"])
        page.get_by_role("region", name="Findings").get_by_role("button").first.click()
        expect(items.get_by_role("button").first).to_have_text("Copied")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied in [finding["command"] for finding in findings]
        facts = page.locator(".facts")
        expect(facts.locator("div", has_text="Both copies")).to_contain_text("equal")
        expect(facts.locator("div", has_text="Room on the disk")).to_contain_text("GB")
        expect(facts.locator("div", has_text="Latest backup")).to_contain_text("none")
        assert opened.errors == []
