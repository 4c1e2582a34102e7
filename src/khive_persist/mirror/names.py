"""How files of the mirror are called: what they hold, its day, and the beginning of its id."""

import hashlib
import re
from functools import lru_cache
from typing import Final

from khive_persist import clock
from khive_persist.models.purposes import Purpose

# Held while a name is given; it grows by a byte with each new stream.
LOCK: Final = ".names.lock"
_SHORT: Final = 8
_LONGEST: Final = 100
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")
_FRONT: Final = re.compile(r"[A-Za-z_]\w*_\d{4}_\d\d_\d\d\Z", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z_]\w*_\d{4}_\d\d_\d\d_[\w-]+\.(?P<kind>jsonl?)\Z", re.ASCII)
_REST: Final = re.compile(r"(?P<day>\d{4}_\d\d_\d\d)_(?P<ending>[\w-]+)\Z", re.ASCII)


def day(created_at: object) -> str:
    """The day in UTC as `YYYY_MM_DD`; that of the Unix epoch where it cannot be read."""
    instant = clock.from_column(created_at) or clock.unreadable()
    # strftime takes ten times as long.
    return f"{instant.year:04}_{instant.month:02}_{instant.day:02}"


def short(id: str) -> str:
    """The best of `endings`."""
    beginning = id[:_SHORT]
    return beginning if _PLAIN.match(beginning) else _hashed(id)[:_SHORT]


@lru_cache
def endings(id: str, purpose: str) -> tuple[str, ...]:
    """What a file's name may end with, the best first: the others are for where it is taken.

    The first 8 characters of the id; all of it; a hash that no other id ends with. Where they
    cannot stand in a file's name, those of its SHA-256.
    """
    plain = id
    if len(id) > _LONGEST or not _PLAIN.match(id):
        plain = _hashed(id)
    # No id begins so: all of an id is never what another one is left with.
    return tuple(dict.fromkeys((short(id), plain, f"_{_hashed(f'{purpose} {id}')}")))


def is_stream(name: str) -> bool | None:
    """Whether a file is a stream, by its name; None for no name of ours."""
    found = _NAME.match(name)
    return found["kind"] == "jsonl" if found else None


def packed(name: str) -> str:
    """What the packed lines of a stream are called."""
    return f"{name}.gz"


def stream_of(name: str) -> str:
    """The stream whose packed lines a file has; for another file its own name."""
    stream = name.removesuffix(".gz")
    return stream if stream != name and is_stream(stream) else name


def split(name: str, purpose: Purpose) -> tuple[str, str] | None:
    """The day and the ending in a name that files of this purpose have; None for another name.

    Only who knows what it begins with can tell: an id may hold a date, too.
    """
    begin, end = f"{purpose.document}_", ".jsonl" if purpose.is_stream else ".json"
    if not name.startswith(begin) or not name.endswith(end):
        return None
    found = _REST.match(name[len(begin) : -len(end)])
    return (found["day"], found["ending"]) if found else None


def fits(name: str, endings: tuple[str, ...], day: str = "") -> bool:
    """Whether a file has one of the names that its record may have, of this day or of any."""
    stem = name.rpartition(".")[0]
    for ending in endings:
        front = stem.removesuffix(f"_{ending}")
        if front != stem and (front.endswith(f"_{day}") if day else _FRONT.match(front)):
            return True
    return False


def unfinished(name: str, purpose: Purpose) -> str:
    """What a file is called while it is written."""
    return f".{name}.{purpose.name}.tmp"


def is_unfinished(name: str, purpose: Purpose) -> bool:
    """Whether a file is one that the purpose's writer has not finished."""
    stem = name.removesuffix(f".{purpose.name}.tmp")
    return name[:1] == "." and stem != name and split(stream_of(stem[1:]), purpose) is not None


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
