"""The range of recorded numbers that can be counted with."""

from math import isfinite
from typing import Final

# Fourth powers of what lies between stay within the range of floats.
SMALLEST: Final = 1e-70
LARGEST: Final = 1e70


def is_countable(value: float) -> bool:
    """Return whether sums, powers and quotients of such numbers stay numbers."""
    return isfinite(value) and (not value or SMALLEST <= abs(value) <= LARGEST)
