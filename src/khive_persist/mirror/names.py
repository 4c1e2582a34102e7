"""How files of the mirror are called: what they hold, its day, and the beginning of its id."""

import hashlib
import re
from typing import Final

from khive_persist import clock

_SHORT: Final = 8
_LONGEST: Final = 100
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")
_NAME: Final = re.compile(
    r"(?P<document>[A-Za-z_]\w*)_\d{4}_\d\d_\d\d_(?P<ending>[\w-]+)\.(?P<kind>jsonl?)\Z", re.ASCII
)


def day(created_at: object) -> str:
    """The day in UTC as `YYYY_MM_DD`; that of the Unix epoch where it cannot be read."""
    instant = clock.from_column(created_at) or clock.unreadable()
    return instant.strftime("%Y_%m_%d").rjust(10, "0")


def endings(id: str, purpose: str) -> tuple[str, ...]:
    """What a file's name may end with, the best first: the others are for where it is taken.

    The first 8 characters of the id; all of it; all of it and the purpose. Where they cannot stand
    in a file's name, those of its SHA-256.
    """
    plain = id
    if len(id) > _LONGEST or not _PLAIN.match(id):
        plain = hashlib.sha256(id.encode("utf-8", "surrogatepass")).hexdigest()
    beginning = id[:_SHORT] if _PLAIN.match(id[:_SHORT]) else plain[:_SHORT]
    return beginning, plain, f"{plain}-{purpose}"


def ending(name: str) -> str:
    """What stands after the day in a file's name."""
    found = _NAME.match(name)
    return found["ending"] if found else ""


def parse(name: str) -> tuple[str, bool] | None:
    """What a file's name begins with, and whether it is a stream; None for no name of ours."""
    found = _NAME.match(name)
    return (found["document"], found["kind"] == "jsonl") if found else None
