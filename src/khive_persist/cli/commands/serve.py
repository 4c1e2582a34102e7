"""`khive-persist serve`."""

import os
from typing import Any

import click

from khive_persist.capture.drain import usable_settings
from khive_persist.cli.options import project_of, with_limit, with_project, with_times
from khive_persist.cli.output import print_json, print_table
from khive_persist.errors import extra
from khive_persist.project import Project

RIGHTS = click.Choice(["ingest", "read", "admin"])


@click.group("serve", invoke_without_command=True)
@click.option("--address", metavar="HOST", help="Where to listen; else as config.toml says.")
@click.option("--port", type=click.IntRange(0, 65_535), help="The same; 0 takes a free one.")
@click.option("--tls-cert", type=click.Path(exists=True, dir_okay=False), help="A PEM file.")
@click.option("--tls-key", type=click.Path(exists=True, dir_okay=False), help="Its key.")
@click.option("--insecure", is_flag=True, help="Plain HTTP where others can reach it.")
@click.option("--log-json", is_flag=True, help="The log as one JSON document a line.")
@click.option(
    "--install",
    "unit",
    flag_value="install",
    help="Write a unit that starts it with your session, and say how to load it.",
)
@click.option("--uninstall", "unit", flag_value="uninstall", help="Remove that unit.")
@with_project
@click.pass_context
def command(
    context: click.Context,
    address: str | None,
    port: int | None,
    tls_cert: str | None,
    tls_key: str | None,
    insecure: bool,
    log_json: bool,
    unit: str | None,
) -> None:
    """Take events and records over HTTP, and answer questions about them.

    \b
      khive-persist serve
      khive-persist serve --port 0 --log-json
      khive-persist serve --install
      khive-persist serve token create ci --rights ingest

    It prints its URL once it answers. SIGTERM or Ctrl-C stops it when all that has begun is stored
    and answered. A token is needed: that of .khive/server.token, or one that you make.
    """
    if context.invoked_subcommand is not None:
        return
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key go together")
    project = project_of()
    if unit is not None:
        _change_unit(unit, project, _words(context))
        return
    needs_packages()
    from khive_persist.recorder import logs
    from khive_persist.server.http.listening import Tls
    from khive_persist.server.run import Options, serve

    tls = Tls(tls_cert, tls_key) if tls_cert is not None and tls_key is not None else None
    logs.set_up(as_json=log_json)
    options = Options(address, port, tls, is_insecure=insecure)
    serve(project, usable_settings(project), options, click.echo)


@command.group("token")
def token_command() -> None:
    """Make, list and revoke tokens.

    A token may ingest (record), read, or admin (both and all else). `local` is the one of
    .khive/server.token; revoked, it is made anew at the next start.
    """


@token_command.command("create")
@click.argument("name")
@click.option("--rights", type=RIGHTS, multiple=True, required=True, help="One or more times.")
@with_project
def create_command(name: str, rights: tuple[Any, ...]) -> None:
    """Make a token and print it: it is kept nowhere else."""
    click.echo(_tokens(project_of()).create(name, rights))


@token_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@with_limit()
@with_times
@with_project
def list_command(as_json: bool, limit: int | None) -> None:
    """List the tokens: their names and rights."""
    tokens = _tokens(project_of()).list()[:limit]
    if as_json:
        documents = [
            {"name": token.name, "rights": token.rights, "created_at": token.created_at}
            for token in tokens
        ]
        print_json(documents)
        return
    rows = [(token.name, ", ".join(token.rights), token.created_at) for token in tokens]
    print_table(("name", "rights", "created_at"), rows, "there is no token")


@token_command.command("revoke")
@click.argument("name")
@with_project
def revoke_command(name: str) -> None:
    """Revoke a token: a running server refuses it from now on."""
    _tokens(project_of()).revoke(name)


def _tokens(project: Project) -> Any:
    from khive_persist.server.http.tokens import Tokens

    project.make()
    return Tokens(project)


def _words(context: click.Context) -> list[str]:
    """Return the options of this call that the unit starts it with."""
    words: list[str] = []
    for option in context.command.params:
        value = context.params.get(option.name or "")
        if option.name == "unit" or value is None or value is False:
            continue
        words.append(option.opts[0])
        if value is not True:
            is_path = option.name in {"tls_cert", "tls_key"}
            words.append(os.path.abspath(value) if is_path else str(value))
    return words


def _change_unit(verb: str, project: Project, words: list[str]) -> None:
    from khive_persist.server import service_units

    unit = service_units.unit_of(project, words)
    if verb == "install":
        service_units.install(unit)
        click.echo(f"{unit.path} is written. To start the server now and at each login:")
        for line in unit.to_start:
            click.echo(f"  {line}")
    else:
        service_units.uninstall(unit)
        click.echo(f"{unit.path} is removed. If the server still runs:")
        for line in unit.to_stop:
            click.echo(f"  {line}")


def needs_packages() -> None:
    """Check that what the server needs is installed.

    Raises:
        MissingExtraError: It is not.
    """
    with extra("server", "the server"):
        import prometheus_client  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
