"""Say on stderr where both copies of what was saved are: the database, and the JSON beside it."""

from collections.abc import Collection, Sequence
from pathlib import Path

import click

from khive_persist.copies import mirrored
from khive_persist.project import Project


def say_saved(count: int, database: Path, copies: Sequence[Path]) -> None:
    """Say in which files so many records are; `copies` are those of the second copy."""
    click.echo(f"{count} recorded in {database}", err=True)
    if copies:
        suffix = f" and {len(copies) - 1} more" if len(copies) > 1 else ""
        click.echo(f"and in {copies[0]}{suffix}", err=True)


def say_mirrored(project: Project, names: Collection[str]) -> None:
    """Say where the second copies of records of these purposes are, if they have any.

    Raises:
        InvalidSettingsError: config.toml is wrong.
    """
    if any(purpose.name in names for purpose in mirrored(project)):
        click.echo(f"and a second time, as JSON, in {project.sessions}", err=True)
