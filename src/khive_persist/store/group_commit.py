"""One file's commits in this process: one for all who wait at once."""

import asyncio
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from khive_persist.errors import KhiveError, MirrorError, StoreBusyError, StoreClosedError
from khive_persist.models.purposes import Purpose
from khive_persist.store.codec import StoredRow
from khive_persist.store.commit_together import commit_together
from khive_persist.store.sqlite.connection import identity
from khive_persist.store.sqlite.mirror_progress import Batch, Mirroring
from khive_persist.store.sqlite.sync_writer import FileWriter
from khive_persist.store.sqlite.transaction import Transaction
from khive_persist.store.write_request import Write, WriteRequest, carry_out

Result = TypeVar("Result")
# What was written, and what is to be copied of it.
_Written = tuple[list[WriteRequest], list[Batch]]

# Who waits for the disk must not wait for much more than its own rows.
_ROWS_AT_ONCE: Final = 1_000
# A commit writes each page of an index that its rows touch, a row a page where values come in no
# order: where nobody waits, and nothing is copied, eight times as many rows cost less.
_ROWS_ALONE: Final = 8_000
_COPYING_THREADS: Final = 4
# So many are copied by a thread of their own: several would keep the interpreter from the one that
# commits, which other programs wait for.
_BULK_ROWS: Final = 200
_TIDY_SECONDS: Final = 0.5


