"""`khive-persist projects`."""

import os

import anyio
import click

from khive_persist.cli.confirm import confirm
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import say_removed, with_output
from khive_persist.cli.output import print_documents, print_table
from khive_persist.maintenance.trust.forget import forget, listed_project
from khive_persist.sessions.projects import list_projects

_COLUMNS = ("name", "state", "last", "sessions", "waiting", "bytes", "path", "known as")


@click.group("projects", invoke_without_command=True)
@with_output
@click.pass_context
def command(context: click.Context, form: str) -> int:
    """List all projects that you trust, and the home, which keeps what has no project.

    A project that is no longer where it was trusted is `gone`. One that was moved, and trusted
    where it is now, stands here once, known as what it was before. `waiting` are its events in the
    home's spool. Where a project cannot be read, the exit code is 1.

    \b
      khive-persist projects
      khive-persist projects --json | jq -r '.[] | select(.state == "gone") | .path'
      khive-persist projects forget /old/project
    """
    if context.invoked_subcommand is not None:
        return DONE
    projects = anyio.run(list_projects)
    if form == "table":
        rows = [
            (
                project.name,
                project.state,
                project.last,
                project.sessions,
                project.waiting,
                project.bytes,
                project.path,
                ", ".join(project.known_as) or None,
            )
            for project in projects
        ]
        print_table(_COLUMNS, rows, "no projects")
    else:
        print_documents(form, [project._asdict() for project in projects])
    say_removed()
    errors = [project.error for project in projects if project.error]
    for error in errors:
        click.echo(f"khive-persist: {error}", err=True)
    return FAILED if errors else DONE


@command.command("forget")
@click.argument("path")
@click.option("--yes", is_flag=True, help="Do not ask, though it is still there.")
def forget_command(path: str, yes: bool) -> int:
    """Take a project off the list that is gone.

    Nothing is deleted but its mark in your home's .khive. One that was moved is not to be
    forgotten: say khive-persist trust where it is now. A project that is still there is no longer
    trusted then, so you are asked: its events wait in the home's spool until khive-persist trust
    --keep takes it back, as it does with one that comes back with another disk.
    """
    project = listed_project(path)
    if os.path.lexists(project.khive):
        confirm(f"trust {project.khive} no longer, which is still there", yes=yes)
    forget(project)
    click.echo(f"{project.root} is forgotten")
    return DONE
