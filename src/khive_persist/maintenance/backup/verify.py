"""Whether backups are as they were written."""

from collections.abc import Iterable
from typing import NamedTuple

from khive_persist.errors import BackupDamagedError, NotFoundError
from khive_persist.maintenance.backup import index
from khive_persist.maintenance.backup.catalogue import PACK, Catalogue
from khive_persist.maintenance.backup.coding import checked_bytes
from khive_persist.maintenance.backup.destination import Destination
from khive_persist.maintenance.backup.manifest import Manifest
from khive_persist.maintenance.backup.progress import Progress, silent


class VerifiedBackup(NamedTuple):
    """One backup, and what is wrong with it.

    Attributes:
        id: Which.
        problems: What is wrong with it, or with one that it needs; empty if it can be restored.
    """

    id: str
    problems: tuple[str, ...]


def verify_backups(
    destination: Destination,
    catalogue: Catalogue,
    ids: Iterable[str],
    progress: Progress = silent,
) -> list[VerifiedBackup]:
    """Compare every object of some backups, and of all they are based on, with its digest.

    No key is needed: the digests are of the objects as they lie there.

    Args:
        destination: Where they lie.
        catalogue: Its backups.
        ids: Which to verify.
        progress: Called with the number of bytes that were read since.

    Raises:
        BackupError: The destination cannot be read.
    """
    chains: dict[str, list[Manifest]] = {}
    problems: dict[str, list[str]] = {}
    for id in ids:
        try:
            chains[id] = catalogue.chain(catalogue.find(id))
        except BackupDamagedError as error:
            chains[id] = []
            problems[id] = [str(error)]
    needed = {one.id: one for chain in chains.values() for one in chain}
    own: dict[str, list[str]] = {}
    for one in needed.values():
        own[one.id] = []
        for name, declared in ((index.NAME, one.index), (PACK, one.pack)):
            what = f"backup {one.id}: {name}"
            try:
                for piece in checked_bytes(what, destination.read(one.id, name), declared):
                    progress(len(piece))
            except (BackupDamagedError, NotFoundError) as error:
                own[one.id].append(str(error))
    return [
        VerifiedBackup(
            id, (*problems.get(id, ()), *(line for one in chain for line in own[one.id]))
        )
        for id, chain in chains.items()
    ]
