"""Events from the spool into their database: in order of arrival, many in a transaction."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

from khive_persist.capture.ended import ended_transcripts
from khive_persist.capture.normalise import normalise
from khive_persist.capture.spool import Event, Spool, split_away
from khive_persist.errors import InvalidRecordError, MirrorError
from khive_persist.place import Place
from khive_persist.purposes import HOOK_EVENTS, Purpose
from khive_persist.redaction import Redactor
from khive_persist.settings import Settings
from khive_persist.store.codec import Row
from khive_persist.store.sqlite.file_writer import FileWriter

BATCH_EVENTS: Final = 512
BATCH_BYTES: Final = 16 << 20
_REMOVERS: Final = 4
_FEW: Final = 32


class EventDrain:
    """Drains the events of one place. Whoever calls it holds the drain's lock."""

    def __init__(
        self,
        place: Place,
        spool: Spool,
        settings: Settings,
        redactor: Redactor | None,
        writer_of: Callable[[Purpose], FileWriter],
    ) -> None:
        self._place = place
        self._spool = spool
        self._settings = settings
        self._redactor = redactor
        self._writer_of = writer_of
        self._ended: dict[Path, None] = {}

    def run(self, tool: str, events: Sequence[Event]) -> int:
        """Bring in the events of one tool; how many came in.

        Raises:
            StoreError: Their database does not take them: they wait on.
        """
        stored = 0
        for batch in self._batches(events):
            rows = []
            events_of_rows = []
            for event, raw in batch:
                try:
                    rows.append(normalise(event, raw, self._settings, self._redactor))
                except Exception:  # A mistake of ours in one event must not keep out the others.
                    self.quarantine(event)
                else:
                    events_of_rows.append(event)
            self._store(tool, rows, events_of_rows)
            self._ended |= dict.fromkeys(ended_transcripts(rows))
            stored += len(rows)
        return stored

    def run_away(self, event: Event) -> int:
        """Bring in an event of a project that is gone, with the project's path; how many came in.

        Raises:
            OSError: It cannot be read.
            StoreError: As for `run`.
        """
        project, payload = split_away(self._spool.read(event))
        row = normalise(event, payload, self._settings, self._redactor, project)
        self._store(event.tool, [row], [event])
        return 1

    def take_ended(self) -> list[Path]:
        """The transcripts of sessions that have stopped or ended since this was last asked."""
        ended, self._ended = self._ended, {}
        return list(ended)

    def quarantine(self, event: Event) -> None:
        """Set an event aside."""
        # Gone meanwhile, or not ours to move: then it stays, counted as left.
        with suppress(OSError):
            self._spool.set_aside(event, self._place.quarantine)

    def _batches(self, events: Sequence[Event]) -> Iterator[list[tuple[Event, bytes]]]:
        batch: list[tuple[Event, bytes]] = []
        size = 0
        for event in events:
            try:
                raw = self._spool.read(event)
            except OSError:
                # Unreadable or gone: what cannot be read cannot be stored; it stays as it is,
                # counted as left, and must not hold up the events after it.
                continue
            batch.append((event, raw))
            size += len(raw)
            if len(batch) >= BATCH_EVENTS or size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _store(self, tool: str, rows: list[Row], events: Sequence[Event]) -> None:
        try:
            with self._writer_of(HOOK_EVENTS[tool]).transaction() as writing:
                writing.insert_new(rows)
        except InvalidRecordError:
            if len(rows) == 1:
                self.quarantine(events[0])
                return
            # One row that SQLite cannot hold must not keep the others out.
            for row, event in zip(rows, events, strict=True):
                self._store(tool, [row], [event])
            return
        except MirrorError:
            # They are in the database and its log; whoever writes next says why not in the mirror.
            pass
        self._remove(events)

    def _remove(self, events: Sequence[Event]) -> None:
        """Remove the files of stored events. Four at once take a third of the time."""
        if len(events) < _FEW:
            for event in events:
                self._spool.remove(event)
            return

        def remove(begin: int) -> None:
            for event in events[begin::_REMOVERS]:
                self._spool.remove(event)

        with ThreadPoolExecutor(_REMOVERS) as removers:
            list(removers.map(remove, range(_REMOVERS)))
