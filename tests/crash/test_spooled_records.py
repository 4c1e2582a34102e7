"""Drains of records that are killed at each step: run again, each record is once in both copies."""

import json
import os
import signal
import sqlite3

import pytest

from khive_persist import PlannerSession, open_store
from khive_persist.capture import record_file
from khive_persist.capture.drain import drain
from khive_persist.capture.record_file import SpooledRecord
from khive_persist.capture.spool import Spool
from khive_persist.project import Project
from tests.server import warm

# Each patches what the operating system or SQLite is asked for, so that it dies just there.
STEPS = {
    "before the commit": "on_commit(die)",
    "after the commit": "MirrorFollower.apply = lambda *a, **k: die()",
    "before the first unlink": "Spool.remove = lambda *a: die()",
    "after the first unlink": """
remove = Spool.remove
Spool.remove = lambda self, file: (remove(self, file), die())
""",
}

KILLED = """
import os, signal, sys
from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.mirror.consumer import MirrorFollower
from khive_persist.project import Project
from khive_persist.store.sqlite import sync_writer

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def on_commit(act):
    opened = sync_writer.open_writer
    inserted = []
    def trace(sql):
        if sql.startswith("INSERT INTO planner_sessions"):
            inserted.append(sql)
        elif sql == "COMMIT" and inserted:
            act()
    def open_writer(*a, **k):
        connection = opened(*a, **k)
        connection.set_trace_callback(trace)
        return connection
    sync_writer.open_writer = open_writer
"""
RUN = "\ndrain(Project(sys.argv[1]))\n"


def plan_row(id: str, text: str) -> tuple[str, str, str, str, None]:
    content = json.dumps({"session_id": "s1", "task_description": text})
    return id, content, "{}", "2026-01-01 00:00:00.000000", None


def wait_in_spool(project: Project, arrival_ns: int, id: str, text: str, *older: str) -> None:
    file = record_file.file_of(arrival_ns, id, "planner_sessions")
    replaces = tuple(record_file.digest(plan_row(id, version)) for version in older)
    content = record_file.encode(project.khive, file, SpooledRecord(plan_row(id, text), replaces))
    (project.spool / file.name).write_bytes(content)


def killed(project: Project, step: str) -> int:
    return warm.run(KILLED + STEPS[step] + RUN, str(project.root)).returncode


@pytest.mark.parametrize("step", STEPS)
async def test_a_drain_of_records_that_is_killed(project: Project, step: str) -> None:
    async with open_store(PlannerSession, dir=project.root):
        pass
    project.spool.mkdir(exist_ok=True)
    ids = [f"00000000-0000-4000-8000-{n:012x}" for n in range(3)]
    for n, id in enumerate(ids):
        wait_in_spool(project, n, id, "first")
    # Two versions that follow on each other, the first of them in the database by then.
    wait_in_spool(project, 10, ids[0], "second", "first")
    wait_in_spool(project, 11, ids[0], "third", "first", "second")
    assert killed(project, step) == -signal.SIGKILL
    assert killed(project, step) in (-signal.SIGKILL, 0)
    drain(project)
    assert Spool(project).is_empty()
    assert not project.quarantine.exists()
    connection = sqlite3.connect(project.database("planner_sessions.db"))
    sql = "SELECT id, json_extract(content, '$.task_description') FROM planner_sessions"
    rows = sorted(connection.execute(sql).fetchall())
    connection.close()
    assert rows == [(ids[0], "third"), (ids[1], "first"), (ids[2], "first")]
    copies = [json.loads(path.read_bytes()) for path in project.sessions.glob("*.json")]
    assert sorted((c["id"], c["content"]["task_description"]) for c in copies) == rows


SAVES = """
import anyio, logging, os, signal, sys
from khive_persist import save_planning_session
from khive_persist.capture import spool_writer, record_spool

logging.disable(logging.WARNING)
record_spool.wake_drainer = lambda root: None
STEP

async def main():
    await save_planning_session(session_id="s1", task_description="x", dir=sys.argv[1])

anyio.run(main)
"""
SAVE_STEPS = {
    "written": "spool_writer.settle = lambda *a: os.kill(os.getpid(), signal.SIGKILL)",
    "acknowledged": "import atexit; atexit.register(os.kill, os.getpid(), signal.SIGKILL)",
}


@pytest.mark.parametrize("step", SAVE_STEPS)
def test_a_save_that_is_killed_beside_a_damaged_database(project: Project, step: str) -> None:
    database = project.database("planner_sessions.db")
    database.write_bytes(b"no database\n" * 1_000)
    done = warm.run(SAVES.replace("STEP", SAVE_STEPS[step]), str(project.root))
    assert done.returncode == -signal.SIGKILL
    names = os.listdir(project.spool)
    assert len(names) == 1
    assert names[0].endswith(".record.tmp" if step == "written" else ".record")
    database.unlink()
    os.utime(project.spool / names[0], (0, 0))
    Spool(project).accept("claude-code", b"{}")
    assert drain(project).stored_count == 2
