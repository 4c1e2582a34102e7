"""Asking before something is destroyed."""

import sys

import click


def confirm(what: str, *, yes: bool) -> None:
    """Go on if the person agrees; without a terminal, only `--yes` says so.

    Raises:
        click.UsageError: There is no terminal to ask at.
        click.Abort: The answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"this would {what}: say --yes")
    click.confirm(f"{what}?", abort=True, err=True)
