"""The fingerprint of a project's files: nothing is computed again while they are the same."""

import os

from khive_persist.project import Project
from khive_persist.store.sqlite.atomic_switch import is_database

State = tuple[tuple[str, int, int, int], ...]


def state_of(project: Project) -> State:
    """Another value whenever something was recorded, or the settings were changed.

    It is read from the directory, in less than a millisecond; no file is opened. A checkpoint may
    change it, too.
    """
    try:
        names = sorted(name for name in os.listdir(project.khive) if is_database(name))
    except OSError:
        names = []
    files = [project.database(name) for name in names]
    paths = [project.config, *files, *(path.with_name(f"{path.name}-wal") for path in files)]
    entries = []
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            # It is not there, or cannot be seen: who computes is told which.
            continue
        if not status.st_size:
            # Who opens a database to read it makes an empty log, and takes it away again.
            continue
        entries.append((path.name, status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(entries)
