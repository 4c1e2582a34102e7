"""Records whose database cannot take them: they wait in the spool, and come in once, in order."""

import json
import logging
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from khive_persist import Node, PlannerSession, open_store, purpose, save_planning_session
from khive_persist.capture.spool import Spool
from khive_persist.place import Place
from khive_persist.store.sqlite import lock

SECRET = "ghp_0123456789abcdefghijABCDEFGHIJ012345"


class Note(Node):
    purpose = purpose("spooled_notes")


@pytest.fixture
def place(place: Place) -> Iterator[Place]:
    """A place whose writers wait for a moment only, and where no drainer of a test's own runs."""
    place.config.write_text("[store]\nbusy_timeout_seconds = 0.1\n")
    place.spool.mkdir(mode=0o700)
    # A reader of the pipe that drains nothing: to whoever looks, a drainer runs.
    os.mkfifo(place.spool / "wake", 0o600)
    pipe = os.open(place.spool / "wake", os.O_RDWR | os.O_NONBLOCK)
    yield place
    os.close(pipe)


@contextmanager
def locked(place: Place, file: str = "planner_sessions.db") -> Iterator[None]:
    """Another program writes to the database for as long as the `with`."""
    with lock.held(lock.lock_path(place.database(file)), 1.0):
        yield


def rows(place: Place, table: str = "planner_sessions") -> dict[str, str]:
    """The `task_description` of each row, by its id, as `sqlite3` reads it."""
    connection = sqlite3.connect(place.database(f"{table}.db"))
    try:
        sql = f"SELECT id, json_extract(content, '$.task_description') FROM {table}"
        return dict(connection.execute(sql).fetchall())
    finally:
        connection.close()


def spooled(place: Place) -> list[Path]:
    return [place.spool / file.name for file in Spool(place).records()]


async def save(place: Place, text: str = "", session_id: str = "s1") -> PlannerSession:
    return await save_planning_session(session_id=session_id, task_description=text, dir=place.root)


async def test_a_plan_whose_database_is_locked_waits_in_the_spool_redacted(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    await save(place)
    with locked(place), caplog.at_level(logging.WARNING, "khive_persist"):
        plan = await save(place, f"token {SECRET}")
    (path,) = spooled(place)
    assert plan.id in path.name
    assert path.name.endswith("_planner_sessions.record")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SECRET not in path.read_text()
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"1 record waits in {place.spool} until it can be written")
    async with open_store(PlannerSession, dir=place.root) as plans:
        (found,) = [one for one in await plans.find() if one.id == plan.id]
        copy = await plans.paths_of(plan.id)
    assert found.content["task_description"].startswith("token [REDACTED:github_token:")
    assert found.created_at == plan.created_at
    assert copy.mirror is not None
    assert json.loads(copy.mirror.read_bytes())["id"] == plan.id
    assert spooled(place) == []
