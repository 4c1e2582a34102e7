"""Batches of a transcript on their way into the database, the mirror and the lists of to-dos."""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from khive_persist.mirror.document import digest
from khive_persist.models.purposes import CONVERSATIONS
from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite.rows import fetch_ids
from khive_persist.store.sqlite.sync_writer import FileWriter
from khive_persist.store.sqlite.transaction import Transaction
from khive_persist.tombstones import CurrentTombstones
from khive_persist.tools.message_part import Piece
from khive_persist.transcripts.batches import BYTES_AT_ONCE, Batch
from khive_persist.transcripts.call_ends import CallEnds, ends_in
from khive_persist.transcripts.call_ends import Ended as CallEnded
from khive_persist.transcripts.checkpoint import Bookmark
from khive_persist.transcripts.failed_hooks import hook_failure
from khive_persist.transcripts.focus import PENDING, Ended, Focus, calls_ended
from khive_persist.transcripts.growing_file import START
from khive_persist.transcripts.message_rows import Draft, Drafting

# What is committed at once. An index on ids that come in no order is written almost as a whole each
# time: the fewer times, the better. Others wait meanwhile, so it takes no long time either.
BATCHES_AT_ONCE: Final = 8
_BYTES_AT_ONCE: Final = BATCHES_AT_ONCE * BYTES_AT_ONCE
SECONDS_AT_ONCE: Final = 2.0


class Stored(NamedTuple):
    """What became of a batch; see `Synced`."""

    new: int
    changed: int
    lines: int
    bytes: int
    unknown: Counter[str]
    damaged: int
    failed_hooks: int
    left_out: int


class _Written:
    """What was written in a transaction that is open, for when it is committed.

    Attributes:
        transaction: What it is written through.
        until: When others have waited long enough.
        ended: The calls on to-do lists that have ended, batch by batch.
        call_ends: How every call ended.
        batches: How many batches that was.
        bytes: How many bytes of the transcript.
        position: Where the last of them ends.
        state: What the reader remembers there.
    """

    def __init__(self, transaction: Transaction) -> None:
        self.transaction = transaction
        self.until = time.monotonic() + SECONDS_AT_ONCE
        self.ended: list[list[Ended]] = []
        self.call_ends: list[CallEnded] = []
        self.batches = 0
        self.bytes = 0
        self.position = START
        self.state: dict[str, Any] = {}


