"""Making a backup."""

import hashlib
import os
import secrets
import stat
import sys
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

from khive_persist import clock
from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool, counted
from khive_persist.errors import BackupDamagedError, BackupError, KhiveError
from khive_persist.maintenance.backup import index as index_file
from khive_persist.maintenance.backup import manifest as manifest_file
from khive_persist.maintenance.backup.catalogue import OBJECTS, PACK, read_catalogue, read_index
from khive_persist.maintenance.backup.coding import Coding, encode
from khive_persist.maintenance.backup.destination import Destination, Sink
from khive_persist.maintenance.backup.index import MIRROR_FILE, PIECE_BYTES, Index, IndexedFile
from khive_persist.maintenance.backup.manifest import (
    CONFIG,
    DATABASE,
    MIRROR,
    File,
    Manifest,
    StoredObject,
)
from khive_persist.maintenance.backup.progress import Progress, silent
from khive_persist.maintenance.backup.snapshot import group_snapshot, groups, has_file
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.project import Project
from khive_persist.store.sqlite import atomic_switch, snapshot
from khive_persist.store.staging import staging

_PLAIN: Final = Coding("none")


def create_backup(
    project: Project,
    destination: Destination,
    *,
    since: str = "",
    coding: Coding = _PLAIN,
    identities: tuple[Any, ...] = (),
    progress: Progress = silent,
) -> Manifest:
    """Back up every database of a project, config.toml and the mirror, while others write.

    Everything that was acknowledged before the call is in it, what waited in the spool too; each
    database, with the files of the mirror that copy it, is as it was at one moment. On return the
    backup is in the destination, durably. Stopped before, it is not there: its manifest is written
    last.

    Args:
        project: The project to back up.
        destination: The destination of the backup.
        since: The id of a backup, or `latest`: only what that one's chain lacks is stored.
        coding: The compression and encryption.
        identities: The keys to read the index of `since` with, where that is encrypted.
        progress: A callback, given the number of bytes that were read since its last call.

    Raises:
        NotFoundError: There is no backup `since`.
        BackupError: The destination cannot be used; events could not be drained; or a database has
            a name that cannot be restored.
        StoreError: A database cannot be read, or is damaged.
    """
    # The earliest moment of any of its databases: later backups in one chain sort later.
    began = clock.now()
    _drain_all(project)
    parent: Manifest | None = None
    parent_digests: frozenset[bytes] = frozenset()
    if since:
        catalogue = read_catalogue(destination)
        parent = catalogue.find(since)
        catalogue.chain(parent)
        parent_digests = read_index(destination, parent, identities).digests()
    id = f"{began:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    with staging(project) as folder:
        reader = _ProjectReader(project, folder, parent_digests, progress)
        try:
            with closing(reader.new_pieces()) as pieces:
                pack = _write(destination, id, PACK, pieces, coding)
            content = index_file.dump(Index(tuple(reader.entries)))
            index = _write(destination, id, index_file.NAME, iter([content]), coding)
            mirror = [entry for entry in reader.entries if "/" in entry.name]
            manifest = Manifest(
                format=manifest_file.FORMAT,
                id=id,
                created_at=clock.to_text(began),
                kind="full" if parent is None else "incremental",
                parent=None if parent is None else parent.id,
                compression=coding.compression,
                encryption=coding.encryption,
                files=tuple(reader.files),
                mirror_files=len(mirror),
                mirror_bytes=sum(entry.size for entry in mirror),
                index=index,
                pack=pack,
            )
            content = manifest_file.dump(manifest)
            destination.write(id, manifest_file.NAME, lambda sink: _all_of(content, sink))
            if parent is not None:
                _check_chain(destination, manifest)
        except BaseException:  # Cancelled, too: no half of a backup stays.
            with suppress(KhiveError):
                destination.delete(id, OBJECTS)
            raise
    return manifest


def _check_chain(destination: Destination, manifest: Manifest) -> None:
    """Refuse a backup whose parents were deleted while it was made.

    Raises:
        BackupError: It cannot be restored.
    """
    try:
        read_catalogue(destination).chain(manifest)
    except BackupDamagedError as error:
        raise BackupError(
            f"{manifest.parent} was deleted while a backup was made that is based on it",
            hint="make it again",
        ) from error


