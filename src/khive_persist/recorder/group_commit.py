"""Group commits: all requests that come while a commit runs are in the next one."""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final, NamedTuple

from khive_persist.capture.finished_sessions import ended_transcripts
from khive_persist.errors import InvalidRecordError, KhiveError, StoreError
from khive_persist.mirror.mirror import Mirror
from khive_persist.models.purposes import EVENT_FILES, Purpose
from khive_persist.project import Project
from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.recorder.messages import Commit, Incoming, RecorderReply, RecorderRequest, Result
from khive_persist.settings import Settings
from khive_persist.store.codec import StoredRow
from khive_persist.store.commit_together import commit_together
from khive_persist.store.equality import is_same
from khive_persist.store.sqlite.rows import fetch_ids
from khive_persist.store.sqlite.sync_writer import FileWriter

BATCH_ROWS: Final = 512
# Others wait for a transaction: it writes for some hundredths of a second, or one row.
BATCH_BYTES: Final = 2 << 20
LARGE_BYTES: Final = 262_144
BUSY_SECONDS: Final = 10.0
# Between two looks: each keeps the next event waiting, and one serves all that were stored.
TIDY_SECONDS: Final = 0.5
_EVENTS: Final = frozenset(EVENT_FILES.values())


class _PreparedRow(NamedTuple):
    """A record of a request as its row, or the reason why it has none."""

    incoming: Incoming
    row: StoredRow | None
    reason: str = ""


class _PendingRequest(NamedTuple):
    """A request that waits, its size, and its rows where they are prepared already."""

    request: RecorderRequest
    size: int
    rows: list[_PreparedRow] | None


