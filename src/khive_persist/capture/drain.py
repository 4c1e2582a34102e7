"""From the spool into the databases: in order of arrival, many in a transaction, each event once.

The row's id is the event's own, and its file is removed after the commit. So whatever stops a
drain, at whatever point, the next one ends with the same rows.
"""

import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

from khive_persist import settings as configuration
from khive_persist.capture import home_limits
from khive_persist.capture.drain_journal import DrainJournal
from khive_persist.capture.drain_settings import usable_settings as usable_settings
from khive_persist.capture.event_drain import EventDrain
from khive_persist.capture.event_reading import EventReader
from khive_persist.capture.fallback_spool import hand_over, move_home_events, reason, waits
from khive_persist.capture.pauses import CurrentPauses
from khive_persist.capture.record_drain import RecordDrain
from khive_persist.capture.spool import (
    DRAIN_LOCK,
    Event,
    Spool,
    home_project,
    is_anything_waiting,
    waiting_at_home,
)
from khive_persist.errors import (
    CaptureError,
    InvalidSettingsError,
    KhiveError,
    MirrorError,
    ProjectError,
    StoreError,
)
from khive_persist.mirror.mirror import Mirror
from khive_persist.mirror.recovery import FEW_RECORDS, recover
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.models.purposes import EVENT_FILES, HOOK_EVENTS, Purpose
from khive_persist.project import KHIVE, Project
from khive_persist.store.redacting import load_redactor
from khive_persist.store.sqlite import write_lock
from khive_persist.store.sqlite.sync_writer import FileWriter
from khive_persist.trust import marks, mounts, search

WAIT_SECONDS: Final = 10.0
READING_SECONDS: Final = 2.0


class DrainResult(NamedTuple):
    """The result of a drain.

    Attributes:
        stored_count: The number of events and records that came into a database.
        waiting_count: The number of those that wait on, without those of other projects.
        errors: The reasons, one for each tool and kind of record that could not be written.
        unreached: The reasons why events of other projects stay in the home's spool.
    """

    stored_count: int
    waiting_count: int
    errors: tuple[KhiveError, ...]
    unreached: tuple[KhiveError, ...] = ()


