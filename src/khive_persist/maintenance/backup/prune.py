"""The backups that no rule keeps any longer, and their deletion."""

from datetime import timedelta
from operator import methodcaller

from khive_persist import clock
from khive_persist.maintenance.backup import manifest
from khive_persist.maintenance.backup.catalogue import OBJECTS, Catalogue, read_catalogue
from khive_persist.maintenance.backup.destination import Destination
from khive_persist.maintenance.backup.manifest import ID, Manifest

# No backup takes that long: what lacks a manifest for longer was abandoned.
_UNFINISHED_DAYS = 1.0


def prunable(catalogue: Catalogue, *, keep_count: int = 0, keep_days: float = 0) -> list[Manifest]:
    """Return the backups that neither rule keeps and no kept one is based on, newest first.

    Those that are ahead of the clock stay, and count for no rule.

    Args:
        keep_count: The number of newest backups to keep.
        keep_days: The age of backups to keep. With both 0, every backup goes.
    """
    newest_first = catalogue.dated[::-1]
    instant = clock.now()
    needed = {*catalogue.ahead, *(backup.id for backup in newest_first[:keep_count])}
    for backup in newest_first:
        if keep_days and (instant - backup.created).total_seconds() < keep_days * 86_400:
            needed.add(backup.id)
    # A clock can have been set back between a backup and what is based on it.
    while (
        parents := {
            backup.parent
            for backup in catalogue.manifests.values()
            if backup.id in needed and backup.parent
        }
        - needed
    ):
        needed |= parents
    return [backup for backup in newest_first if backup.id not in needed]


def abandoned(catalogue: Catalogue) -> list[str]:
    """Return the ids of backups that were begun more than a day ago and never finished."""
    limit = f"{clock.now() - timedelta(days=_UNFINISHED_DAYS):%Y%m%dT%H%M%SZ}"
    return [id for id in catalogue.unfinished if ID.match(id) and id < limit]


def delete_backups(destination: Destination, ids: list[str]) -> list[str]:
    """Delete backups, in this order; stopped half-way, those that are left can be restored.

    One stays, with all that it is based on, if another was made meanwhile that is based on it.

    Returns:
        The ids of those that were deleted.

    Raises:
        BackupError: One cannot be deleted; those after it are still there.
    """
    earlier = read_catalogue(destination)
    needed: set[str | None] = set()
    deleted = []
    for id in ids:
        backup = earlier.manifests.get(id)
        if id not in needed:
            # First of all: the maker of one that is based on it looks for it when that is done, and
            # finds that it is gone, or is found here.
            destination.delete(id, (manifest.NAME,))
            if backup is None or id not in _new_parents(destination, earlier):
                destination.delete(id, OBJECTS)
                deleted.append(id)
                continue
            content = manifest.dump(backup)
            destination.write(id, manifest.NAME, methodcaller("write", content))
        needed.add(None if backup is None else backup.parent)
    return deleted


def _new_parents(destination: Destination, earlier: Catalogue) -> set[str | None]:
    current = read_catalogue(destination)
    return {
        backup.parent for id, backup in current.manifests.items() if id not in earlier.manifests
    }
