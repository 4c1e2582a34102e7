"""Write batches of a transcript into the database, the mirror and the to-do lists."""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Final, NamedTuple, Self

from khive_persist.mirror.document import digest
from khive_persist.models.purposes import CONVERSATIONS
from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite.rows import fetch_ids
from khive_persist.store.sqlite.sync_writer import FileWriter
from khive_persist.store.sqlite.transaction import Transaction
from khive_persist.tombstones import CurrentTombstones
from khive_persist.tools.message_part import MessagePart
from khive_persist.transcripts.batches import BYTES_AT_ONCE, Batch
from khive_persist.transcripts.call_ends import CallEnds, EndedCall, ends_in
from khive_persist.transcripts.checkpoint import SyncPosition
from khive_persist.transcripts.failed_hooks import hook_failure
from khive_persist.transcripts.focus import PENDING, EndedTodoCall, Focus, calls_ended
from khive_persist.transcripts.growing_file import START
from khive_persist.transcripts.message_rows import MessageRow, RowBuilder

# What is committed at once. An index on ids that come in no order is written almost as a whole each
# time: the fewer times, the better. Others wait meanwhile, so it takes no long time either.
BATCHES_AT_ONCE: Final = 8
_BYTES_AT_ONCE: Final = BATCHES_AT_ONCE * BYTES_AT_ONCE
SECONDS_AT_ONCE: Final = 2.0


class StoredBatch(NamedTuple):
    """The result of storing a batch; see `Synced`."""

    new: int
    changed: int
    lines: int
    bytes: int
    unknown: Counter[str]
    damaged: int
    failed_hooks: int
    left_out: int


class _PendingCommit:
    """The batches written in an open transaction, and the work due when it is committed.

    `until` is when others have waited long enough. Position and state are those after the last
    batch.
    """

    def __init__(self, transaction: Transaction) -> None:
        self.transaction = transaction
        self.until = time.monotonic() + SECONDS_AT_ONCE
        self.ended_todo_calls: list[list[EndedTodoCall]] = []
        self.ended_calls: list[EndedCall] = []
        self.batches = 0
        self.bytes = 0
        self.position = START
        self.state: dict[str, Any] = {}


class BatchWriter:
    """Stores what a sync reads of one transcript, in the order of its lines.

    Several batches are committed together; those that were not are rolled back when an error ends
    it. It is no matter which thread calls, one at a time.
    """

    def __init__(
        self,
        writer: FileWriter,
        focus: Focus,
        calls: CallEnds,
        sync_position: SyncPosition,
        row_builder: RowBuilder,
        tool: str,
        state: dict[str, Any],
        tombstones: CurrentTombstones,
    ) -> None:
        """Take the parts that work together; out of `state` goes what is not the reader's."""
        self._writer = writer
        self._focus = focus
        self._calls = calls
        self._sync_position = sync_position
        self._row_builder = row_builder
        self._tool = tool
        self._tombstones = tombstones
        self._has_stored = self._has_purged = False
        self._followed = {PENDING: state.pop(PENDING)} if PENDING in state else {}
        self._transaction = ExitStack()
        self._pending: _PendingCommit | None = None
        # The lines that the mirror is to have.
        self._lines: dict[str, tuple[bytes, bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._transaction.__exit__(*error)

    def store(self, batch: Batch, messages: Mapping[str, MessageRow]) -> StoredBatch:
        """Store a batch; it counts when `commit` has returned, which is called now and then.

        Raises:
            OSError: The position cannot be kept; the batch is stored.
            StoreError: As its subclasses say; nothing since the last commit was stored.
        """
        pending = self._pending or self._begin()
        rows = fetch_ids(pending.transaction.connection, CONVERSATIONS.table, list(messages))
        stored_rows = {row[0]: row for row in rows}
        remaining = self._without_removed(messages, stored_rows)
        updates = self._changed(batch, remaining, stored_rows)
        pending.transaction.replace([message.row for message in updates])
        self._lines |= {
            message.row[0]: (digest(message.row), message.line()) for message in updates
        }
        if ended_calls := list(calls_ended(batch, self._followed)):
            pending.ended_todo_calls.append(ended_calls)
        pending.ended_calls += (end for part in batch.parts for end in ends_in(part, self._tool))
        pending.position = batch.position
        pending.state = batch.state | self._followed
        pending.batches += 1
        pending.bytes += batch.bytes
        is_much = pending.batches == BATCHES_AT_ONCE or pending.bytes >= _BYTES_AT_ONCE
        if is_much or time.monotonic() > pending.until:
            self.commit()
        new_count = sum(message.row[0] not in stored_rows for message in updates)
        changed_count = len(updates) - new_count
        failed = sum(hook_failure(part.fields) is not None for part in batch.parts)
        left_out = len(messages) - len(remaining)
        return StoredBatch(
            new_count, changed_count, batch.lines, batch.bytes, batch.unknown, batch.damaged,
            failed, left_out,
        )  # fmt: skip

    def commit(self) -> None:
        """Commit what was stored: synced, copied and marked as read on return.

        Raises:
            OSError: The position cannot be kept; the rest is done.
            StoreError: As its subclasses say; nothing since the last commit was stored.
        """
        pending, self._pending = self._pending, None
        if pending is None:
            return
        self._transaction.close()
        self._lines.clear()
        for ended_calls in pending.ended_todo_calls:
            self._focus.follow(self._writer.connection, self._tool, ended_calls)
        if pending.ended_todo_calls:
            self._sync_position.note_lists(self._focus.epoch())
        self._calls.follow(pending.ended_calls)
        if self._has_purged and not self._has_stored:
            # It would name a session that was purged, and may have texts of it.
            self._sync_position.remove()
        else:
            self._sync_position.save(pending.position, pending.state)

    def _without_removed(
        self, messages: Mapping[str, MessageRow], stored_rows: Mapping[str, StoredRow]
    ) -> Mapping[str, MessageRow]:
        """Return the messages that were not purged or pruned before; those that are stored stay."""
        tombstones = self._tombstones.get()
        if tombstones.is_empty:
            return messages
        remaining = {}
        for id, message in messages.items():
            is_purged = id not in stored_rows and tombstones.is_purged(message.row)
            self._has_purged |= is_purged
            is_removed = is_purged or tombstones.is_pruned(CONVERSATIONS.name, message.row)
            if id in stored_rows or not is_removed:
                remaining[id] = message
        self._has_stored |= bool(remaining)
        return remaining

    def _begin(self) -> _PendingCommit:
        transaction = self._transaction.enter_context(self._writer.transaction(self._lines))
        self._pending = _PendingCommit(transaction)
        return self._pending

    def _changed(
        self, batch: Batch, messages: Mapping[str, MessageRow], stored_rows: Mapping[str, StoredRow]
    ) -> list[MessageRow]:
        """Return the messages that differ from what is stored."""
        parts: dict[str, list[MessagePart]] = defaultdict(list)
        for id, part in zip(batch.ids, batch.parts, strict=True) if stored_rows else ():
            if id in stored_rows:
                parts[id].append(part)
        updates = []
        for id, message in messages.items():
            row = stored_rows.get(id)
            if row is not None and '"payload_dropped"' in (row[1] or ""):
                # Pruned to its small facts.
                continue
            update = message if row is None else self._row_builder.changed(row, parts[id])
            if update is not None:
                updates.append(update)
        return updates
