"""The purposes of a place: the built-in ones, and those of the classes that were opened there.

A class of a user's own is known to his program only. What a command has to know of it lies in
`.khive/purposes/`, a file a purpose.
"""

import os
from pathlib import Path
from typing import Final

from khive_persist.errors import InvalidRecordError, PlaceError
from khive_persist.place import Place, make_directory, write_private
from khive_persist.purposes import BUILT_IN, Purpose, purpose
from khive_persist.trust import signed

FOLDER: Final = "purposes"


def remember(place: Place, added: Purpose) -> None:
    """Let the commands know a purpose: synced on return.

    Raises:
        PlaceError: It cannot be written.
    """
    if any(added.name == known.name for known in BUILT_IN):
        return
    path = place.khive / FOLDER / f"{added.name}.json"
    content = signed.dump(place.khive, FOLDER, added._asdict())
    try:
        if path.is_file() and not path.is_symlink() and path.read_bytes() == content:
            return
        make_directory(path.parent)
        write_private(path, content)
    except OSError as error:
        raise PlaceError(f"{path} cannot be written ({error.strerror})") from error


def known_purposes(place: Place) -> tuple[Purpose, ...]:
    """The purposes of a place, the built-in ones first. A file that is not ours is passed over.

    Raises:
        InvalidRecordError: A file of ours in `.khive/purposes/` is none of this version's.
    """
    believed = (file for file in files(place) if signed.is_believed(place.khive, FOLDER, file))
    own = [_read(file) for file in believed]
    built_in = {known.name for known in BUILT_IN}
    return (*BUILT_IN, *(known for known in own if known.name not in built_in))


def files(place: Place) -> list[Path]:
    """The files that describe purposes, ours or not."""
    folder = place.khive / FOLDER
    try:
        names = [] if folder.is_symlink() else sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        names = []
    return [folder / name for name in names if name.endswith(".json")]


def disbelieved(place: Place) -> list[Path]:
    """The files that are passed over, as this user's programs did not write them."""
    return [file for file in files(place) if not signed.is_believed(place.khive, FOLDER, file)]


def adopt(place: Place, file: Path) -> None:
    """Take a file that describes a purpose for ours.

    Raises:
        InvalidRecordError: It describes none.
    """
    remember(place, _read(file))


def _read(path: Path) -> Purpose:
    try:
        found = signed.read(path)
        return purpose(
            found["name"],
            found["table"],
            view=found["view"],
            fields=tuple(found["fields"]),
            indexes=tuple(map(tuple, found["indexes"])),
            document=found["document"],
            is_stream=found["is_stream"] is True,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidRecordError(
            f"{path} does not describe a purpose ({error})", hint="remove it: its program writes it"
        ) from error