class Storing:
    """Stores what a sync reads of one transcript, in the order of its lines.

    Several batches are committed together; those that were not are rolled back when an error ends
    it. It is no matter which thread calls, one at a time.
    """

    def __init__(
        self,
        writer: FileWriter,
        focus: Focus,
        calls: CallEnds,
        bookmark: Bookmark,
        drafting: Drafting,
        tool: str,
        state: dict[str, Any],
        tombstones: CurrentTombstones,
    ) -> None:
        """Take what it stores with.

        Args:
            writer: Of the messages.
            focus: Where the to-do lists of them go.
            bookmark: Where the position is kept.
            drafting: What makes rows of them.
            tool: Whose transcript it is.
            state: As the bookmark had it; what is not the reader's is taken out.
            tombstones: What was removed before, and stays out.
        """
        self._writer = writer
        self._focus = focus
        self._calls = calls
        self._bookmark = bookmark
        self._drafting = drafting
        self._tool = tool
        self._tombstones = tombstones
        self._has_stored = self._has_purged = False
        self._followed = {PENDING: state.pop(PENDING)} if PENDING in state else {}
        self._transaction = ExitStack()
        self._written: _Written | None = None
        # The lines that the mirror is to have.
        self._lines: dict[str, tuple[bytes, bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._transaction.__exit__(kind, error, traceback)

    def store(self, batch: Batch, drafts: Mapping[str, Draft]) -> Stored:
        """Store a batch; it counts when `commit` has returned, which is called now and then.

        Args:
            batch: The lines after those of the batch before.
            drafts: Its messages, as they are if nothing of them was stored before.

        Raises:
            OSError: The position cannot be kept; the batch is stored.
            StoreError: As its subclasses say; nothing since the last commit was stored.
            MirrorError: The second copy cannot be written.
        """
        now = self._written or self._begin()
        found = fetch_ids(now.transaction.connection, CONVERSATIONS.table, list(drafts))
        stored = {row[0]: row for row in found}
        kept = self._without_removed(drafts, stored)
        written = self._changed(batch, kept, stored)
        now.transaction.replace([draft.row for draft in written])
        self._lines |= {draft.row[0]: (digest(draft.row), draft.line()) for draft in written}
        if ended := list(calls_ended(batch, self._followed)):
            now.ended.append(ended)
        now.call_ends += (end for piece in batch.pieces for end in ends_in(piece, self._tool))
        now.position = batch.position
        now.state = batch.state | self._followed
        now.batches += 1
        now.bytes += batch.bytes
        is_much = now.batches == BATCHES_AT_ONCE or now.bytes >= _BYTES_AT_ONCE
        if is_much or time.monotonic() > now.until:
            self.commit()
        new = sum(draft.row[0] not in stored for draft in written)
        changed = len(written) - new
        failed = sum(hook_failure(piece.fields) is not None for piece in batch.pieces)
        left_out = len(drafts) - len(kept)
        return Stored(
            new, changed, batch.lines, batch.bytes, batch.unknown, batch.damaged, failed, left_out
        )

    def commit(self) -> None:
        """Commit what was stored: synced, copied and marked as read on return.

        Raises:
            OSError: The position cannot be kept; the rest is done.
            StoreError: As its subclasses say; nothing since the last commit was stored.
            MirrorError: The second copy cannot be written.
        """
        done, self._written = self._written, None
        if done is None:
            return
        self._transaction.close()
        self._lines.clear()
        for ended in done.ended:
            self._focus.follow(self._writer.connection, self._tool, ended)
        if done.ended:
            self._bookmark.note_lists(self._focus.epoch())
        self._calls.follow(done.call_ends)
        if self._has_purged and not self._has_stored:
            # It would name a session that was purged, and may have texts of it.
            self._bookmark.remove()
        else:
            self._bookmark.save(done.position, done.state)

    def _without_removed(
        self, drafts: Mapping[str, Draft], stored: Mapping[str, StoredRow]
    ) -> Mapping[str, Draft]:
        """The messages that were not purged or pruned before; those that are stored stay."""
        tombstones = self._tombstones.get()
        if tombstones.is_empty:
            return drafts
        kept = {}
        for id, draft in drafts.items():
            is_purged = id not in stored and tombstones.is_purged(draft.row)
            self._has_purged |= is_purged
            is_removed = is_purged or tombstones.is_pruned(CONVERSATIONS.name, draft.row)
            if id in stored or not is_removed:
                kept[id] = draft
        self._has_stored |= bool(kept)
        return kept

    def _begin(self) -> _Written:
        transaction = self._transaction.enter_context(self._writer.transaction(self._lines))
        self._written = _Written(transaction)
        return self._written

    def _changed(
        self, batch: Batch, drafts: Mapping[str, Draft], stored: Mapping[str, StoredRow]
    ) -> list[Draft]:
        """The messages that are not stored as they are."""
        parts: dict[str, list[Piece]] = defaultdict(list)
        for id, piece in zip(batch.ids, batch.pieces, strict=True) if stored else ():
            if id in stored:
                parts[id].append(piece)
        written = []
        for id, draft in drafts.items():
            row = stored.get(id)
            if row is not None and '"payload_dropped"' in (row[1] or ""):
                # Pruned to its small facts.
                continue
            made = draft if row is None else self._drafting.changed(row, parts[id])
            if made is not None:
                written.append(made)
        return written
