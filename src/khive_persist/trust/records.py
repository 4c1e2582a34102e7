"""Keep the settings and the triggers of a project that the person has seen and trusted.

There is one file a project in the state folder, named by the digits of its mark.
"""

import json
import os
from pathlib import Path
from typing import Final, NamedTuple

from khive_persist.errors import ProjectError
from khive_persist.files import make_directory, read_regular, write_private
from khive_persist.trust import marks

FOLDER: Final = "trusted"
_MOST_BYTES: Final = 4 << 20


class Trusted(NamedTuple):
    """The parts of a project that the person trusts.

    Attributes:
        config: The text of its config.toml, or None where none was seen.
        schema: The SHA-256 of each trigger and of each table with generated columns.
    """

    config: str | None = None
    schema: tuple[str, ...] = ()


def path_of(khive: Path) -> Path | None:
    """Return the path of a project's file; None where there is no mark or no state folder."""
    folder, digits = marks.state_folder(), marks.digits(khive)
    return folder / FOLDER / f"{digits}.json" if folder and digits else None


def load(khive: Path) -> Trusted:
    """Return the trusted parts of a project that has its mark; nothing where there is none."""
    return of_digits(marks.digits(khive)) if marks.is_marked(khive) else Trusted()


def of_digits(digits: str) -> Trusted:
    """Return the trusted parts of the project that has, or had, a mark; nothing without one."""
    folder = marks.state_folder()
    if folder is None or not digits:
        return Trusted()
    path = folder / FOLDER / f"{digits}.json"
    try:
        document = json.loads(read_regular(path, _MOST_BYTES))
        config = document["config"]
        return Trusted(None if config is None else str(config), tuple(map(str, document["schema"])))
    except (OSError, ValueError, KeyError, TypeError):
        # Nothing is trusted then; the person is asked again.
        return Trusted()


def store(khive: Path, trusted: Trusted) -> None:
    """Write the trusted parts: synced on return. The state folder's own project needs none.

    Raises:
        ProjectError: It cannot be written.
    """
    path = path_of(khive)
    if path is None:
        return
    try:
        make_directory(path.parent)
        write_private(path, json.dumps(trusted._asdict()).encode())
    except OSError as error:
        raise ProjectError(f"{path}: {error.strerror}") from error


def trust_config(khive: Path, config: str | None) -> None:
    """Store the text of config.toml as the one that the person trusts."""
    if marks.is_marked(khive):
        store(khive, load(khive)._replace(config=config))


def drop(digits: str) -> None:
    """Delete the trusted parts of the project with this mark."""
    if folder := marks.state_folder():
        (folder / FOLDER / f"{os.path.basename(digits)}.json").unlink(missing_ok=True)
