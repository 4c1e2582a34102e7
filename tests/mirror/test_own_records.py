"""A record of a user's own has its mirror, and the commands know it without its class."""

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from khive_persist.cli.root import run
from khive_persist.copies import mirrored
from khive_persist.mirror.verify import compared
from khive_persist.models.node import Node
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.models.purposes import BUILT_IN, PLANNER_SESSIONS
from khive_persist.project import Project
from khive_persist.trust import signed
from tests.factories import save
from tests.mirror.own import Heartbeat, OtherEvent, OtherPlan, TrainingSession
from tests.mirror.records import (
    DAY,
    assert_equal,
    delete,
    document,
    event,
    everything,
    files,
    found,
    lines,
    plan,
)


def made(record: type[Node], id: str, **content: Any) -> Node:
    return record.model_validate({"id": id, "content": content, "created_at": DAY})


@pytest.fixture
def own(project: Project) -> Project:
    save(project, *(made(TrainingSession, f"session{n}", athlete=f"a{n}") for n in range(3)))
    save(project, *(made(Heartbeat, f"beat{n}", session_id="run") for n in range(3)))
    return project


def test_it_has_its_mirror(own: Project) -> None:
    assert files(own) == [
        "heartbeats_2026_11_01_run.jsonl",
        *(f"training_session_2026_11_01_session{n}.json" for n in range(3)),
    ]
    one = document(own, "training_session_2026_11_01_session1.json")
    assert (one["purpose"], one["table"]) == ("training", "sessions_of_training")
    assert [one["id"] for one in lines(own, "heartbeats_2026_11_01_run.jsonl")] == [
        "beat0", "beat1", "beat2",
    ]  # fmt: skip
    assert_equal(own)
    delete(own, TrainingSession, "session1")
    delete(own, Heartbeat, "beat1")
    assert_equal(own)


def test_its_purpose_is_remembered(own: Project) -> None:
    kept = {path.name: path.stat().st_mode & 0o777 for path in (own.khive / "purposes").iterdir()}
    assert kept == {"heartbeats.json": 0o600, "training.json": 0o600}
    assert known_purposes(own) == (*BUILT_IN, Heartbeat.purpose, TrainingSession.purpose)


def test_of_a_built_in_one_nothing_needs_to_be_remembered(project: Project) -> None:
    save(project, plan("a"))
    assert not (project.khive / "purposes").exists()


@pytest.mark.parametrize("lost", ["training.db", "sessions"])
def test_what_was_lost_comes_back_without_its_class(
    own: Project, lost: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = everything(own)
    source = "--from-mirror" if lost == "training.db" else "--from-database"
    if lost == "training.db":
        own.database(lost).unlink()
    else:
        for name in files(own):
            (own.sessions / name).unlink()
    assert run(["--dir", str(own.root), "verify", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)["purposes"]["training"]
    assert (told["rows"], told["copies"]) == ((0, 3) if lost == "training.db" else (3, 0))
    assert run(["--dir", str(own.root), "rebuild", source]) == 0
    assert run(["--dir", str(own.root), "verify"]) == 0
    assert everything(own) == before
    with closing(sqlite3.connect(own.database("training.db"))) as connection:
        made = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    assert {"trainings", "sessions_of_training_athlete_created_at"} <= made


def test_without_its_description_its_records_are_named(own: Project) -> None:
    (own.khive / "purposes" / "training.json").unlink()
    (own.sessions / "training.purpose.json").unlink()
    assert found(own) == [("unknown_purpose", f"session{n}") for n in range(3)]


def test_a_description_of_others_is_passed_over(own: Project) -> None:
    known = known_purposes(own)
    for text in ("", "{", "[]", '{"name": "../x", "table": "x"}', '{"name": 5}'):
        (own.khive / "purposes" / "bad.json").write_text(text)
        assert known_purposes(own) == known


def test_a_description_that_is_none_is_an_error_that_names_it(
    own: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong: list[dict[str, object]] = [{}, {"name": "../x", "table": "x"}, {"name": 5}]
    for described in wrong:
        content = signed.dump(own.khive, "purposes", described)
        (own.khive / "purposes" / "bad.json").write_bytes(content)
        assert run(["--dir", str(own.root), "verify"]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "purposes/bad.json" in line


def test_purposes_whose_names_begin_alike_keep_apart(project: Project) -> None:
    for number in range(3):
        save(project, plan(f"same0000-{number}"))
        save(project, made(OtherPlan, f"same0000-{number}"))
        save(project, event(f"event{number}", "same0000"))
        save(project, made(OtherEvent, f"event{number}", session_id="same0000"))
    assert len(files(project)) == 6 + 2
    assert_equal(project)
    delete(project, OtherPlan, "same0000-0")
    assert_equal(project)
    # Of some records alone, the others are no difference.
    with compared(project, mirrored(project, [OtherPlan, OtherEvent])) as comparison:
        assert list(comparison.differences()) == []
        assert comparison.tallies.keys() == {"other_plans", "other_events"}


def test_what_is_turned_off_is_no_difference(own: Project) -> None:
    save(own, plan("a"))
    own.local_config.write_text('[mirror]\noff = ["training", "planner_sessions"]\n')
    save(own, plan("b"))
    assert PLANNER_SESSIONS not in mirrored(own)
    assert found(own) == []
