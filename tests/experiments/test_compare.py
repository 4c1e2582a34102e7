"""`compare --by experiment:NAME`: what was chosen late is left out, and counted."""

import csv
import json
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist import Assignment, Score, assign, create_experiment, open_store
from khive_persist.cli.root import run
from khive_persist.models.query import field
from khive_persist.project import Project
from tests.experiments.records import HALVES, rows, save
from tests.factories import make_project
from tests.homes import known_projects

__all__ = ["known_projects"]

EACH = 12
Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def tried(first_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """What is tried, for reading."""
    return filled(make_project(tmp_path_factory.mktemp("tried")))


@pytest.fixture
def changed(project: Project) -> Project:
    """What is tried, of a test that changes it."""
    return filled(project)


def filled(project: Project) -> Project:
    """Sessions that drew their variant, some named ones, late ones, and others."""

    async def make() -> None:
        await create_experiment("prompt", HALVES, dir=project.root)
        await create_experiment("other", ["x", "y"], dir=project.root)
        for number in range(2 * EACH):
            drawn = await assign(f"s{number:02}", "prompt", dir=project.root)
            await assign(f"s{number:02}", "other", dir=project.root)
            value = number + 100 * (drawn.content["variant"] == "new")
            await score(f"s{number:02}", value)
        await assign("named", "prompt", "new", dir=project.root)
        for session in ("named", "late1", "late2", "late3", "none"):
            await score(session, 1_000)
        for session in ("late1", "late2"):
            await assign(session, "prompt", "new", dir=project.root)
        await assign("late3", "prompt", dir=project.root)
        await assign("unseen", "prompt", dir=project.root)

    async def score(session: str, value: float) -> None:
        await save(project, Score, {"session_id": session, "name": "points", "value": value})

    anyio.run(make)
    return project


def compare(project: Project, *words: str) -> int:
    named = ["--by", "experiment:prompt", "--metric", "score:points"]
    return run(["--dir", str(project.root), "compare", *named, *words])


def drawn(project: Project) -> dict[str, int]:
    found = [one["variant"] for one in rows(project, "assignments").values()
             if one["experiment"] == "prompt" and one["method"] == "random"
             and one["session_id"] != "unseen"]  # fmt: skip
    return {variant: found.count(variant) for variant in HALVES}


def test_late_ones_are_left_out_and_counted(tried: Project, capsys: Captured) -> None:
    assert compare(tried, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    control, new = drawn(tried).values()
    assert list(found["groups"].items()) == [("control", control), ("new", new + 1)]
    assert (found["sessions"], found["ungrouped"], found["unwanted"]) == (2 * EACH + 5, 1, 0)
    del found["experiment"]["remarks"]
    assert found["experiment"] == {
        "name": "prompt", "weights": {"control": 1, "new": 1}, "late_named": 2, "late_random": 1,
        "with_late": False, "named": 1, "drawn": drawn(tried),
        "seen": 2 * EACH + 4, "assigned": 2 * EACH + 5,
    }  # fmt: skip
    (metric,) = found["metrics"]
    assert "higher in new than in control" in metric["sentence"]
    assert compare(tried, "--include-late", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["groups"] == {"control": control, "new": new + 3}
    assert found["experiment"]["with_late"]


def test_every_report_says_so(tried: Project, tmp_path: Path, capsys: Captured) -> None:
    page, text, folder = tmp_path / "r.html", tmp_path / "r.txt", tmp_path / "tables"
    assert compare(tried, "--html", str(page), "--text", str(text), "--csv", str(folder)) == 0
    said = [
        "Experiment prompt, with the weights control 1, new 1.",
        "2 sessions were assigned late, by name, and are left out.",
        "1 session was assigned late, at random: nobody chose.",
        "1 session was assigned by name: whoever did may have chosen",
        "1 session was assigned and not looked at: nothing else is recorded",
        "1 sessions have no experiment:prompt, and are left out",
    ]
    written = " ".join(text.read_text("utf-8").split())
    for told in (capsys.readouterr().out, page.read_text("utf-8"), written):
        for one in said[:5]:
            assert one in told
    with (folder / "definitions.csv").open(newline="") as file:
        first, *_ = csv.DictReader(file)
    assert first == {
        "metric": "experiment:prompt", "unit": "", "kind": "group",
        "definition": "the variant of the experiment prompt that a session was assigned"
                      " (control 1, new 1)",
        "left_out": "2 assigned late, by name",
    }  # fmt: skip
    with (folder / "sessions.csv").open(newline="") as file:
        sessions = {row["session_id"]: row for row in csv.DictReader(file)}
    assert len(sessions) == 2 * EACH + 2
    assert (sessions["named"]["group"], sessions["named"]["method"]) == ("new", "named")
    assert (sessions["late3"]["method"], sessions["late3"]["is_late"]) == ("random", "1")
    assert compare(tried, "--include-late", "--csv", str(folder), "--force") == 0
    assert "2 sessions were assigned late, by name, and are taken in" in capsys.readouterr().out
    with (folder / "sessions.csv").open(newline="") as file:
        assert {row["session_id"] for row in csv.DictReader(file)} == {*sessions, "late1", "late2"}


def test_variants_come_in_their_order_or_as_they_are_named(
    tried: Project, capsys: Captured
) -> None:
    assert compare(tried, "new", "control", "--json") == 0
    assert list(json.loads(capsys.readouterr().out)["groups"]) == ["new", "control"]
    assert compare(tried, "--by", "experiment:other", "--json") in (0, 1)
    found = json.loads(capsys.readouterr().out)
    assert list(found["groups"]) == ["x", "y"]
    assert (sum(found["groups"].values()), found["experiment"]["late_named"]) == (2 * EACH, 0)


def test_groups_that_lost_sessions_are_told(changed: Project, capsys: Captured) -> None:
    async def lose() -> None:
        async with open_store(Assignment, dir=changed.root) as assignments:
            wanted: list[Any] = [field("experiment") == "prompt", field("variant") == "control"]
            for one in await assignments.find(*wanted):
                await assignments.delete(one.id)

    assert compare(changed) == 0
    assert "do not fit the weights" not in capsys.readouterr().out
    anyio.run(lose)
    compare(changed)
    assert "The sessions that drew their variant do not fit the weights" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--by", "experiment:none"], 1, "no experiment is named 'none'"),
        (["--by", "experiment:"], 2, "experiment:NAME"),
        (["--by", "model", "--include-late"], 2, "--include-late goes with --by experiment:NAME"),
    ],
)
def test_what_is_wrong_is_said(
    words: list[str], code: int, said: str, tried: Project, capsys: Captured
) -> None:
    assert run(["--dir", str(tried.root), "compare", *words]) == code
    assert said in capsys.readouterr().err


def test_other_comparisons_do_not_see_them(tried: Project, capsys: Captured) -> None:
    words = ["compare", "--by", "tool", "--metric", "score:points", "--json"]
    assert run(["--dir", str(tried.root), *words]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["sessions"], found["ungrouped"], found["experiment"]) == (
        2 * EACH + 5, 2 * EACH + 5, None
    )  # fmt: skip


def test_of_several_assignments_of_one_session_the_first_counts(
    changed: Project, capsys: Captured
) -> None:
    # As another program could write it, past the store.
    async def write() -> None:
        from khive_persist import Node

        class Written(Node):
            purpose = Assignment.purpose

        content = next(iter(rows(changed, "assignments").values())) | {
            "session_id": "named", "experiment": "prompt", "variant": "control",
        }  # fmt: skip
        async with open_store(Written, dir=changed.root) as store:
            await store.save(Written(id="other", content=content))

    anyio.run(partial(write))
    assert compare(changed, "--json") == 0
    assert json.loads(capsys.readouterr().out)["groups"]["new"] == drawn(changed)["new"] + 1
