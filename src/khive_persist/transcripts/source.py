"""Read the forms in which tools keep a transcript, each line by line."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Protocol

from khive_persist import clock
from khive_persist.store import codec
from khive_persist.tools import packed_lines
from khive_persist.tools.transcript_files import COMPRESSED, DATABASE, DOCUMENT, in_database
from khive_persist.transcripts.growing_file import START, GrowingFile, Position, RawLine
from khive_persist.transcripts.session_rows import SessionRows, refuse_database, session_modified_at

# In the tail of a position: all was read of a file that is not written to in parts.
_ENDED: Final = "ended"


class Source(Protocol):
    """A transcript that is read from where it was left.

    Attributes:
        is_known: Whether it still begins as what was read of it.
        is_rewritten: Whether what was read of it is there no more.
        began_at: The position where reading starts.
    """

    is_known: bool
    is_rewritten: bool
    began_at: Position

    @property
    def modified_at(self) -> str:
        """Return when the file was written to last, as UTC text."""

    def lines(self) -> Iterator[RawLine]:
        """Yield the new lines."""

    def position(self, line: int, end: int) -> Position:
        """Return the position after so many lines and bytes."""

    def close(self) -> None:
        """Close the file."""


def opened(path: Path, position: Position) -> Source:
    """Open a transcript at a known position, whatever its form."""
    if (place := in_database(path)) is not None:
        return SessionRows(place, position)
    if path.name.endswith(COMPRESSED):
        return CompressedFile(path, position)
    return Document(path, position) if path.suffix == DOCUMENT else GrowingFile(path, position)


def modified_at(path: Path) -> str:
    """Return when a transcript was last written to, as UTC text.

    Raises:
        OSError: It cannot be read.
        StoreError: The database that it is in cannot be read.
    """
    if (place := in_database(path)) is not None:
        return session_modified_at(place)
    if path.suffix == DATABASE:
        refuse_database(path)
    with path.open("rb") as file:
        return clock.to_text(clock.from_ns(os.fstat(file.fileno()).st_mtime_ns))


class _Whole:
    """A file that is written at once: it is known as long as nobody wrote it again."""

    def __init__(self, path: Path, position: Position) -> None:
        self._file = path.open("rb")
        status = os.fstat(self._file.fileno())
        self._mark = f"{status.st_size} {status.st_mtime_ns}"
        self._is_at_end = False
        self.modified_at = clock.to_text(clock.from_ns(status.st_mtime_ns))
        self.is_known = position.end > 0 and position.head == self._mark
        self.is_rewritten = False
        self.began_at = position if self.is_known else START

    def position(self, line: int, end: int) -> Position:
        return Position(line, end, self._mark, _ENDED if self._is_at_end else "")

    def close(self) -> None:
        self._file.close()


class CompressedFile(_Whole):
    """Lines that the tool has compressed, as Codex does with rollouts that are over."""

    def lines(self) -> Iterator[RawLine]:
        """Yield the new lines; where the file is damaged, the last one says that instead."""
        if self.began_at.tail == _ENDED:
            return
        number, known_end = self.began_at.line, self.began_at.end
        end = 0
        with closing(packed_lines.lines(self._file)) as lines:
            for line in lines:
                end += len(line)
                if end > known_end:
                    number += 1
                    yield RawLine(number, end, line.lstrip(b"\0"))
        self._is_at_end = True


class Document(_Whole):
    """A session as one JSON document with its messages, as earlier versions of Gemini CLI wrote it.

    It is rewritten as a whole, and so read: the first line is the document without its messages,
    and each message one more.
    """

    def lines(self) -> Iterator[RawLine]:
        """Yield the document as lines, if it was written since."""
        if self.began_at.tail == _ENDED:
            return
        content = self._file.read()
        document: Any = codec.column(content)
        messages = document.get("messages") if isinstance(document, dict) else None
        if not isinstance(messages, list):
            self._is_at_end = True
            if content:
                yield RawLine(1, len(content), content)
            return
        header = {name: value for name, value in document.items() if name != "messages"}
        for number, record in enumerate([header, *messages], 1):
            self._is_at_end = number > len(messages)
            end = len(content) if self._is_at_end else number
            yield RawLine(number, end, codec.dump_lossy(record).encode())
