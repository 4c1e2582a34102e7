"""Group commits: whoever comes while one runs is in the next one, with all who came by then."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from khive_persist.capture.finished_sessions import ended_transcripts
from khive_persist.errors import InvalidRecordError, KhiveError, StoreError
from khive_persist.mirror.mirror import Mirror
from khive_persist.models.purposes import HOOK_EVENTS, Purpose
from khive_persist.project import Project
from khive_persist.recorder.live_settings import Live
from khive_persist.recorder.messages import Ask, Commit, Incoming, Result, Told
from khive_persist.settings import Settings
from khive_persist.store.codec import StoredRow
from khive_persist.store.equality import is_same
from khive_persist.store.sqlite.rows import fetch_ids
from khive_persist.store.sqlite.sync_writer import FileWriter

BATCH_ROWS: Final = 512
BATCH_BYTES: Final = 16 << 20
LARGE_BYTES: Final = 262_144
BUSY_SECONDS: Final = 10.0
TIDY_SECONDS: Final = 0.5
_EVENTS: Final = frozenset(HOOK_EVENTS.values())


class _Ready(NamedTuple):
    """One of an ask's records, as the row that it makes, or why it makes none."""

    incoming: Incoming
    row: StoredRow | None
    reason: str = ""


class _Asked(NamedTuple):
    """An ask that waits, its size, and its rows where they are made already."""

    ask: Ask
    size: int
    ready: list[_Ready] | None


class Commits:
    """The commits to one file, in a thread of their own."""

    def __init__(
        self,
        project: Project,
        purpose: Purpose,
        live: Live,
        done: Callable[[Commit], None],
    ) -> None:
        """Prepare them; the file is opened, and made where it is missing, by the first one.

        Args:
            project: The project.
            purpose: Which file.
            live: The settings in force.
            done: Called after each commit, in the thread, with what it did.
        """
        self._purpose = purpose
        self._path = project.database(purpose.file)
        self._project = project
        self._live = live
        self._done = done
        self._settings: Settings | None = None
        self._writer = self._file_writer(live.settings)
        self._waiting: deque[_Asked] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name=purpose.name)
        self._thread.start()

    def add(self, ask: Ask) -> None:
        """Let an ask be in the next commit.

        Its rows are made here, while the thread waits for the disk; large ones in the thread, so
        that nobody waits for them who writes to another file.
        """
        size = sum(one.size for one in ask.incoming)
        ready = [self._ready(one) for one in ask.incoming] if size <= LARGE_BYTES else None
        with self._changed:
            self._waiting.append(_Asked(ask, size, ready))
            self._changed.notify()

    def close(self) -> None:
        """Commit what waits, and close the file."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while taken := self._take():
            began = time.monotonic()
            self._follow_settings()
            told, new = self._commit(taken)
            rows = sum(len(asked.ask.incoming) for asked in taken)
            seconds = time.monotonic() - began
            ended = ended_transcripts(new) if self._purpose in _EVENTS else ()
            self._done(Commit(self._purpose, rows, seconds, tuple(told), tuple(ended)))
        self._writer.close()

    def _take(self) -> list["_Asked"]:
        with self._changed:
            while not self._waiting and not self._is_closed:
                # A large write-ahead log is emptied as soon as nobody reads it any more.
                self._changed.wait(TIDY_SECONDS if self._writer.tidy() else None)
            taken: list[_Asked] = []
            rows = size = 0
            while self._waiting and rows < BATCH_ROWS and size < BATCH_BYTES:
                asked = self._waiting.popleft()
                taken.append(asked)
                rows += len(asked.ask.incoming)
                size += asked.size
            return taken

    def _commit(self, taken: list["_Asked"]) -> tuple[list[Told], list[StoredRow]]:
        asks = [asked.ask for asked in taken]
        ready: list[_Ready] = []
        try:
            for ask, _, made in taken:
                ready += [self._ready(one) for one in ask.incoming] if made is None else made
            results, new = self._store(ready)
        except KhiveError as error:
            return [Told(ask.number, (), error) for ask in asks], []
        except Exception as error:  # A mistake of ours; who waits must hear of it.
            failed = StoreError(f"{self._path}: {type(error).__name__}")
            return [Told(ask.number, (), failed) for ask in asks], []
        left = iter(results)
        told = [Told(ask.number, tuple(next(left) for _ in ask.incoming)) for ask in asks]
        return told, new

    def _ready(self, one: Incoming) -> _Ready:
        try:
            return _Ready(one, one.row(self._live))
        except InvalidRecordError as error:
            return _Ready(one, None, str(error))
        except Exception as error:  # A mistake of ours in one of them must not keep out the others.
            return _Ready(one, None, f"it cannot be read ({type(error).__name__})")

    def _store(self, ready: list[_Ready]) -> tuple[list[Result], list[StoredRow]]:
        """Store rows in one transaction; where one cannot be stored, each in one of its own.

        Raises:
            MirrorError: They are in the database, and not in the mirror: store them again.
            StoreError: As its subclasses say; none is stored.
        """
        if not any(one.row is not None for one in ready):
            return [Result("refused", one.reason) for one in ready], []
        try:
            return self._write(ready)
        except InvalidRecordError as error:
            if len(ready) == 1:
                return [Result("refused", str(error))], []
        each = [self._store([one]) for one in ready]
        return [result for results, _ in each for result in results], [
            row for _, rows in each for row in rows
        ]

    def _write(self, ready: list[_Ready]) -> tuple[list[Result], list[StoredRow]]:
        with self._writer.transaction() as writing:
            ids = [one.row[0] for one in ready if one.row is not None]
            existing = fetch_ids(writing.connection, self._purpose.table, list(dict.fromkeys(ids)))
            sorting = _Sorting({row[0]: row for row in existing})
            results = [sorting.add(one) for one in ready]
            writing.insert_new(list(sorting.new.values()))
            writing.replace(list(sorting.replaced.values()))
        return results, list(sorting.new.values())

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


class _Sorting:
    """Sorts rows by what is to be done with them, against those that are there."""

    def __init__(self, existing: dict[str, StoredRow]) -> None:
        self._there = existing
        self.new: dict[str, StoredRow] = {}
        self.replaced: dict[str, StoredRow] = {}

    def add(self, one: _Ready) -> Result:
        if one.row is None:
            return Result("refused", one.reason)
        row, id = one.row, one.row[0]
        before = self._there.get(id)
        if before is None:
            self.new[id] = self._there[id] = row
            return Result("new")
        if not one.incoming.is_timed:
            row = (*row[:3], before[3], row[4])
        if is_same(before, row):
            return Result("same")
        if one.incoming.replaces:
            self._there[id] = row
            if id in self.new:
                self.new[id] = row
            else:
                self.replaced[id] = row
        return Result("changed")
