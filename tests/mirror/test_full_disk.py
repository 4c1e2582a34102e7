"""A disk without room: the event stays in the spool, no line is torn, and it is said."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from khive_persist.capture.drain import Drain, DrainResult, drain
from khive_persist.errors import MirrorError, StoreFullError
from khive_persist.mirror.rebuild import rebuild_mirror
from khive_persist.models.purposes import BUILT_IN, PLANNER_SESSIONS
from khive_persist.project import Project
from tests.factories import make_project, save
from tests.mirror.records import (
    CLAUDE,
    assert_equal,
    copied,
    drained,
    event,
    files,
    found,
    hook,
    ids,
    lines,
    plan,
    recovered,
    unfinished,
)
from tests.store.test_full_disk import disk, fill_up

__all__ = ["disk"]


@pytest.fixture
def sessions(project: Project) -> Iterator[Path]:
    """A mirror on a small disk of its own, so that the databases have room."""
    project.sessions.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "khive", str(project.sessions)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a file system may not be mounted here")
    yield project.sessions
    subprocess.run(["umount", str(project.sessions)], check=True)


def test_the_event_waits_and_no_line_is_torn(project: Project, sessions: Path) -> None:
    hook(project, "s1", 0)
    drained(project)
    ballast = fill_up(sessions)
    before = {name: lines(project, name) for name in files(project) if name != "ballast"}
    # Of the last page of the old file a part is free, which takes a part of what is appended.
    waiting = [hook(project, f"s{number // 200 + 1}", number) for number in range(400)]
    with Drain(project) as draining:
        result = draining.run()
        assert result.waiting_count == 0
        (error,) = result.errors
        assert isinstance(error, MirrorError)
        assert "No space left" in str(error)
        # What of a page had room is taken back: not a byte of a line that is not whole.
        for name, kept in before.items():
            assert lines(project, name) == kept
        assert set(waiting) <= set(ids(project, CLAUDE)), "it is in the database"
        ballast.unlink()
        assert draining.run() == DrainResult(0, 0, ()), "the same drain copies what it could not"
    assert sorted(len(lines(project, name)) for name in files(project)) == [200, 201]
    assert_equal(project)


def test_a_plan_that_finds_no_room_is_in_the_database_and_said(
    project: Project, sessions: Path
) -> None:
    save(project, plan("kept0000", text="x" * 1_000))
    ballast = fill_up(sessions)
    before = copied_but(project, "ballast")
    for records in ([plan("new00000", text="x" * 9_000)], [plan("kept0000", text="y" * 9_000)]):
        with pytest.raises(MirrorError, match="No space left"):
            save(project, *records)
        with pytest.raises(MirrorError, match="No space left"):
            save(project, event("e"))
    assert ids(project, PLANNER_SESSIONS) == ["kept0000", "new00000"]
    assert copied_but(project, "ballast") == before, "the old file is as it was"
    assert unfinished(project) == []
    ballast.unlink()
    assert found(project) == [
        ("differs", "kept0000"), ("missing_in_mirror", "e"), ("missing_in_mirror", "new00000"),
    ]  # fmt: skip
    recovered(project)
    assert_equal(project)


def copied_but(project: Project, other: str) -> dict[str, bytes]:
    return {
        name: (project.sessions / name).read_bytes() for name in files(project) if name != other
    }


def test_all_of_it_on_a_full_disk(disk: Path) -> None:
    project = make_project(disk)
    save(project, event("first"))
    save(project, *(plan(f"plan{n:04}") for n in range(20)))
    ballast = fill_up(disk)
    with pytest.raises(StoreFullError, match="free some space"):
        found(project)
    ballast.unlink()
    accepted = [hook(project, f"session-{n % 5}", n) for n in range(60)]
    ballast = fill_up(disk)
    drain(project)
    ballast.unlink()
    drained(project)
    assert set(accepted) <= set(ids(project, CLAUDE))
    assert_equal(project)
    assert list((project.khive / "staging").iterdir()) == []
    for name in files(project):
        (project.sessions / name).unlink()
    ballast = fill_up(disk)
    with pytest.raises((StoreFullError, OSError)):
        rebuild_mirror(project, BUILT_IN)
    ballast.unlink()
    assert rebuild_mirror(project, BUILT_IN).is_equal
    assert len(copied(project)) == 81
    assert unfinished(project) == []
