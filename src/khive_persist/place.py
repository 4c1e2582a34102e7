"""One `.khive` directory: where things lie in it, and how they are made private.

Nothing here follows a symbolic link in place of `.khive`, a folder or a file of it: a link could
lead what is written out of `.khive`.
"""

import os
import stat
from pathlib import Path
from typing import Final

from khive_persist import clock
from khive_persist.errors import PlaceError

KHIVE: Final = ".khive"
GITIGNORE: Final = b"*\n!.gitignore\n!config.toml\n"
PRIVATE_FILE: Final = 0o600
PRIVATE_DIRECTORY: Final = 0o700


class Place:
    """The `.khive` of one directory.

    Attributes:
        root: The directory that holds `.khive`, absolute.
        khive: `.khive` itself.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(os.path.abspath(root))
        self.khive = self.root / KHIVE

    def __repr__(self) -> str:
        return f"Place({str(self.root)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and other.root == self.root

    def __hash__(self) -> int:
        return hash(self.root)

    @property
    def spool(self) -> Path:
        """Events accepted and not yet in a database."""
        return self.khive / "spool"

    @property
    def sessions(self) -> Path:
        """The mirror: every record a second time, as JSON."""
        return self.khive / "sessions"

    @property
    def backups(self) -> Path:
        """Where backups lie unless the settings name another place."""
        return self.khive / "backups"

    @property
    def quarantine(self) -> Path:
        """Damaged files, kept aside, never deleted."""
        return self.khive / "quarantine"

    @property
    def config(self) -> Path:
        """The settings that a person edits."""
        return self.khive / "config.toml"

    @property
    def server_url(self) -> Path:
        """Where its server can be reached, while one runs."""
        return self.khive / "server.url"

    def database(self, file: str) -> Path:
        """The database of that file name."""
        return self.khive / file

    def exists(self) -> bool:
        """Whether `.khive` is there, as a directory of its own and not a link."""
        try:
            return stat.S_ISDIR(os.lstat(self.khive).st_mode)
        except OSError:
            return False

    def make(self) -> None:
        """Make `.khive` where it is missing; it is 0700 on return, whatever the umask.

        Raises:
            PlaceError: It cannot be made, or is a link or a file.
        """
        make_directory(self.khive)
        ignore = self.khive / ".gitignore"
        try:
            if not os.path.lexists(ignore):
                write_private(ignore, GITIGNORE)
        except OSError as error:
            raise PlaceError(f"{ignore} cannot be made ({error.strerror})") from error


def make_directory(path: Path) -> None:
    """Make one private directory, durably; an open one is closed to others.

    Raises:
        PlaceError: It cannot be made, or a link or a file stands in its place.
    """
    try:
        os.mkdir(path, PRIVATE_DIRECTORY)
    except FileExistsError:
        mode = os.lstat(path).st_mode
        if not stat.S_ISDIR(mode):
            kind = "a symbolic link" if stat.S_ISLNK(mode) else "not a directory"
            raise PlaceError(f"{path} is {kind}", hint="move it away") from None
        if not mode & 0o077:
            return
        made = False
    except OSError as error:
        raise PlaceError(f"{path} cannot be made ({error.strerror})") from error
    else:
        made = True
    try:
        os.chmod(path, PRIVATE_DIRECTORY)
    except PermissionError:
        # Somebody else's directory that we may write to: it works, and its owner decides its mode.
        return
    if made:
        sync_directory(path.parent)


def sync_file(path: Path) -> None:
    """Make the content of a file durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_private(path: Path, content: bytes, *, synced: bool = True) -> None:
    """Write a file of `.khive` as a whole or not at all: 0600, synced, then renamed into place.

    Args:
        path: The file.
        content: All of it.
        synced: Whether it survives a power loss; without, such a loss may leave anything there.
    """
    # Several threads may write it at once.
    temporary = path.with_name(f".{path.name}.{clock.new_id()}.tmp")
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, PRIVATE_FILE
    )
    try:
        try:
            os.fchmod(descriptor, PRIVATE_FILE)
            with open(descriptor, "wb", closefd=False) as file:
                file.write(content)
            if synced:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    if synced:
        sync_directory(path.parent)
