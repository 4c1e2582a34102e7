"""Lines for a person who reads: events that wait elsewhere, settings that do not count."""

import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

from khive_persist import settings as configuration
from khive_persist.capture.spool import Spool, home_place, waiting_at_home
from khive_persist.errors import InvalidSettingsError
from khive_persist.project import Place
from khive_persist.trust import marks, search


def notices(place: Place, passed: Path | None) -> list[str]:
    """What to say of a place, each one line.

    Args:
        place: What is read.
        passed: The directory whose `.khive` was passed over on the way to it, or None.
    """
    lines = []
    if passed is not None:
        lines.append(untrusted_line(Place(passed)))
    waiting = {} if passed is not None else diverted(place)
    if waiting:
        lines.append(
            f"{sum(waiting.values())} events wait here for {len(waiting)} projects that are not"
            " trusted, or cannot take them: khive-persist doctor names them"
        )
    names = withheld(place)
    if names:
        lines.append(
            f"{place.config}: {', '.join(names)} hold as they were until you accept the file:"
            f" khive-persist --dir {place.root} trust --keep"
        )
    return lines


def untrusted_line(place: Place) -> str:
    """What to say of a place that is not trusted: how many events wait for it, and the way out."""
    waiting = waiting_at_home(place)
    events = f"; {waiting} of its events wait in the home's spool" if waiting else ""
    error = search.untrusted(place.khive)
    return f"{error.args[0]}{events}: {error.hint}" if error.hint else f"{error.args[0]}{events}"


def withheld(place: Place) -> tuple[str, ...]:
    """The settings of a place that do not count; none where its file is wrong."""
    try:
        return configuration.withheld(place.config)
    except InvalidSettingsError:
        return ()


def diverted(place: Place) -> dict[str, int]:
    """How many events wait in the home's spool for which project, where that is the place."""
    home = home_place()
    if home is None or not marks.is_state(place.khive):
        return {}
    spool = Spool(home)
    projects: Counter[str] = Counter()
    for event in spool.events():
        # One that cannot be read is named by the drain.
        with suppress(OSError):
            if event.away:
                projects[spool.header(event)] += 1
    return dict(projects)


def diverted_lines(directory: Path) -> list[str]:
    """What to say of events that hooks below a directory had to put elsewhere, each one line."""
    place = Place(directory)
    if os.path.lexists(place.khive):
        lines = [] if search.may_be_used(place.khive) else [untrusted_line(place)]
    else:
        passed = search.upward(directory).passed
        lines = [] if passed is None else [untrusted_line(Place(passed))]
    if not lines and (count := waiting_at_home(place)):
        lines.append(f"{count} events of {directory} wait in the home's spool")
    waiting = diverted(Place(directory))
    return lines + [f"{count} events of {project} wait here" for project, count in waiting.items()]
