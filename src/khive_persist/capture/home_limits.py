"""Limit what the home's spool keeps of events whose projects nobody has trusted.

What a trusted project's events wait for is short, and they are never dropped. A `.khive` that came
from others may go on for ever, and would fill the disk. So each drain of the home looks at it.
"""

import heapq
import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from khive_persist import clock
from khive_persist.capture.spool import Event, Spool, home_project
from khive_persist.files import read_regular, write_private
from khive_persist.project import Project
from khive_persist.settings import Settings

FILE: Final = "dropped.json"
_SECONDS_OF_DAY: Final = 86_400
_BLOCK: Final = 512
# What was dropped is said for so long after.
_SAID_SECONDS: Final = 30 * _SECONDS_OF_DAY
_MOST_PROJECTS: Final = 1_000
_MOST_BYTES: Final = 8 << 20
_OTHERS: Final = "others"
_log = logging.getLogger("khive_persist")


class Dropped(NamedTuple):
    """The events of one project that were dropped.

    Attributes:
        events: The number of events.
        first: The arrival of the first of them, in UTC.
        last: The arrival of the last of them.
        at: The time of dropping, in seconds since the Unix epoch.
    """

    events: int
    first: str
    last: str
    at: float

    def line(self, project: str) -> str:
        """Return the line that tells of it."""
        return (
            f"{self.events} events of {project}, which nobody has trusted, were dropped from the"
            f" home's spool: they had arrived from {self.first} to {self.last}"
            " (home.max_bytes, home.keep_days)"
        )


def drop_excess(
    spool: Spool, events_by_project: Mapping[str, Sequence[Event]], settings: Settings
) -> None:
    """Drop the events that are too old, then the oldest of whichever project has the most bytes.

    So a project that floods the spool loses its own events, and not those of others. What is
    dropped is written down before it goes. `events_by_project` has those of projects that are there
    and not trusted, the oldest first. A limit of 0 is none.

    Raises:
        OSError: It cannot be written down, or a file cannot be removed.
    """
    sizes = {
        project: [(event, _size(spool, event)) for event in events]
        for project, events in events_by_project.items()
    }
    excess: dict[str, list[Event]] = {}
    oldest = 0
    if settings.home_keep_days:
        oldest = int((time.time() - settings.home_keep_days * _SECONDS_OF_DAY) * 1e9)
    for project, pairs in sizes.items():
        if aged := [event for event, _ in pairs if event.arrival_ns < oldest]:
            excess[project] = aged
            del pairs[: len(aged)]
    if settings.home_max_bytes:
        totals = {project: sum(size for _, size in pairs) for project, pairs in sizes.items()}
        total = sum(totals.values())
        largest = [(-bytes, project) for project, bytes in totals.items()]
        heapq.heapify(largest)
        begins = dict.fromkeys(sizes, 0)
        while total > settings.home_max_bytes:
            bytes, project = heapq.heappop(largest)
            event, size = sizes[project][begins[project]]
            begins[project] += 1
            excess.setdefault(project, []).append(event)
            total -= size
            if begins[project] < len(sizes[project]):
                heapq.heappush(largest, (bytes + size, project))
    if not excess:
        return
    _write_down(spool.project, excess)
    for events in excess.values():
        for event in events:
            with suppress(FileNotFoundError):
                spool.remove(event)


def dropped(project: Project) -> dict[str, Dropped]:
    """Return what was dropped lately from the spool of the home, by project."""
    try:
        document = json.loads(read_regular(project.khive / FILE, _MOST_BYTES))
        entries = {
            str(path): Dropped(int(f["events"]), str(f["first"]), str(f["last"]), float(f["at"]))
            for path, f in document.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
    current_time = time.time()
    return {
        path: entry for path, entry in entries.items() if current_time - entry.at < _SAID_SECONDS
    }


def dropped_lines() -> list[str]:
    """Return the lines that tell of it, one a project."""
    home = home_project()
    return [entry.line(path) for path, entry in dropped(home).items()] if home else []


def _write_down(project: Project, excess: Mapping[str, Sequence[Event]]) -> None:
    entries = dropped(project)
    current_time = time.time()
    for path, events in excess.items():
        first, last = (clock.to_text(clock.from_ns(e.arrival_ns)) for e in (events[0], events[-1]))
        _log.warning("%s", Dropped(len(events), first, last, current_time).line(path))
        name = path if path in entries or len(entries) < _MOST_PROJECTS else _OTHERS
        previous = entries.get(name, Dropped(0, first, last, current_time))
        entries[name] = Dropped(
            previous.events + len(events),
            min(previous.first, first),
            max(previous.last, last),
            current_time,
        )
    text = json.dumps({path: entry._asdict() for path, entry in entries.items()}, indent=1)
    write_private(project.khive / FILE, text.encode())


def _size(spool: Spool, event: Event) -> int:
    """Return the bytes that an event takes of the disk."""
    try:
        status = os.lstat(spool.path / event.name)
    except OSError:
        return 0
    return max(status.st_size, status.st_blocks * _BLOCK)
