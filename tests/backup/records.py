"""Records to back up, and what a project has of them."""

import json
import sqlite3
from pathlib import Path

from khive_persist.maintenance.backup.catalogue import read_catalogue
from khive_persist.maintenance.backup.destination import Destination
from khive_persist.maintenance.backup.restore import Restored, restore_backup
from khive_persist.models.purposes import BUILT_IN
from khive_persist.project import Project
from khive_persist.store.sqlite.sync_writer import FileWriter

PURPOSES = {purpose.file: purpose for purpose in BUILT_IN}
Rows = dict[str, list[tuple[object, ...]]]


def save_plans(
    project: Project, prefix: str, count: int, file: str = "planner_sessions.db"
) -> list[str]:
    """Save plans in one transaction, and leave no WAL; their ids."""
    path = project.database(file)
    ids = [f"{prefix}-{number}" for number in range(count)]
    # Text that does not compress to nothing, so that files have several pieces.
    rows = [
        (id, json.dumps({"session_id": id, "task_description": f"{id} " * 400}), "{}", "2026", None)
        for id in ids
    ]
    with FileWriter(path, PURPOSES[file], 10, None) as writer, writer.transaction() as writing:
        writing.upsert(rows)
    return ids


def rows(project: Project) -> Rows:
    """Every row of every database, each of which is sound."""
    found = {}
    for path in sorted(project.khive.glob("*.db")):
        connection = sqlite3.connect(path)
        try:
            assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            table = PURPOSES[path.name].table
            found[path.name] = connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()
        finally:
            connection.close()
    return found


def mirror(project: Project) -> dict[str, bytes]:
    """Every file of the mirror."""
    return {path.name: path.read_bytes() for path in (project.khive / "sessions").glob("*")}


def make_old(project: Project) -> None:
    """Something else in the one database, one more database, and one less; another mirror."""
    project.make()
    save_plans(project, "old", 30)
    save_plans(project, "old", 10, file="codex_hooks.db")
    folder = project.khive / "sessions"
    folder.mkdir(0o700)
    (folder / "planner_session_2026_11_20_00000000.json").write_text("{}")


def elsewhere(tmp_path: Path, name: str = "elsewhere") -> Project:
    """A project without anything."""
    other = Project(tmp_path / name)
    other.root.mkdir()
    return other


def restored(
    project: Project, destination: Destination, id: str = "latest", **options: object
) -> Restored:
    """Restore a backup into a project."""
    catalogue = read_catalogue(destination)
    return restore_backup(project, destination, catalogue, catalogue.find(id), **options)  # type: ignore[arg-type]
