"""`khive-persist hooks install|status|uninstall`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import click

from khive_persist.capture.drain import usable_settings
from khive_persist.capture.registration import Change, install, status, uninstall
from khive_persist.capture.tools import TOOLS, Scope
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import with_place
from khive_persist.cli.output import print_json, print_table
from khive_persist.opening import find_place

Verb = Literal["install", "uninstall"]
TOOL_NAMES = click.Choice(list(TOOLS))
SCOPES = click.Choice(list(get_args(Scope)))


@click.group("hooks")
def command() -> None:
    """Install, show or remove the recording hooks of your AI tools.

    \b
      khive-persist hooks install claude-code
      khive-persist hooks install codex gemini-cli --scope user
      khive-persist hooks status

    A project's hooks are in the tool's settings file below this directory (or DIR), a user's in
    that of your home directory. What else the file has stays as it is.
    """


def _with_tools(function: Callable[..., Any]) -> Callable[..., Any]:
    scope = click.option(
        "--scope", type=SCOPES, default="project", show_default=True,
        help="The settings of this project, or of all your projects.",
    )  # fmt: skip
    tools = click.argument("tools", type=TOOL_NAMES, nargs=-1, required=True)
    as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document.")
    return tools(scope(as_json(with_place(function))))


@command.command("install")
@_with_tools
@click.option("--model-events", is_flag=True, help="Gemini CLI: also around each model call.")
@click.pass_context
def install_command(
    context: click.Context,
    tools: Sequence[str],
    scope: Scope,
    as_json: bool,
    directory: str | None,
    model_events: bool,
) -> None:
    """Add the recording hook for every passive event; twice changes nothing.

    With --scope user and --dir, all your projects are recorded into the .khive of that directory;
    else each event goes to the .khive of its project, or to that of your home directory.
    """
    named = directory or context.find_root().obj
    root = _project(named)
    place = find_place(named or root)
    wanted = model_events or usable_settings(place).gemini_model_events != "off"
    fixed = Path(named).absolute() if named and scope == "user" else None
    changes = {
        tool: install(tool, scope, root, model_events=wanted, directory=fixed) for tool in tools
    }
    _print_changes("install", changes, as_json)


@command.command("uninstall")
@_with_tools
@click.pass_context
def uninstall_command(
    context: click.Context,
    tools: Sequence[str],
    scope: Scope,
    as_json: bool,
    directory: str | None,
) -> None:
    """Take the recording hook out; the file is as it was before."""
    root = _project(directory or context.find_root().obj)
    changes = {tool: uninstall(tool, scope, root) for tool in tools}
    _print_changes("uninstall", changes, as_json)


@command.command("status")
@with_place
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_context
def status_command(context: click.Context, directory: str | None, as_json: bool) -> int:
    """Show where the hooks are installed, and what keeps them from working.

    Exit code 1 where something does.
    """
    root = _project(directory or context.find_root().obj)
    found = [
        (tool, scope, status(tool, scope, root)) for tool in TOOLS for scope in get_args(Scope)
    ]
    problems = list(dict.fromkeys(problem for _, _, one in found for problem in one.problems))
    if as_json:
        rows = [
            {"tool": t, "scope": s} | one._asdict() | {"path": str(one.path)} for t, s, one in found
        ]
        print_json({"hooks": rows, "problems": problems})
    else:
        table = [(t, s, one.state, len(one.events), str(one.path)) for t, s, one in found]
        print_table(("tool", "scope", "state", "events", "path"), table, "")
        for line in dict.fromkeys(line for _, _, one in found for line in one.by_hand):
            click.echo(f"by hand: {line}")
        for problem in problems:
            click.echo(f"problem: {problem}")
    return FAILED if problems else DONE


def _project(named: str | None) -> Path:
    return Path(named or ".").absolute()


def _print_changes(verb: Verb, changes: dict[str, Change], as_json: bool) -> None:
    if as_json:
        print_json(
            {
                tool: change._asdict() | {"path": str(change.path)}
                for tool, change in changes.items()
            }
        )
        return
    did = "installed in" if verb == "install" else "taken out of"
    for tool, change in changes.items():
        if change.written:
            click.echo(f"{tool}: hooks of {len(change.events)} events {did} {change.path}")
        else:
            click.echo(f"{tool}: nothing to change in {change.path}")
        for line in change.by_hand:
            click.echo(f"  by hand: {line}")
