"""What the tools' settings say of our hooks."""

from typing import Any, get_args

from khive_persist.capture.hook_config import has_scope, status
from khive_persist.errors import InvalidSettingsError
from khive_persist.project import Project
from khive_persist.tools import TOOLS, Scope


def examine_hooks(
    project: Project, *, asks_server: bool = True
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return what each tool's settings say of our hook, and what is wrong with that, each one line.

    Args:
        place: Its directory is the project's.
        asks_server: Whether to ask the server of HTTP hooks if it takes events.
    """
    found, problems = [], []
    for tool in TOOLS:
        for scope in get_args(Scope):
            if not has_scope(tool, scope):
                continue
            try:
                one = status(tool, scope, project.root, asks_server=asks_server)
            except InvalidSettingsError as error:
                problems.append(str(error))
                continue
            told = {"state": one.state, "transport": one.transport, "path": str(one.path)}
            found.append({"tool": tool, "scope": scope} | told)
            problems += one.problems
    # What concerns several scopes of a tool is said by each of them.
    return found, list(dict.fromkeys(problems))
