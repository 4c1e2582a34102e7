"""Keeping the home's own databases to their limits.

    python -m khive_persist.maintenance.retention.home_store

The drainer of the home starts it. Only events and messages go, the oldest first, whichever database
they are in: what a person has saved stays.
"""

import heapq
import logging
import os
import sys
from collections.abc import Generator
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.capture.drain_settings import usable_settings
from khive_persist.capture.home_store import LOCK, PURPOSES, database_bytes, is_due, note_removed
from khive_persist.capture.spool import home_project
from khive_persist.errors import KhiveError
from khive_persist.maintenance.retention.prune import prune
from khive_persist.maintenance.retention.rules import Rule
from khive_persist.models.purposes import Purpose
from khive_persist.project import Project
from khive_persist.search_index.removal import Removal, removing
from khive_persist.settings import Settings
from khive_persist.store.sqlite import write_lock
from khive_persist.store.sqlite.rewrite import newest_first, stored_bytes

# What is removed above the cap makes room for some days.
_FILLED: Final = 0.9
# The size of a file is not known before rows have left it.
_PASSES: Final = 3
_MOST_DAYS: Final = 36_500
_log = logging.getLogger("khive_persist")


def main() -> int:
    """Apply the limits, if they are due."""
    try:
        limit_store()
    except (KhiveError, OSError):
        # The next run tries again, and doctor says what is wrong with settings and databases.
        return 1
    return 0


def limit_store() -> int:
    """Apply the limits of this user's home if they are due; return how many records went.

    One process at a time does it.

    Raises:
        InvalidSettingsError: The home's settings are wrong: the defaults may be less than the
            person asked for, so nothing is removed.
        StoreUnavailableError: The lock cannot be made.
        OSError: What was removed cannot be written down.
    """
    home = home_project()
    if home is None or not home.exists():
        return 0
    is_first = not os.path.lexists(home.khive / LOCK)
    held = write_lock.try_acquire(home.khive / LOCK)
    if held is None:
        return 0
    try:
        if not is_first and not is_due(home, usable_settings(home)):
            return 0
        # Also where it fails: then it is tried again later, and not by each drainer.
        os.utime(held)
        return _apply(home, configuration.load(home.config))
    finally:
        os.close(held)


def _apply(home: Project, settings: Settings) -> int:
    count = 0
    if settings.home_store_keep_days:
        age = timedelta(days=min(settings.home_store_keep_days, _MOST_DAYS))
        count += _remove_older(home, settings, clock.now() - age)
    for _ in range(_PASSES):
        if not 0 < settings.home_store_max_bytes < database_bytes(home):
            break
        limit = _oldest_kept(home, settings.home_store_max_bytes * _FILLED)
        removed = 0 if limit is None else _remove_older(home, settings, limit)
        count += removed
        if not removed:
            break
    return count


def _remove_older(home: Project, settings: Settings, limit: datetime) -> int:
    """Remove from both copies what is older; a database that cannot be read is left as it is."""
    with removing(home, settings) as removal:
        count = _remove_older_records(home, settings, limit, removal)
        # What is left of it is taken out by the next one.
        if count and (left := removal.finish()):
            _log.warning("%s may have something of what was removed", left[0])
    return count


def _remove_older_records(
    home: Project, settings: Settings, limit: datetime, removal: Removal
) -> int:
    count = 0
    instant = clock.now()
    for purpose in PURPOSES:
        rule = Rule(purpose.name, keep_age=instant - limit)
        announce = partial(removal.announce, purpose)
        try:
            removed = prune(home, purpose, rule, settings, as_of=instant, announce=announce).removed
        except KhiveError as error:
            _log.warning("%s keeps what is too old: %s", home.database(purpose.file), error)
            continue
        if removed:
            note_removed(home, removed, clock.to_text(limit))
        count += removed
    return count


def _oldest_kept(home: Project, most_bytes: float) -> datetime | None:
    """Return the time of the oldest record that stays, if the newest are to fill so many bytes.

    A record counts as large as its share of its file is, indexes included.
    """
    oldest: str | None = None
    with ExitStack() as stack:
        rows = [
            stack.enter_context(closing(_sizes(home, purpose)))
            for purpose in PURPOSES
            if home.database(purpose.file).exists()
        ]
        for instant, size in heapq.merge(*rows, reverse=True):
            most_bytes -= size
            if most_bytes < 0:
                return clock.from_column(oldest or instant)
            oldest = instant
    return None


def _sizes(home: Project, purpose: Purpose) -> Generator[tuple[str, float], None, None]:
    path = home.database(purpose.file)
    try:
        share = path.stat().st_size / max(stored_bytes(path, purpose.table), 1)
        with closing(newest_first(path, purpose.table)) as rows:
            for row in rows:
                yield row.at, row.bytes * share
    except KhiveError as error:
        _log.warning("%s is not counted: %s", path, error)


if __name__ == "__main__":
    sys.exit(main())
