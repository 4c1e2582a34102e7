"""One session has one answer, whoever is asked: commands, Python, HTTP, reports."""

import json
from collections.abc import Callable, Iterator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khive_persist.analytics.outcomes import PlanOutcome, calibration, outcomes
from khive_persist.analytics.periodic_report.period import chosen
from khive_persist.analytics.periodic_report.totals import compute_totals
from khive_persist.cli.root import run
from khive_persist.errors import NotFoundError
from khive_persist.models.purposes import (
    EVENT_FILES,
    HOOK_EVENTS,
    OUTCOMES,
    PLANNER_SESSIONS,
)
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions import definitions
from khive_persist.sessions.definitions import PLAN_FIELDS
from khive_persist.sessions.facts import SessionFacts, session_facts
from khive_persist.sessions.lineage.lineage import read_lineage
from khive_persist.sessions.read import read_session
from khive_persist.sessions.rollup.follower import Follower
from khive_persist.sessions.rollup.hours import BY, Hours
from khive_persist.sessions.rollup.rollup import Rollup
from khive_persist.sessions.rollup.sessions import SessionQuery, sessions
from khive_persist.sessions.timeline.build import build_timeline
from khive_persist.store.reader import Reader
from tests.factories import make_project
from tests.hypotheses import examples
from tests.server.filling import pages
from tests.server.process import Server
from tests.sessions.records import BEGIN, PRICES, RECORDS, Record, Told, expected, put, read

RULES = st.sampled_from([None, None, 0.2, 0.5])
CLASSES = ("input", "cache_read", "cache_write", "output")
Command = Callable[..., Any]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command on a project, and read its JSON."""

    def call(project: Project, *words: str) -> Any:
        capsys.readouterr()
        assert run(["--dir", str(project.root), *words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return call


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Project]:
    """New projects, one after the other."""

    def new() -> Iterator[Project]:
        number = 0
        while True:
            number += 1
            made = make_project(tmp_path / f"project{number}")
            yield made

    return new()


def made(places: Iterator[Project], records: list[Record], rule: float | None) -> Project:
    project = next(places)
    prices = ", ".join(f'"{price}"' for price in PRICES)
    judged = "" if rule is None else f'rule = "failures"\nfailure_rate = {rule}\n'
    project.config.write_text(f"[cost]\nprices = [{prices}]\n[outcomes]\n{judged}")
    put(project, records)
    return project


async def listed(
    project: Project, rule: float | None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What the server says: its sessions, and its overview by each kind of group."""
    rollup, prices = Rollup(rule), PriceTable(PRICES)
    follower = Follower(
        lambda purpose: Reader([(project.database(purpose.file), purpose)]), rollup, prices
    )
    try:
        await follower.settle()
        assert follower.problems == []
        items, rest = sessions(rollup, SessionQuery(), None, 1_000)
        assert rest is None
        hours = Hours(rollup)
        overviews: dict[str, Any] = {}
        for by in BY:
            found = hours.overview(None, None, "hour", by)
            overviews[by] = {
                "totals": found.totals._asdict(),
                "series": [sums._asdict() for _, _, sums in found.series],
                "groups": [{"group": name} | sums._asdict() for name, sums in found.groups],
            }
        return [one._asdict() for one in items], overviews
    finally:
        await follower.close()
        rollup.close()


async def compared(project: Project) -> dict[str, SessionFacts]:
    async with aclosing(session_facts(project)) as found:
        return {one.session_id: one async for one in found}


async def planned(project: Project) -> list[PlanOutcome]:
    async with aclosing(outcomes(dir=project.root)) as found:
        return [one async for one in found]


def check_listed(told: dict[str, Told], items: list[dict[str, Any]]) -> None:
    """The sessions of the server are these, field by field."""
    assert {item["session_id"] for item in items} == told.keys()
    for item in items:
        one = told[item["session_id"]]
        assert {name: item[name] for name in Told._fields if name in item} == {
            name: value for name, value in one._asdict().items() if name in item
        }
        assert {name: item[name] for name in PLAN_FIELDS} == one.plan
        assert (item["tokens"], item["cost"], item["unpriced"]) == (
            one.spent.tokens, one.spent.cost, one.spent.unpriced,
        )  # fmt: skip


