"""`khive-persist hooks install|status|uninstall|capture`."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, get_args

import click

from khive_persist.capture import pauses
from khive_persist.capture.drain import usable_settings
from khive_persist.capture.hook_config import (
    Change,
    HookChoice,
    as_row,
    found_clients,
    has_scope,
    install,
    status,
    uninstall,
)
from khive_persist.capture.notices import diverted_lines
from khive_persist.cli import hook_sample
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import named_directory, nearest_project, with_project
from khive_persist.cli.output import cell, print_json, print_table
from khive_persist.errors import InvalidSettingsError
from khive_persist.project import Project
from khive_persist.tools import TOOLS, Scope
from khive_persist.trust import search

Verb = Literal["install", "uninstall"]
TOOL_NAMES = click.Choice(list(TOOLS))
SCOPES = click.Choice(list(get_args(Scope)))
_NO_CLIENT: Final = (
    "no client has its program on PATH or its folder in your home: install the one that you use and"
    " say it again, or name it, as it is looked for no further then:"
    " khive-persist hooks install claude-code"
)


@click.group("hooks")
def command() -> None:
    """Install, show or remove the recording hooks of your AI tools.

    \b
      khive-persist hooks install claude-code
      khive-persist hooks install codex gemini-cli --scope user
      khive-persist hooks install --all --scope user
      khive-persist hooks status

    A project's hooks are in the tool's settings file below this directory (or DIR), a user's in
    that of your home directory. Those of --scope local are yours alone, in the project: only Claude
    Code has such settings. What else the file has stays as it is. Cline, OpenCode, Kilo and pi have
    files of ours instead, and a file of yours of the same name stays.
    """


def _with_tools(*, required: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    scope = click.option(
        "--scope", type=SCOPES, default="project", show_default=True,
        help="The settings of this project, yours alone in it, or of all your projects.",
    )  # fmt: skip
    tools = click.argument("tools", type=TOOL_NAMES, nargs=-1, required=required)
    as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document.")
    return lambda function: tools(scope(as_json(with_project(function))))


@command.command("install")
@_with_tools(required=False)
@click.option("--all", "is_all", is_flag=True, help="Each tool that is found on this machine.")
@click.option("--client-version", metavar="VERSION", default="",
              help="A version of the tool that reads the settings elsewhere.")  # fmt: skip
@click.option("--model-events", is_flag=True,
              help="Gemini CLI, Qwen Code: also around each answer.")  # fmt: skip
@click.option(
    "--transport",
    type=click.Choice(["command", "http"]),
    default="command",
    show_default=True,
    help="Start a program for each event, or send it to `serve`.",
)
@click.option("--url", metavar="URL", help="With http: where the server of this .khive listens.")
@click.option("--hook", "hook_choice", type=click.Choice(get_args(HookChoice)), default="auto",
              show_default=True, help="The compiled hook, or the Python one.")  # fmt: skip
@click.option("--no-shell", is_flag=True,
              help="Claude Code, --scope user: the compiled hook, by no shell.")  # fmt: skip
def install_command(
    tools: Sequence[str],
    scope: Scope,
    as_json: bool,
    is_all: bool,
    client_version: str,
    model_events: bool,
    transport: str,
    url: str | None,
    hook_choice: HookChoice,
    no_shell: bool,
) -> int:
    """Add the recording hook for every passive event; twice changes nothing.

    --all installs for each tool whose program is on PATH, or whose folder is in your home
    directory, and says which it found. A tool without settings of that scope is passed over, and
    one whose settings cannot be changed is an error that the others do not wait for.

    A file of yours in the place of one of ours stays as it is: it is named, and the exit code is 1.

    Each version of the tool on this machine is asked for its number, and what the oldest of them
    does not know is left out, as it would skip the whole file for it; --client-version names one
    that is not here, as for a file that others share. A hook that is there for such an event goes.

    What is run is a copy in ~/.khive/bin, which stays when the environment goes. A project's shared
    file names no path of this machine, and does nothing where khive-persist is not installed.

    With --hook auto that is the compiled hook, where this installation has one and it can be run
    here; where it is not there, or is of another machine, its command goes on to the Python one.
    --no-shell saves the start of a shell for each event: nothing comes in its place then, and what
    a project's settings register, too, is recorded twice.

    With --scope user and --dir, all your projects are recorded into the .khive of that directory;
    else each event goes to the .khive of its project, or to that of your home directory.

    \b
      khive-persist serve --install
      khive-persist hooks install claude-code --transport http

    With --transport http, the events that come often go to the server of this .khive, with --scope
    user those of all your projects: of Claude Code, the only tool that has HTTP hooks, PreToolUse,
    PostToolUse, PostToolUseFailure, PostToolBatch, UserPromptSubmit, Stop and MessageDisplay. All
    else comes by command, into the same .khive: SessionStart and Setup, which it does not send over
    HTTP, and what would leave no trace where no server answers, as Notification, PermissionRequest,
    SubagentStop and SessionEnd.

    When the server is down the agent goes on; one that hangs holds it for 5 seconds an event. What
    comes by command is kept. The rest is made anew from the transcript by the `sync` at the end of
    the session, or by `sync --backfill`: prompts, stops, tool calls, and batches of the main agent,
    marked as reconstructed, without permission_mode, effort and duration_ms. MessageDisplay does
    not come back, as its text is in the message, nor do batches of subagents, whose calls do; these
    two are not counted, either. `doctor --session` counts all else that is missing.
    """
    if is_all == bool(tools):
        raise click.UsageError("name the tools, or give --all")
    if is_all and client_version:
        raise click.UsageError("--client-version is of one tool, and goes without --all")
    found = found_clients() if is_all else {}
    project = _project(scope)
    _check_version(client_version)
    settings = usable_settings(project)
    with_model_events = model_events or settings.gemini_model_events != "off"
    fixed = _root() if named_directory() and scope == "user" else None
    server = None
    if transport == "http":
        _check_http(tools or [*found])
        from khive_persist.server.url_file import server_url

        server = url or server_url(project, settings)
        # Where the server records, so that a session is not in two places.
        fixed = project.root
    elif url is not None:
        raise click.UsageError("--url goes with --transport http")

    def installed(tool: str) -> Change:
        return install(
            tool, scope, _root(), model_events=with_model_events, directory=fixed, server=server,
            version=client_version, hook=hook_choice, shell=not no_shell,
        )  # fmt: skip

    if not is_all:
        changes = {tool: installed(tool) for tool in tools}
        _print_changes("install", changes, as_json)
        return FAILED if any(change.occupied for change in changes.values()) else DONE
    return _install_all(found, scope, installed, as_json)


def _install_all(
    found: dict[str, Path], scope: Scope, installed: Callable[[str], Change], as_json: bool
) -> int:
    """Install for each tool that was found, print what was done, and return the exit code."""
    document: dict[str, dict[str, object]] = {}
    is_failed = False
    for tool, path in found.items():
        document[tool] = {"found": str(path)}
        if not as_json:
            click.echo(f"{tool}: found, as {path} is there")
        if not has_scope(tool, scope):
            document[tool]["passed_over"] = f"no settings of --scope {scope}"
            if not as_json:
                click.echo(f"{tool}: passed over, as it has no settings of --scope {scope}")
            continue
        try:
            change = installed(tool)
        except InvalidSettingsError as error:
            is_failed = True
            document[tool]["error"] = str(error)
            if not as_json:
                click.echo(f"{tool}: {error}")
            continue
        is_failed = is_failed or bool(change.occupied)
        document[tool] |= _as_json(change)
        if not as_json:
            _print_change("install", tool, change)
    absent = [tool for tool in TOOLS if tool not in found]
    if as_json:
        print_json(document)
    elif absent:
        click.echo(f"not found here: {', '.join(absent)}")
    if not found and not as_json:
        click.echo(_NO_CLIENT)
    return FAILED if is_failed else DONE


@command.command("uninstall")
@_with_tools()
def uninstall_command(tools: Sequence[str], scope: Scope, as_json: bool) -> None:
    """Take the recording hook out; each file is as it was before."""
    changes = {tool: uninstall(tool, scope, _root()) for tool in tools}
    _print_changes("uninstall", changes, as_json)


@command.command("status")
@with_project
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def status_command(as_json: bool) -> int:
    """Show where the hooks are installed, and what keeps them from working.

    Exit code 1 where something does. A pause is shown and is none of it.
    """
    root = _root()
    statuses, problems = [], []
    for tool in TOOLS:
        for scope in get_args(Scope):
            if has_scope(tool, scope):
                try:
                    hooks = status(tool, scope, root)
                except InvalidSettingsError as error:
                    problems.append(str(error))
                    continue
                statuses.append((tool, scope, hooks))
                problems += hooks.problems
    problems = list(dict.fromkeys(problems + diverted_lines(root)))
    pause = pauses.status(nearest_project())
    problems += [pause.problem] if pause.problem else []
    if as_json:
        rows = [as_row(t, s, hooks) for t, s, hooks in statuses]
        print_json({"hooks": rows, "problems": problems, "pause": pause})
    else:
        table = [
            (t, s, hooks.state, hooks.transport, hooks.hook, len(hooks.events), hooks.version,
             str(hooks.path))
            for t, s, hooks in statuses
        ]  # fmt: skip
        columns = ("tool", "scope", "state", "transport", "hook", "events", "version", "path")
        print_table(columns, table, "")
        for tool, _, hooks in statuses:
            if hooks.left_out:
                click.echo(f"{tool} {hooks.version} does not know {', '.join(hooks.left_out)}")
        for line in dict.fromkeys(line for _, _, hooks in statuses for line in hooks.by_hand):
            click.echo(f"by hand: {line}")
        for line in pauses.lines(pause) + pauses.environment_lines():
            click.echo(f"paused: {cell(line, None)}")
        for problem in problems:
            click.echo(f"problem: {cell(problem, None)}")
    return FAILED if problems else DONE


command.add_command(hook_sample.command)


def _project(scope: Scope) -> Project:
    """Return the project that the hooks will record into, as far as that is known.

    Raises:
        UntrustedError: It holds more than settings, and is not trusted.
    """
    directory, project = named_directory(), Project(_root())
    if directory is None and scope == "user":
        return Project(search.upward().root)
    if directory is not None or project.exists():
        search.adopt(project.khive)
    return project


def _check_version(version: str) -> None:
    if version and re.fullmatch(r"\d+(?:\.\d+)*", version) is None:
        raise click.UsageError(f"--client-version {version!r} is no version: as 2.1.100")


def _check_http(tools: Sequence[str]) -> None:
    without = [
        TOOLS[t].title for t in tools if not any(h.http for h in TOOLS[t].registration.hooks)
    ]
    if without:
        raise click.UsageError(f"{' and '.join(without)} can send no events over HTTP")


def _root() -> Path:
    return Path(named_directory() or ".").absolute()


def _print_changes(verb: Verb, changes: dict[str, Change], as_json: bool) -> None:
    if as_json:
        print_json({tool: _as_json(change) for tool, change in changes.items()})
        return
    for tool, change in changes.items():
        _print_change(verb, tool, change)


def _as_json(change: Change) -> dict[str, object]:
    occupied = [str(path) for path in change.occupied]
    return change._asdict() | {"path": str(change.path), "occupied": occupied}


def _print_change(verb: Verb, tool: str, change: Change) -> None:
    did = "installed in" if verb == "install" else "taken out of"
    if change.written:
        click.echo(
            f"{tool}: hooks of {len(change.events)} events {did} {cell(str(change.path), None)}"
        )
    else:
        click.echo(f"{tool}: nothing to change in {cell(str(change.path), None)}")
    for path in change.occupied:
        click.echo(f"  {path} is a file of your own, and stays: what ours would record is left out")
    if change.left_out:
        names = ", ".join(change.left_out)
        click.echo(f"  {TOOLS[tool].title} {change.version} does not know {names}: left out")
    elif change.version:
        click.echo(f"  {TOOLS[tool].title} {change.version} knows all of them")
    for line in change.by_hand:
        click.echo(f"  by hand: {line}")
    for problem in change.problems:
        click.echo(f"  problem: {problem}")
