"""All trusted projects of this user: their list, and one reading of each."""

import os
import stat
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Generic, NamedTuple, TypeVar

from khive_persist import settings as configuration
from khive_persist.capture.notices import diverted
from khive_persist.capture.spool import home_project
from khive_persist.errors import KhiveError, UntrustedError
from khive_persist.models.purposes import (
    APPLICATION_SESSIONS,
    CONVERSATIONS,
    EVENT_FILES,
    OUTCOMES,
    PLANNER_SESSIONS,
)
from khive_persist.opening import reading
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions.listing import (
    SessionFilter,
    SessionSummary,
    count_sessions,
    list_sessions,
)
from khive_persist.sessions.read import is_known
from khive_persist.trust import marks

Result = TypeVar("Result")

_PURPOSES: Final = (
    PLANNER_SESSIONS, *EVENT_FILES.values(), CONVERSATIONS, OUTCOMES, APPLICATION_SESSIONS,
)  # fmt: skip


class ProjectSummary(NamedTuple):
    """One project, or the home, which keeps what has no project.

    Attributes:
        path: The directory that holds its `.khive`.
        name: Its last part; `home` for the home.
        state: `here`; `gone` where there is no `.khive` any more; `untrusted` where another one
            lies in its place; `unreadable` where it cannot be read.
        last: The time of the last record of a session, in UTC.
        sessions: The number of its sessions; None where that cannot be read.
        waiting: The number of its events that wait in the home's spool.
        bytes: The size of its `.khive`.
        known_as: The directories where it lay before.
        error: The reason why it cannot be read.
        merged: The directories of the projects that were merged into it.
    """

    path: str
    name: str
    state: str
    last: str | None
    sessions: int | None
    waiting: int
    bytes: int
    known_as: list[str]
    error: str | None
    merged: list[str]


class ProjectResults(NamedTuple, Generic[Result]):
    """The results of a reading of all projects.

    Attributes:
        results: The result of each project, in order of path.
        missing: The projects that are no longer where they were trusted.
        failed: The reasons why others could not be read.
    """

    results: dict[Path, Result]
    missing: list[Path]
    failed: dict[Path, str]


async def list_projects() -> list[ProjectSummary]:
    """Return the home, where it keeps anything, and all projects that this user trusts, by path.

    Events that wait in the spool of a project, or at home for it, are brought in first.

    Raises:
        OSError: The home's spool cannot be read.
    """
    waiting_events = _count_waiting_events()
    former, merged = marks.earlier_paths(), marks.earlier_paths(is_merged=True)
    counts = await read_everywhere(_count)
    projects = []
    for project in _projects():
        state, last, sessions = "here", None, None
        error = counts.failed.get(project.root)
        if project.root in counts.missing:
            state = "gone"
        elif error is not None:
            state = "unreadable" if marks.is_trusted(project.khive) else "untrusted"
        else:
            sessions, last = counts.results[project.root]
        is_home = marks.is_state(project.khive)
        projects.append(
            ProjectSummary(
                path=str(project.root),
                name="home" if is_home else project.root.name,
                state=state,
                last=last,
                sessions=sessions,
                waiting=waiting_events[project.root],
                bytes=_size(project.khive),
                known_as=list(map(str, former.get(project.root, ()))),
                error=error,
                merged=list(map(str, merged.get(project.root, ()))),
            )
        )
    return projects


async def sessions_everywhere(
    filters: SessionFilter, limit: int | None = None
) -> ProjectResults[list[SessionSummary]]:
    """Return the sessions of all projects; the same id in two projects is two sessions.

    Whether an id is exact is found out for each project; a limit keeps the latest of all.
    """

    async def read(project: Project) -> list[SessionSummary]:
        id = filters.session_id
        is_exact = id is not None and await is_known(project, id)
        return await sessions_of(project, filters._replace(is_exact=is_exact), limit)

    everywhere = await read_everywhere(read)
    if limit is not None:
        pairs = [
            (root, session) for root, sessions in everywhere.results.items() for session in sessions
        ]
        for root in everywhere.results:
            everywhere.results[root] = []
        pairs.sort(key=lambda pair: pair[1].last or "", reverse=True)
        for root, session in pairs[:limit]:
            everywhere.results[root].append(session)
    return everywhere


async def sessions_of(
    project: Project, filters: SessionFilter, limit: int | None = None
) -> list[SessionSummary]:
    """Return the sessions of one project, the latest first, once its spool is brought in."""
    settings = configuration.load(project.config)
    prices = PriceTable(settings.cost_prices)
    async with reading(project, *_PURPOSES) as reader:
        return await list_sessions(reader, filters, limit, settings.verdict_rule, prices)


async def read_everywhere(read: Callable[[Project], Awaitable[Result]]) -> ProjectResults[Result]:
    """Read the home and each trusted project; one that cannot be read does not stop the others."""
    results: dict[Path, Result] = {}
    missing: list[Path] = []
    failed: dict[Path, str] = {}
    for project in _projects():
        try:
            if _is_gone(project):
                missing.append(project.root)
            else:
                results[project.root] = await read(project)
        except KhiveError as error:
            failed[project.root] = str(error)
        except OSError as error:
            failed[project.root] = f"{error.filename or project.khive}: {error.strerror}"
    return ProjectResults(results, missing, failed)


def _projects() -> list[Project]:
    home = home_project()
    projects = [Project(path) for path in marks.marked_paths()]
    if home is not None and home.exists():
        projects.append(Project(marks.physical(home.khive).parent))
    return sorted(set(projects), key=lambda project: project.root)


async def _count(project: Project) -> tuple[int, str | None]:
    async with reading(project, *_PURPOSES) as reader:
        return await count_sessions(reader)


def _count_waiting_events() -> Counter[Path]:
    """Count the events that wait in the home's spool, by the directory of their project now."""
    counts: Counter[Path] = Counter()
    home = home_project()
    for project, count in (diverted(home) if home else {}).items():
        counts[Path(os.path.realpath(marks.moved_to(Path(project))))] += count
    return counts


def _is_gone(project: Project) -> bool:
    if not os.path.lexists(project.khive):
        return True
    if not marks.is_trusted(project.khive):
        raise UntrustedError(f"{project.khive} is not the one that was trusted")
    return False


def _size(khive: Path) -> int:
    total = 0
    for at, _, names in os.walk(khive):
        for name in names:
            # Others write meanwhile.
            with suppress(OSError):
                status = os.lstat(os.path.join(at, name))
                total += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return total
