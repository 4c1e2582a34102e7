"""Write a value as text on one line, which no terminal takes for an instruction."""

from datetime import datetime
from typing import Any, Final

from khive_persist.store import codec

CELL_CHARACTERS: Final = 400


def cell(value: Any, limit: int | None = CELL_CHARACTERS) -> str:
    """Return a value on one line, with what could move a terminal's cursor made visible."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        text = f"{value:.10g}"
    elif isinstance(value, (list, dict)):
        text = codec.dump_lossy(value)
    else:
        text = str(value)
    text = text if limit is None else text[:limit]
    return "".join(c if c.isprintable() else _visible(c) for c in text)


def _visible(character: str) -> str:
    return character.encode("unicode_escape").decode()
