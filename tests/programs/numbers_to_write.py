"""The numbers that a writing program may go through, as stdin allows more."""

import sys
from collections.abc import Iterator


def numbers() -> Iterator[int]:
    last = 0
    for line in sys.stdin:
        yield from range(last + 1, last + 1 + int(line))
        last += int(line)
