"""Names of the mirror's files: the document, its day, and the beginning of its id."""

import hashlib
import re
from functools import lru_cache
from typing import Final

from khive_persist import clock
from khive_persist.models.purposes import Purpose

# Held while a name is given; it grows by a byte with each new stream.
LOCK: Final = ".names.lock"
_SHORT_LENGTH: Final = 8
_MAX_PLAIN_LENGTH: Final = 100
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")
_FRONT: Final = re.compile(r"[A-Za-z_]\w*_\d{4}_\d\d_\d\d\Z", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z_]\w*_\d{4}_\d\d_\d\d_[\w-]+\.(?P<kind>jsonl?)\Z", re.ASCII)
_DAY_AND_ENDING: Final = re.compile(r"(?P<day>\d{4}_\d\d_\d\d)_(?P<ending>[\w-]+)\Z", re.ASCII)


def day(created_at: object) -> str:
    """Return the UTC day as `YYYY_MM_DD`; that of the Unix epoch where it cannot be read."""
    instant = clock.from_column(created_at) or clock.unreadable()
    # strftime takes ten times as long.
    return f"{instant.year:04}_{instant.month:02}_{instant.day:02}"


def short(id: str) -> str:
    """Return the preferred one of `endings`."""
    beginning = id[:_SHORT_LENGTH]
    return beginning if _PLAIN.match(beginning) else _hashed(id)[:_SHORT_LENGTH]


@lru_cache
def endings(id: str, purpose: str) -> tuple[str, ...]:
    """Return the endings that a file's name may have, in the order in which they are tried.

    The first 8 characters of the id; all of it; a hash that no other id ends with. Where they
    cannot stand in a file's name, those of its SHA-256.
    """
    plain = id
    if len(id) > _MAX_PLAIN_LENGTH or not _PLAIN.match(id):
        plain = _hashed(id)
    # No id begins so: all of an id is never what another one is left with.
    return tuple(dict.fromkeys((short(id), plain, f"_{_hashed(f'{purpose} {id}')}")))


def is_stream(name: str) -> bool | None:
    """Return whether a name is that of a stream; None for no name of the mirror."""
    match = _NAME.match(name)
    return match["kind"] == "jsonl" if match else None


def stream_of(name: str) -> str:
    """Return the stream whose packed lines a file has; for another file its own name."""
    stream = name.removesuffix(".gz")
    return stream if stream != name and is_stream(stream) else name


def split(name: str, purpose: Purpose) -> tuple[str, str] | None:
    """Return the day and the ending in a name of this purpose's files; None for another name.

    Only the purpose's own prefix decides: an id may hold a date, too.
    """
    prefix, suffix = f"{purpose.document}_", ".jsonl" if purpose.is_stream else ".json"
    if not name.startswith(prefix) or not name.endswith(suffix):
        return None
    match = _DAY_AND_ENDING.match(name[len(prefix) : -len(suffix)])
    return (match["day"], match["ending"]) if match else None


def fits(name: str, endings: tuple[str, ...], day: str = "") -> bool:
    """Return whether a file has one of the names of its record, of this day or of any."""
    stem = name.rpartition(".")[0]
    for ending in endings:
        front = stem.removesuffix(f"_{ending}")
        if front != stem and (front.endswith(f"_{day}") if day else _FRONT.match(front)):
            return True
    return False


def unfinished(name: str, purpose: Purpose) -> str:
    """Return the name of a file while it is written."""
    return f".{name}.{purpose.name}.tmp"


def is_unfinished(name: str, purpose: Purpose) -> bool:
    """Return whether a file is one that the purpose's writer has not finished."""
    stem = name.removesuffix(f".{purpose.name}.tmp")
    return name[:1] == "." and stem != name and split(stream_of(stem[1:]), purpose) is not None


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
