"""The two forms of a stream: its older lines packed in a `.jsonl.gz`, later ones in a `.jsonl`.

Either may be missing. A stream is named by its plain file, whichever of them is there.
"""

import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final, NamedTuple

from khive_persist.mirror import names

# What a packed line may take in memory: a small file can hold one without end.
LONGEST_PACKED_LINE_BYTES: Final = 1 << 28


class Line(NamedTuple):
    """A line of a stream.

    Attributes:
        content: The bytes of the line, with its end where it has one.
        end: The offset of the next line in the plain file; 0 for a line of the packed one.
        problem: The reason why the packed file cannot be read from here on, or an empty string.
    """

    content: bytes
    end: int
    problem: str = ""


class StreamState(NamedTuple):
    """The version of a stream's files.

    Attributes:
        identity: Text that changes when one of the files is replaced, made or removed.
        plain_bytes: The size of the plain file, which grows.
    """

    identity: str
    plain_bytes: int


def packed_path(path: Path) -> Path:
    """Return the path of the packed file of a stream."""
    return path.with_name(f"{path.name}.gz")


def exists(path: Path) -> bool:
    """Return whether anything exists under one of a stream's two names."""
    return os.path.lexists(path) or os.path.lexists(packed_path(path))


def present(path: Path) -> list[Path]:
    """Return the files of a stream that are there, the packed one first."""
    return [form for form in (packed_path(path), path) if os.path.lexists(form)]


def files(path: Path) -> list[Path]:
    """Return the files of a stream that can be read, the packed one first."""
    return [form for form in present(path) if is_file(form)]


def state(path: Path) -> StreamState:
    """Return the version of a stream's files.

    Raises:
        FileNotFoundError: Nothing.
    """
    plain, packed = _status(path), _status(packed_path(path))
    if plain is None and packed is None:
        raise FileNotFoundError(path)
    identity = "" if plain is None else f"{plain.st_ino}"
    if packed is not None:
        identity += f" {packed.st_ino} {packed.st_size} {packed.st_mtime_ns}"
    return StreamState(identity, 0 if plain is None else plain.st_size)


def lines(path: Path, offset: int | None = None) -> Iterator[Line]:
    """Read a stream: its packed lines, then its plain ones.

    What is packed while it is read is read nevertheless, perhaps twice.

    Args:
        path: The plain file of the stream.
        offset: The first byte to read in the plain file, without the packed lines; None for all.

    Raises:
        FileNotFoundError: There is no stream.
        OSError: A file cannot be read, for another reason than that its packing is damaged.
    """
    with ExitStack() as stack:
        # The plain file first: it goes after its lines are in the packed one.
        plain = _opened(path, stack)
        packed = _opened(packed_path(path), stack)
        if plain is None and packed is None:
            raise FileNotFoundError(path)
        if packed is not None and offset is None:
            yield from _unpacked(packed)
        if plain is not None:
            end = offset or 0
            plain.seek(end)
            for content in plain:
                end += len(content)
                yield Line(content, end)


def lines_in(path: Path) -> Iterator[Line]:
    """Read one file of a stream; one that is gone has no lines."""
    with ExitStack() as stack:
        file = _opened(path, stack)
        if file is None:
            return
        is_packed = names.stream_of(path.name) != path.name
        yield from _unpacked(file) if is_packed else (Line(line, 0) for line in file)


def _unpacked(packed: IO[bytes]) -> Iterator[Line]:
    try:
        with gzip.GzipFile(fileobj=packed, mode="rb") as unpacked:
            while content := unpacked.readline(LONGEST_PACKED_LINE_BYTES):
                if len(content) == LONGEST_PACKED_LINE_BYTES:
                    yield Line(b"", 0, f"a line of more than {LONGEST_PACKED_LINE_BYTES} bytes")
                    return
                yield Line(content, 0)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        yield Line(b"", 0, f"its packing is broken ({error})")


def _opened(path: Path, stack: ExitStack) -> IO[bytes] | None:
    """Open a file; None where there is none, or a link, a folder or a pipe in its place."""
    try:
        # A pipe must not make us wait for its other end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        if _status(path) is None or not is_file(path):
            return None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return stack.enter_context(open(descriptor, "rb"))


def is_file(path: Path) -> bool:
    """Return whether a regular file exists; a link, a folder or a pipe is none."""
    status = _status(path)
    return status is not None and stat.S_ISREG(status.st_mode)


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None
