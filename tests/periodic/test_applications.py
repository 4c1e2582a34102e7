"""What a report says of application sessions, and of a project with a file of every kind."""

import json
import math
from typing import Any

import pytest

from khive_persist.analytics.periodic_report.page import page
from khive_persist.analytics.periodic_report.text import text
from khive_persist.cli.root import run
from khive_persist.models.purpose_registry import remember
from khive_persist.models.purposes import (
    APPLICATION_SESSIONS,
    BUILT_IN,
    MEASUREMENTS,
    PLANNER_SESSIONS,
    SCORES,
    purpose,
)
from khive_persist.project import Project
from khive_persist.store.reader import Reader
from tests.factories import Row, row, store_rows
from tests.periodic.records import AFTER, day, plan, plans, report, totals


def session(id: str, at: float, **content: Any) -> Row:
    begun = {"session_id": id, "status": "active", "version": 1}
    started = {"started_at": day(at).strftime("%Y-%m-%d %H:%M:%S.%f")}
    return row({**begun, **started, **content}, day(at), id)


def value(session_id: str, at: float, name: str, number: Any, **content: Any) -> Row:
    return row({"session_id": session_id, "name": name, "value": number, **content}, day(at))


@pytest.fixture
def applied(project: Project) -> Project:
    """Six sessions of the week before and six of this one, of which five passed more than then."""
    sessions, scores, measured = [], [], []
    for week in (-7, 0):
        for number in range(6):
            id, at = f"{week} {number}", week + number
            outcome = "passed" if week == 0 and number else "failed"
            sessions.append(session(id, at, status="completed", outcome=outcome))
            scores.append(value(id, at, "triage", 10 + week + number / 10))
            measured += [value(id, at, "heart_rate", 60 + n, unit="bpm") for n in (0, number)]
    sessions += [session("odd", 3, outcome={"of": 1}), session("yes", 3, outcome=True)]
    store_rows(project, APPLICATION_SESSIONS, sessions)
    store_rows(project, SCORES, scores)
    store_rows(project, MEASUREMENTS, measured)
    return project


def test_outcomes_scores_and_measurements_are_counted(applied: Project) -> None:
    found = report(applied)
    now, before = totals(found), totals(found, "before")
    assert (now["application_sessions"], now["completed"]) == (8, 6)
    assert (before["application_sessions"], before["completed"]) == (6, 6)
    assert found["outcomes"] == [
        {"outcome": "passed", "now": 5, "before": 0},
        {"outcome": "failed", "now": 1, "before": 6},
        {"outcome": "true", "now": 1, "before": 0},
    ]
    rate, score = found["series"]
    assert (rate["kind"], rate["name"], rate["unit"]) == ("measurement", "heart_rate", "bpm")
    assert (rate["values"], rate["sessions"], rate["values_before"]) == (12, 6, 12)
    assert (rate["smallest"], rate["largest"], rate["mean"]) == (60, 65, 61.25)
    assert (score["kind"], score["name"], score["unit"]) == ("score", "triage", None)
    assert score["mean"] == pytest.approx(10.25)
    assert score["mean_before"] == pytest.approx(3.25)
    assert (
        "8 application sessions began, against 6 the week before; 6 of them are completed"
        " (outcomes: 5 passed, 1 failed, 1 true)."
    ) in found["sentences"]


def test_they_are_compared_with_those_before(applied: Project) -> None:
    compared = {one["metric"]["name"]: one for one in report(applied)["comparison"]}
    score = compared["score:triage"]
    assert [group["description"]["n"] for group in score["groups"]] == [6, 6]
    assert score["finding"] == "difference"
    assert compared["measurement:heart_rate"]["finding"] == "none found"
    passed = compared["application:outcome=passed"]
    assert passed["metric"]["kind"] == "share"
    assert passed["p"] < 0.05
    assert compared["application:outcome=true"]["groups"][1]["description"]["mean"] == 1 / 8


def test_they_stand_on_the_page_and_in_the_text(applied: Project) -> None:
    found = report(applied)
    for written in (page(found, AFTER), text(found, AFTER)):
        assert "Outcomes of application sessions" in written
        assert "heart_rate" in written
        assert "triage" in written


def test_a_name_that_no_metric_can_have_is_shown_and_not_compared(project: Project) -> None:
    store_rows(project, SCORES, [value("a", 1, "a=b", 2), value("a", 1, "", 2)])
    found = report(project)
    assert [one["name"] for one in found["series"]] == ["a=b"]
    assert not any(":" in one["metric"]["name"] for one in found["comparison"])


def test_what_was_scored_only_before_is_shown_too(project: Project) -> None:
    store_rows(project, SCORES, [value("a", -1, "old", 2), value("a", 1, "new", 3)])
    new, old = report(project)["series"]
    assert (new["name"], new["values"], new["mean_before"]) == ("new", 1, None)
    assert (old["name"], old["values"], old["mean"], old["mean_before"]) == ("old", 0, None, 2)


def test_a_project_with_every_kind_of_record_is_reported_on(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    own = purpose("training")
    remember(project, own)
    for kind in (*BUILT_IN, own):
        store_rows(project, kind, [row({"session_id": "a", "name": "n", "value": 1}, day(1))])
    assert len(list(project.khive.glob("*.db"))) == 14
    assert run(["--dir", str(project.root), "report", "--at", "2026-11-17"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert "Scores and measurements" in told.out
    assert run(["--dir", str(project.root), "compare", "--by", "tool"]) in (0, 1)
    assert capsys.readouterr().err == ""


def test_a_record_of_an_own_kind_fills_a_period(project: Project) -> None:
    own = purpose("training")
    remember(project, own)
    store_rows(project, own, [row({"session_id": "a"}, day(1))])
    assert not report(project)["is_empty"]


def test_more_files_than_sqlite_attaches_are_refused_at_once(project: Project) -> None:
    files = [(project.database(kind.file), kind) for kind in BUILT_IN]
    assert len(files) > 10
    with pytest.raises(ValueError, match="13 files cannot be read together"):
        Reader(files)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1e308", "1" + "0" * 400])
def test_a_number_beyond_all_sums_is_in_none(project: Project, number: str) -> None:
    odd = row({"session_id": "b", "name": "n", "value": 0, "planning_cost": 0}, day(1))
    spelled = odd[1].replace(": 0", f": {number}")
    plans(project, plan("a", day(1), planning_cost=2))
    store_rows(project, PLANNER_SESSIONS, [(odd[0], spelled, *odd[2:])])
    store_rows(project, SCORES, [(odd[0], spelled, *odd[2:]), value("a", 1, "n", 3)])
    found = report(project)
    assert totals(found)["planning_cost"] == 2
    assert totals(found)["plans"] == 2
    (series,) = found["series"]
    assert (series["values"], series["mean"]) == (1, 3)
    numbers = [float(one) for one in _numbers(json.loads(json.dumps(found, default=str)))]
    assert all(map(math.isfinite, numbers))


def _numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return _numbers(list(value.values()))
    if isinstance(value, list):
        return [number for one in value for number in _numbers(one)]
    return [value] if isinstance(value, int | float) else []
