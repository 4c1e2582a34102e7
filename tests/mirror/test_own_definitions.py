"""`sessions/` alone is enough for records of a user's own: their definition lies there, too."""

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import pytest

from khive_persist.cli.root import run
from khive_persist.copies import mirrored
from khive_persist.errors import InvalidRecordError
from khive_persist.mirror.verify import compared
from khive_persist.models import purpose_file
from khive_persist.models.node import Node
from khive_persist.models.planner_session import PlannerSession
from khive_persist.models.purpose_registry import known_purposes, mirrored_purposes, remember
from khive_persist.models.purposes import BUILT_IN, Purpose, purpose
from khive_persist.opening import open_store
from khive_persist.project import Project
from tests.factories import make_project, save
from tests.mirror.own import Heartbeat, TrainingSession
from tests.mirror.records import DAY, assert_equal, everything, found, plan


class Order(Node):
    """All of its names are words of SQL."""

    purpose: ClassVar[Purpose] = purpose(
        "order", "select", view="group", fields=("by",), indexes=(("by",), ("limit", "created_at"))
    )


def made(record: type[Node], id: str, **content: Any) -> Node:
    return record.model_validate({"id": id, "content": content, "created_at": DAY})


@pytest.fixture
def own(project: Project) -> Project:
    save(project, *(made(TrainingSession, f"session{n}", athlete=f"a{n}") for n in range(3)))
    save(project, *(made(Heartbeat, f"beat{n}", session_id="run") for n in range(3)))
    save(project, *(made(Order, f"order{n}", by=n, limit=n) for n in range(3)))
    save(project, plan("a"))
    return project


@pytest.fixture
def bare(own: Project, tmp_path: Path) -> Project:
    """A project that has nothing but a copy of another one's `sessions/`."""
    project = make_project(tmp_path / "bare")
    shutil.copytree(own.sessions, project.sessions)
    return project


def definition(project: Project, name: str) -> Path:
    return project.sessions / f"{name}{purpose_file.SUFFIX}"


def test_the_definition_lies_beside_the_records(own: Project) -> None:
    for kind in (TrainingSession, Heartbeat, Order):
        path = definition(own, kind.purpose.name)
        assert purpose_file.read(path) == kind.purpose
        assert path.stat().st_mode & 0o777 == 0o600
    assert not definition(own, "planner_sessions").exists()
    assert_equal(own)


def test_a_bare_mirror_gives_the_databases_back(
    own: Project, bare: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert known_purposes(bare) == BUILT_IN
    assert {p.name for p in mirrored_purposes(bare)} > {"training", "heartbeats", "order"}
    assert run(["--dir", str(bare.root), "verify", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["purposes"]["order"]["copies"] == 3
    assert run(["--dir", str(bare.root), "rebuild", "--from-mirror"]) == 0
    assert everything(bare) == everything(own)
    assert known_purposes(bare) == known_purposes(own)
    with closing(sqlite3.connect(bare.database("order.db"))) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
        assert connection.execute('SELECT "by" FROM "group" ORDER BY 1').fetchall() == [
            (0,), (1,), (2,),
        ]  # fmt: skip
    assert {"select", "group", "select_by", "select_limit_created_at"} <= names
    assert run(["--dir", str(bare.root), "verify"]) == 0


def test_of_other_records_alone_they_are_no_difference(bare: Project) -> None:
    with compared(bare, mirrored(bare, [PlannerSession])) as comparison:
        kinds = {difference.kind for difference in comparison.differences()}
    assert kinds == {"missing_in_database"}


def test_a_definition_comes_back_with_the_mirror(own: Project) -> None:
    shutil.rmtree(own.sessions)
    assert run(["--dir", str(own.root), "rebuild", "--from-database"]) == 0
    assert purpose_file.read(definition(own, "training")) == TrainingSession.purpose


def test_without_a_mirror_there_is_no_definition(project: Project) -> None:
    project.local_config.write_text('[mirror]\noff = ["training"]\n')
    save(project, made(TrainingSession, "session0", athlete="a"))
    assert not project.sessions.exists()


GOOD = json.loads(purpose_file.to_bytes(TrainingSession.purpose))


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../../training"},
        {"name": "planner_sessions"},
        {"table": "hook_events"},
        {"table": "x; DROP TABLE y"},
        {"view": 'a"b'},
        {"fields": ["a'b"]},
        {"fields": 5},
        {"indexes": [[]]},
        {"indexes": [["a')"]]},
        {"document": "../x"},
        {"document": 7},
        {"name": "other"},
    ],
    ids=str,
)
def test_a_hostile_definition_is_left_alone_and_named(
    bare: Project, change: dict[str, Any]
) -> None:
    definition(bare, "training").write_text(json.dumps(GOOD | change))
    assert "training" not in {purpose.name for purpose in mirrored_purposes(bare)}
    differences = found(bare)
    assert ("not_ours", "training.purpose.json") in differences
    before = sorted(os.listdir(bare.root.parent))
    assert run(["--dir", str(bare.root), "rebuild", "--from-mirror"]) == 1
    assert not bare.database("training.db").exists()
    assert bare.database("order.db").exists()
    assert sorted(os.listdir(bare.root.parent)) == before


def test_what_is_no_file_is_no_definition(bare: Project, tmp_path: Path) -> None:
    path = definition(bare, "training")
    elsewhere = tmp_path / "elsewhere.json"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert purpose_file.definition_in(path) is None
    path.unlink()
    os.mkfifo(path)
    assert purpose_file.definition_in(path) is None
    path.unlink()
    path.write_bytes(b" " * (1 << 20))
    with pytest.raises(InvalidRecordError, match="larger than"):
        purpose_file.read(path)
    path.write_bytes(b"[" * 200_000)
    assert purpose_file.definition_in(path) is None


def test_kinds_that_differ_in_case_only_are_refused(project: Project) -> None:
    remember(project, purpose("training"))
    with pytest.raises(InvalidRecordError, match="'Training' differs from 'training' only in"):
        remember(project, purpose("Training", table="other", document="other"))
    with pytest.raises(InvalidRecordError, match="the document 'TRAINING' differs"):
        remember(project, purpose("other", document="TRAINING"))
    remember(project, purpose("training", indexes=(("athlete",),)))
    (project.khive / "purposes" / "bad.json").write_text("{")
    remember(project, purpose("another"))


@pytest.mark.parametrize(
    "names",
    [
        ("planner_sessions", "planner_sessions"),
        ("notes", "a b"),
        ("change_log", "x"),
        ("../x", "y"),
    ],
)
async def test_a_purpose_that_was_not_checked_is_refused_at_the_opening(
    project: Project, names: tuple[str, str]
) -> None:
    class Unchecked(Node):
        purpose: ClassVar[Purpose] = Purpose(*names, document="notes")

    with pytest.raises(InvalidRecordError):
        async with open_store(Unchecked, dir=project.root):
            pass
    assert not [path for path in project.khive.iterdir() if path.suffix == ".db"]
