"""The training platform: students at work while their server is killed, and nothing is lost."""

import csv
import json
import re
import sqlite3
import statistics
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from examples.training_platform.scenario import GROUPS, MOST_POINTS, STEPS, expected
from tests.server import warm

ROOT = Path(__file__).parents[2]
STUDENTS = 20


def run(module: str, directory: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return warm.run_module(module, "--dir", str(directory), *words, timeout=100)


def contents(directory: Path, file: str, table: str) -> list[Any]:
    with closing(sqlite3.connect(directory / ".khive" / file)) as connection:
        found = connection.execute(f"SELECT content FROM {table}").fetchall()
    return [json.loads(content) for (content,) in found]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "kill_after",
    [pytest.param(1, marks=pytest.mark.long), 50, pytest.param(99, marks=pytest.mark.long)],
)
def test_a_killed_server_loses_nothing_and_stores_nothing_twice(
    kill_after: int, tmp_path: Path
) -> None:
    done = run("examples.training_platform", tmp_path, "--kill-after", str(kill_after))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == [f"the server was killed after {kill_after} steps", "and started again"]
    assert lines[-1] == f"{STUDENTS * (1 + sum(expected().values()))} records, equal in both copies"
    sessions = contents(tmp_path, "application_sessions.db", "application_sessions")
    assert {one["session_id"]: one["group"] for one in sessions} == {
        f"chest_pain-{number:02}": GROUPS[number % 2] for number in range(STUDENTS)
    }
    assert all(one["status"] == "completed" for one in sessions)
    # One version for its start, one a step and one for its completion: no update came twice.
    assert {one["version"] for one in sessions} == {len(STEPS) + 2}
    for file, table in (("conversations.db", "messages"), ("measurements.db", "measurements")):
        for one in sessions:
            own = [c for c in contents(tmp_path, file, table) if is_of(c, one)]
            assert len(own) == expected()[table]
            assert [c["step"] for c in own] == sorted(
                (c["step"] for c in own), key=[step for step, _ in STEPS].index
            )
    scores = contents(tmp_path, "scores.db", "scores")
    for one in sessions:
        points = {score["name"]: score["value"] for score in scores if is_of(score, one)}
        total = points.pop("total")
        assert points.keys() == {step for step, _ in STEPS}
        assert total == sum(points.values())
        assert one["outcome"] == ("passed" if 2 * total >= MOST_POINTS * len(STEPS) else "failed")
    assert run("khive_persist.cli", tmp_path, "verify").returncode == 0


def is_of(content: Any, session: Any) -> bool:
    return bool(content["session_id"] == session["session_id"])


def test_what_is_completed_takes_no_second_run(tmp_path: Path) -> None:
    words = ("--students", "4", "--kill-after", "0")
    first = run("examples.training_platform", tmp_path, *words)
    assert first.returncode == 0, first.stderr
    assert re.search(r"^with_feedback: 2 students, [\d.]+ points", first.stdout, re.MULTILINE)
    before = contents(tmp_path, "scores.db", "scores")
    second = run("examples.training_platform", tmp_path, *words)
    assert second.returncode == 1
    assert "is completed" in second.stderr
    assert "Traceback" not in second.stderr
    assert contents(tmp_path, "scores.db", "scores") == before


def test_its_groups_are_compared_and_reported_by_one_command(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    words = ("--students", "10", "--report", str(folder))
    done = run("examples.training_platform", tmp_path, *words)
    assert done.returncode == 0, done.stderr
    assert "10 sessions by group: without_feedback 5, with_feedback 5" in done.stdout
    sessions = contents(tmp_path, "application_sessions.db", "application_sessions")
    scores = contents(tmp_path, "scores.db", "scores")
    totals = {one["session_id"]: one["value"] for one in scores if one["name"] == "total"}
    means = {
        group: statistics.mean(
            totals[one["session_id"]] for one in sessions if one["group"] == group
        )
        for group in GROUPS
    }
    with (folder / "tables" / "summary.csv").open(encoding="utf-8", newline="") as file:
        told = {
            row["group"]: float(row["mean"])
            for row in csv.DictReader(file)
            if row["metric"] == "score:total"
        }
    assert told == pytest.approx(means)
    page, text = ((folder / f"report.{kind}").read_text("utf-8") for kind in ("html", "txt"))
    for sentence in re.findall("(?m)^(?:Score|No difference in) .*$", done.stdout):
        assert sentence in page
    assert "score:total" in text
    sheets = openpyxl.load_workbook(folder / "report.xlsx", read_only=True).sheetnames
    assert {"summary", "sessions", "scores", "measurements", "tests"} <= set(sheets)
    # No table says who it was.
    tables = b"".join(file.read_bytes() for file in sorted((folder / "tables").iterdir()))
    assert b"student-" not in tables
    assert b"chest_pain-" not in tables
