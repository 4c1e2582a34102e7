"""`khive-persist stats`."""

from datetime import datetime

import anyio
import click

from khive_persist import settings as configuration
from khive_persist.analytics.stats import read_stats
from khive_persist.cli.commands.events import filters
from khive_persist.cli.options import drained_project, with_filters, with_project
from khive_persist.cli.output import print_fields, print_json, print_table
from khive_persist.prices import PriceTable
from khive_persist.sessions.reported_costs import DIFFERENCE, ReportedCost
from khive_persist.sessions.token_totals import BY, By, TokenTotal
from khive_persist.store.kinds import KindCount


@click.command("stats")
@with_project
@with_filters("session", "type", "tool", "since", "until")
@click.option("--by", type=click.Choice(BY), default="model", show_default=True,
              help="What tokens and costs are counted by.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_context
def command(
    context: click.Context,
    directory: str | None,
    as_json: bool,
    session_id: str | None,
    event_type: str | None,
    tool: str | None,
    since: datetime | None,
    until: datetime | None,
    by: By,
) -> None:
    """Count events, failures, plans and costs, and the records of your own kinds.

    The filters are for events and messages; the others are counted as a whole. Failures are tool
    calls that failed or were refused. A session is counted for each type of event it has. Tokens
    are those of the tools' transcripts, which `sync` reads; each message counts once. A model
    without a price has tokens and no cost: give it one in config.toml, under [cost]; what is not in
    a cost is counted as unpriced. Where a client wrote down its own total, that stands beside
    the computed one, unless a time is asked for.

    \b
      khive-persist stats --since 1d
      khive-persist stats --by project --since 7d
      khive-persist stats --json | jq .plans.total_cost
    """
    project = drained_project(context, directory)
    wanted = filters(project, session_id, event_type, tool, since, until)
    of_messages = filters(project, session_id, None, tool, since, until)
    prices = PriceTable(configuration.load(project.config).cost_prices)
    # A client's total is of the whole session.
    of_sessions = None
    if since is None and until is None:
        of_sessions = filters(project, session_id, None, tool, None, None)
    found = anyio.run(read_stats, project, wanted, of_messages, by, prices, of_sessions)
    if as_json:
        print_json(found)
        return
    rows = [tuple(entry.values()) for entry in found["events"]]
    print_table(("tool", "event_type", "events", "failures", "sessions"), rows, "no events")
    click.echo()
    totals = [tuple(entry.values()) for entry in found["tokens"]]
    print_table((by, *TokenTotal._fields[1:]), totals, "no messages: see khive-persist sync")
    if found["reported"]:
        click.echo()
        click.echo("what the clients themselves say that sessions cost, in USD:")
        costs = [tuple(entry.values()) for entry in found["reported"]]
        print_table(ReportedCost._fields, costs, "")
        if any(entry["difference"] for entry in found["reported"]):
            click.echo(DIFFERENCE)
    click.echo()
    print_fields({f"plans {name}": value for name, value in found["plans"].items()})
    if found["kinds"]:
        click.echo()
        kinds = [tuple(kind.values()) for kind in found["kinds"]]
        print_table(KindCount._fields, kinds, "no records")
