"""Records that are a line each, in a file a session, as events are.

Of several lines with one id the last counts; one that says `"deleted":true` takes the id out.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from khive_persist.errors import MirrorError
from khive_persist.mirror import names
from khive_persist.mirror.document import DATA_MODEL_VERSION, to_document
from khive_persist.place import PRIVATE_FILE, make_directory, sync_directory
from khive_persist.purposes import Purpose
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite import lock

NO_SESSION: Final = "no-session"
NAMES_LOCK: Final = ".names.lock"
_LOCK_SECONDS: Final = 30.0
_LAST_BYTES: Final = 65_536


class Streams:
    """The files of one purpose in `sessions/`.

    Whoever writes holds the lock of the purpose's database.
    """

    def __init__(self, folder: Path, purpose: Purpose) -> None:
        self._folder = folder
        self._purpose = purpose
        self._paths: dict[str, Path] = {}
        self._named: dict[str, list[Path]] = {}
        self._listed_at = -1

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
        documents = [to_document(self._purpose, row) for row in rows]
        self._append(documents, [row[3] for row in rows], may_be_there)

    def remove(self, rows: Sequence[StoredRow]) -> None:
        """Say of records that they were deleted; their lines no longer count."""
        documents = [_deleted(self._purpose, row[0], session_of(row)) for row in rows]
        self._append(documents, [row[3] for row in rows], may_be_there=False)

    def path(self, session: str) -> Path | None:
        """The file of a session; None where there is none."""
        known = self._paths.get(session)
        if known is not None and known.exists():
            return known
        self._list()
        for ending in names.endings(session, self._purpose.name):
            for path in self._named.get(ending, ()):
                if holder(path) == (self._purpose.name, session):
                    self._paths[session] = path
                    return path
        return None

    def _append(
        self, documents: list[dict[str, Any]], created_at: list[object], may_be_there: bool
    ) -> None:
        make_directory(self._folder)
        sessions: dict[str, list[tuple[str, bytes]]] = defaultdict(list)
        days: dict[str, object] = {}
        for document, instant in zip(documents, created_at, strict=True):
            session = session_in(document)
            sessions[session].append((document["id"], _line(document)))
            days.setdefault(session, instant)
        for session, entries in sessions.items():
            path = self.path(session)
            if path is not None:
                _append_to(path, entries, may_be_there)
                continue
            # Another purpose may want the same name, whose writers have another lock.
            with lock.held(self._folder / NAMES_LOCK, _LOCK_SECONDS):
                path = self.path(session) or self._free_path(session, days[session])
                _append_to(path, entries, may_be_there)
                sync_directory(self._folder)
            self._paths[session] = path

    def _list(self) -> None:
        """Look again what files there are, if that has changed."""
        changed_at = os.stat(self._folder).st_mtime_ns if self._folder.exists() else -1
        if changed_at == self._listed_at:
            return
        named: dict[str, list[Path]] = defaultdict(list)
        begin = f"{self._purpose.document}_"
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.startswith(begin) and entry.name.endswith(".jsonl"):
                    named[names.ending(entry.name)].append(self._folder / entry.name)
        self._named = {ending: sorted(paths) for ending, paths in named.items()}
        self._listed_at = changed_at

    def _free_path(self, session: str, created_at: object) -> Path:
        begin = f"{self._purpose.document}_{names.day(created_at)}_"
        for ending in names.endings(session, self._purpose.name):
            path = self._folder / f"{begin}{ending}.jsonl"
            # One without a whole line is what a killed writer left of its first.
            if not os.path.lexists(path) or not any(_whole_lines(path)):
                return path
        raise MirrorError(f"{path} is not the stream that it is named for", hint="move it away")


def retract(path: Path, purpose: Purpose, ids: Sequence[str]) -> None:
    """Say in this very file of some ids that they were deleted: synced on return."""
    _, session = holder(path) or ("", NO_SESSION)
    documents = [_deleted(purpose, id, session) for id in ids]
    lines = [(str(document["id"]), _line(document)) for document in documents]
    _append_to(path, lines, may_be_there=False)


def session_of(row: StoredRow) -> str:
    """The session that a record belongs to; a word of ours for one of none."""
    return session_in({"content": codec.column(row[1])})


def holder(path: Path) -> tuple[str, str] | None:
    """The purpose and the session of a file, by its first sound line; None where it has none."""
    for line in _whole_lines(path):
        told = told_by(codec.column(line))
        if told is not None:
            return told
    return None


def told_by(document: Any) -> tuple[str, str] | None:
    """The purpose and the session that a line's document names."""
    if not isinstance(document, dict) or not isinstance(document.get("purpose"), str):
        return None
    return document["purpose"], session_in(document)


def session_in(document: dict[str, Any]) -> str:
    """The session that a line's document belongs to."""
    content = document.get("content")
    session = (content if isinstance(content, dict) else document).get("session_id")
    return session if isinstance(session, str) and session else NO_SESSION


def _deleted(purpose: Purpose, id: str, session: str) -> dict[str, Any]:
    return {
        "dataModelVersion": DATA_MODEL_VERSION,
        "id": id,
        "purpose": purpose.name,
        "session_id": session,
        "deleted": True,
    }


def _line(document: dict[str, Any]) -> bytes:
    return codec.dump(document).encode() + b"\n"


def _whole_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line


def _append_to(path: Path, entries: list[tuple[str, bytes]], may_be_there: bool) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    descriptor = os.open(path, flags, PRIVATE_FILE)
    try:
        os.fchmod(descriptor, PRIVATE_FILE)
        size = _without_torn_line(descriptor)
        if may_be_there and size:
            there = _last_lines(path, {id for id, _ in entries})
            entries = [(id, line) for id, line in entries if there.get(id) != line]
        try:
            _write_all(descriptor, b"".join(line for _, line in entries))
            os.fsync(descriptor)
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
    if end < size:
        os.ftruncate(descriptor, end)
    return end


def _last_lines(path: Path, ids: set[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for line in _whole_lines(path):
        document = codec.column(line)
        if isinstance(document, dict) and document.get("id") in ids:
            found[document["id"]] = line
    return found


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
