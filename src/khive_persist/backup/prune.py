"""Which backups have had their time."""

from datetime import timedelta
from functools import partial

from khive_persist import clock
from khive_persist.backup import manifest
from khive_persist.backup.catalogue import OBJECTS, Catalogue, read_catalogue
from khive_persist.backup.destination import Destination, Sink
from khive_persist.backup.manifest import ID, Manifest

# So long no backup takes: what lies there without a manifest for longer is nobody's any more.
_UNFINISHED_DAYS = 1.0


def prunable(catalogue: Catalogue, *, keep_count: int = 0, keep_days: float = 0) -> list[Manifest]:
    """The backups that neither rule keeps, and that none of those kept is based on, newest first.

    Args:
        catalogue: The backups of a destination.
        keep_count: So many of the newest are kept.
        keep_days: Those of so many days are kept. With both 0, every backup goes.
    """
    newest_first = list(reversed(catalogue.manifests.values()))
    oldest = clock.now() - timedelta(days=keep_days)
    needed = {one.id for one in newest_first[:keep_count]}
    needed |= {one.id for one in newest_first if keep_days and one.created >= oldest}
    for one in newest_first:
        if one.id in needed and one.parent is not None:
            needed.add(one.parent)
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
