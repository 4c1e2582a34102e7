"""What lies in the mirror: each record of it, and what is no record."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from khive_persist.definitions import SUFFIX, definition_in
from khive_persist.errors import InvalidRecordError, MirrorError
from khive_persist.mirror import names
from khive_persist.mirror.document import to_row
from khive_persist.mirror.streams import session_in
from khive_persist.place import PRIVATE_FILE
from khive_persist.purposes import Purpose
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
        end: Where the next line begins, in bytes; that of this one, where it has no end.
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
    """The names of the files in `sessions/`, in order; hidden ones are unfinished or locks.

    Raises:
        MirrorError: It is no folder.
    """
    try:
        mode = os.lstat(folder).st_mode
    except FileNotFoundError:
        return []
    if not stat.S_ISDIR(mode):
        kind = "a symbolic link" if stat.S_ISLNK(mode) else "not a directory"
        raise MirrorError(f"{folder} is {kind}", hint="move it away")
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


def unfinished(folder: Path, purpose: Purpose) -> list[str]:
    """The names of files that are being written, or never were to the end."""
    try:
        return [name for name in os.listdir(folder) if names.is_unfinished(name, purpose)]
    except FileNotFoundError:
        return []


def read(folder: Path, file: str, mark: Mark = START) -> Iterator[Copy]:
    """The records of one file, in order, from a mark on; of several with one id the last counts.

    A file that is gone has none.
    """
    path = folder / file
    is_stream = names.is_stream(file)
    try:
        if file.endswith(SUFFIX) and definition_in(path) is not None:
            return
        if is_stream is None or not _is_file(path):
            yield Copy(file, 0, problem=NOT_OURS)
        elif is_stream:
            yield from _stream(path, mark)
        else:
            yield _copy(file, 0, path.read_bytes(), is_stream=False)
    except FileNotFoundError:
        return
    except OSError as error:
        yield Copy(file, 0, problem=f"cannot be read ({error.strerror})")


def _stream(path: Path, mark: Mark) -> Iterator[Copy]:
    end = mark.end
    with path.open("rb") as opened:
        opened.seek(end)
        for number, line in enumerate(opened, mark.line + 1):
            if line.endswith(b"\n"):
                end += len(line)
                yield _copy(path.name, number, line, is_stream=True)._replace(end=end)
            else:
                copy = _copy(path.name, number, line, is_stream=True)._replace(end=end)
                # Half of a line is no JSON; a whole one has lost its end to an editor.
                yield Copy(path.name, number, problem=TORN, end=end) if copy.problem else copy


def _copy(file: str, line: int, content: bytes, *, is_stream: bool) -> Copy:
    try:
        document = codec.load(content)
        if is_stream and isinstance(document, dict) and document.get("deleted") is True:
            purpose, row = to_row(document)
            return Copy(file, line, purpose, row[0])
        purpose, row = to_row(document)
    except InvalidRecordError as error:
        return Copy(file, line, problem=f"damaged: {error}")
    except ValueError as error:
        return Copy(file, line, problem=f"damaged: no JSON ({error})")
    if not _is_its_file(file, document, purpose, row, is_stream=is_stream):
        # A person copied or renamed it: it is no second copy of ours.
        return Copy(file, line, purpose, row[0], problem=NOT_OURS)
    return Copy(file, line, purpose, row[0], row)


def _is_its_file(
    file: str, document: Any, purpose: str, row: StoredRow, *, is_stream: bool
) -> bool:
    if is_stream:
        return names.fits(file, names.endings(session_in(document), purpose))
    return names.fits(file, names.endings(row[0], purpose), names.day(row[3]))


def deletions(folder: Path, file: str, mark: Mark = START) -> dict[str, int]:
    """The ids that a stream says were deleted, and the last line of each that says so."""
    found: dict[str, int] = {}
    path = folder / file
    # What cannot be read is told by `read`.
    with suppress(OSError):
        if _is_file(path):
            with path.open("rb") as opened:
                opened.seek(mark.end)
                for number, line in enumerate(opened, mark.line + 1):
                    if b'"deleted":true' in line:
                        copy = _copy(file, number, line, is_stream=True)
                        if not copy.problem and copy.row is None:
                            found[copy.id] = number
    return found


def _is_file(path: Path) -> bool:
    return stat.S_ISREG(os.lstat(path).st_mode)


def is_damaged(copy: Copy) -> bool:
    """Whether there was a record, or a part of one, which cannot be read."""
    return copy.problem not in ("", NOT_OURS)


def sound_lines(path: Path) -> Iterator[bytes]:
    """The lines of a stream that can be read."""
    with path.open("rb") as opened:
        for number, line in enumerate(opened, 1):
            if not is_damaged(_copy(path.name, number, line, is_stream=True)):
                yield line if line.endswith(b"\n") else line + b"\n"


def write_beside(path: Path, lines: Iterator[bytes], purpose: Purpose) -> Path:
    """Write lines to the file that a stream becomes by renaming it: synced."""
    temporary = path.with_name(names.unfinished(path.name, purpose))
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    descriptor = os.open(temporary, flags, PRIVATE_FILE)
    try:
        os.fchmod(descriptor, PRIVATE_FILE)
        with open(descriptor, "wb", closefd=False) as written:
            written.writelines(lines)
        os.fsync(descriptor)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    return temporary
