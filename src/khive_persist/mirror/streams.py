"""Records that are a line each, in a file a session, as events are.

Of several lines with one id the last counts; one that says `"deleted":true` takes the id out.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from khive_persist.errors import MirrorError
from khive_persist.mirror import forms, names
from khive_persist.mirror.document import DATA_MODEL_VERSION, content_of, to_line
from khive_persist.place import PRIVATE_FILE, make_directory, sync_directory
from khive_persist.purposes import Purpose
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite import lock

NO_SESSION: Final = "no-session"
NAMES_LOCK: Final = ".names.lock"
_LOCK_SECONDS: Final = 30.0
_LAST_BYTES: Final = 65_536
_PART_BYTES: Final = 1 << 20
# What each line of ours begins with.
_BEGIN: Final = b'{"dataModelVersion":'


class Entry(NamedTuple):
    """A line to append, and what decides where to.

    Attributes:
        session: The session of its record; `NO_SESSION` for one of none.
        id: The record's id.
        line: With its end.
        created_at: The record's.
    """

    session: str
    id: str
    line: bytes
    created_at: object


class Streams:
    """The files of one purpose in `sessions/`.

    Whoever writes holds the lock of the purpose's database.
    """

    def __init__(self, folder: Path, purpose: Purpose) -> None:
        self._folder = folder
        self._purpose = purpose
        self._paths: dict[str, tuple[Path, object]] = {}
        self._named: dict[str, list[Path]] = {}
        self._listed_at: object = None

    def place(self, row: StoredRow) -> str:
        """Tells apart where the lines of a record may lie."""
        return session_of(row)

    def write(self, rows: Sequence[StoredRow], *, may_be_there: bool = False) -> None:
        """Append records: in order, synced on return.

        A torn line that a killed writer left is cut off before. It was not acknowledged: its record
        is in the database, and if it came through the spool, still there, too.

        Args:
            rows: The records, as they are in the database.
            may_be_there: Whether a file may have the very lines already; those are not written
                again.

        Raises:
            OSError: They cannot be written; some may be.
            MirrorError: The names that a file could have are taken by others.
        """
        entries = (
            Entry(session_of(row), row[0], to_line(self._purpose, row), row[3]) for row in rows
        )
        self.append(entries, may_be_there=may_be_there)

    def remove(self, rows: Sequence[StoredRow]) -> None:
        """Say of records that they were deleted; their lines no longer count."""
        self.append(
            Entry(session, row[0], _deletion(self._purpose, row[0], session), row[3])
            for row in rows
            for session in [session_of(row)]
        )

    def path(self, session: str) -> Path | None:
        """The file of a session; None where there is none."""
        if session in self._paths:
            path, seen = self._paths[session]
            if seen == self._seen(path) or self._is_of(path, session):
                return path
        self._list()
        for ending in names.endings(session, self._purpose.name):
            for path in self._named.get(ending, ()):
                if self._is_of(path, session):
                    return path
        self._paths.pop(session, None)
        return None

    def _is_of(self, path: Path, session: str) -> bool:
        seen = self._seen(path)
        if holder(path) != (self._purpose.name, session):
            return False
        self._paths[session] = path, seen
        return True

    def _seen(self, path: Path) -> object:
        """Changes when a file is replaced: a purge may remove it, and another take its name."""
        try:
            return forms.state(path).identity, _size(self._folder / NAMES_LOCK)
        except FileNotFoundError:
            return None

    def append(self, entries: Iterable[Entry], *, may_be_there: bool = False) -> None:
        """As `write`, of lines that are made already."""
        make_directory(self._folder)
        sessions: dict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            sessions[entry.session].append(entry)
        for session, some in sessions.items():
            path = self.path(session)
            if path is not None:
                _append_to(path, some, may_be_there)
            else:
                self._begin(session, some, may_be_there)

    def _begin(self, session: str, entries: list[Entry], may_be_there: bool) -> None:
        # Another purpose may want the same name, whose writers have another lock.
        with lock.held(self._folder / NAMES_LOCK, _LOCK_SECONDS):
            path = self.path(session)
            is_known = self._listed_at == self._state()
            if path is None:
                path = self._free_path(session, entries[0].created_at)
                self._say_that_one_is_made()
            _append_to(path, entries, may_be_there)
            sync_directory(self._folder)
            self._paths[session] = path, self._seen(path)
            if is_known:
                # Nobody makes a stream meanwhile: with this one the list is complete.
                day_and_ending = names.split(path.name, self._purpose)
                assert day_and_ending is not None
                self._add(day_and_ending[1], path)
                self._listed_at = self._state()

    def _list(self) -> None:
        """Look again what files there are, if that has changed."""
        state = self._state()
        if state == self._listed_at:
            return
        self._named.clear()
        try:
            found = os.listdir(self._folder)
        except FileNotFoundError:
            found = []
        for name in sorted(found):
            stream = names.stream_of(name)
            if (day_and_ending := names.split(stream, self._purpose)) is not None:
                self._add(day_and_ending[1], self._folder / stream)
        self._listed_at = state

    def _add(self, ending: str, path: Path) -> None:
        paths = self._named.setdefault(ending, [])
        if path not in paths:
            paths.append(path)

    def _state(self) -> object:
        """Changes with the names in the folder.

        The time of a folder stands still for some milliseconds, in which another process may make a
        stream: those are counted, too.
        """
        try:
            return os.stat(self._folder).st_mtime_ns, _size(self._folder / NAMES_LOCK)
        except FileNotFoundError:
            return None

    def _say_that_one_is_made(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW
        descriptor = os.open(self._folder / NAMES_LOCK, flags)
        try:
            os.write(descriptor, b"\n")
        finally:
            os.close(descriptor)

    def _free_path(self, session: str, created_at: object) -> Path:
        begin = f"{self._purpose.document}_{names.day(created_at)}_"
        for ending in names.endings(session, self._purpose.name):
            path = self._folder / f"{begin}{ending}.jsonl"
            if not forms.exists(path) or _is_unfinished(path):
                return path
        raise MirrorError(f"{path} is not the stream that it is named for", hint="move it away")


def retract(path: Path, purpose: Purpose, ids: Sequence[str]) -> None:
    """Say in this very file of some ids that they were deleted: synced on return."""
    _, session = holder(path) or ("", NO_SESSION)
    lines = [Entry(session, id, _deletion(purpose, id, session), None) for id in ids]
    _append_to(path, lines, may_be_there=False)


def session_of(row: StoredRow) -> str:
    """The session that a record belongs to; a word of ours for one of none."""
    return session_of_content(codec.column(row[1]))


def session_in(document: dict[str, Any]) -> str:
    """The session that a line's document belongs to."""
    return session_of_content(document if document.get("deleted") is True else content_of(document))


