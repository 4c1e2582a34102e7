"""Say what is there and what to do next, to who runs the program without a command."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final, get_args

import anyio

from khive_persist.capture.hook_config import found_clients, has_scope, status
from khive_persist.cli.cells import cell
from khive_persist.cli.options import drained_project, named_directory
from khive_persist.cli.times import Times, times
from khive_persist.errors import InvalidSettingsError, ProjectError, UntrustedError
from khive_persist.project import Project
from khive_persist.sessions.listing import SessionFilter, SessionSummary
from khive_persist.sessions.projects import sessions_of
from khive_persist.sessions.short_ids import shortest
from khive_persist.tools import TOOLS, Scope
from khive_persist.trust import marks

_TASK_CHARACTERS: Final = 60
_INIT: Final = ("init", "make .khive here")
_DEMO: Final = ("demo", "look at sample sessions first")
_HELP: Final = ("help", "all commands; help COMMAND tells of one")


def first_steps() -> Iterator[str]:
    """Yield some lines: the state of the project, and the commands that go on from there.

    Raises:
        UntrustedError: The project is named, and not trusted.
    """
    yield "khive-persist: the flight recorder of AI coding agents."
    try:
        project = drained_project()
    except UntrustedError:
        raise
    except ProjectError:
        directory = named_directory()
        place = f"in {directory}" if directory else "here, above, or in your home directory"
        yield f"There is no .khive {place}: nothing is recorded yet."
        yield ""
        yield from _commands(_INIT, _install(), _DEMO, _HELP)
        return
    sessions = anyio.run(sessions_of, project, SessionFilter())
    is_home = marks.is_state(project.khive)
    first = [_INIT] if is_home else []
    if is_home:
        yield "There is no .khive here or above: records go to that of your home directory."
    if sessions:
        yield from _recorded(project, sessions, times())
        latest = _short(sessions[0].session_id, sessions)
        yield ""
        yield from _commands(
            *first,
            ("sessions", "all of them"),
            (f"show {latest}", "the story of the latest"),
            ("tail", "watch what agents do"),
            ("stats --since 7d", "events, failures, tokens and costs"),
            ("serve", "the dashboard, in a browser"),
            _HELP,
        )
        return
    hooks = _installed(project)
    if hooks:
        yield f"{project.khive} is empty. Hooks are installed for {', '.join(hooks)}."
        yield "Start one of these tools, and ask it something."
        yield ""
        yield from _commands(
            *first, ("tail", "watch it"), ("doctor", "says why, where nothing comes"), _HELP
        )
        return
    yield f"{project.khive} is empty, and no hook is installed that records into it."
    yield ""
    yield from _commands(
        *first, _install(is_home=is_home), ("hooks status", "where hooks can be"), _DEMO, _HELP
    )


def _recorded(project: Project, sessions: list[SessionSummary], form: Times) -> Iterator[str]:
    latest = sessions[0]
    events = sum(session.events for session in sessions)
    yield f"{project.khive}: {_counted(len(sessions), 'session')}, {_counted(events, 'event')}."
    at = "" if latest.last is None else f", {form._replace(style='relative').text(latest.last)}"
    task = cell(latest.task_description or "", _TASK_CHARACTERS)
    failed = f", {latest.failures} failed" if latest.failures else ""
    yield (
        f"The latest: {cell(latest.tool)}{at}, {_counted(latest.events, 'event')}{failed}"
        + (f": {task}" if task else ".")
    )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + "s" * (count != 1)


def _short(id: str, sessions: list[SessionSummary]) -> str:
    return shortest(session.session_id for session in sessions)[id]


def _installed(project: Project) -> list[str]:
    """Return the tools that a hook of ours is installed for, in whichever settings."""
    tools = []
    for tool in TOOLS:
        for scope in get_args(Scope):
            # `doctor` names settings that are not valid.
            with suppress(InvalidSettingsError):
                if (
                    has_scope(tool, scope)
                    and status(tool, scope, project.root, asks_server=False).state
                    != "not installed"
                ):
                    tools.append(tool)
                    break
    return tools


def _install(*, is_home: bool = False) -> tuple[str, str]:
    tools = ", ".join(found_clients())
    scope = " --scope user" if is_home else ""
    if not tools:
        return f"hooks install claude-code{scope}", "or another tool: hooks install --help"
    return f"hooks install --all{scope}", f"record {tools}"


def _commands(*lines: tuple[str, str]) -> Iterator[str]:
    width = max(len(words) for words, _ in lines)
    for words, aim in lines:
        yield f"  khive-persist {words.ljust(width)}  {aim}"
