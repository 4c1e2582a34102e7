"""The training log: saved twice, asked about, lost, and brought back."""

import json
import re
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.server import warm

ROOT = Path(__file__).parents[2]
Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """Run the program as a person does, in a directory of the test's own."""

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        return warm.run_module("examples.traininglogs", "--dir", str(tmp_path), *words)

    return run


LOGGED = """
import sys
from examples.traininglogs.__main__ import main

for words in (
    ("ada", "squat: 5x100 5x105", "bench: 8x60"),
    ("ada", "squat: 5x107.5"),
    ("bob", "squat: 3x140"),
    ("ada", "row: 12x50"),
):
    main(["--dir", sys.argv[1], "log", *words])
"""


@pytest.fixture
def logged(tmp_path: Path) -> Path:
    """The .khive of a log with four sessions of two athletes."""
    done = warm.run(LOGGED, str(tmp_path))
    assert done.returncode == 0, done.stderr
    return tmp_path / ".khive"


def rows(khive: Path) -> list[Any]:
    with closing(sqlite3.connect(khive / "training_sessions.db")) as connection:
        return connection.execute("SELECT * FROM training_sessions ORDER BY id").fetchall()


def test_each_save_is_a_row_and_a_readable_file(logged: Path) -> None:
    files = sorted((logged / "sessions").glob("training_session_*.json"))
    assert len(files) == len(rows(logged)) == 4
    for file, (id, content, *_) in zip(
        sorted(files, key=lambda file: file.stem[-8:]), rows(logged), strict=True
    ):
        assert re.fullmatch(r"training_session_\d{4}_\d\d_\d\d_[0-9a-f]{8}\.json", file.name)
        document = json.loads(file.read_text())
        assert document["id"] == id
        assert document["content"] == json.loads(content)
        assert "\n    " in file.read_text()


def test_history_and_best(call: Call, logged: Path) -> None:
    assert call("log", "ada", "row: 12x55").returncode == 0
    lines = call("history", "ada").stdout.splitlines()
    assert lines[0] == "4 sessions"
    assert [line.split(": ")[1] for line in lines[1:]] == ["row", "row", "squat", "squat, bench"]
    assert len(call("history", "--limit", "2").stdout.splitlines()) == 3
    best = call("best", "ada", "squat").stdout.splitlines()
    assert [line.split()[1] for line in best] == ["5x105", "5x107.5"]


def test_plain_sql_has_the_columns_and_the_index(logged: Path) -> None:
    with closing(sqlite3.connect(logged / "training_sessions.db")) as connection:
        totals = connection.execute(
            "SELECT athlete, sum(volume_kg) FROM trainings GROUP BY athlete ORDER BY athlete"
        ).fetchall()
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT * FROM training_sessions"
            " WHERE json_extract(content, '$.athlete') = 'ada' ORDER BY created_at DESC"
        ).fetchall()
    assert totals == [("ada", 5 * 100 + 5 * 105 + 8 * 60 + 5 * 107.5 + 12 * 50), ("bob", 420.0)]
    assert "training_sessions_athlete_created_at" in str(plan)


@pytest.mark.parametrize("damage", ["deleted", "cut", "garbage"])
def test_the_database_comes_back_from_the_files(call: Call, logged: Path, damage: str) -> None:
    before = rows(logged)
    database = logged / "training_sessions.db"
    content = database.read_bytes()
    if damage == "deleted":
        database.unlink()
    else:
        database.write_bytes(content[: len(content) // 2] if damage == "cut" else b"x" * 9_000)
    done = call("recover")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("4 sessions, proven equal")
    assert rows(logged) == before
    assert "4 sessions" in call("history").stdout


def test_the_command_line_knows_the_record_too(logged: Path) -> None:
    place = ["--dir", str(logged.parent)]
    (logged / "training_sessions.db").unlink()
    assert warm.run_module("khive_persist.cli", *place, "verify").returncode == 1
    rebuilt = warm.run_module("khive_persist.cli", *place, "rebuild", "--from-mirror")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert len(rows(logged)) == 4


@pytest.mark.parametrize("line", ["squat", "squat:", "squat: 5*100", ": 5x100", "squat: 0x100"])
def test_a_wrong_line_saves_nothing(call: Call, tmp_path: Path, line: str) -> None:
    done = call("log", "ada", line)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / ".khive").exists()
