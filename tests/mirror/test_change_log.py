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
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store.sqlite import change_log, write_lock
from khive_persist.store.sqlite.connection import open_reader
from khive_persist.store.sqlite.mirror_progress import MIRROR
from khive_persist.store.sqlite.sync_writer import FileWriter
from tests.factories import save, save_many
from tests.mirror.records import assert_equal, committed_only, event, files, found, lines, plan

CLAUDE = HOOK_EVENTS["claude-code"]


def logged(project: Project) -> tuple[int, int]:
    """How many entries wait, and up to which one the mirror has everything."""
    with closing(open_reader(project.database("planner_sessions.db"))) as connection:
        (count,) = connection.execute("SELECT count(*) FROM change_log").fetchone()
        return count, change_log.positions(connection)[MIRROR]


def test_what_is_copied_leaves_the_log(project: Project) -> None:
    save_many(project, [plan(f"plan{n}") for n in range(3_000)])
    count, position = logged(project)
    assert (count, position) == (0, 3_000)


def test_a_writer_that_lives_on_copies_what_a_killed_one_has_not(project: Project) -> None:
    mirror = Mirror(project, Settings()).follower(PLANNER_SESSIONS)
    with FileWriter(project.database("planner_sessions.db"), PLANNER_SESSIONS, 5, mirror) as writer:
        with writer.transaction() as writing:
            writing.upsert([("a", "{}", "{}", "2026-11-01 00:00:00.000000", None)])
        committed_only(project, PLANNER_SESSIONS, "b", "c")
        assert len(files(project)) == 1
        with writer.transaction() as writing:
            writing.upsert([("d", "{}", "{}", "2026-11-01 00:00:00.000000", None)])
    assert len(files(project)) == 4
    assert_equal(project)
    assert logged(project)[0] == 0


def test_what_somebody_copies_just_now_is_his(project: Project) -> None:
    save(project, plan("a"))
    gate = write_lock.gate_path(project.database("planner_sessions.db"))
    copying = write_lock.acquire(gate, 1, shared=True)
    try:
        committed_only(project, PLANNER_SESSIONS, "b")
        save(project, plan("c"))
        assert stems(project) == {"a", "c"}
    finally:
        os.close(copying)
    save(project, plan("d"))
    assert_equal(project)


@pytest.mark.parametrize("patience_seconds", [60.0, 0.0])
def test_what_another_has_copied_and_the_log_does_not_know_of_is_not_copied_again(
    project: Project, monkeypatch: pytest.MonkeyPatch, patience_seconds: float
) -> None:
    """But where it never tells the log, as where it was killed and a child of it lives on."""
    monkeypatch.setattr(
        "khive_persist.store.sqlite.mirror_progress._NEWS_SECONDS", patience_seconds
    )

    def write(writer: FileWriter, id: str) -> None:
        with writer.transaction() as writing:
            writing.upsert([(id, "{}", "{}", "2026-11-01 00:00:00.000000", None)])

    def writer() -> FileWriter:
        mirror = Mirror(project, Settings()).follower(PLANNER_SESSIONS)
        return FileWriter(project.database("planner_sessions.db"), PLANNER_SESSIONS, 5, mirror)

    with writer() as one, writer() as other:
        write(other, "first")
        other.tidy()
        write(one, "a")
        (name,) = [name for name in files(project) if name.endswith("_a.json")]
        inode = (project.sessions / name).stat().st_ino
        write(other, "b")
        assert ((project.sessions / name).stat().st_ino == inode) == (patience_seconds > 0)
        one.tidy()
        write(other, "c")
        other.tidy()
        assert logged(project)[1] == 4
    assert_equal(project)


def stems(project: Project) -> set[str]:
    return {Path(name).stem.rpartition("_")[2] for name in files(project)}


def test_rows_of_another_program_come_into_the_mirror(project: Project) -> None:
    save(project, plan("ours"))
    with closing(sqlite3.connect(project.database("planner_sessions.db"))) as connection:
        connection.execute("INSERT INTO planner_sessions (id, content) VALUES ('theirs', '{}')")
        connection.commit()
    save(project, plan("next"))
    save(project, plan("and one more"))
    assert_equal(project)
    assert len(files(project)) == 4