class Drain:
    """Drain one project, with connections that stay open until it is closed."""

    def __init__(self, project: Project, *, is_timed: bool = False) -> None:
        """Open a project for draining.

        With `is_timed` the process ends, by SIGPROF, where the reading of one event takes longer
        than it may. The next drain reads that one in a process of its own; otherwise this one does.

        Raises:
            ProjectError: The project's `.khive` or spool cannot be made or used.
        """
        if marks.is_state(project.khive) and mounts.is_network(project.khive):
            raise ProjectError(
                f"{project.khive} lies on a network file system: it keeps marks and events only",
                hint="name a local directory by KHIVE_DIR, or make a project's own .khive",
            )
        self.project = project
        self.spool = Spool(project)
        self.spool.make()
        self.settings = usable_settings(project)
        self._redactor = load_redactor(project, self.settings)
        self._mirror = Mirror(project, self.settings)
        self._longest_seconds = math.inf
        self._writers: dict[str, FileWriter] = {}
        self._journal = DrainJournal(self.spool.path)
        self._events = EventDrain(
            self.spool,
            EventReader(self.spool, self.settings, self._redactor, is_timed=is_timed),
            self._journal,
            self._writer,
            CurrentPauses(project),
            watches=self.settings.has_budget,
        )
        self._records = RecordDrain(project, self.spool, self._writer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        for writer in self._writers.values():
            writer.close()

    def run(self, wait_seconds: float = WAIT_SECONDS) -> DrainResult:
        """Bring in all that lies in the spool, and what other spools hold for this project.

        Events that were accepted before the call are in a database on return, or counted in
        `waiting_count` with the reason. One drain runs at a time; another one waits for it.

        Raises:
            StoreBusyError: Another drain ran for longer than `wait_seconds`.
            StoreUnavailableError: The spool's lock cannot be made.
        """
        with write_lock.held(self.spool.path / DRAIN_LOCK, wait_seconds):
            self.spool.adopt_abandoned()
            deaths = self._journal.deaths()
            errors = self._fetch_from_home()
            unreached: list[KhiveError] = []
            stored_count = 0
            project_events = self._events_of_project(errors)
            for purpose in EVENT_FILES.values():
                events = [e for e in project_events if HOOK_EVENTS[e.tool] is purpose]
                try:
                    stored_count += self._events.run(purpose, events, deaths, errors)
                except (StoreError, OSError) as error:
                    errors.append(_as_khive_error(self.spool, error))
            try:
                stored_count += self._records.run(errors)
            except OSError as error:
                errors.append(_as_khive_error(self.spool, error))
            stored_count += self._bring_away(deaths, errors, unreached)
            errors += self._copy_again()
            waiting_count = len(self.spool.waiting()) + waiting_at_home(self.project)
            return DrainResult(stored_count, waiting_count, tuple(errors), tuple(unreached))

    def run_records(self, purposes: frozenset[str]) -> DrainResult:
        """Bring in the records of some purposes, as `run` does; a lock is waited for 2 s at most.

        Raises:
            StoreError: As `run` does.
        """
        self._longest_seconds = READING_SECONDS
        with write_lock.held(self.spool.path / DRAIN_LOCK, READING_SECONDS):
            self.spool.adopt_abandoned()
            errors: list[KhiveError] = []
            stored_count = self._records.run(errors, purposes)
            return DrainResult(stored_count, len(self.spool.waiting()), tuple(errors))

    def _events_of_project(self, errors: list[KhiveError]) -> list[Event]:
        """Return the events of this project; set aside what only looks like an event.

        No hook writes a link or a pipe, nor an event of another project anywhere but at home.
        """
        is_home = marks.is_state(self.project.khive)
        events = []
        for event in self.spool.events():
            if not self.spool.is_file(event) or (event.is_away and not is_home):
                self._events.set_aside(event, "it is no file of a hook's", errors)
            elif not event.is_away:
                events.append(event)
        return events

    def tidy(self) -> None:
        """Empty write-ahead logs that have grown large while somebody read."""
        for writer in self._writers.values():
            writer.tidy()

    def recover(self) -> None:
        """Bring the mirror up to date with the databases after a kill; see `recover`."""
        with suppress(KhiveError):
            recover(self.project, known_purposes(self.project), self.settings)

    def recover_few(self) -> None:
        """Compare the files with few records that an older version, or others, have written."""
        with suppress(KhiveError):
            behind = [writer.purpose for writer in self._writers.values() if writer.is_behind]
            recover(self.project, behind, self.settings, most=FEW_RECORDS)

    def _copy_again(self) -> list[KhiveError]:
        """Copy what could not be copied before; return an error for each file that fails again."""
        errors: list[KhiveError] = []
        for writer in self._writers.values():
            try:
                if writer.has_failed:
                    writer.copy_again()
            except (StoreError, MirrorError) as error:
                errors.append(error)
        return errors

    def take_ended(self) -> list[Path]:
        """Return the transcripts of sessions that have stopped or ended since the last call."""
        return self._events.take_ended()

    def take_watched(self) -> list[Path]:
        """Return the transcripts of sessions that did something since the last call.

        They are noted where a budget is set, whose warning must not wait for the end of a turn.
        """
        return self._events.take_watched()

    def _writer(self, purpose: Purpose) -> FileWriter:
        if purpose.name not in self._writers:
            path = self.project.database(purpose.file)
            timeout = min(self.settings.store_busy_timeout_seconds, self._longest_seconds)
            mirror = self._mirror.follower(purpose)
            self._writers[purpose.name] = FileWriter(path, purpose, timeout, mirror)
        return self._writers[purpose.name]

    def _fetch_from_home(self) -> list[KhiveError]:
        """Move here what the home's spool holds for this project; return why some of it waits."""
        home = home_project()
        if home is None or marks.is_state(self.project.khive):
            return []
        if not search.may_be_used(self.project.khive):
            # It was when this drain began.
            return []
        return move_home_events(Spool(home), self.project)

    def _bring_away(
        self, deaths: Mapping[str, int], errors: list[KhiveError], unreached: list[KhiveError]
    ) -> int:
        """Bring events that lie here for other projects to those; return how many are stored here.

        This happens only in the home's spool, where no repository can put one. A project that is
        not trusted gets its events when it is.
        """
        if not marks.is_state(self.project.khive):
            return 0
        stored_count = 0
        reached: dict[str, bool] = {}
        refused: dict[str, list[Event]] = {}
        for event in self.spool.events():
            if not event.is_away:
                continue
            try:
                project_path = self.spool.header(event)
                project_path = project_path and str(marks.moved_to(Path(project_path)))
                if not project_path or not os.path.lexists(Path(project_path) / KHIVE):
                    # The project is gone, or no longer recorded: here with its path.
                    stored_count += self._events.run_away(event, deaths, errors)
                    continue
                if project_path not in reached:
                    reached[project_path] = _can_take(project_path)
                if reached[project_path]:
                    hand_over(self.spool, event, Project(project_path))
                elif not marks.is_trusted(Path(project_path) / KHIVE):
                    refused.setdefault(project_path, []).append(event)
            except FileNotFoundError:
                # The project's own drain has moved it.
                continue
            except PermissionError as error:
                self._events.set_aside(event, reason(error), errors)
            except CaptureError as error:
                # That project still cannot take it: it waits on here, where doctor counts it.
                reached[project_path] = False
                unreached.append(error)
            except (OSError, KhiveError) as error:
                errors.append(waits(self.spool, event, error))
        self._drop_excess(refused, errors)
        for project_path, is_reached in reached.items():
            if is_reached:
                drain(Project(project_path))
        return stored_count

    def _drop_excess(self, refused: Mapping[str, list[Event]], errors: list[KhiveError]) -> None:
        """Keep to the limits of the home's spool; a mistake in its settings drops nothing."""
        try:
            settings = configuration.load(self.project.config)
            home_limits.drop_excess(self.spool, refused, settings)
        except InvalidSettingsError:
            # `doctor` names it. The defaults may be less than the person asked for.
            return
        except OSError as error:
            errors.append(_as_khive_error(self.spool, error))


def _can_take(project_path: str) -> bool:
    """Return whether a project's `.khive` is trusted; adopt one that holds settings alone."""
    try:
        search.adopt(Path(project_path) / KHIVE)
    except OSError:
        return False
    return True


def drain(project: Project) -> DrainResult:
    """Bring in all that lies in the spool of a project, before something is read from it.

    It never raises: what could not be brought in is counted in `waiting_count`, with the reasons.
    """
    spool = Spool(project)
    try:
        if not is_anything_waiting(project):
            return DrainResult(0, 0, ())
        with Drain(project) as draining:
            result = draining.run()
            draining.recover_few()
            return result
    except (OSError, StoreError) as error:
        return _failed_result(spool, error)


def drain_records(project: Project, purposes: frozenset[str]) -> DrainResult:
    """Bring in the records of some purposes, as `drain` does with all that lies in the spool."""
    try:
        with Drain(project) as draining:
            return draining.run_records(purposes)
    except (OSError, StoreError) as error:
        return _failed_result(Spool(project), error)


def _failed_result(spool: Spool, error: OSError | StoreError) -> DrainResult:
    try:
        waiting_count = len(spool.waiting()) + waiting_at_home(spool.project)
    except OSError:
        waiting_count = 0
    return DrainResult(0, waiting_count, (_as_khive_error(spool, error),))


def _as_khive_error(spool: Spool, error: OSError | StoreError) -> KhiveError:
    if isinstance(error, KhiveError):
        return error
    return CaptureError(f"{error.filename or spool.path}: {error.strerror}")