def check_command(told: dict[str, Told], rows: list[dict[str, Any]]) -> None:
    """And so are those of the command, each on one row."""
    assert sorted(row["session_id"] for row in rows) == sorted(told)
    for row in rows:
        one = told[row["session_id"]]._asdict()
        names = ("tool", "started", "last", "events", "failures", "messages", "verdict", "plans")
        assert {name: row[name] for name in names} == {name: one[name] for name in names}
        assert {name: row[name] for name in PLAN_FIELDS} == one["plan"]


def check_facts(told: dict[str, Told], facts: dict[str, SessionFacts]) -> None:
    """And so are those that are compared, of which more kinds of records tell."""
    assert told.keys() <= facts.keys()
    for session, one in told.items():
        fact = facts[session]
        has_work = one.duration_seconds is not None
        assert (fact.tool, fact.model, fact.project) == (one.tool, one.model, one.project)
        assert (fact.tool_calls or 0, fact.failures or 0) == (one.calls, one.failures)
        assert (fact.tokens or 0, fact.cost) == (one.spent.tokens, one.spent.whole_cost)
        assert (fact.duration_seconds, fact.verdict) == (one.duration_seconds, one.verdict)
        assert not has_work or fact.started == one.started
        names = ("task_description", "planning_cost", "agent_count")
        assert {name: fact.plan.get(name) for name in names} == {n: one.plan[n] for n in names}


def check_plans(told: dict[str, Told], plans: list[dict[str, Any]]) -> None:
    """And so is what became of plans, of each session's the latest alone as that of its plan."""
    for plan in plans:
        one = told[plan["agent_session_id"]]
        has_work = one.duration_seconds is not None
        assert (plan["tool"], plan["duration_seconds"]) == (one.tool, one.duration_seconds)
        if has_work:
            assert (plan["started"], plan["ended"]) == (one.started, one.last)
        assert (plan["tool_calls"] or 0, plan["failures"] or 0) == (one.calls, one.failures)
        used = {name: getattr(one.spent, name) for name in CLASSES}
        assert (plan["tokens"] or dict.fromkeys(CLASSES, 0)) == used
        assert (plan["actual_cost"], plan["unpriced"] or 0) == (
            one.spent.whole_cost, one.spent.unpriced,
        )  # fmt: skip
        # A superseded plan of another planner's session has a verdict of its own there.
        if not plan["is_superseded"]:
            assert plan["verdict"] == one.verdict
            assert {name: plan[name] for name in PLAN_FIELDS} == one.plan
    latest = [plan["agent_session_id"] for plan in plans if not plan["is_superseded"]]
    assert sorted(latest) == sorted(session for session, one in told.items() if one.plans)


def check_overview(told: dict[str, Told], project: Project, overviews: dict[str, Any]) -> None:
    """Groups and steps add up to the whole, and the whole to the sessions and what has none."""
    worked = [one for one in told.values() if one.duration_seconds is not None]
    rows = [*read(project, *EVENT_FILES.values())]
    for by, found in overviews.items():
        totals = found["totals"]
        assert totals["sessions"] == len(worked)
        assert totals["events"] == len(rows)
        assert totals["messages"] == sum(one.messages for one in worked)
        assert totals["failures"] >= sum(one.failures for one in worked)
        assert sum(totals[name] for name in CLASSES) == sum(one.spent.tokens for one in worked)
        assert totals["unpriced"] == sum(one.spent.unpriced for one in worked)
        costs = [one.spent.cost for one in worked if one.spent.cost is not None]
        assert totals["cost"] == (pytest.approx(sum(costs)) if costs else None)
        for parts in (found["series"], found["groups"]):
            for name in ("events", "failures", "sessions", "messages", "unpriced"):
                assert sum(part[name] for part in parts) == totals[name], (by, name)
        if by == "model":
            named = {part["group"]: part["sessions"] for part in found["groups"]}
            for model in {one.model for one in worked}:
                assert named[model] == sum(one.model == model for one in worked)


