"""`experiment`, as a person and a program use it."""

import json
from functools import partial
from typing import Any

import anyio
import jsonschema
import pytest

from khive_persist import Assignment, Message, assign, create_experiment
from khive_persist.cli.root import run
from khive_persist.mirror.schema import schema
from khive_persist.project import Project
from tests.experiments.records import HALVES, rows, save
from tests.factories import make_project

Captured = pytest.CaptureFixture[str]


def call(project: Project, *words: str) -> int:
    return run(["--dir", str(project.root), "experiment", *words])


def test_a_script_gets_the_variant_alone(project: Project, capsys: Captured) -> None:
    assert call(project, "create", "prompt", "control=1", "new=2.5", "--note", "n") == 0
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[0]) == ("prompt\n", "prompt created: control=1, new=2.5")
    assert str(project.database("experiments.db")) in err
    assert call(project, "create", "prompt", "control", "new=2.5") == 0
    assert capsys.readouterr().err == "prompt was there: control=1, new=2.5\n"
    assert call(project, "assign", "s1", "prompt") == 0
    drawn = capsys.readouterr()
    assert (drawn.out, drawn.err.splitlines()[0]) == ("new\n", "prompt: assigned at random")
    assert str(project.database("assignments.db")) in drawn.err
    assert call(project, "assign", "s1", "prompt") == 0
    again = capsys.readouterr()
    assert again.out == "new\n"
    assert again.err.startswith("prompt: assigned at random on 2")
    assert again.err.endswith(" UTC, and kept\n")
    anyio.run(save, project, Message, {"tool": "codex", "role": "user", "session_id": "s2"})
    assert call(project, "assign", "s2", "prompt", "control", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "session_id": "s2", "experiment": "prompt", "variant": "control", "method": "named",
        "is_late": True, "is_new": True,
    }  # fmt: skip
    assert call(project, "create", "prompt", "control", "new=2.5", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["name"], found["note"], found["is_new"]) == ("prompt", "n", False)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("create half a b=0.1", 1, "the experiment 'half' is there, and is another one: a=1, b=1"),
        ("create x a", 1, "at least 2"),
        ("create x a a", 1, "two variants have one name"),
        ("create x a=-1 b", 1, "a weight is a finite number of more than 0"),
        ("create x a=nan b", 1, "a weight is a finite number of more than 0"),
        ("create x a=some b", 2, "the weight of a is no number: some"),
        ("create x", 2, "VARIANT"),
        ("assign s1 none", 1, "no experiment is named 'none': make it with experiment create"),
        ("assign s1 none a", 1, "no experiment is named 'none': make it with experiment create"),
        ("assign s1 half c", 1, "no variant 'c': one of a, b"),
        ("assign s0 half b", 1, "the session 's0' has the variant 'a' of 'half'"),
        ("show none", 1, "no experiment is named 'none'"),
    ],
)
def test_what_is_wrong_is_said_on_one_line(
    words: str, code: int, said: str, project: Project, capsys: Captured
) -> None:
    assert call(project, "create", "half", "a", "b") == 0
    assert call(project, "assign", "s0", "half", "a") == 0
    capsys.readouterr()
    assert call(project, *words.split()) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err
    assert told.err.count("\n") == 1
    assert list(rows(project, "experiments")) == ["half"]
    assert len(rows(project, "assignments")) == 1


def divided(project: Project, sessions: int = 60) -> None:
    async def assign_all() -> None:
        await create_experiment("prompt", HALVES, dir=project.root)
        await create_experiment("empty", ["a", "b"], dir=project.root)
        for number in range(sessions):
            await assign(f"s{number}", "prompt", dir=project.root)
        await save(project, Message, {"tool": "codex", "role": "user", "session_id": "tardy"})
        await assign("tardy", "prompt", "new", dir=project.root)
        await assign("early", "prompt", "new", dir=project.root)

    anyio.run(assign_all)


