"""`khive-persist init`."""

import os
from importlib.resources import files
from pathlib import Path

import click

from khive_persist import settings as configuration
from khive_persist.capture.notices import notices
from khive_persist.cli.options import with_place
from khive_persist.project import Place, make_directory, write_private
from khive_persist.trust import records, search


@click.command("init")
@with_place
@click.pass_context
def command(context: click.Context, directory: str | None) -> None:
    """Make .khive here, or in DIR.

    Hooks and commands below this directory record to it and read from it. What is there stays;
    .khive/config.toml explains every setting. Only it and .gitignore are for git. A .khive that
    holds more than these two, and is not yet trusted, wants `khive-persist trust` instead.
    """
    chosen = directory or context.obj or os.environ.get("KHIVE_DIR") or "."
    place = Place(Path(chosen))
    is_new = not place.exists()
    search.adopt(place.khive)
    place.make()
    make_directory(place.spool)
    if os.path.lexists(place.config):
        configuration.load(place.config)
    else:
        content = (files("khive_persist") / "config.toml").read_bytes()
        write_private(place.config, content)
        if is_new:
            records.trust_config(place.khive, content.decode())
    for line in notices(place, None):
        click.echo(f"khive-persist: {line}", err=True)
    click.echo(f"{place.khive} is ready")
    click.echo("next: khive-persist hooks install claude-code (or codex, gemini-cli)")