class GroupCommit:
    """Commits to one file, for all writers of this process that have it open.

    One thread commits for all who wait by then, so that many tasks share one sync of the disk;
    others copy what was committed while it goes on. Calls may come from any task, event loop and
    thread. A call that is cancelled before its transaction has begun writes nothing; after, all of
    it is written.
    """

    def __init__(self, path: Path, purpose: Purpose, mirror: Mirroring) -> None:
        self.path = path
        self.purpose = purpose
        self._file = FileWriter(path, purpose, 0.0, mirror)
        self._process = os.getpid()
        self._mutex = threading.Lock()
        # Of this turn of a loop: a commit that ends meanwhile leaves them to be written together.
        self._arriving: list[WriteRequest] = []
        self._waiting: deque[WriteRequest] = deque()
        # How often each writer has written.
        self._written: Counter[object] = Counter()
        self._is_committing = False
        self._is_closed = False
        self._is_tidying = False
        self._committing = ThreadPoolExecutor(1, f"khive-commit-{purpose.name}")
        # The lines of a stream come in the order of their commits.
        threads = 1 if purpose.is_stream else _COPYING_THREADS
        self._copying = ThreadPoolExecutor(threads, f"khive-copy-{purpose.name}")
        self._copying_bulk = self._copying
        if not purpose.is_stream:
            self._copying_bulk = ThreadPoolExecutor(1, f"khive-copy-bulk-{purpose.name}")

    @property
    def is_of_this_process(self) -> bool:
        """Return whether it was made here, and not before a fork."""
        return self._process == os.getpid()

    async def run(
        self,
        write: Callable[[Transaction], Result],
        timeout_seconds: float,
        *,
        writer: object = None,
    ) -> Result:
        """Write in a transaction that others may share: committed, synced and copied on return.

        Args:
            write: A function of the transaction, called in another thread; again where what shares
                the transaction fails.
            timeout_seconds: The longest wait for other programs.

        Raises:
            StoreError: As its subclasses say; nothing was written.
            MirrorError: It is committed, and not copied.
        """
        result: Result = await self._complete(WriteRequest(write, timeout_seconds, writer))
        return result

    async def save(self, row: StoredRow, timeout_seconds: float, *, writer: object = None) -> None:
        """Save a row as `run` writes; those of many callers are written at once."""
        await self._complete(WriteRequest([row], timeout_seconds, writer))

    def submit(
        self,
        write: Write | Sequence[StoredRow],
        timeout_seconds: float,
        *,
        writer: object = None,
        predecessor: WriteRequest | None = None,
    ) -> WriteRequest:
        """Submit a function as `run` does, or rows to save; the request's reply has the result.

        Args:
            write: The function, as for `run`, or the rows.
            timeout_seconds: The longest wait, as for `run`.
            predecessor: A request submitted before. Where that is not written, this one is
                cancelled.
        """
        request = WriteRequest(write, timeout_seconds, writer, predecessor)
        self._enqueue(request)
        self._start_committing()
        return request

    async def is_behind(self) -> bool:
        """Return whether the mirror has to begin with the whole table."""
        self._check_process()
        return await asyncio.wrap_future(self._committing.submit(lambda: self._file.is_behind))

    async def changes_of_others(self, writer: object) -> object:
        """Return another value after somebody else than a writer has changed or replaced the file.

        Where nobody can tell, each value is another.
        """
        self._check_process()
        return await asyncio.wrap_future(self._committing.submit(self._look, writer))

    def close(self) -> "Future[None]":
        """Close the file once what has begun is done; the future says when."""
        self._check_process()
        with self._mutex:
            self._is_closed = True
        # What was asked for in this very turn of a loop is done before.
        self._start_committing()
        closing = self._committing.submit(self._close)
        self._committing.shutdown(wait=False)
        return closing

    async def _complete(self, request: WriteRequest) -> Any:
        self._enqueue(request)
        # Not at once: what the other tasks of this turn of the loop save shares the commit, and
        # they do not compete with it for the interpreter.
        asyncio.get_running_loop().call_soon(self._start_committing)
        return await asyncio.wrap_future(request.reply)

    def _enqueue(self, request: WriteRequest) -> None:
        self._check_process()
        with self._mutex:
            if self._is_closed:
                raise StoreClosedError(f"{self.path} is closed", hint="open the store again")
            self._arriving.append(request)

    def _start_committing(self) -> None:
        """Let what has arrived be committed: by a commit of its own, or after the one under way."""
        with self._mutex:
            self._waiting.extend(self._arriving)
            self._arriving.clear()
            if self._waiting and not self._is_committing:
                self._is_committing = True
                self._committing.submit(self._commit_waiting)

    def _check_process(self) -> None:
        if not self.is_of_this_process:
            raise StoreClosedError(
                f"{self.path} was opened before a fork", hint="open the store in the child"
            )

    def _commit_waiting(self) -> None:
        """Commit for all who wait by then, one commit after the other, until nobody does."""
        while requests := self._take():
            try:
                self._commit(requests)
            except BaseException as error:  # A mistake of ours; nobody must wait for ever.
                for request in requests:
                    if not request.reply.done():
                        request.fail(error)

    def _take(self) -> list[WriteRequest]:
        with self._mutex:
            requests: list[WriteRequest] = []
            rows = 0
            # What hangs on another one is written once that is.
            while (
                self._waiting
                and rows < _ROWS_AT_ONCE
                and self._waiting[0].predecessor not in requests
            ):
                requests.append(self._waiting.popleft())
                rows += requests[-1].rows
            self._is_committing = bool(requests)
            return requests

    def _take_following(self, requests: list[WriteRequest], most: int) -> WriteRequest | None:
        """Take the next part of what was just written, unless it is much or others wait."""
        with self._mutex:
            if not self._waiting or self._waiting[0].predecessor is not requests[-1]:
                return None
            rows = sum(request.rows for request in requests) + self._waiting[0].rows
            if rows > most or self._file.is_awaited():
                return None
            return self._waiting.popleft()

    def _commit(self, requests: list[WriteRequest]) -> None:
        # Whatever is wrong: it may be a mistake in a function that was given.
        commits = commit_together(requests, self._write_or_wait, _refuse, BaseException)
        for written, batches in commits:
            if batches:
                is_bulk = sum(request.rows for request in written) >= _BULK_ROWS
                copying = self._copying_bulk if is_bulk else self._copying
                copying.submit(self._copy, written, batches)
            else:
                self._copy(written, batches)

    def _write_or_wait(self, requests: list[WriteRequest]) -> _Written:
        try:
            return self._write(requests)
        except StoreBusyError as error:
            # Who wanted to wait for longer than the first does.
            first = _first(requests)
            _refuse(first, error)
            with self._mutex:
                self._waiting.extendleft(r for r in reversed(requests) if r is not first)
            return [], []

    def _write(self, requests: list[WriteRequest]) -> _Written:
        self._file.timeout_seconds = max(0.0, _first(requests).until - time.monotonic())
        batches: list[Batch] = []
        with self._file.commit(
            batches, lambda: not all(request.reply.cancelled() for request in requests)
        ) as writing:
            # Only now: who waits for others can still be cancelled.
            begun = [request for request in requests if request.begin()]
            carry_out(begun, writing)
            most = _ROWS_AT_ONCE if writing.is_logged else _ROWS_ALONE
            while following := self._take_following(requests, most):
                requests.append(following)
                if following.begin():
                    begun.append(following)
                    carry_out([following], writing)
        self._written.update(request.writer for request in begun)
        return begun, batches

    def _copy(self, requests: list[WriteRequest], batches: list[Batch]) -> None:
        try:
            self._file.follow(batches)
        except BaseException as error:
            # Whatever it is, it is committed.
            failed = error if isinstance(error, KhiveError) else MirrorError(str(error))
            for request in requests:
                request.fail(failed)
        else:
            for request in requests:
                request.succeed()
        self._tidy_soon()

    def _tidy_soon(self) -> None:
        """Do what can wait until less is to be done; see `FileWriter.tidy`."""
        with self._mutex:
            if self._is_tidying or self._is_closed:
                return
            self._is_tidying = True
        timer = threading.Timer(_TIDY_SECONDS, self._tidy_in_turn)
        timer.daemon = True
        timer.start()

    def _tidy_in_turn(self) -> None:
        with self._mutex:
            self._is_tidying = False
            if not self._is_closed:
                self._committing.submit(self._tidy)

    def _tidy(self) -> None:
        with suppress(KhiveError, OSError):
            if self._file.tidy():
                self._tidy_soon()

    def _look(self, writer: object) -> object:
        if identity(self.path) is None:
            return object()
        others = self._written.total() - self._written[writer]
        try:
            return (*self._file.changes_of_others(), others)
        except KhiveError:
            return object()

    def _close(self) -> None:
        # What is copied still reads the file.
        self._copying.shutdown(wait=True)
        self._copying_bulk.shutdown(wait=True)
        self._file.close()


def _refuse(request: WriteRequest, error: BaseException) -> _Written:
    if request.begin():
        request.fail(error)
    return [], []


def _first(requests: Sequence[WriteRequest]) -> WriteRequest:
    """Return the request whose caller gives up first."""
    return min(requests, key=lambda request: request.until)
