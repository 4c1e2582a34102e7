"""Verification of backups against their digests."""

from collections.abc import Iterable
from typing import NamedTuple

from khive_persist.errors import BackupDamagedError, NotFoundError
from khive_persist.maintenance.backup import index
from khive_persist.maintenance.backup.catalogue import PACK, Catalogue
from khive_persist.maintenance.backup.coding import checked_bytes
from khive_persist.maintenance.backup.destination import Destination
from khive_persist.maintenance.backup.manifest import Manifest
from khive_persist.threads import Advance, silent


class VerifiedBackup(NamedTuple):
    """One backup, and what is wrong with it.

    Attributes:
        id: The id of the backup.
        problems: The problems of it and of those that it needs; empty if it can be restored.
    """

    id: str
    problems: tuple[str, ...]


def verify_backups(
    destination: Destination, catalogue: Catalogue, ids: Iterable[str], progress: Advance = silent
) -> list[VerifiedBackup]:
    """Verify backups as `backups.verify_backups` says, with the bytes read as progress.

    No key is needed: the digests are of the objects as they lie there.
    """
    chains: dict[str, list[Manifest]] = {}
    problems: dict[str, list[str]] = {}
    for id in ids:
        try:
            chains[id] = catalogue.chain(catalogue.find(id))
        except BackupDamagedError as error:
            chains[id] = []
            problems[id] = [str(error)]
    needed = {backup.id: backup for chain in chains.values() for backup in chain}
    problems_by_id: dict[str, list[str]] = {}
    for backup in needed.values():
        problems_by_id[backup.id] = []
        for name, declared in ((index.NAME, backup.index), (PACK, backup.pack)):
            label = f"backup {backup.id}: {name}"
            try:
                for piece in checked_bytes(label, destination.read(backup.id, name), declared):
                    progress(len(piece))
            except (BackupDamagedError, NotFoundError) as error:
                problems_by_id[backup.id].append(str(error))
    return [
        VerifiedBackup(
            id,
            (
                *problems.get(id, ()),
                *(line for backup in chain for line in problems_by_id[backup.id]),
            ),
        )
        for id, chain in chains.items()
    ]