async def check_whole(told: dict[str, Told], project: Project, by_type: dict[str, Any]) -> None:
    """Counts over all, reports, lineages and stories say the same."""
    prices = PriceTable(PRICES)
    sums = await compute_totals(
        project, chosen("week", BEGIN, BEGIN + timedelta(days=30)), prices, 10
    )
    worked = {id: one for id, one in told.items() if one.duration_seconds is not None}
    rest = await _without_session(project)
    assert sums.current.sessions == len(worked) == sum(day.sessions for day in sums.days.values())
    assert sums.current.calls == sum(one.calls for one in worked.values()) + rest[0]
    assert sums.current.failures == sum(one.failures for one in worked.values()) + rest[1]
    assert sums.current.tokens == sum(one.spent.tokens for one in worked.values())
    for groups in sums.groups.values():
        assert sum(now.sessions for now, _ in groups.values()) == len(worked)
        assert sum(now.tokens for now, _ in groups.values()) == sums.current.tokens
        assert sum(now.pico for now, _ in groups.values()) == sums.current.pico
        assert sum(now.calls for now, _ in groups.values()) <= sums.current.calls
    for dear in sums.most_expensive:
        one = told[dear.session_id]
        assert (dear.cost, dear.unpriced) == (one.spent.cost, one.spent.unpriced)
        assert (dear.failures, dear.first, dear.last) == (one.failures, one.started, one.last)
    of_events = sum(row["failures"] for row in by_type["events"])
    assert of_events + by_type["unreported_failures"] == sums.current.failures
    by_session = {row["session"]: row for row in by_type["tokens"]}
    for id, one in worked.items():
        row = by_session.get(id, {"cost": None, "unpriced": 0} | dict.fromkeys(CLASSES, 0))
        assert sum(row[name] for name in CLASSES) == one.spent.tokens
        assert (row["cost"], row["unpriced"]) == (one.spent.cost, one.spent.unpriced)
        try:
            agents = (await read_lineage(project, id, prices)).agents
        except NotFoundError as error:
            raise AssertionError(id) from error
        assert sum(agent.own.tool_calls for agent in agents) == one.calls
        assert sum(agent.own.failures for agent in agents) == one.failures
        assert sum(agent.own.messages for agent in agents) == one.messages
        assert sum(agent.own.tokens for agent in agents) == one.spent.tokens
        cost = sum(agent.own.cost or 0 for agent in agents)
        assert cost == pytest.approx(one.spent.cost or 0)
        entries = build_timeline(await read_session(project.root, id), prices)
        if entries:
            last = entries[-1]
            assert (last.tokens, last.cost, last.unpriced) == (
                one.spent.tokens, one.spent.cost, one.spent.unpriced,
            )  # fmt: skip
    counted = await calibration(dir=project.root)
    assert counted.plans == sum(one.plans > 0 for one in told.values())


async def _without_session(project: Project) -> tuple[int, int]:
    """Calls and failures of events that have no session: of the whole, and of no session."""
    rest = [
        content
        for *_, content in read(project, *EVENT_FILES.values())
        if not definitions.session_of(content)
    ]
    calls = sum(map(definitions.is_call_end, rest))
    return calls, sum(map(definitions.is_failed_call, rest))


@settings(max_examples=examples(100), suppress_health_check=list(HealthCheck))
@given(records=RECORDS, rule=RULES)
def test_all_say_the_same_of_random_sessions(
    records: list[Record], rule: float | None, places: Iterator[Project], command: Command
) -> None:
    project = made(places, records, rule)
    told = expected(project, rule)
    rows = command(project, "sessions")
    check_command(told, rows)
    items, overviews = anyio.run(listed, project, rule)
    assert {r["session_id"]: r["title"] for r in rows} == {
        item["session_id"]: item["title"] for item in items
    }
    check_listed(told, items)
    check_overview(told, project, overviews)
    check_facts(told, anyio.run(compared, project))
    check_plans(told, [one._asdict() for one in anyio.run(planned, project)])
    anyio.run(check_whole, told, project, command(project, "stats", "--by", "session"))


