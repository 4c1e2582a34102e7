"""Targets of an export: files that are written as a whole or not at all."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from khive_persist.errors import InvalidFileError
from khive_persist.project import sync_directory


def check_target(path: Path, *, force: bool) -> Path:
    """Return the path that will be written, links followed.

    Raises:
        InvalidFileError: Something is there that is not a file, or a file and `force` is not set;
            or its folder is missing.
    """
    path = Path(os.path.realpath(path))
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise InvalidFileError(f"{path.parent} is no directory", hint="make it") from None
        return path
    if not stat.S_ISREG(mode):
        raise InvalidFileError(f"{path} is not a file")
    if not force:
        raise InvalidFileError(f"{path} is there already", hint="--force replaces it")
    return path


@contextmanager
def replacing(path: Path, *, force: bool) -> Iterator[IO[bytes]]:
    """Open a private file for writing, which gets its name at the end, synced.

    Where the block is left by an error, or the process is killed, what was there is as it was; a
    killed process leaves a hidden file `.NAME.….tmp` beside it.

    Raises:
        InvalidFileError: As `check_target` says, also where the file came meanwhile.
        OSError: It cannot be written; the error names the file.
    """
    path = check_target(path, force=force)
    descriptor, temporary = tempfile.mkstemp(".tmp", f".{path.name}.", path.parent)
    try:
        with open(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if force:
            os.replace(temporary, path)
        else:
            _link_or_replace(temporary, path)
    except OSError as error:
        # A write to what is open names no file.
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
    sync_directory(path.parent)


def _link_or_replace(temporary: str, path: Path) -> None:
    """Rename the file, unless another one has taken the name meanwhile."""
    try:
        os.link(temporary, path)
    except FileExistsError as error:
        raise InvalidFileError(f"{path} is there already", hint="--force replaces it") from error
    except OSError:
        # Not every file system has links.
        check_target(path, force=False)
        os.replace(temporary, path)
