"""The change log: both copies heal by an opening, whoever was killed, or wrote past it."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from khive_persist import PlannerSession, open_store
from khive_persist.mirror.mirror import Mirror
from khive_persist.models.purposes import HOOK_EVENTS, PLANNER_SESSIONS
from khive_persist.project import Place
from khive_persist.settings import Settings
from khive_persist.store.sqlite import change_log, write_lock
from khive_persist.store.sqlite.connection import open_reader
from khive_persist.store.sqlite.mirror_progress import MIRROR
from khive_persist.store.sqlite.sync_writer import FileWriter
from tests.mirror.records import (
    assert_equal,
    committed_only,
    event,
    files,
    found,
    lines,
    plan,
    save,
    save_many,
)

CLAUDE = HOOK_EVENTS["claude-code"]


def logged(place: Place) -> tuple[int, int]:
    """How many entries wait, and up to which one the mirror has everything."""
    with closing(open_reader(place.database("planner_sessions.db"))) as connection:
        (count,) = connection.execute("SELECT count(*) FROM change_log").fetchone()
        return count, change_log.positions(connection)[MIRROR]


def test_what_is_copied_leaves_the_log(place: Place) -> None:
    save_many(place, [plan(f"plan{n}") for n in range(3_000)])
    count, position = logged(place)
    assert (count, position) == (0, 3_000)


def test_a_writer_that_lives_on_copies_what_a_killed_one_has_not(place: Place) -> None:
    mirror = Mirror(place, Settings()).follower(PLANNER_SESSIONS)
    with FileWriter(place.database("planner_sessions.db"), PLANNER_SESSIONS, 5, mirror) as writer:
        with writer.transaction() as writing:
            writing.upsert([("a", "{}", "{}", "2026-11-01 00:00:00.000000", None)])
        committed_only(place, PLANNER_SESSIONS, "b", "c")
        assert len(files(place)) == 1
        with writer.transaction() as writing:
            writing.upsert([("d", "{}", "{}", "2026-11-01 00:00:00.000000", None)])
    assert len(files(place)) == 4
    assert_equal(place)
    assert logged(place)[0] == 0


def test_what_somebody_copies_just_now_is_his(place: Place) -> None:
    save(place, plan("a"))
    gate = write_lock.gate_path(place.database("planner_sessions.db"))
    copying = write_lock.acquire(gate, 1, shared=True)
    try:
        committed_only(place, PLANNER_SESSIONS, "b")
        save(place, plan("c"))
        assert stems(place) == {"a", "c"}
    finally:
        os.close(copying)
    save(place, plan("d"))
    assert_equal(place)


def stems(place: Place) -> set[str]:
    return {Path(name).stem.rpartition("_")[2] for name in files(place)}


def test_rows_of_another_program_come_into_the_mirror(place: Place) -> None:
    save(place, plan("ours"))
    with closing(sqlite3.connect(place.database("planner_sessions.db"))) as connection:
        connection.execute("INSERT INTO planner_sessions (id, content) VALUES ('theirs', '{}')")
        connection.commit()
    save(place, plan("next"))
    save(place, plan("and one more"))
    assert_equal(place)
    assert len(files(place)) == 4


def test_a_mirror_that_was_taken_away_comes_back(place: Place) -> None:
    save(place, *(plan(f"plan{n}") for n in range(5)))
    save(place, event("e", "s"))
    shutil.rmtree(place.sessions)
    save(place, plan("more"))
    assert len(files(place)) == 6
    assert_equal_of(place, PLANNER_SESSIONS.name)


def assert_equal_of(place: Place, purpose: str) -> None:
    assert [one for one in found(place) if one[1].startswith(purpose)] == []


def test_a_mirror_without_its_database_is_left_as_it_is(place: Place) -> None:
    """Whoever saves before the database is rebuilt must not take away the only copy."""
    save(place, *(plan(f"plan{n}") for n in range(5)))
    before = files(place)
    for path in place.khive.glob("planner_sessions.db*"):
        path.unlink()
    save(place, plan("new"))
    assert set(before) < set(files(place))
    assert {kind for kind, _ in found(place)} == {"missing_in_database"}


def test_a_database_of_before_is_compared_as_a_whole(place: Place) -> None:
    """A file without the log, as an earlier version wrote it, with a record of which no copy is."""
    save(place, plan("a"), plan("b"))
    with closing(sqlite3.connect(place.database("planner_sessions.db"))) as connection:
        connection.executescript(
            "DROP TABLE change_log; DROP TABLE change_log_state; PRAGMA user_version = 1;"
        )
    (place.sessions / files(place)[0]).unlink()
    save(place, plan("c"))
    assert len(files(place)) == 3
    assert_equal(place)


def test_without_a_mirror_nothing_is_logged(place: Place) -> None:
    save(place, plan("a"))
    place.local_config.write_text('[mirror]\noff = ["planner_sessions"]\n')
    save(place, plan("b"), plan("c"))
    with closing(open_reader(place.database("planner_sessions.db"))) as connection:
        assert change_log.positions(connection) == {}
        assert connection.execute("SELECT count(*) FROM change_log").fetchone() == (0,)
    place.local_config.write_text("")
    save(place, plan("d"))
    assert len(files(place)) == 4
    assert_equal(place)


def test_the_log_is_bounded(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_log, "MAX_ENTRIES", 100)
    save(place, plan("a"))
    # Somebody copies all the time.
    copying = write_lock.acquire(
        write_lock.gate_path(place.database("planner_sessions.db")), 1, shared=True
    )
    for number in range(15):
        committed_only(place, PLANNER_SESSIONS, *(f"p{number}-{n}" for n in range(10)))
    os.close(copying)
    count, position = logged(place)
    assert count <= 110
    assert position == change_log.BEHIND
    monkeypatch.undo()
    save(place, plan("z"))
    assert_equal(place)


def test_a_record_that_cannot_be_copied_keeps_out_no_other(place: Place) -> None:
    save(place, plan("first"))
    for ending in ("taken000", "taken0001"):
        (place.sessions / f"planner_session_2026_11_01_{ending}.json").write_text("mine")
    names = [name for name in files(place) if "taken" not in name]
    assert len(names) == 1
    committed_only(place, PLANNER_SESSIONS, "taken0001", "free0001")
    save(place, plan("next"))
    assert stems(place) >= {"first", "free0001", "next"}
    assert logged(place)[0] <= 1


async def test_a_closed_file_is_whole_by_itself(place: Place, tmp_path: Path) -> None:
    async with open_store(PlannerSession, dir=place.root) as plans:
        await plans.save_many(plan(f"plan{n}") for n in range(50))
        assert await plans.count() == 50
    database = place.database("planner_sessions.db")
    wal = database.with_name(f"{database.name}-wal")
    assert not wal.exists() or wal.stat().st_size == 0
    copy = shutil.copy(database, tmp_path / "copy.db")
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM plans").fetchone() == (50,)


def test_the_lines_of_a_session_keep_the_order_of_their_commits(place: Place) -> None:
    save_many(place, [event(f"e{n:05}", "s") for n in range(5_000)])
    (name,) = files(place)
    assert [line["id"] for line in lines(place, name)] == [f"e{n:05}" for n in range(5_000)]
