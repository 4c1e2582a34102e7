"""`khive-persist config`."""

from pathlib import Path
from typing import Final

import click

from khive_persist import settings as configuration
from khive_persist.cli import completions
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import existing_project, project_of, with_project
from khive_persist.cli.output import cell, print_json, print_table, warn
from khive_persist.errors import InvalidSettingsError, ProjectError
from khive_persist.maintenance.config_files.check import Problem, check, config_files
from khive_persist.maintenance.config_files.edit import parsed, set_value, setting_of
from khive_persist.project import Project
from khive_persist.settings import HOME_ONLY, PERSONAL, dotted
from khive_persist.store.codec import dump_lossy
from khive_persist.trust import marks

_AS_JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_COLUMNS: Final = ("name", "value", "from")
_DEFAULT: Final = "default"


@click.group("config")
def command() -> None:
    """Show, change and check the settings.

    The home's ~/.khive/config.toml holds for all projects, then .khive/config.toml, then
    .khive/config.local.toml, which git ignores. Each setting is explained in config.toml.

    \b
      khive-persist config get
      khive-persist config get server.port
      khive-persist config set server.port 9000
      khive-persist config set redaction.deny 'ACME-[0-9]{8}' --home
      khive-persist config check
    """


@command.command("get")
@click.argument("name", required=False, shell_complete=completions.settings)
@_AS_JSON
@with_project
def get(name: str | None, as_json: bool) -> None:
    """Print the value of a setting that is in force, or all with the files that they come from.

    \b
      khive-persist config get server.port
      khive-persist config get --json | jq '.[] | select(.from != "default")'
    """
    project = existing_project()
    setting = None if name is None else _setting_of(name)
    values = configuration.load(project.config)._asdict()
    if setting is not None:
        value = values[setting]
        if as_json:
            print_json(value)
        else:
            click.echo(cell(value, None) if isinstance(value, str) else dump_lossy(value))
        return
    origins: dict[str, str] = {}
    for path, of_file in configuration.layers(project.config):
        origins |= dict.fromkeys(of_file, str(path))
    rows = [(dotted(n), value, origins.get(n, _DEFAULT)) for n, value in values.items()]
    if as_json:
        print_json([dict(zip(_COLUMNS, row, strict=True)) for row in rows])
    else:
        print_table(_COLUMNS, [(n, dump_lossy(value), path) for n, value, path in rows], "")


@command.command("set")
@click.argument("name", shell_complete=completions.settings)
@click.argument("values", nargs=-1, required=True, metavar="VALUE...")
@click.option("--local", "place", flag_value="local", help="In config.local.toml: for you alone.")
@click.option("--home", "place", flag_value="home", help="In the home's: for all projects.")
@click.option("--project", "place", flag_value="project", default=True, hidden=True)
@with_project
def set_(name: str, values: tuple[str, ...], place: str) -> int:
    """Write a setting into .khive/config.toml, or into another file; comments stay.

    Of a list VALUE is each of its items, or all of it as TOML; '[]' is an empty one. What you had
    accepted of config.toml by `trust --keep` stays so, with this change.

    \b
      khive-persist config set mirror.pack_after_days 7
      khive-persist config set server.allowed_hosts recorder.example recorder.lan
      khive-persist config set sync.at_stop false --local
    """
    setting = _setting_of(name)
    if place == "home":
        project = _home()
    else:
        # What is only read may be the next one above; a change there would be of other projects.
        project_of()
        project = existing_project()
    if setting in HOME_ONLY and not marks.is_state(project.khive):
        raise click.UsageError(f"{name} counts in the home's config.toml alone: say --home")
    if setting in PERSONAL and place == "project" and not marks.is_state(project.khive):
        raise click.UsageError(f"{name} does not count in config.toml: say --local or --home")
    path = project.local_config if place == "local" else project.config
    try:
        value = parsed(path, name, values)
    except InvalidSettingsError as error:
        raise click.UsageError(str(error)) from error
    is_changed = set_value(project, path, name, value)
    click.echo(f"{name} = {dump_lossy(value)}" + ("" if is_changed else ", as it was"))
    click.echo(f"{'written to' if is_changed else 'stands in'} {path}", err=True)
    problems = [problem for problem in check(project) if problem.path == path]
    for problem in problems:
        warn(_line(problem))
    return FAILED if any(problem.kind == "invalid" for problem in problems) else DONE


@command.command("check")
@_AS_JSON
@with_project
def check_command(as_json: bool) -> int:
    """Look for mistakes in the settings files: each with its file, line and way out.

    Unknown names, wrong types and values, what is no TOML; and settings that do not count where
    they stand: those that the home's file alone can set, and those of a config.toml that you have
    not accepted. The exit code is 1 where there is any.

    \b
      khive-persist config check
      khive-persist config check --json | jq -r '.problems[].reason'
    """
    project = existing_project()
    problems = check(project)
    paths = [path for path in config_files(project) if path.exists()]
    if as_json:
        documents = [problem._asdict() | {"path": str(problem.path)} for problem in problems]
        print_json({"files": list(map(str, paths)), "problems": documents})
        return FAILED if problems else DONE
    for problem in problems:
        click.echo(_line(problem))
    if any(problem.kind == "invalid" for problem in problems):
        click.echo("until that is mended, recording goes on with the defaults", err=True)
    if not problems:
        names = ", ".join(map(str, paths)) or "there is no settings file"
        click.echo(f"nothing is wrong: {names}")
    return FAILED if problems else DONE


def _setting_of(name: str) -> str:
    try:
        return setting_of(name)
    except InvalidSettingsError as error:
        raise click.UsageError(str(error)) from error


def _line(problem: Problem) -> str:
    at = f"{problem.path}:{problem.line}" if problem.line else str(problem.path)
    name = f"{problem.name} " if problem.name else ""
    reason = problem.reason.removeprefix(f"{problem.path} ")
    return cell(f"{at}: {name}{reason}", None)


def _home() -> Project:
    directory: Path | None = marks.state_home()
    if directory is None:
        raise ProjectError("there is no home directory that can be written", hint="set KHIVE_HOME")
    project = Project(directory)
    project.make()
    return project
