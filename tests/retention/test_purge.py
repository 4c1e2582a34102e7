"""Purge: the bytes of a session are in no file of .khive afterwards."""

import sqlite3

import anyio
import pytest

from khive_persist.capture.spool import Spool
from khive_persist.errors import InvalidRecordError
from khive_persist.maintenance.retention.purge import Purged, purge
from khive_persist.models.purposes import BUILT_IN
from khive_persist.project import Project
from khive_persist.settings import Settings
from tests.factories import save_many
from tests.retention.events import are_equal, contents, event, files_with, put_events, put_plans

SESSION = "5f2b9a51-session-to-go"


def run(project: Project, session_id: str = SESSION, *, dry_run: bool = False) -> Purged:
    return purge(project, session_id, BUILT_IN, Settings(), dry_run=dry_run)


@pytest.fixture
def mixed(project: Project) -> Project:
    """Two sessions, interleaved in the same pages and the same batches."""
    interleaved = [
        event(9 - number / 10, session_id=session, command=f"{word}-{number}")
        for number in range(30)
        for session, word in ((SESSION, "SECRET"), ("stays-here", "open"))
    ]
    save_many(project, interleaved)
    put_events(project, 1, tool="claude-code", session_id=SESSION, command="SECRET")
    put_plans(project, [SESSION, "stays-here"])
    spool = Spool(project)
    spool.accept("codex", b'{"session_id": "' + SESSION.encode() + b'", "SECRET": cut off')
    return project


def test_nothing_of_a_session_is_left(mixed: Project) -> None:
    assert files_with(mixed, b"SECRET")
    done = run(mixed)
    assert done.removed == {"planner_sessions": 1, "claude_hooks": 1, "codex_hooks": 31}
    assert done.left_in == []
    assert files_with(mixed, b"SECRET") == []
    assert files_with(mixed, SESSION.encode()) == []
    assert len(contents(mixed)) == 30
    assert len(contents(mixed, "planner_sessions.db")) == 1
    assert are_equal(mixed)


def test_a_dry_run_only_counts(mixed: Project) -> None:
    done = run(mixed, dry_run=True)
    assert sum(done.removed.values()) == 33
    assert len(contents(mixed)) == 61
    assert are_equal(mixed)


def test_nothing_is_left_of_rows_that_went_before_the_pages_were_written_anew(
    mixed: Project,
) -> None:
    """As after a purge that was killed: the rows are gone, their bytes are not."""
    connection = sqlite3.connect(mixed.database("codex_hooks.db"))
    connection.execute("PRAGMA secure_delete = OFF")
    connection.execute("DELETE FROM hook_events WHERE content LIKE '%SECRET%'")
    connection.commit()
    connection.close()
    assert "codex_hooks.db" in files_with(mixed, b"SECRET")
    run(mixed)
    assert files_with(mixed, b"SECRET") == []


def test_events_that_wait_in_the_spool_go(project: Project) -> None:
    project.database("codex_hooks.db").write_bytes(b"no database at all " * 100)
    spool = Spool(project)
    spool.accept("codex", b'{"session_id":"' + SESSION.encode() + b'"}')
    spool.accept("codex", b'{"session_id":"another"}')
    done = purge(project, SESSION, BUILT_IN[:1], Settings())
    assert done.spooled == 1
    assert len(spool.events()) == 1


def test_what_lies_in_quarantine_is_named(mixed: Project) -> None:
    mixed.quarantine.mkdir(mode=0o700)
    kept = mixed.quarantine / "old.jsonl"
    kept.write_bytes(b'{"session_id":"' + SESSION.encode() + b'"}\n')
    assert run(mixed).left_in == [kept]
    assert kept.exists()


def test_unfinished_files_of_the_mirror_go(mixed: Project) -> None:
    unfinished = mixed.sessions / ".planner_session_2026_11_21_aaaaaaaa.json.planner_sessions.tmp"
    unfinished.write_bytes(SESSION.encode())
    run(mixed)
    assert files_with(mixed, SESSION.encode()) == []


def test_a_session_that_is_not_there_changes_nothing(mixed: Project) -> None:
    before = contents(mixed)
    assert run(mixed, "nobody") == Purged({}, 0, [], [], [], 0)
    assert contents(mixed).items() >= before.items()


@pytest.mark.parametrize("session_id", ["", "a", "%", "'; DROP TABLE hook_events; --"])
def test_an_id_is_taken_for_what_it_is(mixed: Project, session_id: str) -> None:
    if not session_id:
        with pytest.raises(InvalidRecordError):
            run(mixed, session_id)
    else:
        run(mixed, session_id)
    assert len(contents(mixed)) >= 60


def test_a_reader_that_stays_keeps_the_log_and_that_is_said(mixed: Project) -> None:
    run(mixed, "nobody")
    connection = sqlite3.connect(mixed.database("codex_hooks.db"))
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM hook_events").fetchone()
    settings = Settings(store_busy_timeout_seconds=0.3)
    done = purge(mixed, SESSION, BUILT_IN, settings)
    connection.close()
    assert [path.name for path in done.left_in] == ["codex_hooks.db-wal"]
    assert run(mixed).left_in == []
    assert files_with(mixed, b"SECRET") == []


def test_a_store_that_is_open_goes_on(mixed: Project) -> None:
    from khive_persist import PlannerSession, open_store

    async def work() -> int:
        async with open_store(PlannerSession, dir=mixed.root) as plans:
            await anyio.to_thread.run_sync(run, mixed)
            await plans.save(
                PlannerSession(content={"session_id": "after", "task_description": ""})
            )
            return await plans.count()

    assert anyio.run(work) == 2
    assert are_equal(mixed)
