"""From the spool into the databases: in order of arrival, many in a transaction, each event once.

The row's id is the event's own, and its file is removed after the commit. So whatever stops a
drain, at whatever point, the next one ends with the same rows.
"""

import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from khive_persist import settings as configuration
from khive_persist.capture import arrival
from khive_persist.capture.ended import ended_transcripts
from khive_persist.capture.normalise import file_of, normalise
from khive_persist.capture.record_drain import RecordDrain
from khive_persist.capture.spool import (
    DRAIN_LOCK,
    Event,
    Spool,
    home_place,
    is_for,
    split_away,
    waiting_at_home,
)
from khive_persist.errors import (
    InvalidRecordError,
    InvalidSettingsError,
    KhiveError,
    MirrorError,
    PlaceError,
    StoreError,
)
from khive_persist.mirror.mirror import Mirror
from khive_persist.mirror.recovery import recover
from khive_persist.place import KHIVE, Place
from khive_persist.purposes import HOOK_EVENTS, Purpose
from khive_persist.register import known_purposes
from khive_persist.sealing import load_redactor
from khive_persist.settings import Settings
from khive_persist.store.codec import Row
from khive_persist.store.sqlite import lock
from khive_persist.store.sqlite.file_writer import FileWriter
from khive_persist.trust import marks, mounts, search

BATCH_EVENTS: Final = 512
BATCH_BYTES: Final = 16 << 20
WAIT_SECONDS: Final = 10.0
READING_SECONDS: Final = 2.0
_REMOVERS: Final = 4
_FEW: Final = 32


class Drained(NamedTuple):
    """What a drain did.

    Attributes:
        stored: How many events and records it brought into a database.
        left: How many wait on, those of other projects apart.
        errors: Why, one for each tool and kind of record that could not be written to.
    """

    stored: int
    left: int
    errors: tuple[KhiveError, ...]


