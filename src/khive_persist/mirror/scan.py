"""The content of the mirror: each record of it, and what is no record."""

import gzip
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from khive_persist.errors import InvalidRecordError, MirrorError
from khive_persist.mirror import names, packed_streams
from khive_persist.mirror.document import to_row
from khive_persist.mirror.stream_file import session_in
from khive_persist.models.purpose_file import SUFFIX, definition_in
from khive_persist.models.purposes import Purpose
from khive_persist.project import PRIVATE_FILE
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow

NOT_OURS = "not a file of the mirror, left alone"
TORN = "torn: its last line has no end"
# Higher ones take twice the time for a fiftieth of the size.
_LEVEL: Final = 6


class Copy(NamedTuple):
    """One record as the mirror has it, or something in the mirror that is none.

    Attributes:
        file: The name of the file.
        line: The line in it, from 1; 0 where the file is one document.
        purpose: The name of its purpose.
        id: The record's id.
        row: The record; None where the line says that it was deleted.
        problem: The reason why there is no record here, or an empty string.
        end: The offset of a stream's next line in its plain file, in bytes, 0 for lines that
            are packed; None where the line has no end.
    """

    file: str
    line: int
    purpose: str = ""
    id: str = ""
    row: StoredRow | None = None
    problem: str = ""
    end: int | None = None


class ReadOffset(NamedTuple):
    """The position up to which a stream was read. As it only grows, reading continues from there.

    Its packed lines are read all at once: what follows a mark stands in its plain file.
    """

    line: int = 0
    end: int = 0

    def after(self, copy: Copy) -> "ReadOffset":
        """Return the offset behind a line; this one where the line has no end."""
        return self if copy.end is None else ReadOffset(copy.line, copy.end)


START = ReadOffset()


def is_folder(folder: Path) -> bool:
    """Return whether `sessions/` is there, as a folder of its own and not a link."""
    try:
        return stat.S_ISDIR(os.lstat(folder).st_mode)
    except FileNotFoundError:
        return False


def files(folder: Path) -> list[str]:
    """Return the names of the files in `sessions/`, in order; hidden ones are unfinished or locks.

    A stream has one name, that of its plain file, also where its lines are packed.

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
    visible = (name for name in os.listdir(folder) if not name.startswith("."))
    return sorted({names.stream_of(name) for name in visible})


def unfinished(folder: Path, purpose: Purpose) -> list[str]:
    """Return the names of files that are being written, or were never finished."""
    try:
        return [name for name in os.listdir(folder) if names.is_unfinished(name, purpose)]
    except FileNotFoundError:
        return []


def read(folder: Path, file: str, mark: ReadOffset = START) -> Iterator[Copy]:
    """Yield the records of one file from an offset on; of several with one id the last counts.

    A file that is gone has none.
    """
    path = folder / file
    is_stream = names.is_stream(file)
    try:
        if file.endswith(SUFFIX) and definition_in(path) is not None:
            return
        if is_stream:
            for form in packed_streams.present(path):
                if not packed_streams.is_file(form):
                    yield Copy(form.name, 0, problem=NOT_OURS)
            for copy, _ in stream(path, mark):
                yield copy
        elif is_stream is None or not _is_file(path):
            yield Copy(file, 0, problem=NOT_OURS)
        else:
            yield _copy(file, 0, path.read_bytes(), is_stream=False)
    except FileNotFoundError:
        return
    except OSError as error:
        yield Copy(file, 0, problem=f"cannot be read ({error.strerror})")


def stream(path: Path, mark: ReadOffset = START) -> Iterator[tuple[Copy, bytes]]:
    """Yield the lines of a stream from an offset on, each parsed and as its bytes.

    Raises:
        FileNotFoundError: It is gone.
        OSError: It cannot be read.
    """
    file = path.name
    for number, line in enumerate(
        packed_streams.lines(path, mark.end if mark.line else None), mark.line + 1
    ):
        if line.problem:
            packed = packed_streams.packed_path(path).name
            yield Copy(file, number, problem=f"damaged: {packed}: {line.problem}", end=0), b""
        elif line.content.endswith(b"\n"):
            copy = _copy(file, number, line.content, is_stream=True)
            yield copy._replace(end=line.end), line.content
        else:
            copy = _copy(file, number, line.content, is_stream=True)
            # Half of a line is no JSON; a whole one has lost its end to an editor.
            yield Copy(file, number, problem=TORN) if copy.problem else copy, line.content


def _copy(file: str, line: int, content: bytes, *, is_stream: bool) -> Copy:
    try:
        document = codec.load(content)
        purpose, row = to_row(document)
    except InvalidRecordError as error:
        return Copy(file, line, problem=f"damaged: {error}")
    except ValueError as error:
        return Copy(file, line, problem=f"damaged: no JSON ({error})")
    if is_stream and document.get("deleted") is True:
        return Copy(file, line, purpose, row[0])
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


def deletions(folder: Path, file: str, mark: ReadOffset = START) -> dict[str, int]:
    """Return the ids that a stream says were deleted, and the last line of each that says so."""
    lines_by_id: dict[str, int] = {}
    path = folder / file
    # What cannot be read is told by `read`.
    with suppress(OSError):
        offset = mark.end if mark.line else None
        for number, line in enumerate(packed_streams.lines(path, offset), mark.line + 1):
            if b'"deleted":true' in line.content:
                copy = _copy(file, number, line.content, is_stream=True)
                if not copy.problem and copy.row is None:
                    lines_by_id[copy.id] = number
    return lines_by_id


def _is_file(path: Path) -> bool:
    return stat.S_ISREG(os.lstat(path).st_mode)


def is_damaged(copy: Copy) -> bool:
    """Return whether there was a record, or a part of one, which cannot be read."""
    return copy.problem not in ("", NOT_OURS)


def readable_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a stream that can be read."""
    for copy, line in stream(path):
        if not is_damaged(copy):
            yield line if line.endswith(b"\n") else line + b"\n"


def write_beside(
    path: Path, lines: Iterable[bytes], purpose: Purpose, *, is_packed: bool = False
) -> Path:
    """Write lines to a file that becomes one of a stream's by renaming it: synced.

    Packed they are one member, whose header has no time and no name, so that the same lines give
    the same bytes.
    """
    temporary = path.with_name(names.unfinished(path.name, purpose))
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    descriptor = os.open(temporary, flags, PRIVATE_FILE)
    try:
        os.fchmod(descriptor, PRIVATE_FILE)
        with open(descriptor, "wb", closefd=False) as file:
            if not is_packed:
                file.writelines(lines)
            else:
                with gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as packed:
                    packed.writelines(lines)
        os.fsync(descriptor)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    return temporary
