"""Many processes save to one file at once: nothing is lost and nothing is refused."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from khive_persist.project import Project

PROCESSES = 8
TASKS = 4
SAVES = 50

# Somebody's own program, which knows nothing of our queue.
STRANGER = f"""
import sqlite3, sys
print("ready", flush=True)
sys.stdin.readline()
connection = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
for count in range({SAVES}):
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO planner_sessions (id) VALUES (?)", [f"stranger {{count}}"])
    connection.execute("COMMIT")
"""


def run_together(commands: list[list[str]]) -> None:
    """Run programs that start as one, once all of them are ready."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        output, error = process.communicate(timeout=90)
        assert (process.returncode, output, error) == (0, "", "")


@pytest.fixture
def database(project: Project) -> Path:
    return project.database("planner_sessions.db")


def stored_ids(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [row[0] for row in connection.execute("SELECT id FROM planner_sessions")]


def saver(project: Project, name: str) -> list[str]:
    program = ["-m", "tests.programs.many_savers", str(project.root)]
    return [*program, name, str(TASKS), str(SAVES)]


def saved_by(process: int) -> set[str]:
    return {f"{process} {task} {count}" for task in range(TASKS) for count in range(SAVES)}


def test_what_many_processes_save_at_once_is_there(project: Project, database: Path) -> None:
    """None of them finds the file there: all make it, and one of them does."""
    run_together([saver(project, str(number)) for number in range(PROCESSES)])
    found = stored_ids(database)
    assert len(found) == PROCESSES * TASKS * SAVES
    assert set(found) == set().union(*map(saved_by, range(PROCESSES)))


def test_a_program_that_knows_nothing_of_the_queue_refuses_nobody(
    project: Project, database: Path
) -> None:
    run_together([saver(project, "first")])
    savers = [saver(project, str(number)) for number in range(2)]
    run_together([*savers, ["-c", STRANGER, str(database)]])
    assert len(stored_ids(database)) == 3 * TASKS * SAVES + SAVES


def test_processes_that_save_and_read_one_record_leave_one_of_theirs(
    project: Project, database: Path
) -> None:
    program = ["-m", "tests.programs.one_shared", str(project.root)]
    run_together([[*program, str(number), str(SAVES)] for number in range(4)])
    assert stored_ids(database) == ["shared"]
    with closing(sqlite3.connect(database)) as connection:
        (last,) = connection.execute("SELECT session_id, task_description FROM plans").fetchall()
    assert last in {(str(number), f"{SAVES - 1}") for number in range(4)}
