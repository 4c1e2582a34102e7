"""Reading a file that grows: from where it was left, if it still begins as it did."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, NamedTuple

_COMPARED_BYTES: Final = 4_096
_BUFFER_BYTES: Final = 1 << 20


class Position(NamedTuple):
    """Up to where a file was read.

    Attributes:
        line: How many lines that were.
        end: How many bytes.
        head: A digest of its first bytes, of those that were read.
        tail: A digest of the last bytes that were read.
    """

    line: int = 0
    end: int = 0
    head: str = ""
    tail: str = ""


START: Final = Position()


class RawLine(NamedTuple):
    """One line, with its end.

    Attributes:
        number: From 1.
        end: Where the next begins, in bytes.
        content: The line, without NULs before it: a crash of the machine leaves them.
    """

    number: int
    end: int
    content: bytes


class GrowingFile:
    """A file that somebody else writes to."""

    def __init__(self, path: Path, known: Position) -> None:
        """Open it at the known position, or at its beginning if it is another file now.

        Raises:
            OSError: It cannot be read.
        """
        self._file: IO[bytes] = path.open("rb", _BUFFER_BYTES)
        try:
            self.is_known = known.end > 0 and self.position(known.line, known.end) == known
        except BaseException:
            self._file.close()
            raise
        self.began_at = known if self.is_known else START

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def size(self) -> int:
        """How many bytes it has now."""
        return os.fstat(self._file.fileno()).st_size

    def lines(self) -> Iterator[RawLine]:
        """The lines that are whole; one that is being written is left for the next time."""
        number, end, _, _ = self.began_at
        self._file.seek(end)
        for line in self._file:
            if not line.endswith(b"\n"):
                return
            number, end = number + 1, end + len(line)
            yield RawLine(number, end, line.lstrip(b"\0"))

    def position(self, line: int, end: int) -> Position:
        """The position after so many lines and bytes."""
        descriptor = self._file.fileno()
        head = os.pread(descriptor, min(end, _COMPARED_BYTES), 0)
        begin = max(0, end - _COMPARED_BYTES)
        tail = os.pread(descriptor, end - begin, begin)
        return Position(line, end, _digest(head), _digest(tail))


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
