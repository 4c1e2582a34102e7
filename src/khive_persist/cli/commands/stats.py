"""`khive-persist stats`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import anyio
import click

from khive_persist import settings as configuration
from khive_persist.analytics.stats import read_stats, stats_everywhere
from khive_persist.cli.commands.events import criteria, filters
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import (
    drained_project,
    from_everywhere,
    say_removed,
    with_all_projects,
    with_filters,
    with_project,
)
from khive_persist.cli.output import print_fields, print_json, print_table
from khive_persist.prices import PriceTable
from khive_persist.sessions.reported_costs import DIFFERENCE, ReportedCost
from khive_persist.sessions.token_totals import BY, By, TokenTotal
from khive_persist.store.kinds import KindCount
from khive_persist.trust import marks


@click.command("stats")
@with_project
@with_filters("session", "type", "tool", "since", "until")
@click.option("--by", type=click.Choice(BY), default="model", show_default=True,
              help="What tokens and costs are counted by.")  # fmt: skip
@with_all_projects
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
    all_projects: bool,
) -> int:
    """Count events, failures, plans and costs, and the records of your own kinds.

    The filters are for events and messages; the others are counted as a whole. Failures are tool
    calls that failed or were refused. A session is counted for each type of event it has. Tokens
    are those of the tools' transcripts, which `sync` reads; each message counts once. A model
    without a price has tokens and no cost: give it one in config.toml, under [cost]; what is not in
    a cost is counted as unpriced. Where a client wrote down its own total, that stands beside the
    computed one, unless a time is asked for.

    With --all-projects each project is counted by itself, at its own prices, and none is added to
    another. One that cannot be read is named on stderr, and the exit code is 1.

    \b
      khive-persist stats --since 1d
      khive-persist stats --all-projects --since 7d
      khive-persist stats --by project --since 7d
      khive-persist stats --json | jq .plans.total_cost
    """
    if all_projects:
        if session_id is not None:
            raise click.UsageError("--session names a session of one project")
        return _of_all(context, directory, event_type, tool, since, until, by, as_json=as_json)
    project = drained_project(context, directory)
    if marks.is_state(project.khive):
        say_removed()
    of_events = filters(project, session_id, event_type, tool, since, until)
    of_messages = filters(project, session_id, None, tool, since, until)
    prices = PriceTable(configuration.load(project.config).cost_prices)
    # A client's total is of the whole session.
    of_sessions = None
    if since is None and until is None:
        of_sessions = filters(project, session_id, None, tool, None, None)
    stats = anyio.run(read_stats, project, of_events, of_messages, by, prices, of_sessions)
    if as_json:
        print_json(stats)
    else:
        _print({None: stats}, by)
    return DONE


def _of_all(
    context: click.Context,
    directory: str | None,
    event_type: str | None,
    tool: str | None,
    since: datetime | None,
    until: datetime | None,
    by: By,
    *,
    as_json: bool,
) -> int:
    of_events = criteria(event_type, tool, since, until)
    of_messages = criteria(None, tool, since, until)
    of_sessions = criteria(None, tool, None, None) if since is None and until is None else None
    read = partial(stats_everywhere, of_events, of_messages, by, of_sessions)
    everywhere = from_everywhere(context, directory, read)
    say_removed()
    if as_json:
        print_json([{"project": str(root)} | stats for root, stats in everywhere.results.items()])
    else:
        _print({str(root): stats for root, stats in everywhere.results.items()}, by)
    return FAILED if everywhere.failed else DONE


def _print(projects: Mapping[str | None, Mapping[str, Any]], by: By) -> None:
    """Print what was counted, each row with its project before it where there are several."""
    single = None in projects

    def table(name: str, columns: Sequence[str], empty: str) -> None:
        rows = [
            tuple(entry.values()) if single else (project, *entry.values())
            for project, stats in projects.items()
            for entry in stats[name]
        ]
        print_table(columns if single else ("project", *columns), rows, empty)

    table("events", ("tool", "event_type", "events", "failures", "sessions"), "no events")
    click.echo()
    table("tokens", (by, *TokenTotal._fields[1:]), "no messages: see khive-persist sync")
    if any(stats["reported"] for stats in projects.values()):
        click.echo()
        click.echo("what the clients themselves say that sessions cost, in USD:")
        table("reported", ReportedCost._fields, "")
        if any(entry["difference"] for stats in projects.values() for entry in stats["reported"]):
            click.echo(DIFFERENCE)
    click.echo()
    if single:
        print_fields({f"plans {name}": value for name, value in projects[None]["plans"].items()})
    else:
        names = list(dict.fromkeys(name for stats in projects.values() for name in stats["plans"]))
        rows = [
            (project, *(stats["plans"].get(name) for name in names))
            for project, stats in projects.items()
        ]
        print_table(("project", *(f"plans {name}" for name in names)), rows, "no plans")
    if any(stats["kinds"] for stats in projects.values()):
        click.echo()
        table("kinds", KindCount._fields, "no records")
