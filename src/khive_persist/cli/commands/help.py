"""`khive-persist help`."""

import click

from khive_persist.cli.suggestions import did_you_mean


@click.command("help")
@click.argument("words", nargs=-1, metavar="[COMMAND]...")
@click.pass_context
def command(context: click.Context, words: tuple[str, ...]) -> None:
    """Show how a command is used.

    \b
      khive-persist help events
      khive-persist help backup create
    """
    parent = context.find_root()
    for word in words:
        group = parent.command
        child = group.get_command(parent, word) if isinstance(group, click.Group) else None
        if child is None:
            names = group.list_commands(parent) if isinstance(group, click.Group) else []
            likely = did_you_mean(word, names)
            raise click.UsageError(f"{parent.command_path} has no command {word!r}.{likely}")
        parent = click.Context(child, info_name=word, parent=parent)
    click.echo(parent.get_help())
