"""Make private files and folders, make them durable, and read them without following a link."""

import errno
import os
import stat
from pathlib import Path
from typing import Final

from khive_persist import clock
from khive_persist.errors import ProjectError

PRIVATE_FILE: Final = 0o600
PRIVATE_DIRECTORY: Final = 0o700


def make_directory(path: Path) -> None:
    """Make one private directory, durably; an open one is closed to others.

    Raises:
        ProjectError: It cannot be made, or a link or a file stands in its place.
    """
    try:
        os.mkdir(path, PRIVATE_DIRECTORY)
    except FileExistsError:
        mode = os.lstat(path).st_mode
        if not stat.S_ISDIR(mode):
            kind = "a symbolic link" if stat.S_ISLNK(mode) else "not a directory"
            raise ProjectError(f"{path} is {kind}", hint="move it away") from None
        if not mode & 0o077:
            return
        is_new = False
    except OSError as error:
        raise ProjectError(f"{path} cannot be made ({error.strerror})") from error
    else:
        is_new = True
    try:
        os.chmod(path, PRIVATE_DIRECTORY)
    except PermissionError:
        # Somebody else's directory that we may write to: it works, and its owner decides its mode.
        return
    if is_new:
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


def write_private(
    path: Path, content: bytes, *, synced: bool = True, mode: int = PRIVATE_FILE
) -> None:
    """Write a file of `.khive` as a whole or not at all: 0600, synced, then renamed into place.

    Args:
        content: The whole content.
        synced: Whether it survives a power loss; without, such a loss may leave anything there.
        mode: The mode, where it is a program.
    """
    # Several threads may write it at once.
    temporary = path.with_name(f".{path.name}.{clock.new_id()}.tmp")
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, PRIVATE_FILE
    )
    try:
        try:
            os.fchmod(descriptor, mode)
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


def read_regular(path: Path, most_bytes: int, *, follows: bool = False) -> bytes:
    """Read a file as a whole: a pipe in its place does not hold up the reader.

    Args:
        most_bytes: The limit: a larger file is refused.
        follows: Whether a symbolic link in its place is followed.

    Raises:
        OSError: It is missing, a link, no regular file, too large, or cannot be read.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follows else os.O_NOFOLLOW)
    descriptor = os.open(path, flags)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        if status.st_size > most_bytes:
            raise OSError(errno.EFBIG, f"it is larger than {most_bytes} bytes", str(path))
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(most_bytes)
    finally:
        os.close(descriptor)
