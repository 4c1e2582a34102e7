"""What lies in the mirror: each record of it, and what is no record."""

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from khive_persist.errors import InvalidRecordError
from khive_persist.mirror import names
from khive_persist.mirror.document import to_row
from khive_persist.mirror.streams import session_in
from khive_persist.place import PRIVATE_FILE
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow

NOT_OURS = "not a file of the mirror, left alone"
TORN = "torn: its last line has no end"


class Copy(NamedTuple):
    """One record as the mirror has it, or something in the mirror that is none.

    Attributes:
        file: The name of the file.
        line: The line in it, from 1; 0 where the file is one document.
        purpose: The name of its purpose.
        id: The record's id.
        row: The record; None where the line says that it was deleted.
        problem: Why there is no record here, or an empty string.
        end: Where the next line begins, in bytes.
    """

    file: str
    line: int
    purpose: str = ""
    id: str = ""
    row: StoredRow | None = None
    problem: str = ""
    end: int = 0


class Mark(NamedTuple):
    """Up to where a stream was read: as it only grows, it can be gone on with from there."""

    line: int = 0
    end: int = 0


START = Mark()


def files(folder: Path) -> list[str]:
    """The names of the files in `sessions/`, in order; hidden ones are unfinished or locks."""
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except FileNotFoundError:
        return []


def unfinished(folder: Path) -> list[str]:
    """The names of files that are being written, or never were to the end."""
    try:
        return [name for name in os.listdir(folder) if name[0] == "." and name.endswith(".tmp")]
    except FileNotFoundError:
        return []


def read(folder: Path, file: str, mark: Mark = START) -> Iterator[Copy]:
    """The records of one file, in order, from a mark on; of several with one id the last counts."""
    path = folder / file
    named = names.parse(file)
    if named is None or path.is_symlink() or not path.is_file():
        yield Copy(file, 0, problem=NOT_OURS)
        return
    try:
        yield from _stream(path, mark) if named[1] else _document(path)
    except OSError as error:
        yield Copy(file, 0, problem=f"cannot be read ({error.strerror})")


def _document(path: Path) -> Iterator[Copy]:
    yield _copy(path.name, 0, path.read_bytes(), is_stream=False)


def _stream(path: Path, mark: Mark) -> Iterator[Copy]:
    end = mark.end
    with path.open("rb") as opened:
        opened.seek(end)
        for number, line in enumerate(opened, mark.line + 1):
            if not line.endswith(b"\n"):
                yield Copy(path.name, number, problem=TORN, end=end)
            else:
                end += len(line)
                yield _copy(path.name, number, line, is_stream=True)._replace(end=end)


def _copy(file: str, line: int, content: bytes, *, is_stream: bool) -> Copy:
    try:
        document = codec.load(content)
    except ValueError as error:
        return Copy(file, line, problem=f"damaged: no JSON ({error})")
    if isinstance(document, dict) and document.get("deleted") is True:
        return Copy(file, line, str(document.get("purpose")), str(document.get("id")))
    try:
        purpose, row = to_row(document)
    except InvalidRecordError as error:
        return Copy(file, line, problem=f"damaged: {error}")
    key = session_in(document) if is_stream else row[0]
    if names.ending(file) not in _endings(key, purpose):
        # A person copied or renamed it: it is no second copy of ours.
        return Copy(file, line, purpose, row[0], problem=NOT_OURS)
    return Copy(file, line, purpose, row[0], row)


_endings = lru_cache(names.endings)


def sound_lines(path: Path) -> Iterator[bytes]:
    """The lines of a stream that say something."""
    with path.open("rb") as opened:
        for number, line in enumerate(opened, 1):
            if line.endswith(b"\n") and not _copy(path.name, number, line, is_stream=True).problem:
                yield line


def rewrite(path: Path, lines: Iterator[bytes]) -> None:
    """Put lines in the place of a stream, as a whole: synced, but for its name."""
    temporary = path.with_name(f".{path.name}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    descriptor = os.open(temporary, flags, PRIVATE_FILE)
    try:
        with open(descriptor, "wb", closefd=False) as written:
            written.writelines(lines)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)
