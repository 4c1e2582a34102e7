"""`khive-persist serve`."""

import os
from typing import Any

import click

from khive_persist.capture.drain import usable_settings
from khive_persist.cli.options import project_of, with_limit, with_project, with_times
from khive_persist.cli.output import print_json, print_table
from khive_persist.cli.secrets import secret_of
from khive_persist.errors import extra
from khive_persist.project import Project
from khive_persist.team.postgres_address import address_of

RIGHTS = click.Choice(["ingest", "read", "admin"])
ROLES = click.Choice(["member", "lead", "admin"])


@click.group("serve", invoke_without_command=True)
@click.option("--address", metavar="HOST", help="Where to listen; else as config.toml says.")
@click.option("--port", type=click.IntRange(0, 65_535), help="The same; 0 takes a free one.")
@click.option("--tls-cert", type=click.Path(exists=True, dir_okay=False), help="A PEM file.")
@click.option("--tls-key", type=click.Path(exists=True, dir_okay=False), help="Its key.")
@click.option("--insecure", is_flag=True, help="Plain HTTP where others can reach it.")
@click.option("--log-json", is_flag=True, help="The log as one JSON document a line.")
@click.option("--store", metavar="URL", help="A team's PostgreSQL: serve all of its records.")
@click.option(
    "--store-token-variable",
    metavar="NAME",
    help="The environment variable with the password of that database.",
)
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
    store: str | None,
    store_token_variable: str | None,
    unit: str | None,
) -> None:
    """Take events and records over HTTP, and answer questions about them.

    \b
      khive-persist serve
      khive-persist serve --port 0 --log-json
      khive-persist serve --install
      khive-persist serve token create ci --rights ingest
      khive-persist serve --store 'postgresql://khive@db.example/team?sslmode=verify-full'

    It prints its URL once it answers. SIGTERM or Ctrl-C stops it when all that has begun is stored
    and answered. A token is needed: that of .khive/server.token, or one that you make. With --store
    it takes what a team's machines push, and shows all of it, to each as their token's role says.
    """
    if context.invoked_subcommand is not None:
        return
    if store is None and store_token_variable is not None:
        raise click.UsageError("--store-token-variable goes with --store")
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key go together")
    project = project_of()
    if unit is not None:
        _change_unit(unit, project, _words(context))
        return
    needs_packages()
    if store is not None:
        store = _address_of_team(store, store_token_variable)
    from khive_persist.recorder import logs
    from khive_persist.server.http.listening import Tls
    from khive_persist.server.run import Options, serve

    tls = Tls(tls_cert, tls_key) if tls_cert is not None and tls_key is not None else None
    logs.set_up(as_json=log_json)
    options = Options(address, port, tls, is_insecure=insecure, store=store)
    serve(project, usable_settings(project), options, click.echo)


@command.group("token")
def token_command() -> None:
    """Make, list and revoke tokens.

    A token may ingest (record), read, or admin (both and all else). `local` is the one of
    .khive/server.token; revoked, it is made anew at the next start.
    """


@token_command.command("create")
@click.argument("name")
@click.option("--rights", type=RIGHTS, multiple=True, help="One or more times.")
@click.option("--role", type=ROLES, help="Of a team's server, in place of rights.")
@click.option("--person", metavar="NAME", help="The member whose records it is for.")
@with_project
def create_command(name: str, rights: tuple[Any, ...], role: Any, person: str | None) -> None:
    """Make a token and print it: it is kept nowhere else.

    
      khive-persist serve token create ci --rights ingest
      khive-persist serve token create ann --role member --person ann
    """
    if bool(rights) == bool(role):
        raise click.UsageError("say --rights or --role")
    if (role == "member") != (person is not None):
        raise click.UsageError("--role member and --person go together")
    tokens = _tokens(project_of())
    if role is not None:
        from khive_persist.server.http.tokens import ROLES as ROLE_RIGHTS

        rights = ROLE_RIGHTS[role]
    click.echo(tokens.create(name, rights, person))


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
            {
                "name": token.name,
                "rights": token.rights,
                "person": token.person,
                "created_at": token.created_at,
            }
            for token in tokens
        ]
        print_json(documents)
        return
    rows = [
        (token.name, ", ".join(token.rights), token.person or "", token.created_at)
        for token in tokens
    ]
    print_table(("name", "rights", "person", "created_at"), rows, "there is no token")


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


def _address_of_team(url: str, variable: str | None) -> str:
    with extra("postgres", "PostgreSQL"):
        import asyncpg  # noqa: F401
    return address_of(url, secret_of(variable))


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