class CommitThread:
    """The commits to one file, in a thread of their own."""

    def __init__(
        self,
        project: Project,
        purpose: Purpose,
        live: LiveSettings,
        on_commit: Callable[[Commit], None],
        turn: AbstractContextManager[object] | None,
    ) -> None:
        """Start the thread; the first commit opens the file, and makes it where it is missing.

        Args:
            project: The project.
            purpose: The purpose of the file.
            live: The settings in force.
            on_commit: Called after each commit, in the thread, with what it did.
            turn: Held while rows are made or stored; None where those of several files may be at
                once.
        """
        self._purpose = purpose
        self._path = project.database(purpose.file)
        self._project = project
        self._live = live
        self._on_commit = on_commit
        self._turn: AbstractContextManager[object] = nullcontext() if turn is None else turn
        self._is_prepared_early = turn is None
        self._settings: Settings | None = None
        self._writer = self._file_writer(live.settings)
        self._pending: deque[_PendingRequest] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        # Whether the writer may have something to tidy, and when it may do so again.
        self._is_untidy = False
        self._tidy_at = 0.0
        self._thread = threading.Thread(target=self._run, name=purpose.name)
        self._thread.start()

    def add(self, request: RecorderRequest) -> None:
        """Add a request to the next commit.

        Its rows are prepared here, while the thread waits for the disk; large ones in the thread,
        so that no writer of another file waits for them.
        """
        size = sum(item.size for item in request.incoming)
        prepared = None
        if self._is_prepared_early and size <= LARGE_BYTES:
            prepared = [self._prepare(item) for item in request.incoming]
        with self._changed:
            self._pending.append(_PendingRequest(request, size, prepared))
            self._changed.notify()

    def close(self) -> None:
        """Commit what waits, and close the file."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._take():
            began = time.monotonic()
            with self._turn:
                self._follow_settings()
                replies, new = self._commit(batch)
            rows = sum(len(pending.request.incoming) for pending in batch)
            seconds = time.monotonic() - began
            transcripts = ended_transcripts(new) if self._purpose in _EVENTS else ()
            self._on_commit(
                Commit(self._purpose, rows, seconds, tuple(replies), tuple(transcripts))
            )
        self._writer.close()

    def _take(self) -> list["_PendingRequest"]:
        while not self._pending and not self._is_closed:
            seconds = self._tidy_at - time.monotonic()
            if self._is_untidy and seconds <= 0:
                # Who adds a request does not wait for it.
                with self._turn:
                    self._is_untidy = self._tidy()
                self._tidy_at = time.monotonic() + TIDY_SECONDS
                continue
            with self._changed:
                if not self._pending and not self._is_closed:
                    self._changed.wait(seconds if self._is_untidy else None)
        self._is_untidy = True
        with self._changed:
            batch: list[_PendingRequest] = []
            rows = size = 0
            while self._pending and rows < BATCH_ROWS and size < BATCH_BYTES:
                pending = self._pending.popleft()
                batch.append(pending)
                rows += len(pending.request.incoming)
                size += pending.size
            return batch

    def _tidy(self) -> bool:
        try:
            return self._writer.tidy()
        except (KhiveError, OSError):
            # Where the disk is full, say: what is stored next hears of it.
            return True

    def _commit(
        self, batch: list["_PendingRequest"]
    ) -> tuple[list[RecorderReply], list[StoredRow]]:
        requests = [pending.request for pending in batch]
        rows: list[_PreparedRow] = []
        try:
            for request, _, prepared in batch:
                rows += (
                    [self._prepare(item) for item in request.incoming]
                    if prepared is None
                    else prepared
                )
            results, new = self._store(rows)
        except KhiveError as error:
            return [RecorderReply(request.number, (), error) for request in requests], []
        except Exception as error:  # A mistake of ours; who waits must hear of it.
            failure = StoreError(f"{self._path}: {type(error).__name__}")
            return [RecorderReply(request.number, (), failure) for request in requests], []
        remaining = iter(results)
        replies = [
            RecorderReply(request.number, tuple(next(remaining) for _ in request.incoming))
            for request in requests
        ]
        return replies, new

    def _prepare(self, item: Incoming) -> _PreparedRow:
        try:
            return _PreparedRow(item, item.row(self._live))
        except InvalidRecordError as error:
            return _PreparedRow(item, None, str(error))
        except Exception as error:  # A mistake of ours in one of them must not keep out the others.
            return _PreparedRow(item, None, f"it cannot be read ({type(error).__name__})")

    def _store(self, prepared: list[_PreparedRow]) -> tuple[list[Result], list[StoredRow]]:
        """Store rows in one transaction; where one cannot be stored, each in one of its own.

        Raises:
            MirrorError: They are in the database, and not in the mirror: store them again.
            StoreError: As its subclasses say; none is stored.
        """
        if not any(record.row is not None for record in prepared):
            return [Result("refused", record.reason) for record in prepared], []
        parts = commit_together(
            prepared, self._write, lambda _, error: ([Result("refused", str(error))], [])
        )
        return [result for results, _ in parts for result in results], [
            row for _, rows in parts for row in rows
        ]

    def _write(self, prepared: list[_PreparedRow]) -> tuple[list[Result], list[StoredRow]]:
        with self._writer.transaction() as writing:
            ids = [record.row[0] for record in prepared if record.row is not None]
            existing = fetch_ids(writing.connection, self._purpose.table, list(dict.fromkeys(ids)))
            changes = _RowChanges({row[0]: row for row in existing})
            results = [changes.add(record) for record in prepared]
            writing.insert_new(list(changes.new.values()))
            writing.replace(list(changes.replaced.values()))
        return results, list(changes.new.values())

    def _follow_settings(self) -> None:
        settings = self._live.settings
        if settings is self._settings:
            return
        self._settings = settings
        self._writer.close()
        self._writer = self._file_writer(settings)

    def _file_writer(self, settings: Settings) -> FileWriter:
        timeout = min(settings.store_busy_timeout_seconds, BUSY_SECONDS)
        mirror = Mirror(self._project, settings).follower(self._purpose)
        return FileWriter(self._path, self._purpose, timeout, mirror)


class _RowChanges:
    """The rows to insert and the rows to replace, sorted out against the existing ones."""

    def __init__(self, existing: dict[str, StoredRow]) -> None:
        self._current = existing
        self.new: dict[str, StoredRow] = {}
        self.replaced: dict[str, StoredRow] = {}

    def add(self, prepared: _PreparedRow) -> Result:
        if prepared.row is None:
            return Result("refused", prepared.reason)
        row, id = prepared.row, prepared.row[0]
        current = self._current.get(id)
        if current is None:
            self.new[id] = self._current[id] = row
            return Result("new")
        if not prepared.incoming.is_timed:
            row = (*row[:3], current[3], row[4])
        if is_same(current, row):
            return Result("same")
        if prepared.incoming.replaces:
            self._current[id] = row
            if id in self.new:
                self.new[id] = row
            else:
                self.replaced[id] = row
        return Result("changed")
