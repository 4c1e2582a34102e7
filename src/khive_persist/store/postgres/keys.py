"""Values as the keys of `khive.key`, by which PostgreSQL compares and sorts as SQLite does."""

import math
import struct
from typing import Final

from khive_persist.models.query import Value

_SIGN: Final = 1 << 63
_ALL: Final = (1 << 64) - 1
# Up to here each whole number is a double; beyond 64 bits SQLite takes each for one.
_EXACT: Final = 2**53
_LONG: Final = 2**63
_LARGEST: Final = 1.7976931348623157e308


def key_of(value: Value) -> str:
    """Return the key of a text or a number; true and false are 1 and 0."""
    if isinstance(value, str):
        # No text of PostgreSQL holds it: see `documents`.
        return "2" + value.replace("\0", "�")
    assert isinstance(value, int | float)
    nearest = float(value) if abs(value) <= _LARGEST else math.copysign(math.inf, value)
    distance = int(value) - int(nearest) if abs(value) >= _EXACT and -_LONG <= value < _LONG else 0
    (bits,) = struct.unpack(">Q", struct.pack(">d", nearest + 0.0))
    turned = bits ^ _ALL if bits & _SIGN else bits | _SIGN
    return f"1{turned:016x}{distance + 32768:04x}"
