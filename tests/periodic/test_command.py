"""`khive-persist report`: what it prints and writes, and how it ends."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from khive_persist import clock
from khive_persist.cli.root import run
from khive_persist.project import Project
from tests.periodic.records import MONDAY, call, day, events
from tests.server.filling import event

# A Python without some packages, as where the extra is not installed.
WITHOUT = """
import sys
for name in sys.argv.pop(1).split(","):
    sys.modules[name] = None
from khive_persist.cli.root import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.fixture
def filled(project: Project) -> Project:
    events(project, [*call("a", day(1), success=False, error="no"), *call("b", day(-2))])
    return project


def without(names: str, project: Project, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, names, "--dir", str(project.root), "report", *words],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_it_prints_writes_and_ends_well(
    filled: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, text = tmp_path / "week.html", tmp_path / "week.txt"
    words = ["--dir", str(filled.root), "report", "--at", "2026-11-20", "--text", str(text)]
    assert run([*words, "--html", str(page)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Week 2026-W47, 2026-11-16 to 2026-11-23, set against 2026-W46\n")
    assert "1 of 1 tool call failed (100.0%), against 0.0% the week before." in shown
    assert "Bash" in shown
    assert page.read_text().startswith("<!doctype html>")
    assert text.read_text().startswith("Week 2026-W47")
    assert run(words) == 1
    assert "is there already" in capsys.readouterr().err
    assert run([*words, "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "2026-W47"


@pytest.mark.parametrize(
    "at", ["2026-11-16", "2026-11-22T23:59:59.999999", "2026-11-23T00:30:00+01:00", "{age}s"]
)
def test_at_takes_any_time_of_the_period(
    filled: Project, at: str, capsys: pytest.CaptureFixture[str]
) -> None:
    age = int((clock.now() - MONDAY - timedelta(hours=1)).total_seconds())
    given = at.format(age=age)
    if age < 0 and at != given:
        pytest.skip("this clock is before the records")
    assert run(["--dir", str(filled.root), "report", "--at", given, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "2026-W47"


def test_without_a_time_it_is_the_last_that_is_over(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    events(project, [event("a", clock.now() - timedelta(days=1))])
    assert run(["--dir", str(project.root), "report", "--period", "day", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["until"] <= clock.to_text(clock.now())
    assert found["totals"][1]["now"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--at", "yesterday"], "is no time"), (["--at", "0001-01-01"], "there is no week"),
     (["--at", "9999-12-31"], "there is no week"), (["--period", "month"], "'month'")],
)  # fmt: skip
def test_wrong_use_is_told_from_failure(
    filled: Project, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--dir", str(filled.root), "report", *words]) == 2
    assert said in capsys.readouterr().err


def test_nothing_recorded_is_no_success(
    filled: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "old.txt"
    target.write_text("last week's")
    words = ["--at", "2020-01-01", "--text", str(target), "--force"]
    assert run(["--dir", str(filled.root), "report", *words]) == 1
    told = capsys.readouterr()
    assert "nothing was recorded from 2019-12-30 to 2020-01-06" in told.err
    assert "Nothing was recorded in 2020-W01." in told.out
    # What was there would look like this week's.
    assert "Nothing was recorded in 2020-W01." in target.read_text()


def test_a_project_that_is_not_there_is_told_from_an_empty_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--dir", str(tmp_path), "report"]) == 1
    assert "khive-persist init" in capsys.readouterr().err


def test_without_scipy_the_rest_is_told(filled: Project) -> None:
    done = without("scipy", filled, "--at", "2026-11-16", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["comparison"] is None
    assert "khive-persist[analysis]" in found["comparison_missing"]
    assert found["totals"][1]["now"] == 2


def test_without_matplotlib_the_page_says_what_to_install(filled: Project, tmp_path: Path) -> None:
    target = tmp_path / "week.html"
    done = without("scipy,matplotlib", filled, "--at", "2026-11-16", "--html", str(target))
    assert done.returncode == 1
    assert "pip install 'khive-persist[analysis]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == [filled.root.name]
