"""One stream of the mirror: a file of which each line is a record.

Of several lines with one id the last counts; one that says `"deleted":true` takes the id out.
"""

import fcntl
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from khive_persist.errors import StoreBusyError
from khive_persist.mirror import packed_streams
from khive_persist.mirror.document import DATA_MODEL_VERSION, content_of
from khive_persist.mirror.syncing import sync_together
from khive_persist.models.purposes import Purpose
from khive_persist.project import PRIVATE_FILE, sync_directory
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow

NO_SESSION: Final = "no-session"
_LOCK_SECONDS: Final = 30.0
_WAIT_SECONDS: Final = 0.002
_TAIL_BYTES: Final = 65_536
_CHUNK_BYTES: Final = 1 << 20
# What each line of ours begins with.
_LINE_START: Final = b'{"dataModelVersion":'


class StreamLine(NamedTuple):
    """A line to append.

    Attributes:
        id: The record's id.
        line: The line with its end.
        created_at: The record's time.
    """

    id: str
    line: bytes
    created_at: object


class ReplacedError(Exception):
    """Another file, or none, lies where a stream was."""


class Stream(NamedTuple):
    """A stream that is open for appending, and locked.

    Attributes:
        path: The path of its plain file.
        descriptor: The open file, which holds the lock until it is closed.
        is_new: Whether its name may not be synced yet.
        inode: The number of the file, unique as long as it is open.
        size: Its bytes, before anything is appended.
    """

    path: Path
    descriptor: int
    is_new: bool
    inode: int
    size: int


@contextmanager
def opened(path: Path, *, is_new: bool = False) -> Iterator[Stream]:
    """Open a stream, and keep others from writing to it.

    Args:
        is_new: Whether to make it where it is missing.

    Raises:
        ReplacedError: It is gone, or another one by now.
        StoreBusyError: Others held it for longer than 30 s.
        OSError: It cannot be opened.
    """
    stream = take(path, is_new=is_new)
    try:
        yield stream
    finally:
        os.close(stream.descriptor)


def take(path: Path, *, is_new: bool = False) -> Stream:
    """Open and lock a stream as `opened` does, until its descriptor is closed."""
    descriptor = _open(path, is_new=is_new)
    if descriptor is None and os.path.lexists(packed_streams.packed_path(path)):
        # Late lines go to a plain file beside the packed one.
        is_new = True
        descriptor = _open(path, is_new=True)
    if descriptor is None:
        raise ReplacedError
    try:
        _lock(descriptor, path)
        status = os.fstat(descriptor)
        if stat.S_IMODE(status.st_mode) != PRIVATE_FILE:
            os.fchmod(descriptor, PRIVATE_FILE)
        if not _is_at(status, path):
            raise ReplacedError
    except BaseException:
        os.close(descriptor)
        raise
    return Stream(path, descriptor, is_new, status.st_ino, status.st_size)


class StreamAppender:
    """Appends to streams of one folder; all of it is synced when it is finished."""

    def __init__(self, folder: Path, *, is_together: bool) -> None:
        """Prepare to append; `is_together`: all of them are synced at once, at the end."""
        self._folder = folder
        self._is_together = is_together
        self._unsynced: dict[Path, None] = {}
        self._is_directory_unsynced = False

    def add(self, stream: Stream, entries: Sequence[StreamLine], may_be_there: bool) -> None:
        """Append lines.

        A torn line that a killed writer left is cut off before.

        Args:
            entries: The lines, in order.
            may_be_there: Whether the stream may have the very lines already; those are not written
                again.

        Raises:
            OSError: They cannot be written; none is.
        """
        self._is_directory_unsynced |= stream.is_new
        size = _without_torn_line(stream)
        if may_be_there and (size or os.path.lexists(packed_streams.packed_path(stream.path))):
            present = _last_lines(stream.path, {entry.id for entry in entries})
            entries = [entry for entry in entries if present.get(entry.id) != entry.line]
        try:
            for part in _chunks(entries):
                write_all(stream.descriptor, part)
            if not self._is_together:
                os.fsync(stream.descriptor)
        except OSError:
            os.ftruncate(stream.descriptor, size)
            raise
        if self._is_together:
            self._unsynced[stream.path] = None

    def finish(self) -> None:
        """Sync what was appended, and the names of new streams."""
        if self._unsynced:
            # One that was written anew since was synced with that.
            sync_together(self._folder, self._unsynced)
        if self._is_directory_unsynced:
            sync_directory(self._folder)


