"""Ask before something is destroyed."""

import sys

import click


def confirm(action: str, *, yes: bool) -> None:
    """Go on if the person agrees; without a terminal, only `--yes` says so.

    Args:
        action: The action in the infinitive, as in `delete 3 backups`.
        yes: Whether `--yes` was given.

    Raises:
        click.UsageError: There is no terminal to ask at.
        click.Abort: The answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"this would {action}: say --yes")
    click.confirm(f"{action}?", abort=True, err=True)
