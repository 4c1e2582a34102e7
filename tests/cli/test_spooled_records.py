"""`record` where its database cannot take it now, and what the other commands say of that."""

import io
import json
import os
import sys
from collections.abc import Iterator

import anyio
import pytest

from khive_persist import Node, open_store, purpose
from khive_persist.project import Project
from khive_persist.store.sqlite import write_lock
from tests.cli.conftest import Khive

PLAN = {"session_id": "s1", "task_description": "x"}


class Walk(Node):
    purpose = purpose("spooled_walks")


@pytest.fixture
def project(project: Project) -> Iterator[Project]:
    """A project whose writers wait for a moment only, and where no drainer of a test's own runs."""
    project.config.write_text("[store]\nbusy_timeout_seconds = 0.1\n")
    project.spool.mkdir(mode=0o700)
    os.mkfifo(project.spool / "wake", 0o600)
    pipe = os.open(project.spool / "wake", os.O_RDWR | os.O_NONBLOCK)
    yield project
    os.close(pipe)


def type_in(monkeypatch: pytest.MonkeyPatch, *documents: object) -> None:
    text = "\n".join(map(json.dumps, documents)).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))


def test_a_plan_is_spooled_and_counted_and_comes_in(
    project: Project, khive: Khive, monkeypatch: pytest.MonkeyPatch
) -> None:
    type_in(monkeypatch, PLAN)
    assert khive("record", "planner-session", "--json").json["spooled"] is False
    with write_lock.held(write_lock.lock_path(project.database("planner_sessions.db")), 1.0):
        type_in(monkeypatch, PLAN)
        done = khive("record", "planner-session", "--json")
        assert done.code == 0
        assert (done.json["spooled"], done.json["waiting"]) == (True, 0)
        assert (done.json["path"], done.json["copies"]) == (str(project.spool), [])
        (id,) = done.json["ids"]
        (line,) = done.err.splitlines()
        assert line.startswith(f"khive-persist: 1 record waits in {project.spool} until it can be")
        stats = khive("stats", "--json")
        assert stats.json["plans"]["total_sessions"] == 1
        assert stats.err.startswith(f"khive-persist: 1 records wait in {project.spool}: ")
        doctor = khive("doctor", "--json")
        assert doctor.code == 1
        assert doctor.json["spool"]["records"] == {"planner_sessions": 1}
        assert doctor.json["spool"]["oldest_seconds"] > 0
        assert f"1 records wait in {project.spool}" in doctor.json["problems"]
        refused = khive("backup", "create")
        assert (refused.code, "1 records wait in" in refused.err) == (1, True)
    stats = khive("stats", "--json")
    assert (stats.json["plans"]["total_sessions"], stats.err) == (2, "")
    assert khive("show", id).code == 0
    assert khive("verify").code == 0


async def opened_once(project: Project) -> None:
    async with open_store(Walk, dir=project.root):
        pass


def test_lines_of_a_kind_of_ones_own_are_spooled_in_order(
    project: Project, khive: Khive, monkeypatch: pytest.MonkeyPatch
) -> None:
    anyio.run(opened_once, project)
    with write_lock.held(write_lock.lock_path(project.database("spooled_walks.db")), 1.0):
        type_in(monkeypatch, *({"n": n} for n in range(5)))
        done = khive("record", "spooled_walks", "--lines")
    assert done.code == 0
    assert done.err.startswith(f"khive-persist: 5 records wait in {project.spool} until")
    ids = done.out.split()
    rows = khive("query", "--jsonl", "SELECT id FROM spooled_walks ORDER BY rowid").lines
    assert [row["id"] for row in rows] == ids
