"""`khive-persist init`."""

import os
from importlib.resources import files
from pathlib import Path

import click

from khive_persist import settings as configuration
from khive_persist.capture.notices import notices
from khive_persist.cli.options import named_directory, with_project
from khive_persist.cli.output import warn
from khive_persist.project import Project, make_directory, write_private
from khive_persist.trust import records, search


@click.command("init")
@with_project
def command() -> None:
    """Make .khive here, or in DIR.

    Hooks and commands below this directory record to it and read from it. What is there stays;
    .khive/config.toml explains every setting. Only it and .gitignore are for git. A .khive that
    holds more than these two, and is not yet trusted, wants `khive-persist trust` instead.
    """
    chosen = named_directory() or os.environ.get("KHIVE_DIR") or "."
    project = Project(Path(chosen))
    is_new = not project.exists()
    search.adopt(project.khive)
    project.make()
    make_directory(project.spool)
    if os.path.lexists(project.config):
        configuration.load(project.config)
    else:
        content = (files("khive_persist") / "config.toml").read_bytes()
        write_private(project.config, content)
        if is_new:
            records.trust_config(project.khive, content.decode())
    for line in notices(project, None):
        warn(line)
    click.echo(f"{project.khive} is ready")
    click.echo("next: khive-persist hooks install claude-code (or codex, gemini-cli)")