def test_counts_are_shown_against_the_weights(project: Project, capsys: Captured) -> None:
    divided(project)
    drawn = [one["variant"] for one in rows(project, "assignments").values()
             if one["method"] == "random"]  # fmt: skip
    control, new = drawn.count("control"), drawn.count("new")
    assert call(project, "list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in listed] == ["prompt", "empty"]
    none = {"named": 0, "late_random": 0, "late_named": 0, "weight": 1}
    assert listed[0]["variants"] == [
        {"name": "control", "random": control, **none},
        {"name": "new", "random": new, **none, "named": 2, "late_named": 1},
    ]
    assert listed[1]["variants"][0] == {"name": "a", "random": 0, **none}
    assert call(project, "show", "prompt", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["variants"] == listed[0]["variants"]
    assert found["ratio"]["expected"] == [30, 30]
    chi_square = (control - 30) ** 2 / 30 + (new - 30) ** 2 / 30
    assert found["ratio"]["chi_square"] == pytest.approx(chi_square)
    assert not found["ratio"]["is_mismatch"]
    assert call(project, "show", "prompt") == 0
    told = capsys.readouterr().out
    assert "The sessions drawn fit the weights" in told
    assert call(project, "list") == 0
    assert "control" in capsys.readouterr().out
    assert call(project, "show", "empty") == 0
    assert "Too few sessions were drawn to check" in capsys.readouterr().out


def test_a_ratio_that_does_not_fit_is_said(project: Project, capsys: Captured) -> None:
    divided(project)
    ids = [id for id, one in rows(project, "assignments").items()
           if (one["method"], one["variant"]) == ("random", "new")]  # fmt: skip

    async def lose() -> None:
        from khive_persist import open_store

        async with open_store(Assignment, dir=project.root) as assignments:
            for id in ids[:-3]:
                assert await assignments.delete(id)

    anyio.run(lose)
    assert call(project, "show", "prompt") == 0
    told = capsys.readouterr().out
    assert "The sessions drawn do not fit the weights (chi-square " in told
    assert "something loses sessions" in told
    assert call(project, "show", "prompt", "--json") == 0
    ratio = json.loads(capsys.readouterr().out)["ratio"]
    assert ratio["is_mismatch"]
    assert ratio["p"] < 0.001


def test_without_any_there_is_a_line_and_an_empty_list(project: Project, capsys: Captured) -> None:
    assert call(project, "list") == 0
    assert capsys.readouterr() == ("", f"no experiments in {project.khive}\n")
    assert call(project, "list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    assert not list(project.khive.glob("*.db"))


def test_one_that_was_written_past_the_store_is_counted_and_not_assigned(
    project: Project, capsys: Captured
) -> None:
    import sqlite3

    divided(project, 2)
    with sqlite3.connect(project.database("experiments.db")) as connection:
        for id, text in (("odd", '{"name": "odd", "variants": [1]}'), ("bare", "null")):
            insert = "INSERT INTO experiments (id, content, created_at) VALUES (?, ?, '2026')"
            connection.execute(insert, (id, text))
    connection.close()
    assert call(project, "list", "--json") == 0
    found = {one["name"]: one["variants"] for one in json.loads(capsys.readouterr().out)}
    assert (found["odd"], found["bare"], len(found["prompt"])) == ([], [], 2)
    for name in ("odd", "bare"):
        assert call(project, "assign", "s1", name) == 1
        assert call(project, "show", name) == 0
    assert len(rows(project, "assignments")) == 4


def test_both_records_are_as_any_other(project: Project, capsys: Captured, tmp_path: Any) -> None:
    divided(project, 3)
    root = ["--dir", str(project.root)]
    before = {name: rows(project, name) for name in ("experiments", "assignments")}
    validator = jsonschema.Draft202012Validator(schema())
    for path in (project.khive / "sessions").glob("*.json"):
        document = json.loads(path.read_text("utf-8"))
        validator.validate(document)
        document["content"]["variants"] = [{"name": "a", "weight": 1}]
        assert not validator.is_valid(document)
    for form in ("jsonl", "parquet"):
        file = tmp_path / f"out.{form}"
        assert run([*root, "export", "-o", str(file)]) == 0
        other = make_project(tmp_path / form)
        assert run(["--dir", str(other.root), "import", str(file)]) == 0
        assert {name: rows(other, name) for name in before} == before
    lines = tmp_path / "plain.jsonl"
    some = [
        {"id": id, "content": content, "node_metadata": {"lion_class": f"x.{kind}"}}
        for kind, name in (("Experiment", "experiments"), ("Assignment", "assignments"))
        for id, content in before[name].items()
    ]
    lines.write_text("\n".join(map(json.dumps, some)))
    third = make_project(tmp_path / "third")
    assert run(["--dir", str(third.root), "import", str(lines)]) == 0
    assert {name: rows(third, name) for name in before} == before
    for name in before:
        project.database(f"{name}.db").unlink()
    assert run([*root, "rebuild", "--from-mirror"]) == 0
    assert {name: rows(project, name) for name in before} == before
    capsys.readouterr()
    sql = "SELECT variant, method, is_late FROM assignments.assigned WHERE session_id = 'tardy'"
    assert run([*root, "query", sql, "--jsonl"]) == 0
    found = {"variant": "new", "method": "named", "is_late": 1}
    assert json.loads(capsys.readouterr().out) == found
    assert run([*root, "show", "tardy"]) == 0
    assert "variant new of prompt assigned by name, late" in capsys.readouterr().out
    assert run([*root, "purge", "--session", "tardy", "--yes"]) == 0
    assert {one["session_id"] for one in rows(project, "assignments").values()} == {
        "s0", "s1", "s2", "early"
    }  # fmt: skip
    assert run([*root, "verify"]) == 0


def test_what_was_assigned_elsewhere_does_not_change_what_is_here(
    project: Project, tmp_path: Any, capsys: Captured
) -> None:
    divided(project, 1)
    other = make_project(tmp_path / "other")
    here = rows(project, "assignments")
    (drawn,) = {one["variant"] for one in here.values() if one["session_id"] == "s0"}
    (against,) = HALVES.keys() - {drawn}
    anyio.run(partial(create_experiment, "prompt", HALVES, dir=other.root))
    anyio.run(partial(assign, "s0", "prompt", against, dir=other.root))
    assert run(["--dir", str(project.root), "import", str(other.khive)]) in (0, 1)
    assert rows(project, "assignments") == here
