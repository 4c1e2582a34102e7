"""The projects that an agent may ask about: its own, and those that the home's settings name."""

import os
from pathlib import Path
from typing import Final

from khive_persist import settings as configuration
from khive_persist.errors import ProjectError
from khive_persist.project import Project
from khive_persist.trust import marks, search

_ALL: Final = "*"
_HOME: Final = "home"


class Projects:
    """The projects that one server answers about.

    Args:
        directory: The directory that the command line names; None for that of the working
            directory.
    """

    def __init__(self, directory: str | None) -> None:
        self._directory = directory

    def find(self, name: str) -> Project:
        """Return a project: the default one for an empty name.

        Another one is named by its directory, or by the last part of it; nothing is looked up on
        the disk but what the home's config.toml names.

        Raises:
            ProjectError: There is none, or the settings do not allow it.
            UntrustedError: It is not trusted.
            InvalidSettingsError: config.toml is wrong.
        """
        if not name:
            return self._default()
        try:
            default = self._default()
        except ProjectError:
            default = None
        if default is not None and _is_named(name, default.root):
            return default
        matching = [root for root in _allowed() if _is_named(name, root)]
        if len(matching) != 1:
            problem = "several projects are called so" if matching else "no project may be asked so"
            raise ProjectError(
                problem,
                hint="mcp.projects of ~/.khive/config.toml names those that may be; give the whole"
                " path of its directory",
            )
        return _checked(Project(matching[0]))

    def _default(self) -> Project:
        if self._directory:
            return _checked(Project(search.named(self._directory)))
        root = search.by_environment()
        if root is None:
            root, passed = search.upward()
            if passed is not None:
                raise search.untrusted(Project(passed).khive)
            # What the home keeps is of all directories without a project.
            is_fallback = marks.is_state(Project(root).khive) and not _is_below_state(root)
            if is_fallback and _HOME not in _names() and root not in _allowed():
                raise ProjectError(
                    f"{os.getcwd()} has no .khive, nor has a directory above it",
                    hint='make it with khive-persist init, or allow what the home keeps: "home" in'
                    " mcp.projects of ~/.khive/config.toml",
                )
        return _checked(Project(root))


def _is_below_state(root: Path) -> bool:
    """Tell whether the working directory is the home itself."""
    return os.path.realpath(os.getcwd()) == os.path.realpath(root)


def _checked(project: Project) -> Project:
    if not project.exists():
        raise ProjectError(f"{project.khive} is not there", hint="make it with khive-persist init")
    if not search.may_be_used(project.khive):
        raise search.untrusted(project.khive)
    return project


def _is_named(name: str, root: Path) -> bool:
    if os.path.isabs(name):
        return os.path.normpath(name) == str(root)
    return name == root.name or (name == _HOME and marks.is_state(Project(root).khive))


def _names() -> tuple[str, ...]:
    folder = marks.state_folder()
    return () if folder is None else configuration.load(folder / "config.toml").mcp_projects


def _allowed() -> list[Path]:
    """Return the directories of the projects that the home's config.toml allows."""
    names = _names()
    state = marks.state_home()
    home = [state] if state is not None and _HOME in names else []
    if _ALL in names:
        return [*dict.fromkeys((*marks.marked_paths(), *home))]
    paths = (Path(os.path.expanduser(name)) for name in names if name not in (_ALL, _HOME))
    return [*dict.fromkeys((*(Path(os.path.normpath(p)) for p in paths if p.is_absolute()), *home))]
