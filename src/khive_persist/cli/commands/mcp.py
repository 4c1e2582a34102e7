"""`khive-persist mcp`, and `mcp install|status|uninstall`."""

import click

from khive_persist.cli.options import named_directory, with_project
from khive_persist.errors import extra


@click.group("mcp", invoke_without_command=True)
@with_project
@click.pass_context
def command(context: click.Context) -> None:
    """Answer agents about recorded sessions, over stdin and stdout.

    A client of the Model Context Protocol starts it; `mcp install` tells the client how.
    """
    if context.invoked_subcommand is None:
        with extra("mcp", "khive-persist mcp"):
            from khive_persist.mcp_server.server import serve
        serve(named_directory())
