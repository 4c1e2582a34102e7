"""Events and records of a session that wait in a spool."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from khive_persist.capture.long_payloads import is_heavy
from khive_persist.capture.payload_to_row import normalise
from khive_persist.capture.record_file import RecordFile, decode
from khive_persist.capture.spool import DRAIN_LOCK, Event, Spool, home_project, is_for, split_away
from khive_persist.errors import ProjectError
from khive_persist.project import Project, sync_directory
from khive_persist.settings import Settings
from khive_persist.store.session_ids import SessionMatch
from khive_persist.store.sqlite import write_lock
from khive_persist.trust import marks


def remove_waiting(
    project: Project, match: SessionMatch, settings: Settings, *, dry_run: bool = False
) -> int:
    """Remove the pending events and records of a session, so that no drain brings them in.

    Their number is returned, the spool synced; a dry run only counts.

    Raises:
        StoreBusyError: A drain ran for too long.
        OSError: One cannot be removed.
    """
    spool = Spool(project)
    if not (spool.events() or spool.records()):
        return 0
    with write_lock.held(spool.path / DRAIN_LOCK, settings.store_busy_timeout_seconds):
        events = [
            event
            for event in spool.events()
            if not event.is_away and _is_event_of(spool, event, match, settings)
        ]
        records = [file for file in spool.records() if _is_record_of(spool, file, match)]
        pending: list[Event | RecordFile] = [*events, *records]
        if pending and not dry_run:
            for file in pending:
                spool.remove(file)
            sync_directory(spool.path)
    return len(pending)


def waiting_at_home(project: Project, match: SessionMatch, settings: Settings) -> Iterator[Path]:
    """Yield the events of a session that wait in the home's spool, as they cannot be moved here."""
    home = home_project()
    if home is None or marks.is_state(project.khive):
        return
    spool = Spool(home)
    for event in spool.events():
        # Moved or drained meanwhile.
        with suppress(OSError):
            is_meant = event.is_away and is_for(spool.header(event), project)
            if is_meant and _is_event_of(spool, event, match, settings):
                yield spool.path / event.name


def _is_event_of(spool: Spool, event: Event, match: SessionMatch, settings: Settings) -> bool:
    """Return whether an event is of the session, as its row would be; False if unreadable."""
    try:
        raw = spool.read(event)
    except OSError:
        return False
    if is_heavy(raw):
        return match.owns_bytes(split_away(raw)[1] if event.is_away else raw)
    return match.owns(normalise(event, raw, settings, None))


def _is_record_of(spool: Spool, file: RecordFile, match: SessionMatch) -> bool:
    try:
        return match.owns(decode(spool.project.khive, file, spool.read(file)).row)
    except ProjectError:
        raise
    except (OSError, ValueError):
        return False
