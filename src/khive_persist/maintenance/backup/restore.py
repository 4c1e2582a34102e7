"""Restoring a backup: assembled in a new folder, checked, and only then switched into place."""

import errno
import hashlib
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from khive_persist import clock
from khive_persist.capture.drain_settings import usable_settings
from khive_persist.errors import (
    BackupDamagedError,
    KhiveError,
    StoreError,
    StoreFullError,
    StoreNewerError,
    StoreUnavailableError,
)
from khive_persist.maintenance.backup.catalogue import PACK, Catalogue, read_index
from khive_persist.maintenance.backup.coding import decode
from khive_persist.maintenance.backup.destination import Destination
from khive_persist.maintenance.backup.index import Index
from khive_persist.maintenance.backup.manifest import CONFIG, MIRROR, File, Manifest
from khive_persist.mirror.rewrite import strip
from khive_persist.mirror.syncing import sync_tree
from khive_persist.models import purpose_file
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.project import PRIVATE_FILE, Project, make_directory, write_private
from khive_persist.search_index.removal import settle
from khive_persist.store.sqlite import atomic_switch, migrations, snapshot
from khive_persist.store.sqlite.connection import refuse_link
from khive_persist.store.staging import staging
from khive_persist.threads import Advance, silent
from khive_persist.tombstones import Tombstones


class Restored(NamedTuple):
    """The result of a restore.

    Attributes:
        manifest: The backup that is there now.
        set_aside: The folder of what it replaced, or None where there was nothing.
        config_kept: Whether config.toml stayed as it was and differs from the backup's.
        purged: The number of rows left out, as they were purged since the backup.
        index_is_clean: Whether the index of the search has nothing of what was replaced.
    """

    manifest: Manifest
    set_aside: Path | None
    config_kept: bool
    purged: int
    index_is_clean: bool = True


def restore_backup(
    project: Project,
    destination: Destination,
    catalogue: Catalogue,
    manifest: Manifest,
    *,
    identities: tuple[Any, ...] = (),
    progress: Advance = silent,
) -> Restored:
    """Restore a backup as `backups.restore_backup` says, with the bytes read as progress.

    The backup is put together in a new folder; every digest, each database's integrity and its
    rows are checked there. Then all databases and the mirror are replaced as one set, see
    `atomic_switch.perform`: killed at any point, all of the old is there, or all of the new, if
    need be after the next command. config.toml comes only where there is none. Events in the spool
    stay there, and are drained into the new databases. What sessions had until they were purged
    does not come.

    Raises:
        BackupDamagedError: A backup of the chain is not as it was written.
        BackupError: It cannot be read, or none of the identities can decrypt it.
        NotFoundError: An object of the chain is missing.
        StoreNewerError: It was made by a newer khive-persist.
        StoreBusyError: A writer did not give up its lock; the old files are there.
        StoreFullError: No room is left for it; the old files are there.
        StoreError: As `atomic_switch.perform`.
    """
    chain = catalogue.chain(manifest)
    _refuse_newer(manifest)
    with staging(project) as folder:
        _refuse_larger(folder, manifest)
        indexes = [read_index(destination, backup, identities) for backup in chain]
        incoming = folder / "incoming"
        with _with_store_errors(incoming):
            assembler = _FileAssembler(incoming, indexes[-1], progress)
            assembler.run(destination, chain, indexes, identities)
            tombstones = Tombstones.load(project)
            purged = 0
            for file in manifest.files:
                _check(incoming, file, manifest)
                if file.rows is not None:
                    if tombstones.has_sessions:
                        purged += snapshot.strip(incoming / file.name, tombstones.without_purged)
                    snapshot.make_another(incoming / file.name)
            if tombstones.has_sessions:
                purposes_known = known_purposes(project)
                sessions = incoming / project.sessions.name
                purposes = (*purposes_known, *purpose_file.in_folder(sessions, purposes_known))
                strip(sessions, purposes, tombstones.without_purged)
            config = _take_config(incoming)
            sync_tree(incoming)
        make_directory(project.quarantine)
        outgoing = project.quarantine / f"restore.{clock.new_id()}"
        for name in os.listdir(project.khive):
            if atomic_switch.is_database(name):
                refuse_link(project.khive / name)
        atomic_switch.perform(project.khive, incoming, outgoing, (MIRROR,))
        is_config_kept = config is not None and _bring_config(project, config)
    is_clean = not settle(project, usable_settings(project))
    set_aside = outgoing if outgoing.exists() else None
    return Restored(manifest, set_aside, is_config_kept, purged, is_clean)


