"""`khive-persist completion`."""

from typing import Final

import click

from khive_persist.cli.completion_files import (
    SHELLS,
    Shell,
    completion_files,
    install,
    script_of,
    shell_in_use,
    uninstall,
)
from khive_persist.cli.confirm import confirm
from khive_persist.cli.output import print_json

_SHELL: Final = click.argument("shell", type=click.Choice(SHELLS), required=False)


@click.group("completion")
def command() -> None:
    """Install the completion of commands for your shell, with ids of sessions and names of records.

    \b
      khive-persist completion install
      khive-persist completion install zsh --yes
      khive-persist completion show bash > khive-persist.bash
      khive-persist completion uninstall

    The shell is bash, zsh or fish; without a word, that of $SHELL.
    """


@command.command("install")
@_SHELL
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def install_command(shell: Shell | None, yes: bool, as_json: bool) -> None:
    """Write the script where your shell finds it, and say what was written.

    Where the shell has to be told of it, a line is added to ~/.zshrc or ~/.bashrc, after a
    question. Installed again, nothing changes.
    """
    shell = _chosen(shell)
    files = completion_files(shell)
    if files.start_file is not None and not files.is_named():
        confirm(f"write {files.script}, and add a line to {files.start_file}", yes=yes)
    paths = install(shell)
    if as_json:
        print_json({"shell": shell, "script": str(files.script), "written": list(map(str, paths))})
        return
    for path in paths:
        click.echo(f"{path} is written")
    if not paths:
        click.echo(f"{files.script} is there already: nothing was changed")
    else:
        click.echo(f"it works in each {shell} that you start from now on")


@command.command("uninstall")
@_SHELL
def uninstall_command(shell: Shell | None) -> None:
    """Remove the script and the line that were written."""
    shell = _chosen(shell)
    paths = uninstall(shell)
    for path in paths:
        click.echo(f"{path} is " + ("changed" if path.exists() else "removed"))
    if not paths:
        click.echo(f"no completion of {shell} was installed")


@command.command("show")
@_SHELL
def show_command(shell: Shell | None) -> None:
    """Print the script."""
    click.echo(script_of(_chosen(shell)))


def _chosen(shell: Shell | None) -> Shell:
    chosen = shell or shell_in_use()
    if chosen is None:
        raise click.UsageError("name the shell: bash, zsh or fish")
    return chosen
