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
from khive_persist.store.sqlite import snapshot

# File systems without second names, and folders that lie on another one.
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EXDEV, errno.EMLINK, errno.ENOSYS})


class MirrorFile(NamedTuple):
    """One file of the mirror.

    Attributes:
        name: Its name.
        path: Where its content lies.
        size: How many bytes of that count: a stream grows.
    """

    name: str
    path: Path
    size: int


class Moment(NamedTuple):
    """What lies in a folder of its own until it is read.

    Attributes:
        databases: The copy of each database that is there, by its name.
        mirror: The files of the mirror, in order.
    """

    databases: dict[str, Path]
    mirror: list[MirrorFile]


def groups(purposes: Iterable[Purpose]) -> list[list[Purpose]]:
    """Purposes by what one moment has to be taken of: those whose files begin with one word."""

    def word(purpose: Purpose) -> tuple[str, bool]:
        return purpose.document, purpose.is_stream

    return [list(some) for _, some in groupby(sorted(purposes, key=word), key=word)]


def has_file(purposes: Iterable[Purpose], name: str) -> bool:
    """Whether a file of the mirror is one of these purposes', by its name."""
    stream = names.stream_of(name)
    return MIRROR_FILE.match(f"{MIRROR}/{name}") is not None and any(
        names.split(stream, purpose) for purpose in purposes
    )


@contextmanager
def taken(project: Project, purposes: Sequence[Purpose], folder: Path) -> Iterator[Moment]:
    """Take a moment of a group: who writes waits only while files are looked at, none is read then.

    Args:
        place: Whose.
        purposes: One of `groups`.
        folder: A new folder for it, below `.khive`; it is gone after the `with`.

    Raises:
        StoreError: A database cannot be read, or its writers did not give it up.
        OSError: As the file system says.
    """
    make_directory(folder)
    links = _Links(project.sessions, purposes, folder)
    try:
        # Most of the names are given before anybody waits for it.
        links.follow()
        with ExitStack() as stack:
            reading = {}
            with turn(project, purposes):
                for name in sorted({purpose.file for purpose in purposes}):
                    if (path := project.database(name)).exists():
                        reading[name] = stack.enter_context(snapshot.begun(path))
                mirror = links.follow()
            databases = {name: folder / name for name in reading}
            for name, connection in reading.items():
                snapshot.copy(connection, project.database(name), databases[name])
        yield Moment(databases, mirror)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Links:
    """Second names of the mirror's files: one that is replaced keeps its content under it."""

    def __init__(self, sessions: Path, purposes: Sequence[Purpose], folder: Path) -> None:
        self._sessions = sessions
        self._purposes = purposes
        self._folder = folder
        self._linked: dict[str, os.stat_result] = {}

    def follow(self) -> list[MirrorFile]:
        """Let there be a second name of each file that is there now, and of no other."""
        present = self._present()
        for name in self._linked.keys() - present.keys():
            self._drop(name)
        for name in sorted(present):
            known = self._linked.get(name)
            if known is None or not os.path.samestat(known, present[name]):
                self._drop(name)
                self._link(name)
        return [
            MirrorFile(name, self._folder / name, present[name].st_size)
            for name in sorted(self._linked)
        ]

    def _present(self) -> dict[str, os.stat_result]:
        found: dict[str, os.stat_result] = {}
        if not scan.is_folder(self._sessions):
            return found
        with os.scandir(self._sessions) as entries:
            for entry in entries:
                if has_file(self._purposes, entry.name) and entry.is_file(follow_symlinks=False):
                    # It may have gone just now.
                    with suppress(FileNotFoundError):
                        found[entry.name] = entry.stat(follow_symlinks=False)
        return found

    def _link(self, name: str) -> None:
        link = self._folder / name
        try:
            os.link(self._sessions / name, link, follow_symlinks=False)
            self._linked[name] = os.lstat(link)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # Read anew each time: what is copied does not follow a stream that grows.
            shutil.copyfile(self._sessions / name, link, follow_symlinks=False)
            self._linked[name] = os.lstat(link)

    def _drop(self, name: str) -> None:
        if self._linked.pop(name, None) is not None:
            os.unlink(self._folder / name)