@settings(max_examples=examples(8), suppress_health_check=list(HealthCheck))
@given(records=RECORDS, rule=RULES)
def test_http_says_the_same(
    records: list[Record], rule: float | None, places: Iterator[Project], command: Command
) -> None:
    project = made(places, records, rule)
    told = expected(project, rule)
    with Server(project) as server, server.client() as client:
        items = [item for page in pages(client, "/v1/sessions") for item in page]
        check_listed(told, items)
        check_listed(told, [client.get(f"/v1/sessions/{id}").json() for id in told])
        verdicts = {one.verdict for one in told.values()} - {None}
        for verdict in verdicts:
            some = [i for page in pages(client, "/v1/sessions", verdict=verdict) for i in page]
            assert {item["session_id"] for item in some} == {
                id for id, one in told.items() if one.verdict == verdict
            }
        overviews: dict[str, Any] = {
            by: client.get("/v1/overview", params={"by": by, "bucket": "day"}).json() for by in BY
        }
        check_overview(told, project, overviews)
        plans = [plan for page in pages(client, "/v1/plans/outcomes") for plan in page]
        check_plans(told, plans)
        assert client.get("/v1/stats", params={"by": "session"}).json() == command(
            project, "stats", "--by", "session"
        )
    assert plans == command(project, "outcomes")


def test_two_plans_a_failed_turn_and_a_rule_after_a_person(
    places: Iterator[Project], command: Command
) -> None:
    at = BEGIN
    records: list[Record] = [
        (PLANNER_SESSIONS, at + timedelta(minutes=n),
         {"session_id": "s1", "task_description": f"plan {n}", "complexity": "complex",
          "confidence": confidence, "planning_cost": 0.1})
        for n, confidence in enumerate((0.5, 0.9))
    ]  # fmt: skip
    events = [("pre_command", None), ("post_command", False), ("stop_failure", False)]
    records += [
        (HOOK_EVENTS["claude-code"], at + timedelta(minutes=5 + n),
         {"session_id": "s1", "event_type": kind, "success": success, "tool_use_id": "t1"})
        for n, (kind, success) in enumerate(events)
    ]  # fmt: skip
    records += [
        (OUTCOMES, at + timedelta(minutes=9), {"session_id": "s1", "verdict": "success"}),
        (OUTCOMES, at + timedelta(minutes=10),
         {"session_id": "s1", "verdict": "failure", "source": "rule"}),
    ]  # fmt: skip
    project = made(places, records, None)
    names = ("session_id", "confidence", "failures", "verdict")
    wanted = {"session_id": "s1", "confidence": 0.9, "failures": 1, "verdict": "success"}
    (row,) = command(project, "sessions")
    assert {name: row[name] for name in names} == wanted
    assert row["plans"] == 2
    items, _ = anyio.run(listed, project, None)
    assert [{name: item[name] for name in names} for item in items] == [wanted]
    latest, earlier = command(project, "outcomes")
    assert {name: latest[name] for name in names} == wanted
    assert (earlier["is_superseded"], earlier["failures"]) == (True, 1)
    with Server(project) as server, server.client() as client:
        (item,) = client.get("/v1/sessions", params={"verdict": "success"}).json()["items"]
        assert {name: item[name] for name in names} == wanted
        assert client.get("/v1/sessions", params={"verdict": "failure"}).json()["items"] == []


def test_a_planners_own_session_leads_to_that_which_carried_its_plan_out(
    places: Iterator[Project], command: Command
) -> None:
    records: list[Record] = [
        (PLANNER_SESSIONS, BEGIN,
         {"session_id": "planner", "task_description": "mend it", "agent_session_id": "agent"}),
        (OUTCOMES, BEGIN, {"session_id": "planner", "verdict": "partial"}),
        (HOOK_EVENTS["codex"], BEGIN, {"session_id": "agent", "event_type": "stop"}),
    ]  # fmt: skip
    project = made(places, records, None)
    for words in ([], ["--session", "planner"], ["--session", "agent"]):
        (row,) = command(project, "sessions", *words)
        assert (row["session_id"], row["verdict"]) == ("agent", "partial")
        assert row["task_description"] == "mend it"
    with Server(project) as server, server.client() as client:
        for id in ("agent", "planner"):
            item = client.get(f"/v1/sessions/{id}").json()
            assert (item["session_id"], item["verdict"]) == ("agent", "partial")