class _ProjectReader:
    """Reads a project, file after file."""

    def __init__(
        self, project: Project, folder: Path, known_digests: frozenset[bytes], progress: Progress
    ) -> None:
        self.entries: list[IndexedFile] = []
        self.files: list[File] = []
        self._project = project
        self._folder = folder
        self._known_digests = set(known_digests)
        self._progress = progress
        self._databases = _databases(project)

    def new_pieces(self) -> Generator[bytes, None, None]:
        """Yield the pieces that are not known yet, each once, and fill `entries` and `files`."""
        purposes = known_purposes(self._project)
        for group in groups(purposes):
            with group_snapshot(self._project, group, self._folder / "group") as snapshots:
                for name, copy in snapshots.databases.items():
                    yield from self._database(name, copy)
                for file in snapshots.mirror:
                    yield from self._pieces(f"{MIRROR}/{file.name}", file.path, file.size)
        for name in sorted(set(self._databases).difference(purpose.file for purpose in purposes)):
            copy = self._folder / name
            snapshot.take(self._project.database(name), copy)
            yield from self._database(name, copy)
        if _is_file(self._project.config):
            self.files.append(_file((yield from self._pieces(CONFIG, self._project.config)), None))
        for path in _mirror_files(self._project):
            if not has_file(purposes, path.name):
                with suppress(FileNotFoundError):
                    yield from self._pieces(f"{MIRROR}/{path.name}", path)

    def _database(self, name: str, copy: Path) -> Iterator[bytes]:
        # A damaged one must not stand among good backups, unseen until it is needed.
        contents = snapshot.examine(copy, fully=False)
        entry = yield from self._pieces(name, copy)
        copy.unlink()
        self.files.append(_file(entry, contents))

    def _pieces(
        self, name: str, path: Path, max_bytes: int | None = None
    ) -> Generator[bytes, None, IndexedFile]:
        sha256, size, digests = hashlib.sha256(), 0, []
        limit = sys.maxsize if max_bytes is None else max_bytes
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with open(descriptor, "rb") as file:
            while piece := file.read(min(PIECE_BYTES, limit - size)):
                sha256.update(piece)
                size += len(piece)
                digest = hashlib.sha256(piece).digest()
                digests.append(digest)
                if digest not in self._known_digests:
                    self._known_digests.add(digest)
                    yield piece
                self._progress(len(piece))
                if len(piece) < PIECE_BYTES:
                    # The end as it is now: nothing may follow a short piece.
                    break
        entry = IndexedFile(name, size, sha256.hexdigest(), tuple(digests))
        self.entries.append(entry)
        return entry


def _drain_all(project: Project) -> None:
    """Drain every pending event and record into its database.

    Raises:
        BackupError: One that was accepted before is still in the spool.
    """
    spool = Spool(project)
    accepted = {file.name for file in spool.waiting()}
    result = drain(project)
    remaining = [file for file in spool.waiting() if file.name in accepted]
    if remaining:
        reasons = "; ".join(map(str, result.errors)) or "they cannot be read"
        raise BackupError(
            f"{counted(remaining)} wait in {project.spool} and would be missing: {reasons}",
            hint="see khive-persist doctor",
        )


def _databases(project: Project) -> list[str]:
    names = sorted(name for name in os.listdir(project.khive) if atomic_switch.is_database(name))
    unusable = [name for name in names if not DATABASE.match(name)]
    if unusable:
        raise BackupError(
            f"{project.khive / unusable[0]} cannot be backed up under this name",
            hint="use letters, digits, . _ and -",
        )
    return names


def _mirror_files(project: Project) -> list[Path]:
    folder = project.khive / MIRROR
    try:
        if not stat.S_ISDIR(os.lstat(folder).st_mode):
            return []
    except FileNotFoundError:
        return []
    # Files that are not the mirror's own stay where they are, and are not ours to copy.
    return [
        path
        for path in sorted(folder.iterdir())
        if MIRROR_FILE.match(f"{MIRROR}/{path.name}") and _is_file(path)
    ]


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def _file(entry: IndexedFile, contents: snapshot.Contents | None) -> File:
    return File(
        name=entry.name,
        bytes=entry.size,
        sha256=entry.sha256,
        rows=None if contents is None else contents.rows,
        schema_version=None if contents is None else contents.schema_version,
    )


def _write(
    destination: Destination, id: str, name: str, plain: Iterator[bytes], coding: Coding
) -> StoredObject:
    stored_objects: list[StoredObject] = []
    destination.write(id, name, lambda sink: stored_objects.append(encode(plain, sink, coding)))
    return stored_objects[0]


def _all_of(content: bytes, sink: Sink) -> None:
    sink.write(content)
