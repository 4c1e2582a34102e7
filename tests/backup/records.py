"""Records to back up, and what a place has of them."""

import json
import sqlite3
from pathlib import Path

from khive_persist.maintenance.backup.catalogue import read_catalogue
from khive_persist.maintenance.backup.destination import Destination
from khive_persist.maintenance.backup.restore import Restored, restore_backup
from khive_persist.models.purposes import BUILT_IN
from khive_persist.project import Place
from khive_persist.store.sqlite.sync_writer import FileWriter

PURPOSES = {purpose.file: purpose for purpose in BUILT_IN}
Rows = dict[str, list[tuple[object, ...]]]


def save_plans(
    place: Place, prefix: str, count: int, file: str = "planner_sessions.db"
) -> list[str]:
    """Save plans in one transaction, and leave no WAL; their ids."""
    path = place.database(file)
    ids = [f"{prefix}-{number}" for number in range(count)]
    # Text that does not compress to nothing, so that files have several pieces.
    rows = [
        (id, json.dumps({"session_id": id, "task_description": f"{id} " * 400}), "{}", "2026", None)
        for id in ids
    ]
    with FileWriter(path, PURPOSES[file], 10, None) as writer, writer.transaction() as writing:
        writing.upsert(rows)
    return ids


def rows(place: Place) -> Rows:
    """Every row of every database, each of which is sound."""
    found = {}
    for path in sorted(place.khive.glob("*.db")):
        connection = sqlite3.connect(path)
        try:
            assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            table = PURPOSES[path.name].table
            found[path.name] = connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()
        finally:
            connection.close()
    return found


def mirror(place: Place) -> dict[str, bytes]:
    """Every file of the mirror."""
    return {path.name: path.read_bytes() for path in (place.khive / "sessions").glob("*")}


def make_old(place: Place) -> None:
    """Something else in the one database, one more database, and one less; another mirror."""
    place.make()
    save_plans(place, "old", 30)
    save_plans(place, "old", 10, file="codex_hooks.db")
    folder = place.khive / "sessions"
    folder.mkdir(0o700)
    (folder / "planner_session_2026_11_20_00000000.json").write_text("{}")


def elsewhere(tmp_path: Path, name: str = "elsewhere") -> Place:
    """A place without anything."""
    other = Place(tmp_path / name)
    other.root.mkdir()
    return other


def restored(
    place: Place, destination: Destination, id: str = "latest", **options: object
) -> Restored:
    """Restore a backup into a place."""
    catalogue = read_catalogue(destination)
    return restore_backup(place, destination, catalogue, catalogue.find(id), **options)  # type: ignore[arg-type]
