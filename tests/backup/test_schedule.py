"""`backup create --if-due`: a backup when the schedule says so, full or not, and old ones go."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from khive_persist.cli.root import run
from khive_persist.maintenance.backup.catalogue import Catalogue
from khive_persist.maintenance.backup.manifest import Manifest
from khive_persist.maintenance.backup.schedule import due
from khive_persist.project import Project
from khive_persist.settings import Settings
from tests.backup.records import save_plans

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SETTINGS = Settings(backup_every_hours=6, backup_full_every_days=2)


def catalogue(*hours_ago: float, full: tuple[float, ...] = ()) -> Catalogue:
    made = {
        str(hours): SimpleNamespace(
            id=str(hours),
            created=NOW - timedelta(hours=hours),
            parent=None if hours in full else "x",
        )
        for hours in hours_ago
    }
    return Catalogue(cast("dict[str, Manifest]", made), {}, ())


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


def test_a_rule_of_any_size_is_one(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(backup_every_hours=1e300, backup_full_every_days=1e300)
    assert due(catalogue(5, full=(5,)), settings, NOW) is None
    settings = Settings(backup_every_hours=1, backup_full_every_days=1e300)
    assert due(catalogue(5, full=(5,)), settings, NOW) == "incremental"
    assert create(project) == 0
    root = ["--dir", str(project.root)]
    assert run([*root, "backup", "prune", "--keep-days", "1e300", "--yes"]) == 0
    assert run([*root, "backup", "prune", "--keep-count", "9" * 30, "--yes"]) == 0
    assert len(backups(project)) == 1


def backups(project: Project) -> list[Path]:
    return sorted(project.backups.iterdir()) if project.backups.is_dir() else []


def create(project: Project, *words: str) -> int:
    return run(["--dir", str(project.root), "backup", "create", *words])


def test_the_command_keeps_to_the_schedule(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert create(project, "--if-due") == 2
    assert "backup.every_hours" in capsys.readouterr().err
    project.local_config.write_text("[backup]\nevery_hours = 1000\nkeep_count = 1\nkeep_days = 0\n")
    assert create(project, "--if-due") == 0
    assert len(backups(project)) == 1
    assert create(project, "--if-due") == 0
    assert "no backup is due" in capsys.readouterr().err
    assert len(backups(project)) == 1
    assert create(project, "--if-due", "--since", "latest") == 2


def test_what_had_its_time_goes_with_the_next(project: Project) -> None:
    project.local_config.write_text(
        "[backup]\nevery_hours = 0.0000001\nfull_every_days = 0\nkeep_count = 1\nkeep_days = 0\n"
    )
    assert create(project, "--if-due") == 0
    (first,) = backups(project)
    assert create(project, "--if-due") == 0
    (second,) = backups(project)
    assert first != second


AHEAD = """
import sys
from datetime import UTC, datetime, timedelta
from khive_persist import clock

clock.now = lambda: datetime.now(UTC) + timedelta(days=400)
from khive_persist.cli.root import main

main()
"""


def test_a_backup_of_a_clock_that_was_ahead_is_said_and_not_obeyed(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.local_config.write_text("[backup]\nevery_hours = 1\nkeep_count = 1\nkeep_days = 0\n")
    root = str(project.root)
    save_plans(project, "one", 1)
    words = ["--dir", root, "backup", "create", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", AHEAD, *words], check=True, capture_output=True, text=True
    )
    ahead = json.loads(done.stdout)["id"]
    save_plans(project, "two", 1)
    capsys.readouterr()
    assert create(project, "--if-due", "--json") == 0
    said = capsys.readouterr()
    first = json.loads(said.out)
    assert first["parent"] is None
    assert f"{ahead} is of later than now" in said.err
    save_plans(project, "three", 1)
    assert create(project, "--since", "latest", "--json") == 0
    second = json.loads(capsys.readouterr().out)
    assert second["parent"] == first["id"]
    assert run(["--dir", root, "backup", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ahead"] == [ahead]
    assert run(["--dir", root, "doctor"]) == 1
    assert f"backup {ahead} is of later than now" in capsys.readouterr().out
    assert run(["--dir", root, "backup", "restore", "latest", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["backup"]["id"] == second["id"]
    assert run(["--dir", root, "backup", "prune", "--keep-count", "1", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["deleted"] == []
    assert {path.name for path in backups(project)} == {ahead, first["id"], second["id"]}
