"""Copies that a purge cannot remove and that may still hold parts of the session."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from khive_persist import clock
from khive_persist.errors import KhiveError, StoreError
from khive_persist.maintenance.backup.backups import Backups
from khive_persist.maintenance.backup.manifest import Manifest
from khive_persist.mirror import names, packed_streams
from khive_persist.mirror.document import content_of
from khive_persist.project import Project, sync_directory
from khive_persist.settings import Settings
from khive_persist.store import codec
from khive_persist.store.session_ids import SessionMatch, session_id
from khive_persist.store.source import COLUMNS
from khive_persist.store.sqlite import foreign_files

_SQLITE: Final = b"SQLite format 3\0"
_CHUNK_BYTES: Final = 16 << 20
_OVERLAP_BYTES: Final = 4_096
_LINE_SUFFIXES: Final = (".jsonl", ".event", ".away", ".record")
_COLUMNS: Final = len(COLUMNS.split(", "))


def in_mirror(project: Project, match: SessionMatch) -> Iterator[Path]:
    """Yield files of `sessions/` that still have the session: foreign, or of unknown purposes.

    A packed file that is damaged may have it.
    """
    with suppress(FileNotFoundError, NotADirectoryError):
        for name in sorted(os.listdir(project.sessions)):
            path = project.sessions / name
            if not name.startswith(".") and packed_streams.is_file(path) and _has(path, match):
                yield path


def in_quarantine(project: Project, match: SessionMatch) -> Iterator[Path]:
    """Yield files of `quarantine/` that have anything of the session."""
    for folder, _, files in os.walk(project.quarantine):
        for name in sorted(files):
            path = Path(folder) / name
            if packed_streams.is_file(path) and _has(path, match):
                yield path


def empty_quarantine(project: Project, match: SessionMatch) -> int:
    """Delete the files of `quarantine/` that have something of the session: synced on return.

    Returns:
        How many they were.
    """
    count = 0
    for path in list(in_quarantine(project, match)):
        path.unlink(missing_ok=True)
        sync_directory(path.parent)
        count += 1
    for folder, _, _ in os.walk(project.quarantine, topdown=False):
        if Path(folder) != project.quarantine:
            # One with other files stays.
            with suppress(OSError):
                os.rmdir(folder)
    return count


def in_backups(
    project: Project, settings: Settings, clean_since: str
) -> tuple[list[str], list[str]]:
    """Return the backups that may have the session, and the destinations that cannot be read.

    Args:
        settings: The settings of the project, which name a destination besides `backups/`.
        clean_since: Backups that were begun later have nothing of it; an empty string for none.
    """
    own = str(project.backups) if project.backups.is_dir() else ""
    paths: set[str] = set()
    unseen: list[str] = []
    for destination in filter(None, dict.fromkeys((own, settings.backup_destination))):
        address = destination
        if "://" not in address:
            address = str(Path(project.root, Path(address).expanduser()))
        try:
            catalogue = Backups(project, address).catalogue()
        except (KhiveError, OSError) as error:
            unseen.append(f"{destination}: {error}")
            continue
        backups = catalogue.manifests.items()
        ids = [id for id, backup in backups if not _is_clean(backup, clean_since)]
        ids += [*catalogue.damaged, *catalogue.unfinished]
        paths.update(f"{address.rstrip('/')}/{id}" for id in ids)
    return sorted(paths), unseen


def _is_clean(backup: Manifest, since: str) -> bool:
    """Return whether a backup was begun after an instant, by a clock that was not ahead."""
    return since != "" and since < clock.to_text(backup.created) and backup.created <= clock.now()


def _has(path: Path, match: SessionMatch) -> bool:
    """Return whether a file has something of the session, as far as that can be told."""
    with path.open("rb") as file:
        is_database = file.read(len(_SQLITE)) == _SQLITE
    if is_database:
        with suppress(StoreError):
            return any(match.owns(row) for row in foreign_files.records(path))
    if path.suffix == ".json":
        return _is_of(path.read_bytes(), match)
    if path.suffix in _LINE_SUFFIXES or names.stream_of(path.name) != path.name:
        return any(
            line.problem or _is_of(line.content, match) for line in packed_streams.lines_in(path)
        )
    return _is_in_chunks(path, match)


def _is_of(raw: bytes, match: SessionMatch) -> bool:
    """Return whether a document is the session's: a copy, a payload, or a record that waited."""
    if not match.is_in(raw):
        return False
    document = codec.column(raw)
    if isinstance(document, dict):
        if isinstance(document.get("row"), list) and len(document["row"]) == _COLUMNS:
            return match.owns(codec.as_text(document["row"]))
        content = document if document.get("deleted") is True else content_of(document)
        if isinstance(content, dict):
            return match.owns(("", codec.dump_lossy(content), None, None, None))
        if "session_id" in document:
            return session_id(document["session_id"]) == match.id
    return match.is_named_in(raw)


def _is_in_chunks(path: Path, match: SessionMatch) -> bool:
    """Return whether a file of any other form names the session."""
    tail = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            if match.is_named_in(tail + chunk):
                return True
            tail = chunk[-_OVERLAP_BYTES:]
    return False
