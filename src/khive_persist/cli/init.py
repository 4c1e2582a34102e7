"""`khive-persist init`."""

import os
from importlib.resources import files
from pathlib import Path

import click

from khive_persist import settings as configuration
from khive_persist.cli.options import with_place
from khive_persist.place import Place, make_directory, write_private


@click.command("init")
@with_place
@click.pass_context
def command(context: click.Context, directory: str | None) -> None:
    """Make .khive here, or in DIR.

    Hooks and commands below this directory record to it and read from it. What is there stays;
    .khive/config.toml explains every setting. Only it and .gitignore are for git.
    """
    chosen = directory or context.obj or os.environ.get("KHIVE_DIR") or "."
    place = Place(Path(chosen))
    place.make()
    make_directory(place.spool)
    if os.path.lexists(place.config):
        configuration.load(place.config)
    else:
        write_private(place.config, (files("khive_persist") / "config.toml").read_bytes())
    click.echo(f"{place.khive} is ready")
    click.echo("next: khive-persist hooks install claude-code (or codex, gemini-cli)")
