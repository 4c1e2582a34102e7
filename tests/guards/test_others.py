"""Guards that no promise of a whole command shows: each is needed in one situation."""

import fcntl
import os
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist import save_planning_session
from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.maintenance.retention.purge import purge
from khive_persist.mirror import file_locks, names
from khive_persist.mirror.mirror import Mirror
from khive_persist.models.purposes import BUILT_IN, PLANNER_SESSIONS
from khive_persist.project import Project
from khive_persist.server.http.tokens import FILE, Tokens
from khive_persist.settings import Settings
from khive_persist.store.sqlite import write_lock
from khive_persist.store.sqlite.sync_writer import FileWriter
from khive_persist.transfer.target import replacing
from tests.factories import save
from tests.mirror.records import plan


def test_a_purge_beside_an_open_file_leaves_nothing_in_its_log(project: Project) -> None:
    path = project.database(PLANNER_SESSIONS.file)
    with FileWriter(path, PLANNER_SESSIONS, 5, None) as writer:
        writer.open()
        save(project, plan("p1", session_id="session-1", task_description="SECRET"), plan("p2"))
        purge(project, "session-1", BUILT_IN, Settings())
        # Through another descriptor SQLite's own locks would go: the log is looked at alone.
        assert os.stat(f"{path}-wal").st_size == 0


def test_tokens_that_are_not_ours_are_kept_in_quarantine(project: Project) -> None:
    (project.khive / FILE).write_text('{"tokens": []}')
    Tokens(project).create("one", ("read",))
    (kept,) = project.quarantine.iterdir()
    assert kept.read_text() == '{"tokens": []}'


def test_names_are_locked_where_there_are_no_locks_of_ranges(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS: one lock stands for all."""
    monkeypatch.setattr(write_lock, "_OFD_SETLK", None)
    project.sessions.mkdir()
    with file_locks.held(project.sessions, ["a"]):
        descriptor = os.open(project.sessions / names.LOCK, os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)


def test_what_is_deleted_for_good_is_overwritten(project: Project) -> None:
    path = project.database(PLANNER_SESSIONS.file)
    with FileWriter(path, PLANNER_SESSIONS, 5, None) as writer:
        with writer.transaction() as writing:
            rows = [(f"p{n}", '{"session_id":"SECRET"}', "{}", "2026", None) for n in range(30)]
            writing.upsert(rows)
    with FileWriter(path, PLANNER_SESSIONS, 5, None, is_secure=True) as writer:
        with writer.transaction() as writing:
            writing.delete([f"p{number}" for number in range(29)])
    # Nobody has it open any more. One is left, in its row and its index.
    assert path.read_bytes().count(b"SECRET") <= 2


def test_a_new_file_where_there_are_no_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on FAT."""

    def link(source: object, target: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", link)
    with replacing(tmp_path / "file", force=False) as file:
        file.write(b"all of it")
    assert (tmp_path / "file").read_bytes() == b"all of it"


def test_a_log_that_has_grown_large_is_cut_off(project: Project) -> None:
    path = project.database(PLANNER_SESSIONS.file)
    with FileWriter(path, PLANNER_SESSIONS, 5, None) as writer:
        with writer.transaction() as writing:
            text = "x" * 6_000_000
            writing.upsert([("large", f'{{"session_id":"{text}"}}', "{}", "2026", None)])
        writer.tidy()
        assert os.stat(f"{path}-wal").st_size == 0


def test_a_commit_after_the_log_was_told_is_synced(project: Project) -> None:
    """That alone may be lost with the power."""
    save(project, plan("p1"))
    mirror = Mirror(project, Settings()).follower(PLANNER_SESSIONS)
    path = project.database(PLANNER_SESSIONS.file)
    with FileWriter(path, PLANNER_SESSIONS, 5, mirror) as writer:
        with writer.transaction() as writing:
            writing.upsert([("p2", "{}", "{}", "2026-11-01 00:00:00.000000", None)])
        writer.tidy()
        (level,) = writer.connection.execute("PRAGMA synchronous").fetchone()
    assert level == 2


def test_the_spool_is_synced_once_a_record_has_left_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(project, plan("p1"))
    project.config.write_text("[store]\nbusy_timeout_seconds = 0.1\n")
    content = {"session_id": "s", "task_description": "t"}
    with write_lock.held(write_lock.lock_path(project.database(PLANNER_SESSIONS.file)), 1):
        anyio.run(partial(save_planning_session, content, dir=project.root))
    (record,) = Spool(project).records()
    calls: list[str] = []
    unlink, fsync = os.unlink, os.fsync

    def unlinked(path: str | Path, **options: Any) -> None:
        unlink(path, **options)
        calls.append(f"unlink {Path(path).name}")

    def fsynced(descriptor: int) -> None:
        fsync(descriptor)
        calls.append(f"fsync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).name}")

    monkeypatch.setattr(os, "unlink", unlinked)
    monkeypatch.setattr(os, "fsync", fsynced)
    drain(project)
    assert "fsync spool" in calls[calls.index(f"unlink {record.name}") :]
