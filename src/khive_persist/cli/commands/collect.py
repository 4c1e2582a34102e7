"""`khive-persist collect`."""

import asyncio
import signal

import click

from khive_persist.cli.output import warn
from khive_persist.cli.secrets import secret_of
from khive_persist.errors import extra
from khive_persist.team.postgres_address import address_of


@click.command("collect")
@click.option("--from", "source", required=True, metavar="URL", help="The servers of NATS.")
@click.option("--to", "target", required=True, metavar="URL", help="The team's PostgreSQL.")
@click.option(
    "--from-token-variable",
    "source_variable",
    metavar="NAME",
    help="The environment variable with the token, password or credentials of NATS.",
)
@click.option(
    "--to-token-variable",
    "target_variable",
    metavar="NAME",
    help="The environment variable with the password of the database.",
)
@click.option("--once", "until_empty", is_flag=True, help="End when no record waits any more.")
def command(
    source: str,
    target: str,
    source_variable: str | None,
    target_variable: str | None,
    until_empty: bool,
) -> None:
    """Store the records of a team that come over NATS in its PostgreSQL.

    \b
      khive-persist collect --from nats://n1.example,n2.example,n3.example \\
          --to 'postgresql://khive@db.example/team?sslmode=verify-full' --to-token-variable PGWORD

    Run one or several: they share the work, and where one is killed, another does its part. It
    goes on through the loss of a server of NATS and of the database, and says so. What is no
    record is kept in khive.team_rejected. SIGTERM or Ctrl-C ends it when all that it has begun is
    stored.
    """
    with extra("nats", "NATS"):
        from khive_persist.team.collect import Collected, Collector
        from khive_persist.team.jetstream import Servers
    with extra("postgres", "PostgreSQL"):
        from khive_persist.team.team_store import TeamStore
    servers = Servers(source, secret_of(source_variable))
    store = TeamStore(address_of(target, secret_of(target_variable)))

    async def run() -> Collected:
        collector = Collector(servers, store, warn)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, collector.stop)
        return await collector.run(until_empty=until_empty)

    collected = asyncio.run(run())
    new, replaced, duplicates = collected.records
    click.echo(
        f"{collected.messages:,} messages: {new:,} records were new, {replaced:,} replaced an"
        f" older version, {duplicates:,} were there, {collected.rejected:,} were set apart"
    )
