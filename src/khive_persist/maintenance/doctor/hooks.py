"""Examine our hooks in the tools' settings."""

from typing import NamedTuple, get_args

from khive_persist.capture.hook_config import has_scope, status
from khive_persist.capture.hook_config.status import State, Transport
from khive_persist.errors import InvalidSettingsError
from khive_persist.project import Project
from khive_persist.tools import TOOLS, Scope


class HookState(NamedTuple):
    """The state of our hook in a settings file of a tool: see `Status`."""

    tool: str
    scope: Scope
    state: State
    transport: Transport
    path: str


def examine_hooks(
    project: Project, *, asks_server: bool = True
) -> tuple[list[HookState], list[str]]:
    """Return the state of our hook in each tool's settings, and its problems, each one line.

    Args:
        asks_server: Whether to ask the server of HTTP hooks if it takes events.
    """
    rows, problems = [], []
    for tool in TOOLS:
        for scope in get_args(Scope):
            if not has_scope(tool, scope):
                continue
            try:
                result = status(tool, scope, project.root, asks_server=asks_server)
            except InvalidSettingsError as error:
                problems.append(str(error))
                continue
            path = str(result.path)
            rows.append(HookState(tool, scope, result.state, result.transport, path))
            problems += result.problems
    # What concerns several scopes of a tool is said by each of them.
    return rows, list(dict.fromkeys(problems))
