"""The backups of a destination, and the chain that each one needs."""

from datetime import timedelta
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist.errors import BackupDamagedError, NotFoundError
from khive_persist.maintenance.backup import index, manifest
from khive_persist.maintenance.backup.coding import decode
from khive_persist.maintenance.backup.destination import Destination
from khive_persist.maintenance.backup.index import Index
from khive_persist.maintenance.backup.manifest import BackupItem, Manifest

LATEST: Final = "latest"
PACK: Final = "pack"
AHEAD: Final = (
    "of later than now: a clock was wrong when it was made, or is now. It is never the latest, and"
    " no rule deletes it"
)
# Clocks of machines that back up to one destination differ by less.
_CLOCK_TOLERANCE: Final = timedelta(minutes=5)
UNFINISHED: Final = "it is being made, or was stopped before its end"
# The manifest first: without it the rest is no backup.
OBJECTS: Final = (manifest.NAME, index.NAME, PACK)


class BackupList(NamedTuple):
    """The backups of a destination, as a JSON document.

    Attributes:
        backups: The backups, the oldest first.
        damaged: The reason why a manifest is damaged, by id.
        unfinished: The ids under which something lies and no manifest.
        ahead: The ids of those that say to be of later than now.
    """

    backups: list[BackupItem]
    damaged: dict[str, str]
    unfinished: tuple[str, ...]
    ahead: tuple[str, ...]


class Catalogue(NamedTuple):
    """The backups of a destination.

    Attributes:
        manifests: The manifests by id, the oldest first.
        damaged: The errors of damaged manifests, by id.
        unfinished: The ids under which something lies and no manifest.
        ahead: The ids of those that say to be of later than now: a clock was wrong then, or is now.
            When they were made is not known, so they are never the latest, and do not grow old.
    """

    manifests: dict[str, Manifest]
    damaged: dict[str, BackupDamagedError]
    unfinished: tuple[str, ...]
    ahead: tuple[str, ...] = ()

    @property
    def dated(self) -> list[Manifest]:
        """Return the backups with a reliable time, the oldest first."""
        return [backup for backup in self.manifests.values() if backup.id not in self.ahead]

    def as_document(self) -> BackupList:
        """Return the catalogue as a JSON document."""
        return BackupList(
            [backup.as_document() for backup in self.manifests.values()],
            {id: str(error) for id, error in self.damaged.items()},
            self.unfinished,
            self.ahead,
        )

    def find(self, name: str) -> Manifest:
        """Return the backup that is meant: its id, the beginning of it, or `latest`.

        Raises:
            NotFoundError: There is none, or more than one, or it has no manifest.
            BackupDamagedError: Its manifest is damaged.
        """
        if name == LATEST:
            if not self.manifests:
                raise NotFoundError("there is no backup", hint="khive-persist backup create")
            return (self.dated or list(self.manifests.values()))[-1]
        all_ids = (*self.manifests, *self.damaged, *self.unfinished)
        ids = [name] if name in all_ids else [id for id in all_ids if id.startswith(name)]
        if len(ids) != 1:
            problem = f"{len(ids)} backups begin with {name!r}" if ids else f"no backup {name!r}"
            raise NotFoundError(problem, hint="khive-persist backup list")
        if ids[0] in self.unfinished:
            raise NotFoundError(f"backup {ids[0]}: {manifest.NAME} is missing", hint=UNFINISHED)
        if ids[0] in self.damaged:
            raise self.damaged[ids[0]]
        return self.manifests[ids[0]]

    def chain(self, last: Manifest) -> list[Manifest]:
        """Return a backup and all that it is based on, the full one first.

        Raises:
            BackupDamagedError: One of them is missing or damaged, or they go round in a circle.
        """
        chain = [last]
        while (parent := chain[-1].parent) is not None:
            if parent in self.damaged:
                raise self.damaged[parent]
            if parent not in self.manifests:
                raise BackupDamagedError(f"backup {chain[-1].id}: its parent {parent} is missing")
            if parent in (backup.id for backup in chain):
                raise BackupDamagedError(f"backup {last.id}: its parents go round in a circle")
            chain.append(self.manifests[parent])
        return chain[::-1]


def read_catalogue(destination: Destination) -> Catalogue:
    """Read every manifest of a destination.

    Raises:
        BackupError: The destination cannot be read.
    """
    manifests: list[Manifest] = []
    damaged: dict[str, BackupDamagedError] = {}
    unfinished = []
    for id in destination.ids():
        try:
            manifests.append(manifest.load(id, _read_manifest(destination, id)))
        except NotFoundError:
            unfinished.append(id)
        except BackupDamagedError as error:
            damaged[id] = error
    manifests.sort(key=lambda backup: (backup.created, backup.id))
    limit = clock.now() + _CLOCK_TOLERANCE
    ahead = tuple(backup.id for backup in manifests if backup.created > limit)
    return Catalogue({backup.id: backup for backup in manifests}, damaged, tuple(unfinished), ahead)


def read_index(destination: Destination, backup: Manifest, identities: tuple[Any, ...]) -> Index:
    """Return the index of a backup, its digest checked.

    Raises:
        NotFoundError: It is missing.
        BackupDamagedError: It is not as it was written.
        BackupError: It cannot be read, or none of the identities can decrypt it.
    """
    content: list[bytes] = []
    stored = destination.read(backup.id, index.NAME)
    decode(
        f"backup {backup.id}: {index.NAME}",
        stored,
        backup.index,
        backup,
        identities,
        content.append,
    )
    return index.load(backup, b"".join(content))


def _read_manifest(destination: Destination, id: str) -> bytes:
    content = bytearray()
    for piece in destination.read(id, manifest.NAME):
        content += piece
        if len(content) > manifest.MAX_BYTES:
            raise BackupDamagedError(f"backup {id}: its manifest is too large")
    return bytes(content)
