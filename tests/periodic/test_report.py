"""Every figure of a report, counted by hand from the rows that were stored."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from khive_persist.project import Project
from tests.periodic.records import (
    AFTER,
    MONDAY,
    PRICES,
    TICK,
    call,
    day,
    events,
    messages,
    plan,
    plans,
    report,
    said,
    totals,
    verdicts,
)
from tests.server.filling import event


@pytest.fixture
def priced(project: Project) -> Project:
    project.config.write_text(PRICES)
    return project


def test_events_and_calls_count_once(project: Project) -> None:
    events(project, [
        event("a", day(0), event_type="prompt_submitted"),
        *call("a", day(0)), *call("a", day(1), success=False, error="no\nmore"),
        *call("b", day(6.5)),
        # Refused, and so failed; and a turn that failed is no tool call.
        event("b", day(2), event_type="permission_denied", success=False, tool_name="Bash"),
        event("b", day(2), event_type="stop_failure", success=False),
        # Begun, and not ended: no call yet.
        event("b", day(2), event_type="pre_edit", tool_name="Edit"),
        *call("c", day(-3), success=False), event(None, day(3), event_type="notification"),
    ])  # fmt: skip
    events(project, call("d", day(1), tool="codex"), "codex")
    found = report(project)
    now, before = totals(found), totals(found, "before")
    assert (now["sessions"], now["events"], now["tool_calls"], now["failures"]) == (3, 13, 5, 2)
    assert (before["sessions"], before["events"], before["failures"]) == (1, 2, 1)
    assert now["failure_rate"] == 2 / 5
    changes = totals(found, "change")
    assert changes["sessions"] == 2
    assert changes["failure_rate"] == pytest.approx(2 / 5 - 1)
    assert changes["tokens"] is None
    days = {one["day"]: (one["events"], one["failures"], one["sessions"]) for one in found["days"]}
    assert days["2026-11-16"] == (3, 0, 1)
    # A session is counted on its first day, so that the days add up to the period.
    assert days["2026-11-17"] == (4, 1, 1)
    assert days["2026-11-18"] == (3, 1, 1)
    assert sum(one["sessions"] for one in found["days"]) == now["sessions"] + before["sessions"]
    assert days["2026-11-20"] == (0, 0, 0)
    assert list(days) == [f"2026-11-{number:02}" for number in range(9, 23)]
    by = {one["group"]: one["sessions"] for one in found["by"]["tool"]}
    assert by == {"claude-code": 2, "codex": 1}


def test_a_record_at_a_border_is_of_the_period_that_begins(project: Project) -> None:
    for at in (MONDAY - TICK, MONDAY, day(7) - TICK, day(7), day(-7), day(-7) - TICK):
        events(project, [event(f"{at}", at)])
        messages(project, said(f"{at}", at, input=1))
        plans(project, plan(f"{at}", at))
    verdicts(project, *((f"{number}", day(number), "success", "person") for number in (-7, 0, 7)))
    found = report(project)
    for which in ("now", "before"):
        sums = totals(found, which)
        assert [sums[name] for name in ("sessions", "events", "messages", "plans")] == [2] * 4
        assert sums["verdict_success"] == 1
    one = report(project, "day", MONDAY)
    assert totals(one)["events"] == totals(one, "before")["events"] == 1
    assert one["last_record"] == "2026-11-16 00:00:00.000000"


def test_tokens_and_costs_are_of_the_day_on_which_they_were_used(priced: Project) -> None:
    messages(
        priced,
        said("a", day(0), input=1_000_000, output=500_000),
        said("a", day(1), "n", input=100_000),
        said("a", day(1), "unknown", input=7),
        said("b", day(2), None, input=0),
        said("b", day(-1), input=1_000_000),
    )
    found = report(priced)
    now = totals(found)
    assert (now["messages"], now["tokens"], now["unpriced_messages"]) == (4, 1_600_007, 1)
    assert (now["cost"], totals(found, "before")["cost"]) == (3, 1)
    assert totals(found, "change")["cost"] == 2
    costs = {one["day"]: one["cost"] for one in found["days"]}
    assert (costs["2026-11-15"], costs["2026-11-16"], costs["2026-11-17"]) == (1, 2, 1)
    assert costs["2026-11-18"] is None
    models = [tuple(one.values()) for one in found["by"]["model"]]
    assert models == [
        # A session is of the model that used most of its tokens, once.
        ("m", 1, 1_500_000, 2.0, 0, 1.0, 0), ("n", 0, 100_000, 1.0, 0, None, 0),
        ("unknown", 0, 7, None, 1, None, 0), (None, 1, 0, None, 0, None, 0),
    ]  # fmt: skip
    (dearest,) = found["sessions"]
    assert (dearest["session_id"], dearest["cost"], dearest["unpriced"]) == ("a", 3, 1)
    assert dearest["duration_seconds"] == 86_400
    assert (
        "Cost rose by 200% to 3.00 USD. 1 message of models without a price is not in it."
        in (found["sentences"])
    )


def test_only_the_first_groups_and_sessions_are_named(priced: Project) -> None:
    messages(priced, *(said(f"s{number:02}", day(1), input=1_000 * number) for number in range(14)))
    events(priced, [event(f"s{n:02}", day(1), cwd=f"/p{n}", model="m") for n in range(14)])
    events(priced, [event("s13", day(0), event_type="prompt_submitted",
                          payload={"prompt": "Mend it"})])  # fmt: skip
    found = report(priced)
    assert [one["session_id"] for one in found["sessions"]] == [
        f"s{n:02}" for n in range(13, 3, -1)
    ]
    assert found["sessions"][0]["title"] == "Mend it"
    projects = found["by"]["project"]
    assert [one["group"] for one in projects].count(None) == 1
    assert projects[0]["group"] == "/p"
    assert projects[-1]["group"] is None
    # Of 14 projects with a session each, nine are named beside that of prompts.
    assert len(projects) == 11
    assert projects[-1]["sessions"] == 5
    assert sum(one["sessions"] for one in projects) == totals(found)["sessions"] == 14


@pytest.mark.parametrize(
    ("lengths", "median", "p95"),
    [([5.0], 5, 5), ([1, 2], 1, 2), ([3, 1, 2], 2, 3), (list(range(1, 21)), 10, 19),
     (list(range(100, 0, -1)), 50, 95), (list(range(1, 102)), 51, 96)],
)  # fmt: skip
def test_percentiles_are_lengths_that_were_measured(
    project: Project, lengths: list[float], median: float, p95: float
) -> None:
    rows = [one for length in lengths for one in call("a", day(1), "T", duration_ms=length)]
    # Without a length, with none that is a number, and one of the week before.
    rows += [*call("a", day(1), "T"), *call("a", day(1), "T", duration_ms="long")]
    rows += call("a", day(-1), "T", duration_ms=7.5)
    events(project, [*rows, *call("a", day(2), "none", success=False)])
    tool, none = report(project)["tools"]
    assert (tool["tool_name"], tool["calls"], tool["failures"]) == ("T", len(lengths) + 2, 0)
    assert (tool["median_ms"], tool["p95_ms"]) == (median, p95)
    assert (tool["longest_ms"], tool["total_ms"]) == (max(lengths), sum(lengths))
    assert tool["before_median_ms"] == 7.5
    assert (none["tool_name"], none["calls"], none["total_ms"]) == ("none", 1, None)


def test_failures_are_counted_by_tool_with_the_latest_error(project: Project) -> None:
    rows = []
    for number in range(12):
        for times in range(number + 1):
            error = f"error {times}\nits trace"
            rows += call("a", day(times / 100), f"T{number}", success=False, error=error)
    rows += call("a", day(-1), "T11", success=False, error="old")
    rows += call("a", day(-1), "only before", success=False, error="old")
    rows += call("a", day(1), "mute", success=False)
    events(project, [*rows, *call("a", day(1), "long", success=False, error="x" * 5_000)])
    found = report(project)["failures"]
    assert [one["tool_name"] for one in found] == [f"T{number}" for number in range(11, 1, -1)]
    first = found[0]
    assert (first["count"], first["before"], first["example"]) == (12, 1, "error 11")
    again = call("b", day(2), "long", success=False, error="x" * 5_000)
    again += call("b", day(2), "mute", success=False)
    for _ in range(30):
        events(project, [(f"{uuid.uuid4()}", *one[1:]) for one in again])
    long, mute = report(project)["failures"][:2]
    assert (len(long["example"]), mute["example"]) == (200, None)


def test_plans_verdicts_and_calibration(project: Project) -> None:
    plans(
        project,
        plan("a", day(0), confidence=0.8, planning_cost=0.5),
        plan("b", day(1), confidence=0.6, planning_cost=0.25),
        plan("c", day(2), confidence=0.9, planning_cost="much"),
        plan("d", day(-1), planning_cost=2),
    )
    verdicts(
        project,
        ("a", day(1), "success", "person"), ("b", day(1), "failure", "person"),
        # A person's goes before a rule's, the later before the earlier one.
        ("b", day(2), "success", "rule"), ("c", day(1), "success", "person"),
        ("c", day(2), "partial", "person"), ("d", day(-1), "failure", "rule"),
        ("e", day(9), "success", "person"),
    )  # fmt: skip
    found = report(project)
    now, before = totals(found), totals(found, "before")
    assert (now["plans"], now["planning_cost"]) == (3, 0.75)
    assert (before["plans"], before["planning_cost"]) == (1, 2)
    assert [now[f"verdict_{word}"] for word in ("success", "partial", "failure")] == [1, 1, 1]
    assert before["verdict_failure"] == 1
    assert found["calibration"]["judged"] == 3
    score = (0.2**2 + 0.6**2 + 0.4**2) / 3
    assert found["calibration"]["brier"]["score"] == pytest.approx(score)


def test_sessions_are_compared_with_those_before(project: Project) -> None:
    for number in range(6):
        for week, failures in ((0, 3 + number % 2), (-7, number % 2)):
            at = day(week + number / 2)
            rows = [one for _ in range(failures) for one in call("", at, success=False)]
            rows = [event(f"{week}.{number}", at, event_type="post_command", success=False)
                    for _ in range(failures)] or [event(f"{week}.{number}", at)]  # fmt: skip
            events(project, rows)
    # It began before both weeks, and so is of none.
    events(project, [event("old", day(-8)), event("old", day(1)), event("old", day(-3))])
    found = report(project)
    (failures_entry,) = [one for one in found["comparison"] if one["metric"]["name"] == "failures"]
    before, now = failures_entry["groups"]
    assert (before["name"], now["name"]) == ("2026-W46", "2026-W47")
    assert (before["description"]["n"], before["description"]["mean"]) == (6, 0.5)
    assert (now["description"]["n"], now["description"]["mean"]) == (6, 3.5)
    assert failures_entry["p_holm"] < 0.05
    assert failures_entry["sentence"] in found["sentences"]


def test_a_period_without_records_says_so(project: Project) -> None:
    found = report(project)
    assert found["is_empty"]
    assert found["last_record"] is None
    assert found["sentences"] == ["Nothing was recorded in 2026-W47."]
    assert {one for one in totals(found).values() if one is not None} == {0}
    assert found["tools"] == found["failures"] == found["sessions"] == []
    events(project, [event("a", day(-2)), event("a", day(7))])
    found = report(project)
    assert found["is_empty"]
    assert found["last_record"] == "2026-11-14 00:00:00.000000"
    assert totals(found, "before")["events"] == 1


def test_another_record_than_an_event_fills_a_period(project: Project) -> None:
    verdicts(project, ("a", day(1), "success", "person"))
    assert not report(project)["is_empty"]


def test_a_period_that_runs_has_no_days_to_come(project: Project) -> None:
    events(project, [event("a", day(0.5)), event("a", day(-7))])
    found: dict[str, Any] = report(project, now=day(1.5))
    assert found["is_running"]
    assert found["days"][-1]["day"] == "2026-11-17"
    assert len(found["days"]) == 9
    assert found["sentences"][0].startswith("This week is not over")
    assert not report(project, now=AFTER)["is_running"]


def test_times_of_old_files_are_read_as_they_are(project: Project) -> None:
    """Epoch seconds, ISO text with an offset, and no time at all."""
    spelled = [
        str((day(1)).timestamp()), (day(2) + timedelta(hours=9)).strftime("%Y-%m-%dT%H:%M:%S+09:00")
    ]  # fmt: skip
    rows = [(f"{number}", event("a", day(0))[1], "{}", at, None)
            for number, at in enumerate(spelled)]  # fmt: skip
    events(project, rows)
    found = report(project)
    assert totals(found)["events"] == 2
    assert [one["day"] for one in found["days"] if one["events"]] == ["2026-11-17", "2026-11-18"]
