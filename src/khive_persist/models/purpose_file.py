"""Write the definition of a user's own purpose as a small JSON file, and read it back.

One lies beside its records in `sessions/`, so that the mirror alone is enough to rebuild the
database. A file that is read here may have come with somebody else's folder.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from khive_persist import settings as configuration
from khive_persist.errors import InvalidRecordError
from khive_persist.files import read_regular
from khive_persist.models.purpose import check_apart
from khive_persist.models.purposes import Purpose, purpose
from khive_persist.project import Project, make_directory, write_private

SUFFIX: Final = ".purpose.json"
_MAX_BYTES: Final = 1 << 18


def to_bytes(described: Purpose) -> bytes:
    """Write a definition as JSON."""
    return json.dumps(described._asdict(), indent=2).encode() + b"\n"


def read(path: Path) -> Purpose:
    """Read the definition in a file.

    Raises:
        InvalidRecordError: It is no regular file, too large, or does not describe a purpose that
            `purposes.purpose` takes.
    """
    try:
        document = json.loads(read_regular(path, _MAX_BYTES))
        return purpose(
            document["name"],
            document["table"],
            view=document["view"],
            fields=tuple(document["fields"]),
            indexes=tuple(map(tuple, document["indexes"])),
            document=document["document"],
            is_stream=document["is_stream"] is True,
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidRecordError(
            f"{path} does not describe a purpose ({error})", hint="remove it: its program writes it"
        ) from error


def keep_beside_records(project: Project, described: Purpose) -> None:
    """Write a definition into `sessions/`, unless the purpose has no mirror: synced on return.

    Raises:
        InvalidSettingsError: config.toml is wrong.
        ProjectError: `sessions` is no folder.
        OSError: It cannot be written.
    """
    path = project.sessions / f"{described.name}{SUFFIX}"
    content = to_bytes(described)
    try:
        if read_regular(path, _MAX_BYTES) == content:
            return
    except OSError:
        pass
    if described.name not in configuration.load(project.config).mirror_off:
        make_directory(path.parent)
        write_private(path, content)


def in_folder(folder: Path, excluded: Iterable[Purpose], suffix: str = SUFFIX) -> list[Purpose]:
    """Return the purposes that files of a folder describe, by name.

    A file that describes none, or one that differs from another only in case, is left out.

    Args:
        folder: A `sessions/`, or with its suffix another folder of definitions.
        excluded: The purposes that are left out.
        suffix: The end of the files' names, after that of the purpose.
    """
    purposes = {described.name: described for described in excluded}
    count = len(purposes)
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(suffix))
    except OSError:
        return []
    for name in names:
        described = definition_in(folder / name, suffix)
        if described is not None and described.name not in purposes:
            try:
                for other in purposes.values():
                    check_apart(described, other)
            except InvalidRecordError:
                continue
            purposes[described.name] = described
    return list(purposes.values())[count:]


def definition_in(path: Path, suffix: str = SUFFIX) -> Purpose | None:
    """Return the definition in a file; None where it is none, or of another name than the file."""
    try:
        described = read(path)
    except InvalidRecordError:
        return None
    return described if path.name == f"{described.name}{suffix}" else None
