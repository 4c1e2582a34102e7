"""The options that several commands share, under one name each."""

import os
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

import anyio
import click

from khive_persist import clock
from khive_persist.capture.drain import drain
from khive_persist.capture.home_store import removed_lines
from khive_persist.capture.notices import notices
from khive_persist.capture.spool import Spool, counted, home_spool_line, waiting_at_home
from khive_persist.cli import completions
from khive_persist.cli.output import warn
from khive_persist.cli.screen import is_screen
from khive_persist.cli.times import note_project, note_style, note_utc
from khive_persist.errors import ProjectError
from khive_persist.models.criteria import CRITERIA
from khive_persist.models.purposes import HOOK_EVENTS, OTHER_CLIENTS
from khive_persist.project import Project
from khive_persist.project_search import find_project
from khive_persist.sessions.projects import ProjectResults
from khive_persist.sessions.short_ids import short_ids
from khive_persist.settings import TimeStyle
from khive_persist.store.sqlite import atomic_switch
from khive_persist.trust import marks, search

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
        UntrustedError: None is named, and that of this directory is another user's.
    """
    chosen = named_directory() or os.environ.get("KHIVE_DIR")
    if chosen:
        return Project(Path(chosen).absolute())
    if (here := _foreign_here()) is not None:
        raise search.untrusted(here.khive)
    nearest = search.upward()
    return Project(nearest.passed or nearest.root)


def _foreign_here() -> Project | None:
    """Return the project of this directory where its `.khive` is another user's."""
    here = Project(Path.cwd())
    return here if os.path.lexists(here.khive) and not marks.is_own(here.khive) else None


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
        if (here := _foreign_here()) is not None:
            # Those above, of whom anybody may make one, are passed over in silence.
            warn(f"{search.untrusted(here.khive)}; this is of {project.khive}")
    note_project(project)
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


with_utc: Final = click.option(
    "--utc", is_flag=True, callback=note_utc, expose_value=False,
    help="Times in UTC on a terminal, as in a pipe.",
)  # fmt: skip


def with_times(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--time` and `--utc`, which hold for all that the command prints for a person."""
    style = click.option(
        "--time", type=click.Choice(get_args(TimeStyle)), callback=note_style, expose_value=False,
        help="How times are written; else as display.time of config.toml on a terminal.",
    )  # fmt: skip
    return style(with_utc(function))


async def short_ids_on_screen(project: Project, ids: Iterable[str | None]) -> dict[str, str]:
    """Return short forms of sessions' ids where a person looks; a program wants them whole."""
    return await short_ids(project, filter(None, ids)) if is_screen() else {}


def with_limit(*aliases: str, default: int | None = None, maximum: int | None = None) -> Decorator:
    """Add `-n`, `--limit` for the number of rows.

    Args:
        aliases: Earlier names of the option.
        default: The number where none is given; None for all.
        maximum: The highest number that may be asked for.
    """
    return click.option(
        "-n", "--limit", *aliases, "limit", type=click.IntRange(0, maximum), default=default,
        show_default=default is not None, help="At most so many.",
    )  # fmt: skip


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
    complete = completions.sessions if name == "session" else None
    return click.option(
        flag, _ARGUMENTS.get(name, name), metavar=_METAVARS[name], help=about,
        shell_complete=complete,
    )  # fmt: skip


_ARGUMENTS: Final = {"session": "session_id", "type": "event_type"}
_METAVARS: Final = {
    "session": "ID", "type": "TYPE", "complexity": "WORD", "verdict": "WORD", "tool_name": "NAME",
}  # fmt: skip
_FILTERS: Final[dict[str, Decorator]] = {
    **{name: _criterion(name) for name in CRITERIA},
    "failed": click.option("--failed", is_flag=True, help="Only those that failed."),
    "text": click.option(
        "--text", metavar="TEXT", help="With this text in them, whatever field it is in."
    ),
    "limit": with_limit(),
}
FILTER_ARGUMENTS: Final = {_ARGUMENTS.get(name, name) for name in _FILTERS} - {"limit"}