def holder(path: Path) -> tuple[str, str] | None:
    """The purpose and the session of a stream, by its first sound line; None where it has none."""
    with suppress(FileNotFoundError):
        for line in forms.lines(path):
            told = told_by(codec.column(line.content))
            if told is not None:
                return told
    return None


def told_by(document: Any) -> tuple[str, str] | None:
    """The purpose and the session that a line's document names."""
    if not isinstance(document, dict) or not isinstance(document.get("purpose"), str):
        return None
    return document["purpose"], session_in(document)


def session_of_content(content: Any) -> str:
    """As `session_of`, by the record's content."""
    session = content.get("session_id") if isinstance(content, dict) else None
    return session if isinstance(session, str) and session else NO_SESSION


def _deletion(purpose: Purpose, id: str, session: str) -> bytes:
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


def _is_unfinished(path: Path) -> bool:
    """Whether a file is empty, or what a killed writer left of its first line, and all there is."""
    if not forms.is_file(path) or os.path.lexists(forms.packed_path(path)):
        return False
    with path.open("rb") as file:
        first = file.readline()
    return not first.endswith(b"\n") and first[: len(_BEGIN)] == _BEGIN[: len(first)]


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def _append_to(path: Path, entries: list[Entry], may_be_there: bool) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    is_packed = os.path.lexists(forms.packed_path(path))
    # The folder is synced when a stream begins; a late line's file is as new.
    is_late = is_packed and not os.path.lexists(path)
    descriptor = os.open(path, flags, PRIVATE_FILE)
    try:
        os.fchmod(descriptor, PRIVATE_FILE)
        size = _without_torn_line(descriptor)
        if may_be_there and (size or is_packed):
            there = _last_lines(path, {entry.id for entry in entries})
            entries = [entry for entry in entries if there.get(entry.id) != entry.line]
        try:
            for some in _parts(entries):
                _write_all(descriptor, some)
            os.fsync(descriptor)
            if is_late:
                sync_directory(path.parent)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def _without_torn_line(descriptor: int) -> int:
    """Cut off what stands after the last line's end; the size that is left."""
    size = end = os.fstat(descriptor).st_size
    while end > 0:
        begin = max(0, end - _LAST_BYTES)
        found = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if found >= 0:
            end = begin + found + 1
            break
        end = begin
    if end == size:
        return end
    if told_by(codec.column(os.pread(descriptor, size - end, end))) is not None:
        # All of a line, whose end an editor took away.
        _write_all(descriptor, b"\n")
        return size + 1
    os.ftruncate(descriptor, end)
    return end


def _last_lines(path: Path, ids: set[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for line in forms.lines(path):
        document = codec.column(line.content)
        if isinstance(document, dict) and document.get("id") in ids:
            found[document["id"]] = line.content
    return found


def _parts(entries: Sequence[Entry]) -> Iterator[bytes]:
    """The lines, some at a time: together they may be many."""
    some: list[bytes] = []
    size = 0
    for entry in entries:
        some.append(entry.line)
        size += len(entry.line)
        if size >= _PART_BYTES:
            yield b"".join(some)
            some, size = [], 0
    if some:
        yield b"".join(some)


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
