"""Take out of this machine what recording has put there: hooks, copies, marks, and data if told."""

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple, get_args

from khive_persist.capture.hook_config import has_scope, launcher, uninstall
from khive_persist.capture.hook_config.install import hook_files
from khive_persist.capture.spool import home_project
from khive_persist.errors import InvalidSettingsError
from khive_persist.maintenance.running_server import without_server
from khive_persist.project import Project
from khive_persist.tools import TOOLS, Scope
from khive_persist.trust import marks, records

Kind = Literal["hooks", "completion", "server unit", "copies of the hook", "marks", "data"]

_MARK_FILES: Final = (marks.MARKS, records.FOLDER, marks.LOCK)


class Removed(NamedTuple):
    """One thing that is removed.

    Attributes:
        kind: The kind of thing.
        path: The file or folder.
        about: The contents of it, in words.
    """

    kind: Kind
    path: Path
    about: str


def known_projects(here: Path) -> list[Project]:
    """Return the directory of a call, the home, and each project that this user trusts."""
    home = home_project()
    roots = [here, *([home.root] if home else []), *marks.marked_paths()]
    return [Project(root) for root in dict.fromkeys(map(_physical, roots))]


def remove_hooks(
    projects: Iterable[Project], *, dry_run: bool
) -> tuple[list[Removed], list[InvalidSettingsError]]:
    """Take our hooks out of the settings of each tool, of this user and of some projects.

    Each file is as it was before, byte for byte.

    Returns:
        What was removed, and the errors of files that are as they were.
    """
    removed: list[Removed] = []
    errors: list[InvalidSettingsError] = []
    seen_paths: set[tuple[str, Path]] = set()
    for tool, scope, root in _places(projects):
        try:
            files = hook_files(tool, scope, root)
            if (tool, files.path) in seen_paths or not os.path.lexists(files.path):
                continue
            seen_paths.add((tool, files.path))
            events = [entry.event for entry in files.registered().entries]
            if events and not dry_run:
                events = list(uninstall(tool, scope, root).events)
        except InvalidSettingsError as error:
            errors.append(error)
            continue
        if events:
            count = len(set(events))
            removed.append(Removed("hooks", files.path, f"{TOOLS[tool].title}, {count} events"))
    return removed, errors


def remove_copies(*, dry_run: bool) -> list[Removed]:
    """Remove the copies of the hook from the state folder.

    Raises:
        OSError: They cannot be removed.
    """
    folder = marks.state_folder()
    if folder is None or not os.path.lexists(folder / launcher.FOLDER):
        return []
    path = folder / launcher.FOLDER
    names = ", ".join(sorted(os.listdir(path)))
    _remove(path, dry_run=dry_run)
    return [Removed("copies of the hook", path, names or "nothing")]


def remove_marks(*, dry_run: bool) -> list[Removed]:
    """Remove the marks of all projects, and what of them was trusted; they stay on the disk.

    Raises:
        OSError: They cannot be removed.
    """
    folder = marks.state_folder()
    if folder is None:
        return []
    count = len(marks.marked_paths())
    removed = []
    for name in _MARK_FILES:
        path = folder / name
        if os.path.lexists(path):
            _remove(path, dry_run=dry_run)
            if name == marks.MARKS:
                about = f"of {count} projects, which are not trusted any more"
                removed.append(Removed("marks", path, about))
    return removed


def remove_data(project: Project, *, dry_run: bool) -> Removed:
    """Remove the `.khive` of a project as a whole: databases, mirror, backups and settings.

    Raises:
        StoreBusyError: A server runs there.
        OSError: It cannot be removed.
    """
    about = f"{sum(1 for name in os.listdir(project.khive) if name.endswith('.db'))} databases"
    if not dry_run:
        with without_server(project):
            _remove(project.khive, dry_run=False)
    return Removed("data", project.khive, about)


def _places(projects: Iterable[Project]) -> Iterator[tuple[str, Scope, Path]]:
    """Yield the tools and scopes that may have our hooks, the user's own before the projects'."""
    roots = [project.root for project in projects]
    for tool in TOOLS:
        for scope in sorted(get_args(Scope), key=lambda scope: scope != "user"):
            if has_scope(tool, scope):
                places = roots[:1] if scope == "user" else roots
                yield from ((tool, scope, root) for root in places)


def _remove(path: Path, *, dry_run: bool) -> None:
    if dry_run:
        return
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _physical(root: Path) -> Path:
    return Path(os.path.realpath(root))
