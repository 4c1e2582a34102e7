"""Making a backup."""

import hashlib
import os
import secrets
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
from khive_persist.maintenance.backup.destination import Destination
from khive_persist.maintenance.backup.index import MIRROR_FILE, PIECE_BYTES, Index, IndexedFile
from khive_persist.maintenance.backup.manifest import (
    CONFIG,
    DATABASE,
    MIRROR,
    File,
    Manifest,
    StoredObject,
)
from khive_persist.maintenance.backup.snapshot import group_snapshot, groups, has_file
from khive_persist.mirror import packed_streams, scan
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.project import Project
from khive_persist.store.sqlite import atomic_switch, snapshot
from khive_persist.store.staging import staging
from khive_persist.threads import Advance, silent

_PLAIN: Final = Coding("none")


def create_backup(
    project: Project,
    destination: Destination,
    *,
    since: str = "",
    coding: Coding = _PLAIN,
    identities: tuple[Any, ...] = (),
    progress: Advance = silent,
) -> Manifest:
    """Back up a project as `backups.create_backup` says, with the bytes read as progress.

    Everything that was acknowledged before the call is in it, what waited in the spool too; each
    database, with the files of the mirror that copy it, is as it was at one moment. Stopped before
    its end, it is not there: its manifest is written last.

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
            destination.write(id, manifest_file.NAME, lambda sink: sink.write(content))
            if parent is not None:
                _check_chain(destination, manifest)
        except BaseException:  # Cancelled, too: no half of a backup stays.
            with suppress(KhiveError):
                destination.delete(id, OBJECTS)
            raise
    return manifest


def _check_chain(destination: Destination, manifest: Manifest) -> None:
    """Refuse a backup whose parents were deleted while it was made: it cannot be restored."""
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
        self, project: Project, folder: Path, known_digests: frozenset[bytes], progress: Advance
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
        if packed_streams.is_file(self._project.config):
            self.files.append(_file((yield from self._pieces(CONFIG, self._project.config))))
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
        self, name: str, path: Path, max_bytes: int = sys.maxsize
    ) -> Generator[bytes, None, IndexedFile]:
        sha256, size, digests = hashlib.sha256(), 0, []
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with open(descriptor, "rb") as file:
            while piece := file.read(min(PIECE_BYTES, max_bytes - size)):
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
    """Drain the spool, and refuse to go on where something that was accepted before stays there."""
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
    if not scan.is_folder(project.sessions):
        return []
    # Files that are not the mirror's own stay where they are, and are not ours to copy.
    return [
        path
        for path in sorted(project.sessions.iterdir())
        if MIRROR_FILE.match(f"{MIRROR}/{path.name}") and packed_streams.is_file(path)
    ]


def _file(entry: IndexedFile, contents: snapshot.Contents | None = None) -> File:
    of_database = {} if contents is None else contents._asdict()
    return File(name=entry.name, bytes=entry.size, sha256=entry.sha256, **of_database)


def _write(
    destination: Destination, id: str, name: str, plain: Iterator[bytes], coding: Coding
) -> StoredObject:
    stored_objects: list[StoredObject] = []
    destination.write(id, name, lambda sink: stored_objects.append(encode(plain, sink, coding)))
    return stored_objects[0]
