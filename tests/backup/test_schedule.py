"""`backup create --if-due`: a backup when the schedule says so, full or not, and old ones go."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from khive_persist.backup.catalogue import Catalogue
from khive_persist.backup.schedule import due
from khive_persist.cli.root import run
from khive_persist.place import Place
from khive_persist.settings import Settings

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SETTINGS = Settings(backup_every_hours=6, backup_full_every_days=2)


def catalogue(*hours_ago: float, full: tuple[float, ...] = ()) -> Catalogue:
    made = {
        str(hours): SimpleNamespace(
            created=NOW - timedelta(hours=hours), parent=None if hours in full else "x"
        )
        for hours in hours_ago
    }
    return cast("Catalogue", SimpleNamespace(manifests=made))


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (catalogue(), "full"),
        (catalogue(5.9, full=(5.9,)), None),
        (catalogue(6, full=(6,)), "incremental"),
        (catalogue(47, 20, 7, full=(47,)), "incremental"),
        (catalogue(48, 20, 7, full=(48,)), "full"),
        (catalogue(100, 49, 7, full=(100, 49)), "full"),
        (catalogue(100, 20, 1, full=(100,)), None),
    ],
)
def test_what_is_due(made: Catalogue, expected: str | None) -> None:
    assert due(made, SETTINGS, NOW) == expected


def test_without_a_schedule_nothing_is_due() -> None:
    assert due(catalogue(), Settings(), NOW) is None


def backups(place: Place) -> list[Path]:
    return sorted(place.backups.iterdir()) if place.backups.is_dir() else []


def create(place: Place, *words: str) -> int:
    return run(["--dir", str(place.root), "backup", "create", *words])


def test_the_command_keeps_to_the_schedule(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert create(place, "--if-due") == 2
    assert "backup.every_hours" in capsys.readouterr().err
    place.local_config.write_text("[backup]\nevery_hours = 1000\nkeep_count = 1\nkeep_days = 0\n")
    assert create(place, "--if-due") == 0
    assert len(backups(place)) == 1
    assert create(place, "--if-due") == 0
    assert "no backup is due" in capsys.readouterr().err
    assert len(backups(place)) == 1
    assert create(place, "--if-due", "--since", "latest") == 2


def test_what_had_its_time_goes_with_the_next(place: Place) -> None:
    place.local_config.write_text(
        "[backup]\nevery_hours = 0.0000001\nfull_every_days = 0\nkeep_count = 1\nkeep_days = 0\n"
    )
    assert create(place, "--if-due") == 0
    (first,) = backups(place)
    assert create(place, "--if-due") == 0
    (second,) = backups(place)
    assert first != second
