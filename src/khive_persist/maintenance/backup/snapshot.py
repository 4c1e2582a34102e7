"""Databases, and the files of the mirror that copy them, as they are at one moment."""

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from khive_persist.maintenance.backup.index import MIRROR_FILE
from khive_persist.maintenance.backup.manifest import MIRROR
from khive_persist.mirror import names, scan
from khive_persist.mirror.write_locks import turn
from khive_persist.models.purposes import Purpose
from khive_persist.project import Project, make_directory
from khive_persist.store.sqlite import rows, snapshot

# File systems without second names, and folders that lie on another one.
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EXDEV, errno.EMLINK, errno.ENOSYS})


class MirrorFile(NamedTuple):
    """One file of the mirror, and how many bytes of it count: a stream grows."""

    name: str
    path: Path
    size: int


class GroupSnapshot(NamedTuple):
    """Copies of a group of purposes, in a folder of their own until they are read."""

    databases: dict[str, Path]
    mirror: list[MirrorFile]


def groups(purposes: Iterable[Purpose]) -> list[list[Purpose]]:
    """Group purposes whose files begin alike: one snapshot has to cover each group."""

    def word(purpose: Purpose) -> tuple[str, bool]:
        return purpose.document, purpose.is_stream

    return [list(group) for _, group in groupby(sorted(purposes, key=word), key=word)]


def has_file(purposes: Iterable[Purpose], name: str) -> bool:
    """Return whether a file of the mirror is one of these purposes', by its name."""
    stream = names.stream_of(name)
    return MIRROR_FILE.match(f"{MIRROR}/{name}") is not None and any(
        names.split(stream, purpose) for purpose in purposes
    )


@contextmanager
def group_snapshot(
    project: Project, purposes: Sequence[Purpose], folder: Path
) -> Iterator[GroupSnapshot]:
    """Snapshot a group of purposes as of one moment.

    Writers wait only while files are listed and linked, not while they are read.

    Args:
        purposes: One of `groups`.
        folder: A new folder for it, below `.khive`; it is gone after the `with`.

    Raises:
        StoreError: A database cannot be read, or its writers did not give it up.
        OSError: As the file system says.
    """
    make_directory(folder)
    links = _MirrorLinks(project.sessions, purposes, folder)
    try:
        # Most of the names are given before anybody waits for it.
        links.follow()
        with ExitStack() as stack:
            connections = {}
            with turn(project, purposes):
                for name in sorted({purpose.file for purpose in purposes}):
                    if (path := project.database(name)).exists():
                        connections[name] = stack.enter_context(rows.snapshot(path))
                mirror = links.follow()
            databases = {name: folder / name for name in connections}
            for name, connection in connections.items():
                snapshot.copy(connection, project.database(name), databases[name])
        yield GroupSnapshot(databases, mirror)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _MirrorLinks:
    """Second names of the mirror's files: one that is replaced keeps its content under it."""

    def __init__(self, sessions: Path, purposes: Sequence[Purpose], folder: Path) -> None:
        self._sessions = sessions
        self._purposes = purposes
        self._folder = folder
        self._statuses: dict[str, os.stat_result] = {}

    def follow(self) -> list[MirrorFile]:
        """Link each file that exists now, and unlink all others."""
        present = self._present()
        for name in self._statuses.keys() - present.keys():
            self._drop(name)
        for name in sorted(present):
            linked = self._statuses.get(name)
            if linked is None or not os.path.samestat(linked, present[name]):
                self._drop(name)
                self._link(name)
        return [
            MirrorFile(name, self._folder / name, present[name].st_size)
            for name in sorted(self._statuses)
        ]

    def _present(self) -> dict[str, os.stat_result]:
        statuses: dict[str, os.stat_result] = {}
        if not scan.is_folder(self._sessions):
            return statuses
        with os.scandir(self._sessions) as entries:
            for entry in entries:
                if has_file(self._purposes, entry.name) and entry.is_file(follow_symlinks=False):
                    # It may have gone just now.
                    with suppress(FileNotFoundError):
                        statuses[entry.name] = entry.stat(follow_symlinks=False)
        return statuses

    def _link(self, name: str) -> None:
        link = self._folder / name
        try:
            os.link(self._sessions / name, link, follow_symlinks=False)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # Read anew each time: what is copied does not follow a stream that grows.
            shutil.copyfile(self._sessions / name, link, follow_symlinks=False)
        self._statuses[name] = os.lstat(link)

    def _drop(self, name: str) -> None:
        if self._statuses.pop(name, None) is not None:
            os.unlink(self._folder / name)
