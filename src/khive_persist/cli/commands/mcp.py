"""`khive-persist mcp`, and `mcp install|status|uninstall`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import click

from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import named_directory, with_project
from khive_persist.cli.output import cell, print_json, print_table
from khive_persist.errors import InvalidSettingsError, extra
from khive_persist.mcp_server.registration import (
    SCOPES,
    McpScope,
    RegistrationChange,
    install,
    registered,
    supporting_tools,
    uninstall,
)

_COLUMNS: Final = ("tool", "scope", "state", "command", "path")


@click.group("mcp", invoke_without_command=True)
@with_project
@click.pass_context
def command(context: click.Context) -> None:
    """Answer agents about recorded sessions, over stdin and stdout.

    \b
      khive-persist mcp install claude-code
      khive-persist mcp install codex gemini-cli --scope user
      khive-persist mcp status

    It is a server of the Model Context Protocol, which an AI tool starts by itself, once `mcp
    install` has told it how. Its tools only read: search, get_session, recent_failures, fixes,
    similar_plans, costs, what_changed. It answers about the project of the directory that the AI
    tool works in, or of DIR; about others only where mcp.projects of ~/.khive/config.toml names
    them. It needs the extra mcp: pip install 'khive-persist[mcp]'.
    """
    if context.invoked_subcommand is None:
        with extra("mcp", "khive-persist mcp"):
            from khive_persist.mcp_server.server import serve
        serve(named_directory())


def _with_tools(function: Callable[..., Any]) -> Callable[..., Any]:
    tools = click.argument("tools", type=click.Choice(supporting_tools()), nargs=-1, required=True)
    scope = click.option(
        "--scope", type=click.Choice(SCOPES), default="project", show_default=True,
        help="The settings of this project, or of all your projects.",
    )  # fmt: skip
    as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document.")
    return tools(scope(as_json(with_project(function))))


@command.command("install")
@_with_tools
def install_command(tools: Sequence[str], scope: McpScope, as_json: bool) -> int:
    """Tell AI tools how to start the server; twice changes nothing.

    What else their settings have stays, byte for byte. A server of yours that is called
    khive-persist stays, too: it is named, and the exit code is 1. A project's settings, which
    others share, name no path of this machine: the program is looked for on PATH. With --dir the
    server answers about the project of DIR, wherever the AI tool works.
    """
    directory = Path(named_directory() or "").absolute() if named_directory() else None
    fixed = directory if scope == "user" else None
    changes = {tool: install(tool, scope, _root(), directory=fixed) for tool in tools}
    return _print_changes("registered in", changes, as_json)


@command.command("uninstall")
@_with_tools
def uninstall_command(tools: Sequence[str], scope: McpScope, as_json: bool) -> int:
    """Take the server out of the settings of AI tools; each file is as it was before."""
    changes = {tool: uninstall(tool, scope, _root()) for tool in tools}
    return _print_changes("taken out of", changes, as_json)


@command.command("status")
@with_project
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def status_command(as_json: bool) -> int:
    """Show which AI tools know the server, and what keeps it from being started.

    Exit code 1 where something does.
    """
    rows, problems = [], []
    for tool in supporting_tools():
        for scope in SCOPES:
            try:
                state = registered(tool, scope, _root())
            except InvalidSettingsError as error:
                problems.append(str(error))
                continue
            rows.append((tool, scope, state.state, " ".join(state.command), str(state.path)))
            problems += [state.problem] if state.problem else []
    problems = list(dict.fromkeys(problems))
    if as_json:
        documents = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
        print_json({"servers": documents, "problems": problems})
    else:
        print_table(_COLUMNS, rows, "")
        for problem in problems:
            click.echo(f"problem: {cell(problem, None)}")
    return FAILED if problems else DONE


def _root() -> Path:
    return Path(named_directory() or ".").absolute()


def _print_changes(verb: str, changes: dict[str, RegistrationChange], as_json: bool) -> int:
    if as_json:
        print_json(
            {
                tool: change._asdict() | {"path": str(change.path)}
                for tool, change in changes.items()
            }
        )
    else:
        for tool, change in changes.items():
            _print_change(verb, tool, change)
    return FAILED if any(change.occupied for change in changes.values()) else DONE


def _print_change(verb: str, tool: str, change: RegistrationChange) -> None:
    path = cell(str(change.path), None)
    if change.occupied:
        click.echo(f"{tool}: a server of your own in {path} is called khive-persist, and stays")
    elif change.is_written:
        click.echo(f"{tool}: the server is {verb} {path}")
    else:
        click.echo(f"{tool}: nothing to change in {path}")
    for line in change.by_hand:
        click.echo(f"  by hand: {line}")
