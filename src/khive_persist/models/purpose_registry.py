"""Register the purposes of a project: built-in ones, and those of classes opened there.

A class of a user's own is known to its program only. The definition that a command needs lies in
`.khive/purposes/`, a file a purpose, and once more beside its records in `sessions/`. A file of
ours there that is none of this version's raises an InvalidRecordError.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from khive_persist.errors import InvalidRecordError, ProjectError
from khive_persist.models import purpose_file
from khive_persist.models.purpose import check, check_apart
from khive_persist.models.purposes import BUILT_IN, Purpose
from khive_persist.project import Project, make_directory, write_private
from khive_persist.trust import signed

FOLDER: Final = "purposes"


def remember(project: Project, added: Purpose) -> None:
    """Write the definition of a purpose for the commands and beside its mirror: synced on return.

    Raises:
        InvalidRecordError: Its names are refused, as by `purposes.purpose`; or it differs from
            another purpose of the project only in case.
        InvalidSettingsError: config.toml is wrong.
        ProjectError: It cannot be written.
    """
    if added in BUILT_IN:
        return
    # A class can name one that was made without `purposes.purpose`.
    check(added, BUILT_IN)
    path = project.khive / FOLDER / f"{added.name}.json"
    content = signed.dump(project.khive, FOLDER, added._asdict())
    try:
        if not (path.is_file() and not path.is_symlink() and path.read_bytes() == content):
            for other in _readable(project):
                check_apart(added, other)
            make_directory(path.parent)
            write_private(path, content)
        purpose_file.keep_beside_records(project, added)
    except ProjectError:
        raise
    except OSError as error:
        raise ProjectError(
            f"the definition of {added.name} cannot be written to {project.khive}"
            f" ({error.strerror})"
        ) from error


def known_purposes(project: Project) -> tuple[Purpose, ...]:
    """Return a project's purposes, the built-in ones first; files of others are passed over."""
    return (*BUILT_IN, *map(purpose_file.read, _believed(project)))


def mirrored_purposes(project: Project) -> tuple[Purpose, ...]:
    """Return the purposes of a project, and after them those that only its mirror describes."""
    purposes = known_purposes(project)
    return (*purposes, *purpose_file.in_folder(project.sessions, purposes))


def files(project: Project) -> list[Path]:
    """Return the files that describe purposes, ours or not."""
    folder = project.khive / FOLDER
    try:
        names = [] if folder.is_symlink() else sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        names = []
    return [folder / name for name in names if name.endswith(".json")]


def disbelieved(project: Project) -> list[Path]:
    """Return the files that are passed over, as this user's programs did not write them."""
    return [file for file in files(project) if not signed.is_believed(project.khive, FOLDER, file)]


def adopt(project: Project, file: Path) -> None:
    """Adopt a file that describes a purpose as ours.

    Raises:
        InvalidRecordError: It describes none.
    """
    remember(project, purpose_file.read(file))


def _believed(project: Project) -> Iterator[Path]:
    return (file for file in files(project) if signed.is_believed(project.khive, FOLDER, file))


def _readable(project: Project) -> Iterator[Purpose]:
    """Yield the definitions in a folder; one that cannot be read holds up no other kind."""
    for path in _believed(project):
        with suppress(InvalidRecordError):
            yield purpose_file.read(path)
