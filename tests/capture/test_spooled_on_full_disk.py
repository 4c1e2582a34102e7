"""A disk that is full: the plan is in the spool, or the error says that it is nowhere."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from khive_persist import save_planning_session
from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.errors import StoreFullError, StoreUnavailableError
from khive_persist.opening import save_alone
from khive_persist.project import Project
from tests.factories import make_project, plan
from tests.store.test_full_disk import disk, fill_up

__all__ = ["disk"]


@pytest.fixture
def full(disk: Path) -> Iterator[Project]:
    """A project on a small disk, to which no drainer is started."""
    project = make_project(disk)
    project.spool.mkdir(mode=0o700)
    os.mkfifo(project.spool / "wake", 0o600)
    pipe = os.open(project.spool / "wake", os.O_RDWR | os.O_NONBLOCK)
    yield project
    os.close(pipe)


async def save(project: Project, text: str) -> str:
    plan = await save_planning_session(session_id="s", task_description=text, dir=project.root)
    return plan.id


async def test_what_the_database_has_no_room_for_waits_where_there_is_some(full: Project) -> None:
    await save(full, "first")
    ballast = fill_up(full.root)
    os.truncate(ballast, ballast.stat().st_size - 49_152)
    id = await save(full, "x" * 4_000)
    assert [file.id for file in Spool(full).records()] == [id]
    ballast.unlink()
    assert drain(full).stored_count == 1
    assert Spool(full).is_empty()


async def test_where_there_is_none_at_all_it_is_refused_and_nothing_is_left(full: Project) -> None:
    await save(full, "first")
    ballast = fill_up(full.root)
    with pytest.raises((StoreFullError, StoreUnavailableError), match="nor does the spool take it"):
        await save(full, "x" * 100_000)
    assert set(os.listdir(full.spool)) <= {"wake", "drain.lock"}
    ballast.unlink()
    assert drain(full).stored_count == 0


async def test_where_there_is_none_for_one_of_several_none_is_left(full: Project) -> None:
    await save(full, "first")
    ballast = fill_up(full.root)
    os.truncate(ballast, ballast.stat().st_size - 49_152)
    plans = [plan(text=text) for text in ("x", "x" * 100_000)]
    with pytest.raises((StoreFullError, StoreUnavailableError), match="nor does the spool take it"):
        await save_alone(plans, dir=full.root, are_new=True)
    assert Spool(full).is_empty()
    ballast.unlink()
