"""The `sqlite3` program, as the person has it who writes SQL against the files."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PROGRAM = shutil.which("sqlite3")
needs_program = pytest.mark.skipif(PROGRAM is None, reason="the sqlite3 program is not installed")


def _run(database: Path, sql: str, *options: str) -> str:
    assert PROGRAM is not None
    done = subprocess.run(
        [PROGRAM, "-batch", *options, str(database), sql],
        capture_output=True,
        check=False,
        text=True,
        timeout=20,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def rows(database: Path, sql: str) -> list[dict[str, Any]]:
    """What a statement finds, a dict a row."""
    found: list[dict[str, Any]] = json.loads(_run(database, sql, "-json") or "[]")
    return found


def query_plan(database: Path, sql: str) -> str:
    """How SQLite would find it."""
    return _run(database, f"EXPLAIN QUERY PLAN {sql}")
