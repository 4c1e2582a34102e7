"""Which backups a destination has, and which of them each one needs."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist.errors import BackupDamagedError, NotFoundError
from khive_persist.maintenance.backup import index, manifest
from khive_persist.maintenance.backup.coding import decode
from khive_persist.maintenance.backup.destination import Destination
from khive_persist.maintenance.backup.index import Index
from khive_persist.maintenance.backup.manifest import Manifest

LATEST: Final = "latest"
PACK: Final = "pack"
AHEAD: Final = (
    "of later than now: a clock was wrong when it was made, or is now. It is never the latest, and"
    " no rule deletes it"
)
# Clocks of machines that back up to one destination differ by less.
_TOLERATED: Final = timedelta(minutes=5)
UNFINISHED: Final = "it is being made, or was stopped before its end"
# The manifest first: without it the rest is no backup.
OBJECTS: Final = (manifest.NAME, index.NAME, PACK)


class Catalogue(NamedTuple):
    """The backups of a destination.

    Attributes:
        manifests: By id, the oldest first.
        damaged: Those whose manifest is not as it was written, each with what is wrong.
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
        """Those of which it is known when they were made, the oldest first."""
        return [one for one in self.manifests.values() if one.id not in self.ahead]

    def as_document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "backups": [one.as_document() for one in self.manifests.values()],
            "damaged": {id: str(error) for id, error in self.damaged.items()},
            "unfinished": self.unfinished,
            "ahead": self.ahead,
        }

    def find(self, name: str) -> Manifest:
        """The backup that is meant: its id, the beginning of it, or `latest`.

        Raises:
            NotFoundError: There is none, or more than one, or it has no manifest.
            BackupDamagedError: Its manifest is damaged.
        """
        if name == LATEST:
            if not self.manifests:
                raise NotFoundError("there is no backup", hint="khive-persist backup create")
            return (self.dated or list(self.manifests.values()))[-1]
        known = (*self.manifests, *self.damaged, *self.unfinished)
        ids = [name] if name in known else [id for id in known if id.startswith(name)]
        if len(ids) != 1:
            many = f"{len(ids)} backups begin with {name!r}" if ids else f"no backup {name!r}"
            raise NotFoundError(many, hint="khive-persist backup list")
        if ids[0] in self.unfinished:
            raise NotFoundError(f"backup {ids[0]}: {manifest.NAME} is missing", hint=UNFINISHED)
        if ids[0] in self.damaged:
            raise self.damaged[ids[0]]
        return self.manifests[ids[0]]

    def chain(self, last: Manifest) -> list[Manifest]:
        """A backup and all that it is based on, the full one first.

        Raises:
            BackupDamagedError: One of them is missing or damaged, or they go round in a circle.
        """
        chain = [last]
        while (parent := chain[-1].parent) is not None:
            if parent in self.damaged:
                raise self.damaged[parent]
            if parent not in self.manifests:
                raise BackupDamagedError(f"backup {chain[-1].id}: its parent {parent} is missing")
            if parent in (one.id for one in chain):
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
            content = _read_manifest(destination, id)
            if content is None:
                unfinished.append(id)
            else:
                manifests.append(manifest.load(id, content))
        except BackupDamagedError as error:
            damaged[id] = error
    manifests.sort(key=lambda one: (one.created, one.id))
    limit = clock.now() + _TOLERATED
    ahead = tuple(one.id for one in manifests if one.created > limit)
    return Catalogue({one.id: one for one in manifests}, damaged, tuple(unfinished), ahead)


def read_index(destination: Destination, of: Manifest, identities: tuple[Any, ...]) -> Index:
    """The index of a backup, its digest checked.

    Raises:
        NotFoundError: It is missing.
        BackupDamagedError: It is not as it was written.
        BackupError: It cannot be read, or none of the identities can decrypt it.
    """
    content: list[bytes] = []
    decode(
        f"backup {of.id}: {index.NAME}",
        destination.read(of.id, index.NAME),
        of.index,
        of.compression,
        of.encryption,
        identities,
        content.append,
    )
    return index.load(of, b"".join(content))


def _read_manifest(destination: Destination, id: str) -> bytes | None:
    try:
        pieces = _until(manifest.MAX_BYTES, id, destination.read(id, manifest.NAME))
        return b"".join(pieces)
    except NotFoundError:
        return None


def _until(limit: int, id: str, content: Iterable[bytes]) -> Iterator[bytes]:
    for piece in content:
        limit -= len(piece)
        if limit < 0:
            raise BackupDamagedError(f"backup {id}: its manifest is too large")
        yield piece
