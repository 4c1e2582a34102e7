"""A disk that is full before a backup or a restore has come to its end."""

from pathlib import Path

import pytest

from khive_persist.errors import BackupError, StoreFullError
from khive_persist.maintenance.backup.create import create_backup
from khive_persist.maintenance.backup.folder import Folder
from khive_persist.project import Project
from tests.backup.records import make_old, restored, rows
from tests.store.test_full_disk import disk, fill_up

__all__ = ["disk"]


def test_a_restore_that_finds_no_room_leaves_what_was_there(
    saved: Project, folder: Folder, disk: Path
) -> None:
    create_backup(saved, folder)
    project = Project(disk)
    make_old(project)
    old = rows(project)
    ballast: list[Path] = []

    def fill_up_once(_bytes: int) -> None:
        if not ballast:
            ballast.append(fill_up(disk))

    with pytest.raises(StoreFullError, match="free some space"):
        restored(project, folder, progress=fill_up_once)
    assert not list((project.khive / "staging").iterdir())
    ballast[0].unlink()
    assert rows(project) == old
    restored(project, folder)
    assert rows(project) == rows(saved)


def test_a_backup_that_finds_no_room_leaves_nothing(saved: Project, disk: Path) -> None:
    folder = Folder(disk / "backups")
    ballast = fill_up(disk)
    with pytest.raises(BackupError, match="No space left"):
        create_backup(saved, folder)
    ballast.unlink()
    assert folder.ids() == []
    create_backup(saved, folder)
