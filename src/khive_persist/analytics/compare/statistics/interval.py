"""An interval of confidence."""

from typing import Final, NamedTuple

LEVEL: Final = 0.95


class Interval(NamedTuple):
    """The ends of an interval that covers the true value in `level` of all samples."""

    low: float
    high: float
    level: float = LEVEL