def retract(path: Path, purpose: Purpose, ids: Sequence[str]) -> None:
    """Append deletions of some ids to this very file: synced on return."""
    _, session = owner_of(path) or ("", NO_SESSION)
    appending = StreamAppender(path.parent, is_together=False)
    with opened(path) as stream:
        lines = [StreamLine(id, deletion(purpose, id, session), None) for id in ids]
        appending.add(stream, lines, may_be_there=False)
    appending.finish()


def remove_empty(path: Path) -> None:
    """Remove a stream without a line, unless one is being written: the name is not synced."""
    with suppress(ReplacedError), opened(path) as stream:
        if not os.fstat(stream.descriptor).st_size:
            path.unlink()


def session_of(row: StoredRow) -> str:
    """Return the session that a record belongs to, or `NO_SESSION`."""
    return session_of_content(codec.column(row[1]))


def session_in(document: dict[str, Any]) -> str:
    """Return the session that a line's document belongs to."""
    return session_of_content(document if document.get("deleted") is True else content_of(document))


def owner_of(path: Path) -> tuple[str, str] | None:
    """Return the purpose and the session of a stream, by its first sound line, or None."""
    with suppress(FileNotFoundError):
        for line in packed_streams.lines(path):
            if (owner := owner_in(codec.column(line.content))) is not None:
                return owner
    return None


def owner_in(document: Any) -> tuple[str, str] | None:
    """Return the purpose and the session that a line's document names."""
    if not isinstance(document, dict) or not isinstance(document.get("purpose"), str):
        return None
    return document["purpose"], session_in(document)


def session_of_content(content: Any) -> str:
    """Return the session of a record, by its content, or `NO_SESSION`."""
    session = content.get("session_id") if isinstance(content, dict) else None
    return session if isinstance(session, str) and session else NO_SESSION


def deletion(purpose: Purpose, id: str, session: str) -> bytes:
    """Return the line that takes a record out of a stream."""
    return codec.dump_line(
        {
            "dataModelVersion": DATA_MODEL_VERSION,
            "id": id,
            "purpose": purpose.name,
            # Half a surrogate pair has no spelling here; the file has a line that tells.
            "session_id": session.encode("utf-8", "replace").decode(),
            "deleted": True,
        }
    )


def is_unfinished(path: Path) -> bool:
    """Return whether a stream is empty, or has only the beginning of its first line."""
    if not packed_streams.is_file(path) or os.path.lexists(packed_streams.packed_path(path)):
        return False
    with path.open("rb") as file:
        first = file.readline()
    return not first.endswith(b"\n") and first[: len(_LINE_START)] == _LINE_START[: len(first)]


def _lock(descriptor: int, path: Path) -> None:
    end = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise StoreBusyError(
                    f"{path} was held by others for {_LOCK_SECONDS:g} s", hint="try again"
                ) from None
            time.sleep(_WAIT_SECONDS)
        else:
            return


def _open(path: Path, *, is_new: bool) -> int | None:
    flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags | (os.O_CREAT if is_new else 0), PRIVATE_FILE)
    except FileNotFoundError:
        return None


def _is_at(status: os.stat_result, path: Path) -> bool:
    try:
        current = os.lstat(path)
    except FileNotFoundError:
        return False
    return (status.st_dev, status.st_ino) == (current.st_dev, current.st_ino)


def _without_torn_line(stream: Stream) -> int:
    """Cut off what follows the last line's end, and return the remaining size."""
    descriptor, size = stream.descriptor, stream.size
    if not size or os.pread(descriptor, 1, size - 1) == b"\n":
        return size
    end = size
    while end > 0:
        start = max(0, end - _TAIL_BYTES)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if owner_in(codec.column(os.pread(descriptor, size - end, end))) is not None:
        # All of a line, whose end an editor took away.
        write_all(descriptor, b"\n")
        return size + 1
    os.ftruncate(descriptor, end)
    return end


def _last_lines(path: Path, ids: set[str]) -> dict[str, bytes]:
    lines: dict[str, bytes] = {}
    for line in packed_streams.lines(path):
        document = codec.column(line.content)
        if isinstance(document, dict) and document.get("id") in ids:
            lines[document["id"]] = line.content
    return lines


def _chunks(entries: Sequence[StreamLine]) -> Iterator[bytes]:
    """Yield the lines in chunks of bounded size."""
    chunk: list[bytes] = []
    size = 0
    for entry in entries:
        chunk.append(entry.line)
        size += len(entry.line)
        if size >= _CHUNK_BYTES:
            yield b"".join(chunk)
            chunk, size = [], 0
    if chunk:
        yield b"".join(chunk)


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of it, however the system divides it."""
    remaining = memoryview(content)
    while remaining:
        remaining = remaining[os.write(descriptor, remaining) :]
