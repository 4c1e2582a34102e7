"""Records that are a line each, in a file a session, as events are."""

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from khive_persist.errors import MirrorError
from khive_persist.mirror import names, packed_streams
from khive_persist.mirror.document import digest, to_line
from khive_persist.mirror.stream_file import (
    NO_SESSION,
    ReplacedError,
    Stream,
    StreamAppender,
    StreamLine,
    deletion,
    is_unfinished,
    opened,
    owner_of,
    session_of,
    take,
)
from khive_persist.mirror.syncing import TOGETHER
from khive_persist.models.purposes import Purpose
from khive_persist.project import make_directory
from khive_persist.store.change import Change, Lines
from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite import write_lock
from khive_persist.store.sqlite.connection import Connection, data_version
from khive_persist.store.sqlite.rows import fetch_ids, session_start

_LOCK_SECONDS: Final = 30.0
_BATCH: Final = 500


class Streams:
    """The files of one purpose in `sessions/`."""

    def __init__(self, folder: Path, purpose: Purpose) -> None:
        self._folder = folder
        self._lock = os.fspath(folder / names.LOCK)
        self._purpose = purpose
        self._paths: dict[str, tuple[Path, object]] = {}
        self._named: dict[str, list[Path]] = {}
        self._listed_at: object = None
        # Several threads copy at once.
        self._mutex = threading.RLock()

    def follow(
        self,
        connection: Connection,
        changes: Sequence[Change],
        lines: Lines,
        *,
        may_be_there: bool,
    ) -> None:
        """Bring the files of some records to what the table has: see `Consumer`."""
        for start in range(0, len(changes), _BATCH):
            records = _ChangedRecords(
                connection, self._purpose, changes[start : start + _BATCH], lines
            )
            saved, removed = records.saved(), records.removed()
            appending = StreamAppender(
                self._folder, is_together=len(saved) + len(removed) >= TOGETHER
            )
            # Deletions come after: killed in between, one of two files must have the record.
            for sessions, lines_of in ((saved, records.entries), (removed, records.deletions)):
                for session, ids in sessions.items():
                    find = partial(self._path_by_table, connection, session, ids)
                    with self._stream(find, session, records.created_at(ids[0])) as stream:
                        appending.add(stream, lines_of(session, ids), may_be_there)
            appending.finish()

    def write(self, rows: Sequence[StoredRow]) -> None:
        """Append records, as they are in the database: in order, synced on return.

        A torn line that a killed writer left is cut off before. It was not acknowledged: its record
        is in the database, and if it came through the spool, still there, too.

        Raises:
            OSError: They cannot be written; some may be.
            MirrorError: The names that a file could have are taken by others.
        """
        make_directory(self._folder)
        sessions: dict[str, list[StreamLine]] = defaultdict(list)
        for row in rows:
            line = StreamLine(row[0], to_line(self._purpose, row), row[3])
            sessions[session_of(row)].append(line)
        appending = StreamAppender(self._folder, is_together=len(sessions) >= TOGETHER)
        for session, entries in sessions.items():
            find = partial(self.path, session)
            with self._stream(find, session, entries[0].created_at) as stream:
                appending.add(stream, entries, may_be_there=False)
        appending.finish()

    def path(self, session: str) -> Path | None:
        """Return the file of a session, or None where there is none."""
        with self._mutex:
            if (path := self._known_path(session)) is not None:
                return path
            self._list()
            for ending in names.endings(session, self._purpose.name):
                for path in self._named.get(ending, ()):
                    if self._is_of(path, session):
                        return path
            self._paths.pop(session, None)
            return None

    def _known_path(self, session: str) -> Path | None:
        if session in self._paths:
            path, version = self._paths[session]
            if version == self._version(path) or self._is_of(path, session):
                return path
        return None

    def _path_by_table(
        self, connection: Connection, session: str, ids: Sequence[str]
    ) -> Path | None:
        """Return `path`, without listing all files where the table determines the name.

        A session is named for the day of its first record; a new one has no file yet.
        """
        path = self._known_path(session)
        has_index = any(p[:2] == ("session_id", "created_at") for p in self._purpose.indexes)
        if path is not None or session == NO_SESSION or not has_index:
            return path or self.path(session)
        began = session_start(connection, self._purpose.table, session, ids)
        if began is None:
            return None
        paths = self._possible_paths(session, began)
        return next((p for p in paths if self._is_of(p, session)), None) or self.path(session)

    def _is_of(self, path: Path, session: str) -> bool:
        version = self._version(path)
        if owner_of(path) != (self._purpose.name, session):
            return False
        self._paths[session] = path, version
        return True

    def _version(self, path: Path) -> object:
        """Return a value that changes when a file is replaced.

        A purge may remove it, and another file take its name.
        """
        with suppress(FileNotFoundError):
            return os.lstat(path).st_ino, _size(self._lock)
        try:
            return packed_streams.state(path).identity, _size(self._lock)
        except FileNotFoundError:
            return None

    def _known_stream(self, session: str) -> Stream | None:
        """Open and lock the file that a session had before; None where it is no longer its own.

        What is open is looked at, as it cannot be replaced any more.
        """
        if session not in self._paths:
            return None
        path, version = self._paths[session]
        try:
            stream = take(path)
        except ReplacedError:
            return None
        is_current = False
        try:
            # As `_version`.
            is_current = version == (stream.inode, _size(self._lock))
        finally:
            if not is_current:
                os.close(stream.descriptor)
        return stream if is_current else None

    @contextmanager
    def _stream(
        self, find: Callable[[], Path | None], session: str, created_at: object
    ) -> Iterator[Stream]:
        """Open and lock the file of a session, made where it is missing.

        Args:
            find: A function that looks for the file, where it is no longer known.
            session: The session.
            created_at: The time of its first record, for the name of a new file.
        """
        if (stream := self._known_stream(session)) is not None:
            try:
                yield stream
            finally:
                os.close(stream.descriptor)
            return
        path = find()
        while path is not None:
            try:
                with opened(path) as stream:
                    yield stream
            except ReplacedError:
                self._paths.pop(session, None)
                path = self.path(session)
            else:
                return
        # Another purpose may want the same name. What the first line says, others have to see.
        with write_lock.held(self._folder / names.LOCK, _LOCK_SECONDS):
            with self._mutex:
                is_known = self._listed_at == self._folder_version()
            path = self._own_or_free_path(session, created_at)
            self._announce_new_stream()
            with opened(path, is_new=True) as stream:
                yield stream
            with self._mutex:
                self._paths[session] = path, self._version(path)
                if is_known:
                    # Nobody makes a stream meanwhile: with this one the list is complete.
                    day_and_ending = names.split(path.name, self._purpose)
                    assert day_and_ending is not None
                    self._add(day_and_ending[1], path)
                    self._listed_at = self._folder_version()

    def _list(self) -> None:
        """List the files again, if they have changed."""
        state = self._folder_version()
        if state == self._listed_at:
            return
        self._named.clear()
        try:
            listed = os.listdir(self._folder)
        except FileNotFoundError:
            listed = []
        for name in sorted(listed):
            stream = names.stream_of(name)
            if (day_and_ending := names.split(stream, self._purpose)) is not None:
                self._add(day_and_ending[1], self._folder / stream)
        self._listed_at = state

    def _add(self, ending: str, path: Path) -> None:
        paths = self._named.setdefault(ending, [])
        if path not in paths:
            paths.append(path)

    def _folder_version(self) -> object:
        """Return a value that changes with the names in the folder.

        The time of a folder stands still for some milliseconds, in which another process may make a
        stream: those are counted, too.
        """
        try:
            return os.stat(self._folder).st_mtime_ns, _size(self._lock)
        except FileNotFoundError:
            return None

    def _announce_new_stream(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW
        descriptor = os.open(self._folder / names.LOCK, flags)
        try:
            os.write(descriptor, b"\n")
        finally:
            os.close(descriptor)

    def _possible_paths(self, session: str, created_at: object) -> list[Path]:
        prefix = f"{self._purpose.document}_{names.day(created_at)}_"
        endings = names.endings(session, self._purpose.name)
        return [self._folder / f"{prefix}{ending}.jsonl" for ending in endings]

    def _own_or_free_path(self, session: str, created_at: object) -> Path:
        """Return the path that another process has just made for a session, or a free one."""
        paths = self._possible_paths(session, created_at)
        for path in paths:
            if self._is_of(path, session):
                return path
        for path in paths:
            if not packed_streams.exists(path) or is_unfinished(path):
                return path
        raise MirrorError(f"{path} is not the stream that it is named for", hint="move it away")


class _SavedRecord(NamedTuple):
    """A record as the table has it: its session, its row and its line."""

    session: str
    row: StoredRow
    line: StreamLine


class _ChangedRecords:
    """The present state of the records that some changes are of, session by session."""

    def __init__(
        self,
        connection: Connection,
        purpose: Purpose,
        changes: Sequence[Change],
        lines: Lines,
    ) -> None:
        self._connection = connection
        self._purpose = purpose
        self._changes = changes
        self._lines = lines
        # Read before the rows: one that is saved in between is looked at again.
        self._versions: dict[str, int] = {}
        self._rows: dict[str, _SavedRecord] = {}
        self._fetch(list(dict.fromkeys(change.id for change in changes)), data_version(connection))

    def saved(self) -> dict[str, list[str]]:
        """Return the ids of the records that exist, by session."""
        sessions: dict[str, list[str]] = defaultdict(list)
        for id, record in self._rows.items():
            sessions[record.session].append(id)
        return sessions

    def removed(self) -> dict[str, list[str]]:
        """Return the ids of the records that have left their session, by that session."""
        sessions: dict[str, dict[str, None]] = defaultdict(dict)
        for change in self._changes:
            session = change.session or NO_SESSION
            if change.created_at is not None and not self._is_in(change.id, session):
                sessions[session][change.id] = None
        return {session: list(ids) for session, ids in sessions.items()}

    def created_at(self, id: str) -> object:
        """Return the creation time of a record, as its column has it."""
        if id in self._rows:
            return self._rows[id].row[3]
        return next(c.created_at for c in self._changes if c.id == id and c.created_at is not None)

    def entries(self, session: str, ids: Sequence[str]) -> list[StreamLine]:
        """Return the lines of records that are in a session, now that its file is locked."""
        self._refresh(ids)
        return [self._rows[id].line for id in ids if self._is_in(id, session)]

    def deletions(self, session: str, ids: Sequence[str]) -> list[StreamLine]:
        """Return the lines that take records out of a session, now that its file is locked."""
        self._refresh(ids)
        return [
            StreamLine(id, deletion(self._purpose, id, session), None)
            for id in ids
            if not self._is_in(id, session)
        ]

    def _is_in(self, id: str, session: str) -> bool:
        return id in self._rows and self._rows[id].session == session

    def _refresh(self, ids: Sequence[str]) -> None:
        version = data_version(self._connection)
        if stale := [id for id in ids if self._versions[id] != version]:
            self._fetch(stale, version)

    def _fetch(self, ids: list[str], version: int) -> None:
        previous_rows = {id: self._rows.pop(id, None) for id in ids}
        self._versions |= dict.fromkeys(ids, version)
        for row in fetch_ids(self._connection, self._purpose.table, ids):
            id = row[0]
            previous = previous_rows[id]
            # To make the line of a large row takes long. So those are made before a file is locked,
            # for which others wait, and again only of what has changed by then.
            if previous is None or previous.row != row:
                previous = self._saved_record(row)
            self._rows[id] = previous

    def _saved_record(self, row: StoredRow) -> _SavedRecord:
        id = row[0]
        line_digest, line = self._lines.get(id, (b"", b""))
        if not line_digest or line_digest != digest(row):
            line = to_line(self._purpose, row)
        return _SavedRecord(session_of(row), row, StreamLine(id, line, row[3]))


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
