"""Which backups have had their time."""

from datetime import timedelta
from functools import partial

from khive_persist import clock
from khive_persist.maintenance.backup import manifest
from khive_persist.maintenance.backup.catalogue import OBJECTS, Catalogue, read_catalogue
from khive_persist.maintenance.backup.destination import Destination, Sink
from khive_persist.maintenance.backup.manifest import ID, Manifest

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


def delete_backups(destination: Destination, ids: list[str]) -> list[str]:
    """Delete backups, in this order; stopped half-way, those that are left can be restored.

    One stays, with all that it is based on, if another was made meanwhile that is based on it.

    Returns:
        The ids of those that were deleted.

    Raises:
        BackupError: One cannot be deleted; those after it are still there.
    """
    before = read_catalogue(destination)
    needed: set[str | None] = set()
    deleted = []
    for id in ids:
        own = before.manifests.get(id)
        if id not in needed:
            # First of all: who makes one that is based on it looks for it when that is done. So he
            # finds that it is gone, or is found here.
            destination.delete(id, (manifest.NAME,))
            if own is None or id not in _new_parents(destination, before):
                destination.delete(id, OBJECTS)
                deleted.append(id)
                continue
            content = manifest.dump(own)
            destination.write(id, manifest.NAME, partial(_write, content))
        needed.add(None if own is None else own.parent)
    return deleted


def _new_parents(destination: Destination, before: Catalogue) -> set[str | None]:
    """What backups are based on that were made since."""
    now = read_catalogue(destination)
    return {one.parent for id, one in now.manifests.items() if id not in before.manifests}


def _write(content: bytes, sink: Sink) -> None:
    sink.write(content)
