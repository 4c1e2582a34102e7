"""Bring what is new of a transcript into `conversations.db`, each message once."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from khive_persist.mirror.mirror import Mirror
from khive_persist.mirror.recovery import FEW_RECORDS, recover
from khive_persist.models.purposes import CONVERSATIONS
from khive_persist.project import Project
from khive_persist.redaction import Redactor
from khive_persist.settings import Settings
from khive_persist.store.sqlite import change_log
from khive_persist.store.sqlite.sync_writer import FileWriter
from khive_persist.tombstones import CurrentTombstones
from khive_persist.tools import transcripts_of
from khive_persist.transcripts.batches import BYTES_AT_ONCE, Batch, batches
from khive_persist.transcripts.call_ends import CallEnds
from khive_persist.transcripts.checkpoint import SyncPosition
from khive_persist.transcripts.discovery import Transcript, session_of
from khive_persist.transcripts.focus import Focus
from khive_persist.transcripts.message_rows import MessageRow, RowBuilder
from khive_persist.transcripts.paused_messages import PausedMessages
from khive_persist.transcripts.source import modified_at, opened
from khive_persist.transcripts.writer import BatchWriter, StoredBatch

Advance = Callable[[int], None]
_BatchRows = tuple[Batch, dict[str, MessageRow]]
_Result = TypeVar("_Result")

# Batches that are read while one is stored: as many as are read in the time of a commit.
_AHEAD: Final = 3
# Of long lines not as many.
_AHEAD_BYTES: Final = 4 * BYTES_AT_ONCE


class Synced(NamedTuple):
    """The result of syncing one transcript.

    Attributes:
        path: The transcript.
        new: The number of messages that were not there before.
        changed: The number of messages that have more content now.
        lines: The number of lines read.
        bytes: The number of their bytes.
        unknown: Lines of kinds that are not known here, by kind; they are kept as they are.
        damaged: Lines that are no JSON; they are kept as they are.
        failed_hooks: Lines that say that a hook failed that may be ours.
        is_restarted: Whether the transcript was read anew, as it was rewritten since.
        left_out: The number of messages not stored, as they were purged or pruned before.
        is_purged: Whether it was not read, as its session was purged since it was written to.
        paused: The number of messages not stored, as recording was off when they were said.
    """

    path: Path
    new: int = 0
    changed: int = 0
    lines: int = 0
    bytes: int = 0
    unknown: dict[str, int] = {}  # noqa: RUF012 - never changed
    damaged: int = 0
    failed_hooks: int = 0
    is_restarted: bool = False
    left_out: int = 0
    is_purged: bool = False
    paused: int = 0


class Sync:
    """Reads transcripts into one project."""

    def __init__(self, project: Project, settings: Settings, redactor: Redactor | None) -> None:
        self._project = project
        self._settings = settings
        self._redactor = redactor
        self._mirror = Mirror(project, settings).follower(CONVERSATIONS)
        self._focus = Focus(project, settings, redactor)
        self._timeout = settings.store_busy_timeout_seconds
        self._path = project.database(CONVERSATIONS.file)
        self._tombstones = CurrentTombstones(project)
        self._paused_messages = PausedMessages(project)

    def run(self, transcript: Path, tool: str, advance: Advance = lambda _: None) -> Synced:
        """Bring in what is new of a transcript: committed, synced and copied on return.

        It may be written to meanwhile; a last line without an end is left for the next time. A file
        that was rewritten is read anew, and its messages are the same again. Killed, the next sync
        goes on from what was committed last. The memory that it takes does not depend on the length
        of the file, only on that of its longest line. What was purged or pruned before stays out.
        `advance` is called with the number of bytes that were read since.

        Raises:
            OSError: It cannot be read.
            StoreError: As its subclasses say; what was committed before stays.
            MirrorError: The second copy cannot be written.
        """
        # Before a database is made for one that cannot be read.
        written_at = modified_at(transcript)
        if self._is_purged(Transcript(tool, transcript), written_at):
            return Synced(transcript, is_purged=True)
        row_builder = RowBuilder(tool, self._redactor)
        result = Synced(transcript)
        unknown: Counter[str] = Counter()
        paused_count = 0
        with ExitStack() as stack:
            writer = FileWriter(self._path, CONVERSATIONS, self._timeout, self._mirror)
            stack.enter_context(writer)
            epoch = change_log.state(writer.connection).epoch
            sync_position = SyncPosition(
                self._project, transcript, tool, epoch, self._focus.epoch()
            )
            position, state = sync_position.load()
            file = stack.enter_context(closing(opened(transcript, position)))
            # What lies beside a transcript may come after it.
            state = transcripts_of(tool).state_beside(transcript) | (state if file.is_known else {})
            result = result._replace(is_restarted=file.is_rewritten)
            calls = CallEnds(self._project, self._settings, self._redactor, tool)
            batch_writer = BatchWriter(
                writer, self._focus, calls, sync_position, row_builder, tool, state,
                self._tombstones,
            )  # fmt: skip

            def batch_rows() -> Iterator[_BatchRows]:
                nonlocal paused_count
                for batch in batches(file, transcript, tool, state):
                    paused_count += self._paused_messages.leave_out(batch)
                    calls.mark(batch)
                    yield batch, row_builder.new(batch)

            for stored_batch in _stored(batch_writer, batch_rows()):
                unknown.update(stored_batch.unknown)
                result = result._replace(
                    new=result.new + stored_batch.new,
                    changed=result.changed + stored_batch.changed,
                    lines=result.lines + stored_batch.lines,
                    bytes=result.bytes + stored_batch.bytes,
                    damaged=result.damaged + stored_batch.damaged,
                    failed_hooks=result.failed_hooks + stored_batch.failed_hooks,
                    left_out=result.left_out + stored_batch.left_out,
                )
                advance(stored_batch.bytes)
            is_behind = writer.is_behind
        if is_behind:
            recover(self._project, (CONVERSATIONS,), self._settings, most=FEW_RECORDS)
        return result._replace(unknown=dict(unknown), paused=paused_count)

    def _is_purged(self, transcript: Transcript, written_at: str) -> bool:
        """Return whether nothing of a transcript is of later than the purge of its session."""
        tombstones = self._tombstones.get()
        session_id = session_of(transcript) if tombstones.has_sessions else None
        if session_id is None:
            return False
        return written_at <= tombstones.purged_until(session_id)


def _stored(batch_writer: BatchWriter, batch_rows: Iterable[_BatchRows]) -> Iterator[StoredBatch]:
    """Store batches while the next are read: SQLite and the disk leave the interpreter alone."""
    pending: deque[Future[StoredBatch]] = deque()
    last: Future[StoredBatch] | None = None
    held = 0
    with batch_writer, ThreadPoolExecutor(1) as thread:
        for batch, messages in batch_rows:
            while pending and (len(pending) == _AHEAD or held + batch.bytes > _AHEAD_BYTES):
                stored_batch = pending.popleft().result()
                held -= stored_batch.bytes
                yield stored_batch
            last = thread.submit(_after, last, partial(batch_writer.store, batch, messages))
            pending.append(last)
            held += batch.bytes
        thread.submit(_after, last, batch_writer.commit).result()
        yield from (future.result() for future in pending)


def _after(previous: Future[Any] | None, store: Callable[[], _Result]) -> _Result:
    # Nothing is stored that comes after a failure: its lines would be taken for read.
    if previous is not None:
        previous.result()
    return store()
