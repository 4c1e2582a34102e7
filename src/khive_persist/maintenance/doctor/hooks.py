"""Examine our hooks in the tools' settings."""

from importlib.metadata import version
from typing import NamedTuple, get_args

from khive_persist.capture import native_hook_path
from khive_persist.capture.hook_config import has_scope, launcher, status
from khive_persist.capture.hook_config.status import AGAIN, HookKind, State, Transport
from khive_persist.errors import InvalidSettingsError
from khive_persist.hints import command_in
from khive_persist.maintenance.doctor.findings import Finding, problem_findings
from khive_persist.project import Project
from khive_persist.tools import TOOLS, Scope


class HookState(NamedTuple):
    """The state of our hook in a settings file of a tool: see `Status`."""

    tool: str
    scope: Scope
    state: State
    transport: Transport
    path: str
    hook: HookKind


def examine_hooks(
    project: Project, *, asks_server: bool = True
) -> tuple[list[HookState], list[Finding]]:
    """Return the state of our hook in each tool's settings, and its problems.

    Args:
        asks_server: Whether to ask the server of HTTP hooks if it takes events.
    """
    rows, findings = [], problem_findings(_problem_of_version())
    for tool in TOOLS:
        for scope in get_args(Scope):
            if not has_scope(tool, scope):
                continue
            try:
                result = status(tool, scope, project.root, asks_server=asks_server)
            except InvalidSettingsError as error:
                findings += problem_findings([str(error)])
                continue
            path = str(result.path)
            rows.append(HookState(tool, scope, result.state, result.transport, path, result.hook))
            words = ("hooks", "install", tool, "--scope", scope)
            # With a directory named, all of the user's projects would be recorded there.
            is_own = scope != "user"
            command = f"khive-persist {' '.join(words)}"
            if is_own:
                command = command_in(project.root, *words)
            for problem in result.problems:
                findings += problem_findings([problem], command if AGAIN in problem else None)
    # What concerns several scopes of a tool is said by each of them.
    return rows, list({finding.text: finding for finding in findings}.values())


def compiled_hook() -> str:
    """Return the version of this installation's compiled hook, or why hooks are Python's."""
    path = native_hook_path()
    if path is None:
        return "Python's, as this installation has no compiled one"
    return f"{launcher.version_of(path.read_bytes()) or 'of no version'}, compiled"


def _problem_of_version() -> list[str]:
    """Return a line where the compiled hook is not of the package's version."""
    path = native_hook_path()
    if path is None or launcher.compare_version(path.read_bytes()) == 0:
        return []
    return [
        f"{path} is {launcher.version_of(path.read_bytes()) or 'of no version'}, and khive-persist"
        f" {version('khive-persist')}: install it again"
    ]
