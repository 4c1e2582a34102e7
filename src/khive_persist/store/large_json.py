"""Large JSON documents of a column that stand in an answer as they are, without being read.

To make values of some megabytes holds Python's lock for a third of a second, and for as long nobody
else is answered. SQLite looks whether they are JSON, and holds no lock of Python's meanwhile.
"""

import sqlite3
from contextlib import closing
from typing import Any, Final

from khive_persist.store import codec
from khive_persist.store.json_values import Raw

LARGE_CHARACTERS: Final = 65_536
_STEP: Final = 65_536
# What `codec.dump_lossy` writes otherwise than it is spelled, after `_TO_SEEK`: a control code, an
# escape of what may be half a pair, a number that may be beyond a float.
_ODD: Final = (b"\n", rb"\ud", b"e000", b"e+000", b"0" * 309)
_OVERLAP: Final = 310
_TO_SEEK: Final = bytes.maketrans(b"123456789ED" + bytes(range(32)), b"000000000ed" + b"\n" * 32)


def shown_column(text: Any) -> Any:
    """Return what `codec.dump_lossy` writes of a column: its value, or of a large one its text."""
    if isinstance(text, str) and len(text) > LARGE_CHARACTERS and _stands_as_it_is(text):
        return Raw(text)
    return codec.column(text)


def _stands_as_it_is(text: str) -> bool:
    try:
        return not _is_odd(text) and _is_json(text)
    except UnicodeEncodeError:
        return False


def _is_odd(text: str) -> bool:
    # In steps: who waits for Python's lock gets it between them.
    for start in range(0, len(text), _STEP):
        step = text[start : start + _STEP + _OVERLAP].encode().translate(_TO_SEEK)
        if any(odd in step for odd in _ODD):
            return True
    return False


def _is_json(text: str) -> bool:
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            (is_valid,) = connection.execute("SELECT json_valid(?)", (text,)).fetchone()
        except sqlite3.Error:
            return False
    return bool(is_valid)
