"""`WriteRequest`: what one caller of a writer waits for."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any

from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite.transaction import Transaction

Write = Callable[[Transaction], Any]


class WriteRequest:
    """Something to write, in a transaction that others may share.

    Attributes:
        write: Writes it; called again, in a transaction of its own, where a shared one failed.
            Or rows to be saved, which can be written together with those of other callers.
        reply: The result of `write`, or None, once that is committed, synced and copied.
        until: The instant of `time.monotonic` at which its caller gives up.
        writer: The caller.
        rows: The number of rows that it writes.
        predecessor: The request that is written before it; where that is not, nor is this one.
    """

    def __init__(
        self,
        write: Write | Sequence[StoredRow],
        timeout_seconds: float,
        writer: object,
        predecessor: "WriteRequest | None" = None,
    ) -> None:
        self.write = write
        self.writer = writer
        self.predecessor = predecessor
        self.rows = 1 if callable(write) else len(write)
        self.reply: Future[Any] = Future()
        self.until = time.monotonic() + timeout_seconds
        self.result: Any = None
        self.is_begun = False
        self.has_failed = False

    def begin(self) -> bool:
        """Begin it, unless its caller has left; it can no longer be cancelled then."""
        predecessor = self.predecessor
        if predecessor is not None and (predecessor.has_failed or not predecessor.is_begun):
            # In a transaction that was rolled back it had begun.
            if not self.reply.cancel() and not self.has_failed:
                self.fail(predecessor.reply.exception() or CancelledError())
            return False
        if not self.is_begun and not self.reply.cancelled():
            self.is_begun = self.reply.set_running_or_notify_cancel()
        return self.is_begun

    def succeed(self) -> None:
        """Tell the caller that it is done."""
        # Or the last one of many would keep all that came before it.
        self.predecessor = None
        self.reply.set_result(self.result)

    def fail(self, error: BaseException) -> None:
        """Tell the caller why it is not."""
        self.has_failed = True
        self.reply.set_exception(error)


def carry_out(requests: Sequence[WriteRequest], writing: Transaction) -> None:
    """Write what was asked for, in its order; rows to be saved that follow each other at once."""
    rows: list[StoredRow] = []
    for request in requests:
        if callable(request.write):
            writing.upsert(rows)
            rows = []
            request.result = request.write(writing)
        else:
            rows += request.write
    writing.upsert(rows)
