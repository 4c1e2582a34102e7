"""`outcome set`, `outcomes` and `similar`, as a person and a program use them."""

import subprocess
import sys

import pytest

from khive_persist.analytics.calibration import Bin
from khive_persist.cli.commands.outcomes import diagram
from khive_persist.project import Project
from tests.analysis.records import event, plan
from tests.cli.conftest import Khive
from tests.factories import outcome, save_many


@pytest.fixture
def planned(project: Project) -> Project:
    save_many(
        project,
        [
            plan("one", 0, session_id="3aeaa724-1", complexity="complex", confidence=0.9,
                 task_description="Move the importer", agent_count=4, workflow_pattern="parallel"),
            plan("two", 1, session_id="3aeaa724-2", complexity="simple", confidence=0.2),
            plan("three", 2, session_id="949752ba", agent_session_id="01a1fba8"),
            event("post_command", "3aeaa724-1", 5, success=False),
            event("stop", "3aeaa724-1", 8),
        ],
    )  # fmt: skip
    return project


def test_a_verdict_by_the_beginning_of_an_id(planned: Project, khive: Khive) -> None:
    done = khive("outcome", "set", "9497", "partial", "--note", "no tests")
    first, database, copy = done.err.splitlines()
    assert (done.code, first) == (0, "partial recorded for session 949752ba")
    assert database == f"1 recorded in {planned.database('outcomes.db')}"
    assert copy.startswith(f"and in {planned.sessions}/outcome_")
    (shown,) = khive("outcomes", "--session", "01a1", "--json").json
    assert (shown["verdict"], shown["note"]) == ("partial", "no tests")
    again = khive("outcome", "set", "01a1fba8", "failure", "--json")
    assert again.json["content"]["verdict"] == "failure"
    assert again.json["id"] != done.out.strip()
    assert khive("outcomes", "--session", "01a1", "--jsonl").lines[0]["verdict"] == "failure"
    exported = khive("export", "--purpose", "outcomes").lines
    assert [one["content"]["verdict"] for one in exported] == ["partial", "failure"]
    assert khive("verify").code == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("3aea", "success"), 1, "several sessions"),
        (("nobody", "success"), 1, "no session"),
        (("9497", "good"), 2, "'good' is not one of"),
        (("9497",), 2, "VERDICT"),
    ],
)
def test_a_verdict_that_cannot_be_is_one_line(
    planned: Project, khive: Khive, words: tuple[str, ...], code: int, said: str
) -> None:
    done = khive("outcome", "set", *words)
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1)
    assert said in done.err
    assert not planned.database("outcomes.db").exists()


def test_a_secret_in_a_note_is_taken_out(planned: Project, khive: Khive) -> None:
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    khive("outcome", "set", "9497", "failure", "--note", f"leaked {secret}")
    for path in planned.khive.rglob("outcome*"):
        assert secret.encode() not in path.read_bytes()
    assert "REDACTED" in khive("outcomes", "--session", "9497", "--json").json[0]["note"]


def test_purge_takes_a_sessions_verdicts(planned: Project, khive: Khive) -> None:
    khive("outcome", "set", "3aeaa724-1", "success")
    done = khive("purge", "--session", "3aeaa724-1", "--yes", "--json")
    assert done.code == 0
    assert done.json["removed"]["outcomes"] == 1


def test_the_table_of_outcomes(planned: Project, khive: Khive) -> None:
    save_many(planned, [plan("later", 9, session_id="3aeaa724-1", task_description="a\x1b[2J\nb")])
    lines = khive("outcomes").out.splitlines()
    assert lines[0].split()[:4] == ["session", "task", "complexity", "sure"]
    assert "\\x1b[2J\\nb" in lines[1]
    row = next(line for line in lines if "Move the importer" in line)
    assert row.startswith("(3aeaa724-1)")
    assert row.split()[-9:] == ["0.9", "4/0", "-", "-", "3.0", "1", "1", "-", "-"]
    assert len(khive("outcomes", "--limit", "2").out.splitlines()) == 3


def test_json_and_lines_say_the_same(planned: Project, khive: Khive) -> None:
    assert khive("outcomes", "--json").json == khive("outcomes", "--jsonl").lines
    assert [one["plan_id"] for one in khive("outcomes", "--json").json] == ["three", "two", "one"]
    complex_ones = khive("outcomes", "--complexity", "complex", "--json").json
    assert [one["plan_id"] for one in complex_ones] == ["one"]


