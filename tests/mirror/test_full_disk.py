"""A disk without room: the event stays in the spool, no line is torn, and it is said."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from khive_persist.capture.drain import Drain, Drained, drain
from khive_persist.errors import MirrorError, StoreFullError
from khive_persist.mirror.rebuild import rebuild_mirror
from khive_persist.models.purposes import BUILT_IN, PLANNER_SESSIONS
from khive_persist.project import Place
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
    save,
    unfinished,
)
from tests.store.test_full_disk import disk, fill_up

__all__ = ["disk"]


@pytest.fixture
def sessions(place: Place) -> Iterator[Path]:
    """A mirror on a small disk of its own, so that the databases have room."""
    place.sessions.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "khive", str(place.sessions)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a file system may not be mounted here")
    yield place.sessions
    subprocess.run(["umount", str(place.sessions)], check=True)


def test_the_event_waits_and_no_line_is_torn(place: Place, sessions: Path) -> None:
    hook(place, "s1", 0)
    drained(place)
    ballast = fill_up(sessions)
    before = {name: lines(place, name) for name in files(place) if name != "ballast"}
    # Of the last page of the old file a part is free, which takes a part of what is appended.
    waiting = [hook(place, f"s{number // 200 + 1}", number) for number in range(400)]
    with Drain(place) as draining:
        result = draining.run()
        assert result.left == 0
        (error,) = result.errors
        assert isinstance(error, MirrorError)
        assert "No space left" in str(error)
        # What of a page had room is taken back: not a byte of a line that is not whole.
        for name, kept in before.items():
            assert lines(place, name) == kept
        assert set(waiting) <= set(ids(place, CLAUDE)), "it is in the database"
        ballast.unlink()
        assert draining.run() == Drained(0, 0, ()), "the same drain copies what it could not"
    assert sorted(len(lines(place, name)) for name in files(place)) == [200, 201]
    assert_equal(place)


def test_a_plan_that_finds_no_room_is_in_the_database_and_said(
    place: Place, sessions: Path
) -> None:
    save(place, plan("kept0000", text="x" * 1_000))
    ballast = fill_up(sessions)
    before = copied_but(place, "ballast")
    for records in ([plan("new00000", text="x" * 9_000)], [plan("kept0000", text="y" * 9_000)]):
        with pytest.raises(MirrorError, match="No space left"):
            save(place, *records)
        with pytest.raises(MirrorError, match="No space left"):
            save(place, event("e"))
    assert ids(place, PLANNER_SESSIONS) == ["kept0000", "new00000"]
    assert copied_but(place, "ballast") == before, "the old file is as it was"
    assert unfinished(place) == []
    ballast.unlink()
    assert found(place) == [
        ("differs", "kept0000"), ("missing_in_mirror", "e"), ("missing_in_mirror", "new00000"),
    ]  # fmt: skip
    recovered(place)
    assert_equal(place)


def copied_but(place: Place, other: str) -> dict[str, bytes]:
    return {name: (place.sessions / name).read_bytes() for name in files(place) if name != other}


def test_all_of_it_on_a_full_disk(disk: Path) -> None:
    place = Place(disk)
    place.make()
    save(place, event("first"))
    save(place, *(plan(f"plan{n:04}") for n in range(20)))
    ballast = fill_up(disk)
    with pytest.raises(StoreFullError, match="free some space"):
        found(place)
    ballast.unlink()
    accepted = [hook(place, f"session-{n % 5}", n) for n in range(60)]
    ballast = fill_up(disk)
    drain(place)
    ballast.unlink()
    drained(place)
    assert set(accepted) <= set(ids(place, CLAUDE))
    assert_equal(place)
    assert list((place.khive / "staging").iterdir()) == []
    for name in files(place):
        (place.sessions / name).unlink()
    ballast = fill_up(disk)
    with pytest.raises((StoreFullError, OSError)):
        rebuild_mirror(place, BUILT_IN)
    ballast.unlink()
    assert rebuild_mirror(place, BUILT_IN).is_equal
    assert len(copied(place)) == 81
    assert unfinished(place) == []