class _FileAssembler:
    """Puts the files of a backup together from the packs of its chain."""

    def __init__(self, folder: Path, index: Index, progress: Advance) -> None:
        self._folder = folder
        self._index = index
        self._progress = progress
        self._offsets: dict[bytes, list[tuple[Path, int]]] = defaultdict(list)
        self._pack_name = PACK
        self._expected: list[tuple[bytes, int]] = []
        self._position = 0
        self._buffer = bytearray()

    def run(
        self,
        destination: Destination,
        chain: list[Manifest],
        indexes: list[Index],
        identities: tuple[Any, ...],
    ) -> None:
        """Read every pack of the chain once, and write each piece at all its offsets."""
        self._make_files()
        parent_digests: frozenset[bytes] = frozenset()
        packs = []
        for backup, index in zip(chain, indexes, strict=True):
            packs.append(index.packed(parent_digests))
            if sum(size for _, size in packs[-1]) != backup.pack.content_bytes:
                raise BackupDamagedError(f"backup {backup.id}: its index is not that of its pack")
            parent_digests = index.digests()
        for backup, pieces in zip(chain, packs, strict=True):
            name = f"backup {backup.id}: {PACK}"
            self._pack_name, self._expected, self._position = name, pieces, 0
            content = destination.read(backup.id, PACK)
            decode(name, content, backup.pack, backup, identities, self._take)
        for entry in self._index.entries:
            # Of one piece, it is the piece's own digest, which was compared.
            if len(entry.pieces) > 1 and _sha256(self._folder / entry.name) != entry.sha256:
                raise BackupDamagedError(f"{entry.name}: its SHA-256 is another")

    def _make_files(self) -> None:
        make_directory(self._folder)
        for entry in self._index.entries:
            path = self._folder / entry.name
            make_directory(path.parent)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            descriptor = os.open(path, flags, PRIVATE_FILE)
            os.fchmod(descriptor, PRIVATE_FILE)
            os.close(descriptor)
            for digest, offset, _ in entry.offsets():
                self._offsets[digest].append((path, offset))

    def _take(self, content: bytes) -> None:
        self._buffer += content
        start = 0
        while self._position < len(self._expected):
            digest, size = self._expected[self._position]
            if len(self._buffer) - start < size:
                break
            piece = bytes(self._buffer[start : start + size])
            if hashlib.sha256(piece).digest() != digest:
                problem = "is not as it was written: a piece is another"
                raise BackupDamagedError(f"{self._pack_name} {problem}")
            for path, offset in self._offsets.pop(digest, ()):
                with path.open("r+b") as file:
                    file.seek(offset)
                    file.write(piece)
            start += size
            self._position += 1
            self._progress(size)
        del self._buffer[:start]


def _refuse_newer(manifest: Manifest) -> None:
    for file in manifest.files:
        if file.schema_version is not None and file.schema_version > migrations.LATEST:
            raise StoreNewerError(
                f"backup {manifest.id}: {file.name} has schema {file.schema_version}, this"
                f" khive-persist knows up to {migrations.LATEST}",
                hint="upgrade khive-persist",
            )


def _refuse_larger(folder: Path, manifest: Manifest) -> None:
    free = shutil.disk_usage(folder).free
    if manifest.content_bytes > free:
        raise StoreFullError(
            f"backup {manifest.id} needs {manifest.content_bytes} bytes, {folder} has {free} free",
            hint="free some space",
        )


def _check(incoming: Path, file: File, manifest: Manifest) -> None:
    if file.rows is None:
        return
    try:
        contents = snapshot.examine(incoming / file.name, fully=True)
    except StoreError as error:
        raise BackupDamagedError(f"backup {manifest.id}: {file.name}: {error}") from error
    if (contents.rows, contents.schema_version) != (file.rows, file.schema_version):
        raise BackupDamagedError(
            f"backup {manifest.id}: {file.name} has other rows than its manifest says"
        )


@contextmanager
def _with_store_errors(folder: Path) -> Iterator[None]:
    """Convert errors of the file system in a folder to errors of a store."""
    try:
        yield
    except KhiveError:
        raise
    except OSError as error:
        message = f"{folder}: {error.strerror}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFullError(message, hint="free some space") from error
        raise StoreUnavailableError(message, hint="check the disk") from error


def _take_config(incoming: Path) -> bytes | None:
    """Remove config.toml from the files to switch, and return its content."""
    path = incoming / CONFIG
    if not path.exists():
        return None
    content = path.read_bytes()
    # A person may have changed the present one, and git may keep it.
    path.unlink()
    return content


def _bring_config(project: Project, content: bytes) -> bool:
    """Write config.toml where there is none, and return whether a different one was kept."""
    if os.path.lexists(project.config):
        return not project.config.is_file() or project.config.read_bytes() != content
    write_private(project.config, content)
    return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