def test_a_mirror_that_was_taken_away_comes_back(project: Project) -> None:
    save(project, *(plan(f"plan{n}") for n in range(5)))
    save(project, event("e", "s"))
    shutil.rmtree(project.sessions)
    save(project, plan("more"))
    assert len(files(project)) == 6
    assert_equal_of(project, PLANNER_SESSIONS.name)


def assert_equal_of(project: Project, purpose: str) -> None:
    assert [one for one in found(project) if one[1].startswith(purpose)] == []


def test_a_mirror_without_its_database_is_left_as_it_is(project: Project) -> None:
    """Whoever saves before the database is rebuilt must not take away the only copy."""
    save(project, *(plan(f"plan{n}") for n in range(5)))
    before = files(project)
    for path in project.khive.glob("planner_sessions.db*"):
        path.unlink()
    save(project, plan("new"))
    assert set(before) < set(files(project))
    assert {kind for kind, _ in found(project)} == {"missing_in_database"}


def test_a_database_of_before_is_compared_as_a_whole(project: Project) -> None:
    """A file without the log, as an earlier version wrote it, with a record of which no copy is."""
    save(project, plan("a"), plan("b"))
    with closing(sqlite3.connect(project.database("planner_sessions.db"))) as connection:
        connection.executescript(
            "DROP TABLE change_log; DROP TABLE change_log_state; PRAGMA user_version = 1;"
        )
    (project.sessions / files(project)[0]).unlink()
    save(project, plan("c"))
    assert len(files(project)) == 3
    assert_equal(project)


def test_without_a_mirror_nothing_is_logged(project: Project) -> None:
    save(project, plan("a"))
    project.local_config.write_text('[mirror]\noff = ["planner_sessions"]\n')
    save(project, plan("b"), plan("c"))
    with closing(open_reader(project.database("planner_sessions.db"))) as connection:
        assert change_log.positions(connection) == {}
        assert connection.execute("SELECT count(*) FROM change_log").fetchone() == (0,)
    project.local_config.write_text("")
    save(project, plan("d"))
    assert len(files(project)) == 4
    assert_equal(project)


def test_the_log_is_bounded(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_log, "MAX_ENTRIES", 100)
    save(project, plan("a"))
    # Somebody copies all the time.
    copying = write_lock.acquire(
        write_lock.gate_path(project.database("planner_sessions.db")), 1, shared=True
    )
    for number in range(15):
        committed_only(project, PLANNER_SESSIONS, *(f"p{number}-{n}" for n in range(10)))
    os.close(copying)
    count, position = logged(project)
    assert count <= 110
    assert position == change_log.BEHIND
    monkeypatch.undo()
    save(project, plan("z"))
    assert_equal(project)


def test_a_record_that_cannot_be_copied_keeps_out_no_other(project: Project) -> None:
    save(project, plan("first"))
    for ending in ("taken000", "taken0001"):
        (project.sessions / f"planner_session_2026_11_01_{ending}.json").write_text("mine")
    names = [name for name in files(project) if "taken" not in name]
    assert len(names) == 1
    committed_only(project, PLANNER_SESSIONS, "taken0001", "free0001")
    save(project, plan("next"))
    assert stems(project) >= {"first", "free0001", "next"}
    assert logged(project)[0] <= 1


async def test_a_closed_file_is_whole_by_itself(project: Project, tmp_path: Path) -> None:
    async with open_store(PlannerSession, dir=project.root) as plans:
        await plans.save_many(plan(f"plan{n}") for n in range(50))
        assert await plans.count() == 50
    database = project.database("planner_sessions.db")
    wal = database.with_name(f"{database.name}-wal")
    assert not wal.exists() or wal.stat().st_size == 0
    copy = shutil.copy(database, tmp_path / "copy.db")
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM plans").fetchone() == (50,)


def test_the_lines_of_a_session_keep_the_order_of_their_commits(project: Project) -> None:
    save_many(project, [event(f"e{n:05}", "s") for n in range(5_000)])
    (name,) = files(project)
    assert [line["id"] for line in lines(project, name)] == [f"e{n:05}" for n in range(5_000)]