def test_the_calibration_by_hand(planned: Project, khive: Khive) -> None:
    save_many(planned, [outcome("3aeaa724-1", "success", 9), outcome("3aeaa724-2", "partial", 9)])
    done = khive("outcomes", "--calibration", "--bins", "2", "--json")
    found = done.json
    assert (done.code, found["plans"], found["judged"]) == (0, 3, 2)
    # ((0.9 - 1)² + (0.2 - 0.5)²) / 2, and outcomes 1 and 0.5 vary by 0.25².
    assert found["brier"]["score"] == pytest.approx(0.05)
    assert found["brier"]["uncertainty"] == pytest.approx(0.0625)
    assert [one["plans"] for one in found["bins"]] == [1, 1]
    assert khive("outcomes", "--calibration", "--bins", "2", "--jsonl").lines == [found]
    counted = khive("outcomes", "--calibration", "--partial", "0.2", "--json").json
    assert counted["brier"]["score"] == pytest.approx(0.005)
    table = khive("outcomes", "--calibration", "--bins", "2").out
    assert "score              0.0500" in table
    assert "0.5-1" in table


def test_the_diagram_is_to_scale() -> None:
    def line(*values: float) -> str:
        return diagram(Bin(0, 1, 10, *values))

    assert line(0.5, 0.25, 0.0, 1.0) == "[---------o---------|-------------------]"
    assert line(0.5, 0.5, 0.25, 0.75) == " " * 10 + "[---------X---------]"
    assert line(0.0, 1.0, 0.9, 1.0) == "|" + " " * 35 + "[---o"
    assert diagram(Bin(0, 1, 0, None, None, None, None)) == ""


def test_an_empty_store_says_so(project: Project, khive: Khive) -> None:
    place = project.khive
    for words, said in (
        (("outcomes",), f"no plans in {place}\n"),
        (("outcomes", "--calibration"), f"no plans in {place}\n"),
        (("similar", "anything"), f"no similar plans in {place}\n"),
    ):
        done = khive(*words)
        assert (done.code, done.out, done.err) == (0, "", said)
    assert khive("outcomes", "--json").json == []
    assert khive("outcomes", "--jsonl").out == ""
    assert khive("outcomes", "--calibration", "--json").json["brier"] is None


def test_plans_without_a_verdict_teach_how_to_give_one(planned: Project, khive: Khive) -> None:
    done = khive("outcomes", "--calibration")
    assert done.code == 0
    assert "khive-persist outcome set SESSION success" in done.err
    assert "judged  0" in done.out


def test_similar_plans_and_how_they_ended(planned: Project, khive: Khive) -> None:
    khive("outcome", "set", "3aeaa724-1", "success")
    words = ("similar", "move", "the importer", "--complexity", "complex", "--pattern", "parallel")
    (found,) = khive(*words, "--json").json
    assert (found["plan_id"], found["score"], found["verdict"]) == ("one", 1.0, "success")
    assert khive(*words, "--jsonl").lines == [found]
    head, row = khive(*words).out.splitlines()
    assert head.startswith("score")
    assert row.split()[0] == "1.00"
    assert row.endswith("success")
    assert khive("similar", "--complexity", "simple", "--json").json[0]["plan_id"] == "two"


@pytest.mark.parametrize(
    "words",
    [
        ("similar",), ("similar", "..."), ("similar", "x", "--limit", "1001"),
        ("outcomes", "--bins", "0"), ("outcomes", "--partial", "2"),
        ("outcomes", "--partial", "nan"), ("outcomes", "--limit", "-1"),
    ],
)  # fmt: skip
def test_wrong_use_is_one_line(planned: Project, khive: Khive, words: tuple[str, ...]) -> None:
    done = khive(*words, "--calibration") if words[0] == "outcomes" else khive(*words)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("command", ["outcomes --jsonl", "similar same --limit 900", "outcomes"])
def test_a_reader_that_leaves_early_is_no_error(project: Project, command: str) -> None:
    save_many(project, [plan(f"p{n}", n, task_description="same " * 200) for n in range(900)])
    program = f"'{sys.executable}' -m khive_persist.cli --dir '{project.root}' {command}"
    done = subprocess.run(
        ["/bin/bash", "-c", f"{program} | head -n 1"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1
