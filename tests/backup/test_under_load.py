"""Backups and restores while four processes write."""

import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from khive_persist.capture.drain import drain
from khive_persist.copies import mirrored
from khive_persist.maintenance.backup.coding import Coding
from khive_persist.maintenance.backup.create import create_backup
from khive_persist.maintenance.backup.folder import Folder
from khive_persist.mirror.verify import compared
from khive_persist.project import Project
from tests.backup.records import elsewhere, restored, rows
from tests.writers import go_on, writing


def ids(project: Project) -> set[object]:
    return {row[0] for file in rows(project).values() for row in file}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "backups", [pytest.param(3, id="a few"), pytest.param(100, id="many", marks=pytest.mark.long)]
)
def test_each_backup_has_what_was_acknowledged_before_in_both_copies(
    project: Project, folder: Folder, tmp_path: Path, backups: int
) -> None:
    # Without end, they would write the more, the longer a backup of all that takes.
    with writing(project, 1) as writers:
        for number in range(backups):
            go_on(writers, 80, 5)
            before = {id for writer in writers for id in writer.ids}
            # Every third is a full one.
            since = "latest" if number % 3 else ""
            made = create_backup(project, folder, since=since, coding=Coding("zstd"))
            other = elsewhere(tmp_path, str(number))
            restored(other, folder, made.id)
            assert before <= ids(other)
            with compared(other, mirrored(other)) as comparison:
                assert list(comparison.differences()) == []
                assert comparison.is_equal
            shutil.rmtree(other.root)
    assert [writer.errors for writer in writers] == [""] * 4


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "restores", [pytest.param(2, id="a few"), pytest.param(50, id="many", marks=pytest.mark.long)]
)
def test_writers_go_on_with_what_was_restored_and_lose_nothing(
    project: Project, folder: Folder, restores: int
) -> None:
    with writing(project, 10) as writers:
        go_on(writers, 10, 10)
        create_backup(project, folder)
        for _ in range(restores):
            go_on(writers, 200, 60)
            assert restored(project, folder).set_aside is not None
        restored_at = time.monotonic()
        go_on(writers, 60, 1)
        for writer in writers:
            writer.wait_since(restored_at, 60)
    assert [writer.errors for writer in writers] == [""] * 4
    assert drain(project).waiting_count == 0
    here = ids(project)
    acknowledged = {id for writer in writers for id in writer.ids}
    assert {id for writer in writers for id in writer.ids_since(restored_at)} <= here
    # What the restores took away is kept: each was committed to a file that was set aside whole.
    aside = set()
    for path in project.quarantine.glob("restore.*/*.db"):
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        table = "planner_sessions" if path.stem == "planner_sessions" else "hook_events"
        aside |= {row[0] for row in connection.execute(f"SELECT id FROM {table}")}
        connection.close()
    assert acknowledged <= here | aside
    assert not acknowledged <= here
