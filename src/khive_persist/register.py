"""The purposes of a place: the built-in ones, and those of the classes that were opened there.

A class of a user's own is known to his program only. What a command has to know of it lies in
`.khive/purposes/`, a file a purpose.
"""

import json
import os
from pathlib import Path
from typing import Final

from khive_persist.errors import InvalidRecordError, PlaceError
from khive_persist.place import Place, make_directory, write_private
from khive_persist.purposes import BUILT_IN, Purpose, purpose

FOLDER: Final = "purposes"


def remember(place: Place, added: Purpose) -> None:
    """Let the commands know a purpose: synced on return.

    Raises:
        PlaceError: It cannot be written.
    """
    if any(added.name == known.name for known in BUILT_IN):
        return
    path = place.khive / FOLDER / f"{added.name}.json"
    content = json.dumps(added._asdict(), indent=2).encode() + b"\n"
    try:
        if path.exists() and path.read_bytes() == content:
            return
        make_directory(path.parent)
        write_private(path, content)
    except OSError as error:
        raise PlaceError(f"{path} cannot be written ({error.strerror})") from error


def known_purposes(place: Place) -> tuple[Purpose, ...]:
    """The purposes of a place, the built-in ones first.

    Raises:
        InvalidRecordError: A file in `.khive/purposes/` is not one of ours.
    """
    try:
        names = sorted(os.listdir(place.khive / FOLDER))
    except (FileNotFoundError, NotADirectoryError):
        return BUILT_IN
    own = [_read(place.khive / FOLDER / name) for name in names if name.endswith(".json")]
    built_in = {known.name for known in BUILT_IN}
    return (*BUILT_IN, *(known for known in own if known.name not in built_in))


def _read(path: Path) -> Purpose:
    try:
        found = json.loads(path.read_bytes())
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
