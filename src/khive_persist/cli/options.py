"""The options that several commands share, under one name each."""

import os
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
import click

from khive_persist import clock
from khive_persist.capture.drain import drain
from khive_persist.capture.home_store import removed_lines
from khive_persist.capture.notices import notices
from khive_persist.capture.spool import Spool, counted, home_spool_line, waiting_at_home
from khive_persist.cli.output import warn
from khive_persist.errors import ProjectError
from khive_persist.models.criteria import CRITERIA
from khive_persist.models.purposes import HOOK_EVENTS, OTHER_CLIENTS
from khive_persist.opening import find_project
from khive_persist.project import Project
from khive_persist.sessions.projects import ProjectResults
from khive_persist.store.sqlite import atomic_switch
from khive_persist.trust import search

_NOTICES: Final = "khive_persist.notices"

Result = TypeVar("Result")
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Parsed(click.ParamType[Any]):
    """A word that a function reads; the message of its ValueError is told."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error))


def _moment(text: str) -> datetime:
    try:
        return clock.moment(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no time: {clock.MOMENTS}") from error


# An age as in `2h`, or a date or time in ISO form, in UTC unless it has an offset.
MOMENT: Final = Parsed("when", _moment)


def _keep_directory(
    context: click.Context, _parameter: click.Parameter, directory: str | None
) -> None:
    context.obj = directory or context.obj


# It may also stand after the sub-command; `named_directory` gives its value.
with_project: Final = click.option(
    "--dir", metavar="DIR", help="The directory that holds .khive.", expose_value=False,
    callback=_keep_directory,
)  # fmt: skip


def named_directory() -> str | None:
    """Return the directory that `--dir` of this command, or before it, names."""
    directory: str | None = click.get_current_context().obj
    return directory


def project_of() -> Project:
    """Return the project to write to: `--dir` only names it.

    Raises:
        UntrustedError: The project is not trusted; the line says what mends that.
    """
    directory = named_directory()
    return Project(search.named(directory)) if directory else find_project()


def nearest_project() -> Project:
    """Return the project that is named, or the nearest one, trusted or not: not to be read.

    Raises:
        ProjectError: None is named or found, and there is no home directory.
    """
    chosen = named_directory() or os.environ.get("KHIVE_DIR")
    if chosen:
        return Project(Path(chosen).absolute())
    nearest = search.upward()
    return Project(nearest.passed or nearest.root)


def existing_project() -> Project:
    """Return the project to read from, and print what a person must know of it on stderr.

    Raises:
        ProjectError: There is no `.khive`: an empty one would look like a recorder without events.
        UntrustedError: The project is named, and not trusted.
    """
    project = unsettled_project()
    # A restore that was killed half-way is finished before anything is looked at.
    atomic_switch.settle(project.khive)
    return project


def unsettled_project() -> Project:
    """Return the project as `existing_project` does, but leave an unfinished restore as it is."""
    if named_directory() or os.environ.get("KHIVE_DIR"):
        project, passed = project_of(), None
    else:
        root, passed = search.upward()
        project = Project(root)
    printed = click.get_current_context().find_root().meta.setdefault(_NOTICES, set())
    for line in notices(project, passed):
        if line not in printed:
            printed.add(line)
            warn(line)
    if not project.exists():
        raise ProjectError(f"{project.khive} is not there", hint="make it with khive-persist init")
    return project


def drained_project() -> Project:
    """Return the project to read from, its spool drained; what still waits is said on stderr."""
    project = existing_project()
    result = drain(project)
    if result.waiting_count:
        reasons = "; ".join(map(str, result.errors)) or "they cannot be read"
        waiting_events = counted(Spool(project).waiting())
        home_count = waiting_at_home(project)
        lines = [f"{waiting_events} wait in {project.spool}"] if waiting_events else []
        lines += [home_spool_line(home_count, project.root)] if home_count else []
        warn(f"{', '.join(lines)}: {reasons}")
    return project


def say_removed() -> None:
    """Say on stderr what the limits of the home's store have lately removed."""
    for line in removed_lines():
        warn(line)


with_all_projects: Final = click.option(
    "--all-projects", is_flag=True, help="Of each project that you trust, and the home."
)


def from_everywhere(
    read: Callable[[], Awaitable[ProjectResults[Result]]],
) -> ProjectResults[Result]:
    """Return what all projects gave, and print on stderr which gave nothing, and why."""
    if named_directory():
        raise click.UsageError("--all-projects and --dir exclude each other")
    everywhere = anyio.run(read)
    if everywhere.missing:
        warn(f"{len(everywhere.missing)} projects are gone: khive-persist projects names them")
    for root, error in everywhere.failed.items():
        warn(f"{root} is left out: {error}")
    return everywhere


def with_output(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json` and `--jsonl`."""
    jsonl = click.option(
        "--jsonl", "form", flag_value="jsonl", help="One JSON document a line, for a program."
    )
    json = click.option("--json", "form", flag_value="json", help="One JSON document.")
    default = click.option("--table", "form", flag_value="table", default=True, hidden=True)
    return jsonl(json(default(function)))


def with_filters(*names: str) -> Decorator:
    """Add the options of these filters; `limit` is one of them."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names):
            function = _FILTERS[name](function)
        return function

    return decorate


def _criterion(name: str) -> Decorator:
    """Return the option of a filter; its argument has that name, or that of `_ARGUMENTS`."""
    kind, about, *_ = CRITERIA[name]
    flag = "--" + name.replace("_", "-")
    match kind:
        case "tool":
            tools = click.Choice([*HOOK_EVENTS, *sorted(OTHER_CLIENTS)])
            about = about.removesuffix(".") + ", or of a client that runs its hooks."
            return click.option(flag, type=tools, metavar="TOOL", help=about)
        case "time":
            about = about.removesuffix(".") + ": 2h, 3d, 2026-11-01."
            return click.option(flag, type=MOMENT, help=about)
        case "number":
            return click.option(flag, type=float, help=about)
    return click.option(flag, _ARGUMENTS.get(name, name), metavar=_METAVARS[name], help=about)


_ARGUMENTS: Final = {"session": "session_id", "type": "event_type"}
_METAVARS: Final = {"session": "ID", "type": "TYPE", "complexity": "WORD"}
_FILTERS: Final[dict[str, Decorator]] = {
    **{name: _criterion(name) for name in CRITERIA},
    "limit": click.option("--limit", type=click.IntRange(0), help="At most so many."),
}
