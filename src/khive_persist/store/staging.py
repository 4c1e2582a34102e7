"""A folder for what is not finished: gone when it is, or with the next backup command."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from khive_persist import clock
from khive_persist.project import Project, make_directory
from khive_persist.store.sqlite import atomic_switch

FOLDER: Final = "staging"


@contextmanager
def staging(project: Project) -> Iterator[Path]:
    """Make a private folder, for as long as the `with`.

    What killed processes left behind is removed before: a switch that one of them had begun is
    finished, and what had not come so far is thrown away.

    Raises:
        ProjectError: It cannot be made.
        StoreError: A switch that was begun cannot be finished.
    """
    project.make()
    make_directory(project.khive / FOLDER)
    atomic_switch.settle(project.khive)
    with _locked(project.khive / FOLDER):
        _remove_left_over(project.khive / FOLDER)
        path = project.khive / FOLDER / clock.new_id()
        make_directory(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        # Says, for as long as this process lives, that the folder is no left-over.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield path
    finally:
        if not atomic_switch.is_pending(project.khive):
            shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


def sweep(project: Project) -> None:
    """Finish or remove what killed processes left.

    Raises:
        StoreError: A switch that was begun cannot be finished.
    """
    atomic_switch.settle(project.khive)
    folder = project.khive / FOLDER
    if os.path.lexists(folder):
        make_directory(folder)
        with _locked(folder):
            _remove_left_over(folder)


def _remove_left_over(folder: Path) -> None:
    for name in os.listdir(folder):
        try:
            descriptor = os.open(folder / name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            # One whose owner was killed since may hold the new files of a switch that has begun.
            if not atomic_switch.is_pending(folder.parent):
                shutil.rmtree(folder / name, ignore_errors=True)
        finally:
            os.close(descriptor)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    # Or somebody's new folder would be taken for a left-over before it is locked.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