class Drain:
    """Drains one place. Keeps its connections until it is closed."""

    def __init__(self, place: Place) -> None:
        """Raises: PlaceError: The place's `.khive` or spool cannot be made or used."""
        if marks.is_state(place.khive) and mounts.is_network(place.khive):
            raise PlaceError(
                f"{place.khive} lies on a network file system: it keeps marks and events only",
                hint="name a local directory by KHIVE_DIR, or make a project's own .khive",
            )
        self.place = place
        self.spool = Spool(place)
        self.spool.make()
        self.settings = usable_settings(place)
        self._redactor = load_redactor(place, self.settings)
        self._mirror = Mirror(place, self.settings)
        self._ended: dict[Path, None] = {}
        self._longest_seconds = math.inf
        self._writers: dict[str, FileWriter] = {}
        self._records = RecordDrain(place, self.spool, self._writer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        for writer in self._writers.values():
            writer.close()

    def run(self, wait_seconds: float = WAIT_SECONDS) -> Drained:
        """Bring in all that lies in the spool, and what other spools hold for this place.

        Events that were accepted before the call are in a database on return, or counted in
        `left` with the reason. One drain runs at a time; another one waits for it.

        Raises:
            StoreBusyError: Another drain ran for longer than `wait_seconds`.
            StoreUnavailableError: The spool's lock cannot be made.
        """
        with lock.held(self.spool.path / DRAIN_LOCK, wait_seconds):
            self.spool.adopt_abandoned()
            self._fetch_from_home()
            stored = 0
            errors: list[KhiveError] = []
            here = self._events_of_place()
            for tool in HOOK_EVENTS:
                try:
                    stored += self._drain_tool(tool, [e for e in here if e.tool == tool])
                except (StoreError, PlaceError) as error:
                    errors.append(error)
            stored += self._records.run(errors)
            stored += self._bring_away()
            errors += self._copy_again()
            return Drained(stored, len(self.spool.waiting()), tuple(errors))

    def run_records(self, purposes: frozenset[str]) -> Drained:
        """Bring in the records of some purposes, as `run` does; a lock is waited for 2 s at most.

        Raises:
            StoreError: As `run` does.
        """
        self._longest_seconds = READING_SECONDS
        with lock.held(self.spool.path / DRAIN_LOCK, READING_SECONDS):
            self.spool.adopt_abandoned()
            errors: list[KhiveError] = []
            stored = self._records.run(errors, purposes)
            return Drained(stored, len(self.spool.waiting()), tuple(errors))

    def _events_of_place(self) -> list[Event]:
        """The events of this place; what only looks like an event is set aside.

        No hook writes a link or a pipe, nor an event of another project anywhere but at home.
        """
        is_home = marks.is_state(self.place.khive)
        events = []
        for event in self.spool.events():
            if not self.spool.is_file(event) or (event.away and not is_home):
                self._quarantine(event)
            elif not event.away:
                events.append(event)
        return events

    def _drain_tool(self, tool: str, events: Sequence[Event]) -> int:
        stored = 0
        for batch in self._batches(events):
            files: dict[str, tuple[list[Row], list[Event]]] = {}
            for event, raw in batch:
                try:
                    row = normalise(event, raw, self.settings, self._redactor)
                    rows, events_of_rows = files.setdefault(file_of(event, row), ([], []))
                except Exception:  # A mistake of ours in one event must not keep out the others.
                    self._quarantine(event)
                else:
                    rows.append(row)
                    events_of_rows.append(event)
            for file, (rows, events_of_rows) in files.items():
                self._store(file, rows, events_of_rows)
                self._ended |= dict.fromkeys(ended_transcripts(rows))
                stored += len(rows)
        return stored

    def tidy(self) -> None:
        """Empty write-ahead logs that have grown large while somebody read."""
        for writer in self._writers.values():
            writer.tidy()

    def recover(self) -> None:
        """Bring the mirror to what the databases have, where somebody was killed; see `recover`."""
        with suppress(KhiveError):
            recover(self.place, known_purposes(self.place), self.settings)

    def _copy_again(self) -> list[KhiveError]:
        """Copy what could not be copied before; why that cannot be done, by file."""
        errors: list[KhiveError] = []
        for writer in self._writers.values():
            try:
                if writer.has_failed:
                    writer.copy_again()
            except (StoreError, MirrorError) as error:
                errors.append(error)
        return errors

    def take_ended(self) -> list[Path]:
        """The transcripts of sessions that have stopped or ended since this was last asked."""
        ended, self._ended = self._ended, {}
        return list(ended)

    def _batches(self, events: Sequence[Event]) -> Iterator[list[tuple[Event, bytes]]]:
        batch: list[tuple[Event, bytes]] = []
        size = 0
        for event in events:
            try:
                raw = self.spool.read(event)
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
            self._insert(tool, rows)
        except InvalidRecordError:
            if len(rows) == 1:
                self._quarantine(events[0])
                return
            # One row that SQLite cannot hold must not keep the others out.
            for row, event in zip(rows, events, strict=True):
                self._store(tool, [row], [event])
            return
        except MirrorError:
            # They are in the database and its log; `_copy_again` says why not in the mirror.
            pass
        self._remove(events)

    def _remove(self, events: Sequence[Event]) -> None:
        """Remove the files of stored events. Four at once take a third of the time."""
        if len(events) < _FEW:
            for event in events:
                self.spool.remove(event)
            return

        def remove(begin: int) -> None:
            for event in events[begin::_REMOVERS]:
                self.spool.remove(event)

        with ThreadPoolExecutor(_REMOVERS) as removers:
            list(removers.map(remove, range(_REMOVERS)))

    def _insert(self, tool: str, rows: list[Row]) -> None:
        with self._writer(HOOK_EVENTS[tool]).transaction() as writing:
            writing.insert_new(rows)

    def _writer(self, purpose: Purpose) -> FileWriter:
        if purpose.name not in self._writers:
            path = self.place.database(purpose.file)
            timeout = min(self.settings.store_busy_timeout_seconds, self._longest_seconds)
            mirror = self._mirror.follower(purpose)
            self._writers[purpose.name] = FileWriter(path, purpose, timeout, mirror)
        return self._writers[purpose.name]

    def _quarantine(self, event: Event) -> None:
        # Gone meanwhile, or not ours to move: then it stays, counted as left.
        with suppress(OSError):
            self.spool.set_aside(event, self.place.quarantine)

    def _fetch_from_home(self) -> None:
        home = home_place()
        if home is None or marks.is_state(self.place.khive):
            return
        if not search.may_be_used(self.place.khive):
            # It was when this drain began.
            return
        spool = Spool(home)
        for event in spool.events():
            if event.away and is_for(spool.header(event), self.place):
                # One that cannot be read or moved must not stop the others: home's drain looks.
                with suppress(OSError):
                    self._hand_over(spool, event, self.place)

    def _bring_away(self) -> int:
        """Bring events that lie here for other projects to those; how many were stored here.

        Only in the home's spool, where no repository can put one. A project that is not trusted
        gets its events when it is.
        """
        if not marks.is_state(self.place.khive):
            return 0
        stored = 0
        reached: dict[str, bool] = {}
        for event in self.spool.events():
            if not event.away:
                continue
            project = self.spool.header(event)
            try:
                if not project or not os.path.lexists(Path(project) / KHIVE):
                    # The project is gone, or no longer recorded: here with its path.
                    stored += self._store_here(event)
                elif reached.setdefault(project, _can_take(project)):
                    self._hand_over(self.spool, event, Place(project))
            except PermissionError:
                self._quarantine(event)
            except (OSError, KhiveError):
                # That project still cannot take it: it waits on here, where doctor counts it.
                reached[project] = False
        for project, is_reached in reached.items():
            if is_reached:
                drain(Place(project))
        return stored

    def _store_here(self, event: Event) -> int:
        project, payload = split_away(self.spool.read(event))
        row = normalise(event, payload, self.settings, self._redactor, project)
        self._store(file_of(event, row), [row], [event])
        return 1

    def _hand_over(self, spool: Spool, event: Event, target: Place) -> None:
        _, payload = split_away(spool.read(event))
        name = event.name.removesuffix(".away") + ".event"
        os.close(arrival.keep(str(target.root), name, payload))
        spool.remove(event)


def _can_take(project: str) -> bool:
    """Whether a project's `.khive` is trusted; one that holds settings alone is, from now on."""
    try:
        search.adopt(Path(project) / KHIVE)
    except PlaceError:
        return False
    return True


def usable_settings(place: Place) -> Settings:
    """The settings of a place; the defaults where its file is wrong.

    A mistake in config.toml must not stop the recording. The defaults are the careful ones, with
    redaction on; `doctor` names the mistake.
    """
    try:
        return configuration.load(place.config)
    except InvalidSettingsError:
        return Settings()


def drain(place: Place) -> Drained:
    """Bring in all that lies in the spool of a place, before something is read from it.

    It never raises: what could not be brought in is counted in `left`, with the reasons.
    """
    spool = Spool(place)
    if spool.is_empty() and not waiting_at_home(place):
        return Drained(0, 0, ())
    try:
        with Drain(place) as draining:
            return draining.run()
    except (StoreError, PlaceError) as error:
        return Drained(0, len(spool.waiting()), (error,))


def drain_records(place: Place, purposes: frozenset[str]) -> Drained:
    """Bring in the records of some purposes, as `drain` does with all that lies in the spool."""
    try:
        with Drain(place) as draining:
            return draining.run_records(purposes)
    except (StoreError, PlaceError) as error:
        return Drained(0, len(Spool(place).waiting()), (error,))
