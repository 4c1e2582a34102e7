"""Progress callbacks, called with the number of bytes done since the last call."""

from collections.abc import Callable

Progress = Callable[[int], None]


def silent(_bytes: int) -> None:
    """Ignore the progress."""
