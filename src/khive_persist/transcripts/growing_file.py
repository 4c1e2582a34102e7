"""Read a file that grows from where it was left, if it still begins as it did."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, NamedTuple

from khive_persist import clock
from khive_persist.store import codec

_COMPARED_BYTES: Final = 4_096
_BUFFER_BYTES: Final = 1 << 20


class Position(NamedTuple):
    """The position up to which a file was read.

    Attributes:
        line: The number of lines read.
        end: The number of bytes read.
        head: A digest of its first bytes, of those that were read.
        tail: A digest of the last bytes that were read.
    """

    line: int = 0
    end: int = 0
    head: str = ""
    tail: str = ""


START: Final = Position()


class RawLine(NamedTuple):
    """One line, its number from 1, and the byte at which the next one starts.

    It is without NULs before it: a crash of the machine leaves them.
    """

    number: int
    end: int
    content: bytes


class GrowingFile:
    """A file that somebody else writes to: a `Source`."""

    def __init__(self, path: Path, position: Position) -> None:
        """Open the file at a known position, or at its beginning if it is another file now."""
        self._file: IO[bytes] = path.open("rb", _BUFFER_BYTES)
        try:
            self.is_known = (
                position.end > 0 and self.position(position.line, position.end) == position
            )
        except BaseException:
            self._file.close()
            raise
        self.is_rewritten = position.end > 0 and not self.is_known
        self.began_at = position if self.is_known else START

    def close(self) -> None:
        self._file.close()

    @property
    def size(self) -> int:
        """Return how many bytes the file has now."""
        return os.fstat(self._file.fileno()).st_size

    @property
    def modified_at(self) -> str:
        return clock.to_text(clock.from_ns(os.fstat(self._file.fileno()).st_mtime_ns))

    def lines(self) -> Iterator[RawLine]:
        """Yield the lines that are whole; one that is being written is left for the next time.

        The last one needs no newline: whatever is cut of a JSON object is none.
        """
        number, end, _, _ = self.began_at
        is_unended = end > 0 and os.pread(self._file.fileno(), 1, end - 1) != b"\n"
        self._file.seek(end)
        for line in self._file:
            end += len(line)
            if is_unended and line == b"\n":
                # The newline of the line that was read without it.
                is_unended = False
                continue
            content = line.lstrip(b"\0")
            if not line.endswith(b"\n") and not _is_object(content):
                return
            number, is_unended = number + 1, False
            yield RawLine(number, end, content)

    def position(self, line: int, end: int) -> Position:
        descriptor = self._file.fileno()
        head = os.pread(descriptor, min(end, _COMPARED_BYTES), 0)
        tail_start = max(0, end - _COMPARED_BYTES)
        tail = os.pread(descriptor, end - tail_start, tail_start)
        return Position(line, end, _digest(head), _digest(tail))


def _is_object(content: bytes) -> bool:
    return content.endswith(b"}") and isinstance(codec.column(content), dict)


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
