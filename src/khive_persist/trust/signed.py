"""Write and read JSON files of a `.khive` that are obeyed: each has a MAC of this user's."""

import json
from pathlib import Path
from typing import Any, Final

from khive_persist.files import read_regular
from khive_persist.trust import macs

_MAC: Final = "mac"
# A tombstone for each session that was ever purged is the most.
_MOST_BYTES: Final = 64 << 20


def dump(khive: Path, purpose: str, document: dict[str, Any]) -> bytes:
    """Return the bytes of a file, with its MAC among its keys.

    Args:
        khive: The `.khive` that it lies in.
        purpose: The kind of file.
        document: The content.

    Raises:
        ProjectError: The key cannot be read or made.
    """
    signed = document | {_MAC: macs.mac(khive, purpose, _canonical(document))}
    return json.dumps(signed, indent=2).encode() + b"\n"


def read(path: Path) -> dict[str, Any]:
    """Return the document of a file, believed or not.

    Raises:
        OSError: It is missing, a link, no regular file, or cannot be read.
        ValueError: It is no JSON object.
    """
    try:
        document = json.loads(read_regular(path, _MOST_BYTES))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(document, dict):
        raise ValueError("it is no object")  # noqa: TRY004 - of the file, as json says it
    return document


def is_believed(khive: Path, purpose: str, path: Path) -> bool:
    """Return whether this user's programs wrote a file."""
    try:
        document = read(path)
        mac = document.pop(_MAC, None)
        return macs.is_ours(khive, purpose, _canonical(document), mac)
    except (OSError, ValueError):
        return False


def _canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True).encode()
