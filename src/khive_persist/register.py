"""The purposes of a place: the built-in ones, and those of the classes that were opened there.

A class of a user's own is known to its program only. What a command has to know of it lies in
`.khive/purposes/`, a file a purpose, and once more beside its records in `sessions/`.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from khive_persist import definitions
from khive_persist.errors import InvalidRecordError, PlaceError
from khive_persist.place import Place, make_directory, write_private
from khive_persist.purpose_names import check, check_apart
from khive_persist.purposes import BUILT_IN, Purpose

FOLDER: Final = "purposes"


def remember(place: Place, added: Purpose) -> None:
    """Let the commands know a purpose, and its mirror describe itself: synced on return.

    Raises:
        InvalidRecordError: Its names are refused, as by `purposes.purpose`; or it differs from
            another purpose of the place only in case.
        InvalidSettingsError: config.toml is wrong.
        PlaceError: It cannot be written.
    """
    if added in BUILT_IN:
        return
    # A class can name one that was made without `purposes.purpose`.
    check(added, BUILT_IN)
    path = place.khive / FOLDER / f"{added.name}.json"
    content = definitions.to_bytes(added)
    try:
        if not (path.exists() and path.read_bytes() == content):
            for other in _readable(path.parent):
                check_apart(added, other)
            make_directory(path.parent)
            write_private(path, content)
        definitions.keep_beside_records(place, added)
    except PlaceError:
        raise
    except OSError as error:
        raise PlaceError(
            f"the definition of {added.name} cannot be written to {place.khive} ({error.strerror})"
        ) from error


def known_purposes(place: Place) -> tuple[Purpose, ...]:
    """The purposes of a place, the built-in ones first.

    Raises:
        InvalidRecordError: A file in `.khive/purposes/` is not one of ours.
    """
    paths = _paths(place.khive / FOLDER)
    return (*BUILT_IN, *(definitions.read(path) for path in paths))


def mirrored_purposes(place: Place) -> tuple[Purpose, ...]:
    """The purposes of a place, and after them those that only its mirror describes.

    Raises:
        InvalidRecordError: A file in `.khive/purposes/` is not one of ours.
    """
    known = known_purposes(place)
    return (*known, *definitions.in_folder(place.sessions, known))


def _paths(folder: Path) -> list[Path]:
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [folder / name for name in names if name.endswith(".json")]


def _readable(folder: Path) -> Iterator[Purpose]:
    """The definitions in a folder; one that cannot be read keeps no other kind from being saved."""
    for path in _paths(folder):
        with suppress(InvalidRecordError):
            yield definitions.read(path)
