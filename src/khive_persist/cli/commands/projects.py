"""`khive-persist projects`."""

import os
from functools import partial

import anyio
import click

from khive_persist.cli.commands.import_ import as_document, print_imported
from khive_persist.cli.confirm import confirm
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import say_removed, with_limit, with_output, with_times
from khive_persist.cli.output import print_documents, print_json, print_table, warn
from khive_persist.cli.progress import progress
from khive_persist.maintenance.trust.forget import forget, listed_project
from khive_persist.project import Project
from khive_persist.sessions.projects import list_projects
from khive_persist.transfer.merge import Merged, merge

_COLUMNS = ("name", "state", "last", "sessions", "waiting", "bytes", "path", "known as", "merged")


@click.group("projects", invoke_without_command=True)
@with_limit()
@with_output
@with_times
@click.pass_context
def command(context: click.Context, form: str, limit: int | None) -> int:
    """List all projects that you trust, and the home, which keeps what has no project.

    A project that is no longer where it was trusted is `gone`. One that was moved, and trusted
    where it is now, stands here once, known as what it was before; so does one that others were
    merged into. `waiting` are its events in the home's spool. Where a project cannot be read, the
    exit code is 1.

    \b
      khive-persist projects
      khive-persist projects --json | jq -r '.[] | select(.state == "gone") | .path'
      khive-persist projects forget /old/project
      khive-persist projects merge ~/all/part ~/all
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
                ", ".join(project.merged) or None,
            )
            for project in projects[:limit]
        ]
        print_table(_COLUMNS, rows, "no projects")
    else:
        print_documents(form, [project._asdict() for project in projects[:limit]])
    say_removed()
    errors = [project.error for project in projects if project.error]
    for error in errors:
        warn(error)
    return FAILED if errors else DONE


@command.command("forget")
@click.argument("path")
@click.option("--yes", is_flag=True, help="Do not ask, though it is still there.")
def forget_command(path: str, yes: bool) -> None:
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


@command.command("merge")
@click.argument("old")
@click.argument("into")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def merge_command(old: str, into: str, as_json: bool) -> int:
    """Bring all records of OLD into INTO, which takes its place.

    \b
      khive-persist projects merge ~/all/part ~/all

    Both are directories that hold a .khive. Records are known by their ids: each is there once, in
    both copies, and one that INTO has with other content stays as it is there. OLD's .khive stays
    on the disk as .khive.merged, with its settings and backups. From then on, what is recorded in
    OLD goes where it goes without a .khive there, and what waits for OLD comes into INTO; projects
    names OLD as merged.

    Where something is refused, it is listed as by import, both stay as they are, and the exit code
    is 1. A server that runs in OLD has to be stopped before.
    """
    source, target = (Project(os.path.realpath(directory)) for directory in (old, into))
    merged = anyio.run(partial(_merge, source, target))
    if as_json:
        former_khive = merged.former_khive and str(merged.former_khive)
        print_json(as_document(merged.imported, update=False) | {"former_khive": former_khive})
    else:
        print_imported(merged.imported, target, update=False)
        if merged.former_khive is not None:
            click.echo(
                f"{source.root} is merged into {target.root}: {merged.former_khive} is what it was"
            )
    if merged.former_khive is None:
        warn(f"{source.root} is not merged")
        return FAILED
    return DONE


async def _merge(old: Project, target: Project) -> Merged:
    with progress("rows") as advance:
        return await merge(old, target, advance)
