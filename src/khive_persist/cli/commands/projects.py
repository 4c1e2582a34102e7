"""`khive-persist projects`."""

import anyio
import click

from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import say_removed, with_output
from khive_persist.cli.output import print_documents, print_table
from khive_persist.sessions.projects import list_projects

_COLUMNS = ("name", "state", "last", "sessions", "waiting", "bytes", "path", "known as")


@click.command("projects")
@with_output
def command(form: str) -> int:
    """List all projects that you trust, and the home, which keeps what has no project.

    A project that is no longer where it was trusted is `gone`. One that was moved, and trusted
    where it is now, stands here once, known as what it was before. `waiting` are its events in the
    home's spool. Where a project cannot be read, the exit code is 1.

    \b
      khive-persist projects
      khive-persist projects --json | jq -r '.[] | select(.state == "gone") | .path'
    """
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
