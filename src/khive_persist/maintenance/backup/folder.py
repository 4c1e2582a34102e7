"""Backups in a folder."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from khive_persist.errors import (
    BackupDamagedError,
    BackupError,
    KhiveError,
    NotFoundError,
    ProjectError,
)
from khive_persist.maintenance.backup.manifest import ID
from khive_persist.project import PRIVATE_FILE, make_directory, sync_directory

_READ_BYTES: Final = 1 << 20


class Folder:
    """A folder with a folder a backup; all that is made in it is private."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def ids(self) -> list[str]:
        with self._with_backup_errors():
            try:
                names = os.listdir(self.path)
            except FileNotFoundError:
                return []
        return sorted(name for name in names if ID.match(name))

    def read(self, id: str, name: str) -> Iterator[bytes]:
        # No link is followed.
        path = self.path / id / name
        with self._with_backup_errors():
            try:
                for part in (path.parent, path):
                    if stat.S_ISLNK(os.lstat(part).st_mode):
                        raise BackupDamagedError(f"{part} is a symbolic link")
                # A pipe in its place must not be waited for.
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except (FileNotFoundError, NotADirectoryError):
                raise NotFoundError(f"backup {id}: {name} is missing") from None
            with open(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise BackupDamagedError(f"{path} is no file")
                while content := file.read(_READ_BYTES):
                    yield content

    def write(self, id: str, name: str, produce: Callable[[IO[bytes]], object]) -> None:
        """Make an object: 0600, synced, and then only under its name."""
        folder = self.path / id
        with self._with_backup_errors():
            # One that a person made keeps the mode that it was given.
            if not self.path.exists():
                make_directory(self.path)
            make_directory(folder)
            temporary = folder / f".{name}.tmp"
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
                descriptor = os.open(temporary, flags, PRIVATE_FILE)
                with open(descriptor, "wb") as file:
                    os.fchmod(descriptor, PRIVATE_FILE)
                    produce(file)
                    file.flush()
                    os.fsync(descriptor)
                os.replace(temporary, folder / name)
            except BaseException:  # Cancelled, too: its part goes.
                temporary.unlink(missing_ok=True)
                raise
            sync_directory(folder)

    def delete(self, id: str, names: tuple[str, ...]) -> None:
        """Delete objects of a backup, and what a killed process left of them."""
        folder = self.path / id
        with self._with_backup_errors():
            for name in names:
                for path in (folder / name, folder / f".{name}.tmp"):
                    path.unlink(missing_ok=True)
            # A file that is not ours keeps its folder.
            with suppress(OSError):
                folder.rmdir()
            if self.path.exists():
                sync_directory(self.path)

    @contextmanager
    def _with_backup_errors(self) -> Iterator[None]:
        try:
            yield
        except ProjectError as error:
            raise BackupError(error.args[0], hint=error.hint) from error
        except OSError as error:
            if isinstance(error, KhiveError):
                raise
            raise BackupError(f"{error.filename or self.path}: {error.strerror}") from error
