"""The limits of the home's own databases: when they are due, and what they have cost.

Events and messages of sessions that have no project are stored there. What is beyond the limits is
removed by `maintenance/retention/home_store.py`, in a process that the drainer of the home starts.
"""

import json
import os
import time
from typing import Final, NamedTuple

from khive_persist import clock
from khive_persist.capture.spool import home_project
from khive_persist.files import read_regular, write_private
from khive_persist.models.purposes import CONVERSATIONS, EVENT_FILES
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.trust import marks

FILE: Final = "removed.json"
# As old as the last run.
LOCK: Final = "home_store.lock"
# What a person has saved is none of them.
PURPOSES: Final = (*EVENT_FILES.values(), CONVERSATIONS)
DAY_SECONDS: Final = 86_400
# Above the cap the next run comes sooner.
_SOON_SECONDS: Final = 3_600
# What was removed is said for so long after.
_SAID_SECONDS: Final = 30 * DAY_SECONDS
_MOST_BYTES: Final = 1 << 16


class Removed(NamedTuple):
    """The numbers of what the limits have removed.

    Attributes:
        records: The number of events and messages.
        until: The time that all of them are older than, as UTC text.
        since: The time of the first removal that is counted, as UTC text.
        at: The time of the last one, in seconds since the Unix epoch.
    """

    records: int
    until: str
    since: str
    at: float


def is_due(project: Project, settings: Settings) -> bool:
    """Return whether the limits are to be applied to a project; it costs a few `stat`s.

    They are of the home alone, once a day; above the cap after an hour.
    """
    if not marks.is_state(project.khive) or not database_bytes(project):
        return False
    try:
        age = time.time() - os.lstat(project.khive / LOCK).st_mtime
    except FileNotFoundError:
        return bool(settings.home_store_keep_days or settings.home_store_max_bytes)
    # A marker from the future is of a clock that was wrong.
    if 0 <= age < _SOON_SECONDS:
        return False
    if 0 < settings.home_store_max_bytes < database_bytes(project):
        return True
    return settings.home_store_keep_days > 0 and not 0 <= age < DAY_SECONDS


def database_bytes(project: Project) -> int:
    """Return the size of the databases that the limits are for."""
    total = 0
    for purpose in PURPOSES:
        try:
            total += os.lstat(project.database(purpose.file)).st_size
        except OSError:
            continue
    return total


def removed(project: Project) -> Removed | None:
    """Return what the limits have lately removed from the home; None for nothing."""
    try:
        entry = json.loads(read_regular(project.khive / FILE, _MOST_BYTES))
        previous = Removed(
            int(entry["records"]), str(entry["until"]), str(entry["since"]), float(entry["at"])
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return previous if time.time() - previous.at < _SAID_SECONDS else None


def note_removed(project: Project, records: int, until: str) -> None:
    """Add to what was removed: synced on return.

    Raises:
        OSError: It cannot be written.
    """
    previous = removed(project) or Removed(0, until, clock.to_text(clock.now()), 0)
    total = Removed(
        previous.records + records, max(previous.until, until), previous.since, time.time()
    )
    write_private(project.khive / FILE, json.dumps(total._asdict(), indent=1).encode())


def removed_lines() -> list[str]:
    """Return what to say of it, one line or none."""
    home = home_project()
    entry = None if home is None else removed(home)
    if entry is None:
        return []
    return [
        f"{entry.records} events and messages of before {entry.until[:19]} were removed from the"
        f" home's store since {entry.since[:10]}, as its limits say (home.store_max_bytes,"
        " home.store_keep_days)"
    ]
