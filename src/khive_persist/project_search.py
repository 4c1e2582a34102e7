"""Find the project that is meant: a named one, or the nearest that is trusted."""

from pathlib import Path

from khive_persist.errors import ProjectError
from khive_persist.project import Project
from khive_persist.store.sqlite import atomic_switch
from khive_persist.trust import search


def find_project(directory: Path | str | None = None) -> Project:
    """Find the project: the named directory, KHIVE_DIR, upward from here, or home.

    A named directory is trusted from now on, if this user owns it.

    Raises:
        UntrustedError: The nearest `.khive` is not trusted, or the named one is another user's.
        ProjectError: None is named or found, and there is no home directory.
    """
    if directory is not None:
        return Project(search.meant(directory))
    root = search.by_environment()
    if root is None:
        root, passed = search.upward()
        if passed is not None:
            raise search.untrusted(Project(passed).khive)
    return Project(root)


def existing_project(directory: Path | str | None) -> Project:
    """Return the requested project; an interrupted restore of it is finished.

    Raises:
        ProjectError: It has no `.khive`, or none is named or found.
        StoreError: The restore cannot be finished.
    """
    project = find_project(directory)
    if not project.exists():
        raise ProjectError(f"{project.khive} is not there", hint="name the directory that holds it")
    atomic_switch.settle(project.khive)
    return project
