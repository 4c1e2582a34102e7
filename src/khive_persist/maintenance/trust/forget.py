"""Taking a project off the list of trusted ones, as `khive-persist projects forget` does."""

import os
from pathlib import Path

from khive_persist.errors import ProjectError
from khive_persist.project import Project
from khive_persist.trust import marks, records


def listed_project(directory: Path | str) -> Project:
    """Return the trusted project of a directory, there or gone.

    Raises:
        ProjectError: It is none, or it is the home, which needs no mark.
    """
    project = Project(os.path.realpath(directory))
    if marks.is_state(project.khive):
        raise ProjectError(f"{project.root} is the home: it is on no list")
    if project.root not in marks.marked_paths():
        raise ProjectError(
            f"{project.root} is no project that you trust", hint="khive-persist projects lists them"
        )
    return project


def forget(project: Project) -> None:
    """Take the mark of a project, and what was trusted of it, out of the state folder.

    Nothing in its `.khive` changes. Where there still is one, it is not trusted from now on.

    Raises:
        OSError: The state folder cannot be written.
    """
    for digits in marks.unmark(project.khive):
        records.drop(digits)
