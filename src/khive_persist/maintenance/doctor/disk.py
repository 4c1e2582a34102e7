"""Try whether the disk takes what is recorded: rights and numbers alone do not tell."""

import os
from pathlib import Path
from typing import Final

from khive_persist.capture.spool import home_project
from khive_persist.project import Project
from khive_persist.trust import marks

# Somewhat more than a payload of the usual size takes.
_TRIED: Final = bytes(65_536)
# A log is emptied at 4 MiB, unless somebody reads for long.
_LARGE_WAL_BYTES: Final = 64 << 20


def unwritable(project: Project) -> list[str]:
    """Return the places where no event can be kept, each one line: the project and the home."""
    lines = []
    reason = _refusal(project.spool if project.spool.is_dir() else project.khive)
    if reason:
        lines.append(f"{project.khive} takes no event ({reason}): the home's spool keeps them")
    home = home_project()
    if home is not None and not marks.is_state(project.khive):
        folder = next((p for p in (home.spool, home.khive, home.root) if p.is_dir()), home.root)
        if reason := _refusal(folder):
            lines.append(f"{home.khive} takes no event where a project's cannot ({reason})")
    return lines


def grown_logs(project: Project, files: list[str]) -> list[str]:
    """Return the write-ahead logs that have grown large, each one line."""
    lines = []
    for file in files:
        path = project.database(f"{file}-wal")
        try:
            size = os.lstat(path).st_size
        except OSError:
            continue
        if size >= _LARGE_WAL_BYTES:
            lines.append(
                f"{path} has grown to {size >> 20} MiB: a program reads {file} for long, or was"
                " stopped; it shrinks when that one ends"
            )
    return lines


def _refusal(folder: Path) -> str:
    """Return the reason why a folder takes no file, or an empty string."""
    path = folder / f".doctor.{os.getpid()}"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            remaining = memoryview(_TRIED)
            while remaining:
                remaining = remaining[os.write(descriptor, remaining) :]
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
            os.unlink(path)
    except OSError as error:
        return error.strerror or str(error)
    return ""
