"""Which backups have had their time."""

from datetime import timedelta

from khive_persist import clock
from khive_persist.backup.catalogue import OBJECTS, Catalogue
from khive_persist.backup.destination import Destination
from khive_persist.backup.manifest import ID, Manifest

# So long no backup takes: what lies there without a manifest for longer is nobody's any more.
_UNFINISHED_DAYS = 1.0


def prunable(catalogue: Catalogue, *, keep_count: int = 0, keep_days: float = 0) -> list[Manifest]:
    """The backups that neither rule keeps, and that none of those kept is based on, newest first.

    Those that are ahead of the clock stay, and count for no rule.

    Args:
        catalogue: The backups of a destination.
        keep_count: So many of the newest are kept.
        keep_days: Those of so many days are kept. With both 0, every backup goes.
    """
    newest_first = catalogue.dated[::-1]
    now = clock.now()
    needed = {*catalogue.ahead, *(one.id for one in newest_first[:keep_count])}
    for one in newest_first:
        if keep_days and (now - one.created).total_seconds() < keep_days * 86_400:
            needed.add(one.id)
    # A clock can have been set back between a backup and what is based on it.
    while (
        parents := {
            one.parent for one in catalogue.manifests.values() if one.id in needed and one.parent
        }
        - needed
    ):
        needed |= parents
    return [one for one in newest_first if one.id not in needed]


def abandoned(catalogue: Catalogue) -> list[str]:
    """The ids under which a backup was begun and did not come to its end, more than a day ago."""
    limit = f"{clock.now() - timedelta(days=_UNFINISHED_DAYS):%Y%m%dT%H%M%SZ}"
    return [id for id in catalogue.unfinished if ID.match(id) and id < limit]


def delete_backups(destination: Destination, ids: list[str]) -> None:
    """Delete backups, in this order; stopped half-way, those that are left can be restored.

    Raises:
        BackupError: One cannot be deleted; those after it are still there.
    """
    for id in ids:
        destination.delete(id, OBJECTS)
