"""Lines for a person who reads: events that wait elsewhere, settings that do not count."""

import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

from khive_persist import settings as configuration
from khive_persist.capture import pauses
from khive_persist.capture.home_limits import dropped_lines
from khive_persist.capture.spool import Spool, home_project, home_spool_line, waiting_at_home
from khive_persist.errors import InvalidSettingsError
from khive_persist.hints import command_in
from khive_persist.project import Project
from khive_persist.trust import marks, search


def notices(project: Project, passed: Path | None) -> list[str]:
    """Return the notices of a project, each one line.

    `passed` is the directory whose `.khive` was passed over on the way to the project.
    """
    lines = []
    if passed is not None:
        lines.append(untrusted_line(Project(passed)))
    counts = {} if passed is not None else diverted(project)
    if counts:
        lines.append(
            f"{sum(counts.values())} events wait here for {len(counts)} projects that are not"
            " trusted, or cannot take them: khive-persist doctor names them"
        )
    names = withheld(project)
    if names:
        lines.append(
            f"{project.config}: {', '.join(names)} hold as they were until you accept the file:"
            f" {command_in(project.root, 'trust', '--keep')}"
        )
    return lines + pauses.lines(pauses.status(project))


def untrusted_line(project: Project) -> str:
    """Return the notice of an untrusted project: how many events wait for it, and the way out."""
    waiting_count = waiting_at_home(project)
    events = f"; {home_spool_line(waiting_count, project.root)}" if waiting_count else ""
    error = search.untrusted(project.khive)
    return f"{error.args[0]}{events}: {error.hint}" if error.hint else f"{error.args[0]}{events}"


def withheld(project: Project) -> tuple[str, ...]:
    """Return the settings of a project that do not count; none where its file is wrong."""
    try:
        return configuration.withheld(project.config)
    except InvalidSettingsError:
        return ()


def diverted(project: Project) -> dict[str, int]:
    """Return how many events wait for each project in the home's spool, if the project is home."""
    home = home_project()
    if home is None or not marks.is_state(project.khive):
        return {}
    spool = Spool(home)
    waiting_by_project: Counter[str] = Counter()
    for event in spool.events():
        # One that cannot be read is named by the drain.
        with suppress(OSError):
            if event.is_away:
                waiting_by_project[spool.header(event)] += 1
    return dict(waiting_by_project)


def diverted_lines(directory: Path) -> list[str]:
    """Return lines that tell of events that hooks below a directory had to put elsewhere."""
    project = Project(directory)
    if os.path.lexists(project.khive):
        lines = [] if search.may_be_used(project.khive) else [untrusted_line(project)]
    else:
        passed = search.upward(directory).passed
        lines = [] if passed is None else [untrusted_line(Project(passed))]
    if not lines and (count := waiting_at_home(project)):
        lines.append(home_spool_line(count, directory))
    counts = diverted(Project(directory))
    lines += [
        f"{count} events of {project_path} wait here" for project_path, count in counts.items()
    ]
    return lines + dropped_lines()
