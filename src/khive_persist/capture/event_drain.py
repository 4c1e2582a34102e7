"""Events from the spool into their database: in order of arrival, many in a transaction."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from khive_persist.capture.drain_journal import DrainJournal
from khive_persist.capture.event_reading import KILLS, EventReader, Unreadable
from khive_persist.capture.fallback_spool import reason, waits
from khive_persist.capture.finished_sessions import ended_transcripts, named_transcripts
from khive_persist.capture.isolation import read_alone, store_alone
from khive_persist.capture.pauses import CurrentPauses, Span, count_unrecorded
from khive_persist.capture.payload_to_row import file_of
from khive_persist.capture.spool import Event, Spool
from khive_persist.capture.spool_removal import Removal
from khive_persist.errors import CaptureError, KhiveError, MirrorError
from khive_persist.models.purposes import HOOK_EVENTS, Purpose
from khive_persist.store.codec import Row
from khive_persist.store.commit_together import commit_together
from khive_persist.store.sqlite.sync_writer import FileWriter

BATCH_EVENTS: Final = 512
# The hooks' server waits for a transaction: it writes for some hundredths of a second, or one row.
BATCH_BYTES: Final = 2 << 20
# Drains in a row that died at an event: who reads it in a process of its own, and dies all the
# same, may die of what it stores.
_DEATHS_OF_STORING: Final = 2
_log = logging.getLogger("khive_persist")


class EventDrain:
    """Drain the events of one project. Whoever calls it holds the drain's lock."""

    def __init__(
        self,
        spool: Spool,
        reader: EventReader,
        journal: DrainJournal,
        writer_of: Callable[[Purpose], FileWriter],
        pauses: CurrentPauses,
        *,
        watches: bool = False,
    ) -> None:
        """Drain nothing yet; `watches` notes the transcripts of sessions at work, too."""
        self._spool = spool
        self._pauses = pauses
        self._reader = reader
        self._journal = journal
        self._writer_of = writer_of
        self._removal = Removal(spool)
        self._ended: dict[Path, None] = {}
        self._watched: dict[Path, None] | None = {} if watches else None

    def run(
        self,
        purpose: Purpose,
        events: Sequence[Event],
        deaths: Mapping[str, int],
        errors: list[KhiveError],
    ) -> int:
        """Bring in the events of one file, in order of arrival; return how many came in.

        `errors` gets the reasons why some wait on. Those that came while recording was off, which
        only a hook of an earlier version leaves here, are dropped.

        Raises:
            ProjectError: The pauses cannot be read: they wait on.
            StoreError: Their database does not take them: they wait on.
        """
        with self._removal:
            events = self._without_paused(events)
            return sum(
                self._drain(purpose, batch, deaths, errors)
                for batch in self._batches(events, deaths, errors)
            )

    def run_away(self, event: Event, deaths: Mapping[str, int], errors: list[KhiveError]) -> int:
        """Bring in an event of a project that is gone, with its path; return how many came in.

        Raises:
            OSError: It cannot be read.
            StoreError: As for `run`.
        """
        with self._removal:
            if not self._without_paused([event]):
                return 0
            return self._drain(
                HOOK_EVENTS[event.tool], [(event, self._spool.read(event))], deaths, errors
            )

    def _without_paused(self, events: Sequence[Event]) -> Sequence[Event]:
        """Drop the events that came in a pause; return the others."""
        pauses = self._pauses.get()
        if pauses.is_empty:
            return events
        pairs = [(event, pauses.of_time(event.arrival_ns)) for event in events]
        self._drop([(event, span) for event, span in pairs if span is not None])
        return [event for event, span in pairs if span is None]

    def _drop(self, pairs: Sequence[tuple[Event, Span]]) -> None:
        self._removal.remove([event for event, _ in pairs])
        for event, span in pairs:
            count_unrecorded(span, event.arrival_ns)

    def take_ended(self) -> list[Path]:
        """Return the transcripts of sessions that have stopped or ended since the last call."""
        paths, self._ended = self._ended, {}
        return list(paths)

    def take_watched(self) -> list[Path]:
        """Return the transcripts of sessions that did something since the last call."""
        paths = self._watched or {}
        if paths:
            self._watched = {}
        return list(paths)

    def set_aside(self, event: Event, reason: str, errors: list[KhiveError]) -> None:
        """Set an event aside and log why; where that fails it is one more that waits."""
        quarantine = self._spool.project.quarantine
        try:
            self._spool.set_aside(event, quarantine)
        except FileNotFoundError:
            return
        except OSError as error:
            errors.append(waits(self._spool, event, error))
        else:
            _log.warning("%s is set aside in %s: %s", event.name, quarantine, reason)

    def _drain(
        self,
        purpose: Purpose,
        batch: Sequence[tuple[Event, bytes]],
        deaths: Mapping[str, int],
        errors: list[KhiveError],
    ) -> int:
        count = max(deaths.get(event.name, 0) for event, _ in batch)
        events = [event for event, _ in batch]
        with self._journal.at(events, count):
            if count >= _DEATHS_OF_STORING:
                return self._store_alone(purpose, events, errors)
            files: dict[Purpose, list[tuple[Event, Row]]] = {}
            for event, row in self._of_recorded(self._rows(batch, count, errors)):
                files.setdefault(file_of(event, row), []).append((event, row))
            return sum(self._store(file, pairs, errors) for file, pairs in files.items())

    def _store_alone(
        self, purpose: Purpose, events: Sequence[Event], errors: list[KhiveError]
    ) -> int:
        """Store events in a process of their own; return how many were stored."""
        pairs = self._alone(store_alone, events, errors)
        stored = [(event, row) for event, row in pairs if row]
        for event, row in stored:
            self._finish([event], [row])
        if len(stored) < len(pairs):
            errors.append(CaptureError(f"{purpose.file} takes no events just now"))
        return len(stored)

    def _alone(
        self,
        read: Callable[[Spool, Sequence[Event]], Sequence[Any]],
        events: Sequence[Event],
        errors: list[KhiveError],
    ) -> list[tuple[Event, Any]]:
        """Let a process of their own read events; set aside those that end it."""
        try:
            rows = read(self._spool, events)
        except OSError as error:
            errors.append(waits(self._spool, events[0], error))
            return []
        pairs = []
        for event, row in zip(events, rows, strict=True):
            if row is None:
                self.set_aside(event, KILLS, errors)
            else:
                pairs.append((event, row))
        return pairs

    def _rows(
        self, batch: Sequence[tuple[Event, bytes]], deaths: int, errors: list[KhiveError]
    ) -> list[tuple[Event, Row]]:
        """Read events; those that have no row are set aside, or wait on."""
        if deaths:
            return self._alone(read_alone, [event for event, _ in batch], errors)
        pairs = []
        for event, raw in batch:
            try:
                pairs.append((event, self._reader.row(event, raw)))
            except Unreadable as error:
                self.set_aside(event, str(error), errors)
            except OSError as error:
                errors.append(waits(self._spool, event, error))
        return pairs

    def _of_recorded(self, pairs: Sequence[tuple[Event, Row]]) -> Iterator[tuple[Event, Row]]:
        """Yield the events whose session is not paused; drop the others."""
        pauses = self._pauses.get()
        for event, row in pairs:
            span = pauses.of_row(row, event.arrival_ns)
            if span is None:
                yield event, row
            else:
                self._drop([(event, span)])

    def _batches(
        self, events: Sequence[Event], deaths: Mapping[str, int], errors: list[KhiveError]
    ) -> Iterator[list[tuple[Event, bytes]]]:
        """Read events, many at a time; those at which a drain died come by themselves."""
        batch: list[tuple[Event, bytes]] = []
        size = 0
        for event in events:
            try:
                raw = self._spool.read(event)
            except FileNotFoundError:
                continue
            except PermissionError as error:
                self.set_aside(event, reason(error), errors)
                continue
            except OSError as error:
                # It stays as it is, counted as left, and must not hold up the events after it.
                errors.append(waits(self._spool, event, error))
                continue
            is_other = bool(batch) and (batch[0][0].name in deaths) != (event.name in deaths)
            if is_other or size + len(raw) > BATCH_BYTES or len(batch) >= BATCH_EVENTS:
                if batch:
                    yield batch
                batch, size = [], 0
            batch.append((event, raw))
            size += len(raw)
        if batch:
            yield batch

    def _store(
        self, purpose: Purpose, pairs: list[tuple[Event, Row]], errors: list[KhiveError]
    ) -> int:
        """Store rows and remove their files; return how many were stored."""
        if not pairs:
            return 0

        def commit(pairs: list[tuple[Event, Row]]) -> int:
            rows = [row for _, row in pairs]
            # What is not in the mirror is in the log: whoever writes next says why.
            with (
                suppress(MirrorError),
                self._writer_of(purpose).transaction() as writing,
            ):
                writing.insert_new(rows)
            self._finish([event for event, _ in pairs], rows)
            return len(rows)

        def refuse(pair: tuple[Event, Row], error: BaseException) -> int:
            self.set_aside(pair[0], str(error), errors)
            return 0

        return sum(commit_together(pairs, commit, refuse))

    def _finish(self, events: Sequence[Event], rows: Sequence[Row]) -> None:
        self._removal.remove(events)
        self._ended |= dict.fromkeys(ended_transcripts(rows))
        if self._watched is not None:
            self._watched |= dict.fromkeys(named_transcripts(rows))
