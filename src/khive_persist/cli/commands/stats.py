"""`khive-persist stats`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import anyio
import click

from khive_persist import settings as configuration
from khive_persist.analytics.stats import Stats, read_stats, stats_everywhere
from khive_persist.cli.commands.events import filters
from khive_persist.cli.empty import none_of
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
from khive_persist.models.criteria import filters_of
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions.budgets import sentence
from khive_persist.sessions.event_counts import EventCount
from khive_persist.sessions.plan_totals import PlanTotal
from khive_persist.sessions.projects import ProjectResults
from khive_persist.sessions.reported_costs import DIFFERENCE, ReportedCost
from khive_persist.sessions.token_totals import BY, By, TokenTotal
from khive_persist.store.kinds import KindCount
from khive_persist.store.planner_sessions import PlanStats
from khive_persist.trust import marks


@click.command("stats")
@with_project
@with_filters("session", "type", "tool", "since", "until", "limit")
@click.option("--by", type=click.Choice(BY), default="model", show_default=True,
              help="What tokens, costs and plans are counted by.")  # fmt: skip
@with_all_projects
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(
    as_json: bool,
    session_id: str | None,
    event_type: str | None,
    tool: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int | None,
    by: By,
    all_projects: bool,
) -> int:
    """Count events, failures, plans and costs, and the records of your own kinds.

    The filters are for events and messages; the others are counted as a whole. By complexity and by
    pattern, messages count for the plan that their session carries out, and plans are in groups,
    too, as by day and by session; --since and --until are for these. Failures are tool
    calls that failed or were refused; those that no event tells of, and messages do, are counted
    apart. A session is counted for each type of event it has. Tokens
    are those of the tools' transcripts, which `sync` reads; each message counts once. A model
    without a price has tokens and no cost: give it one in config.toml, under [cost]; what is not in
    a cost is counted as unpriced. Where a client wrote down its own total, that stands beside the
    computed one, unless a time is asked for. What is spent of each limit of [budget] in config.toml
    is said whatever the filters.

    With --all-projects each project is counted by itself, at its own prices, and none is added to
    another. One that cannot be read is named on stderr, and the exit code is 1.

    --limit is for the lines of each list: those that come first.

    \b
      khive-persist stats --since 1d
      khive-persist stats --all-projects --since 7d
      khive-persist stats --by project --since 7d
      khive-persist stats --by complexity
      khive-persist stats --json | jq .plans.total_cost
    """
    times = {"since": since, "until": until}
    of_messages = filters_of(tool=tool, **times)
    of_events = [*filters_of(type=event_type), *of_messages]
    # A client's total is of the whole session.
    of_sessions = filters_of(tool=tool) if since is None and until is None else None
    if all_projects:
        if session_id is not None:
            raise click.UsageError("--session names a session of one project")
        read = partial(
            stats_everywhere, of_events, of_messages, by, of_sessions, filters_of(**times)
        )
        return _print_all(from_everywhere(read), by, limit, as_json=as_json)
    project = drained_project()
    if marks.is_state(project.khive):
        say_removed()
    of_session = filters(project, session_id)
    if of_sessions is not None:
        of_sessions += of_session
    prices = PriceTable(configuration.load(project.config).cost_prices)
    stats = anyio.run(
        read_stats, project, of_session + of_events, of_session + of_messages, by, prices,
        of_sessions, filters_of(**times),
    )  # fmt: skip
    stats = _cut(stats, limit)
    if as_json:
        print_json(stats)
    else:
        _print({None: stats}, by, project)
    return DONE


def _cut(stats: Stats, limit: int | None) -> Stats:
    """Leave so many lines of each list; what is spent of a limit is never left out."""
    return {
        **stats,
        "events": stats["events"][:limit],
        "tokens": stats["tokens"][:limit],
        "reported": stats["reported"][:limit],
        "plan_groups": stats["plan_groups"][:limit],
        "kinds": stats["kinds"][:limit],
    }


def _print_all(
    everywhere: ProjectResults[Stats], by: By, limit: int | None, *, as_json: bool
) -> int:
    say_removed()
    results = {str(root): _cut(stats, limit) for root, stats in everywhere.results.items()}
    if as_json:
        print_json([{"project": root} | stats for root, stats in results.items()])
    else:
        _print(dict(results.items()), by)
    return FAILED if everywhere.failed else DONE


def _print_unreported(projects: Mapping[str | None, Stats]) -> None:
    name = "failures that no event tells of"
    counts = {root: stats["unreported_failures"] for root, stats in projects.items()}
    if counts.get(None):
        print_fields({name: counts[None]})
    elif any(counts.values()):
        print_table(("project", name), counts.items(), "")


def _print_budgets(projects: Mapping[str | None, Stats]) -> None:
    states = [state for stats in projects.values() for state in stats["budgets"]]
    if states:
        click.echo()
    for state in states:
        label = "budget reached" if state.is_reached else "budget"
        note = "" if state.warns else "; set by a project's config.toml, so it warns nobody"
        click.echo(f"{label}: {sentence(state)}{note}")


def _print(projects: Mapping[str | None, Stats], by: By, place: Project | None = None) -> None:
    """Print what was counted, each row with its project before it where there are several."""
    single = None in projects

    def table(
        columns: Sequence[str], rows_of: Callable[[Stats], Iterable[Iterable[Any]]], empty: str
    ) -> None:
        rows = [
            tuple(row) if single else (project, *row)
            for project, stats in projects.items()
            for row in rows_of(stats)
        ]
        print_table(columns if single else ("project", *columns), rows, empty)

    table(EventCount._fields, lambda stats: stats["events"], none_of("events", place))
    _print_unreported(projects)
    click.echo()
    tokens = (by, *TokenTotal._fields[1:])
    table(
        tokens,
        lambda stats: (count.values() for count in stats["tokens"]),
        f"{none_of('messages', place)}: see khive-persist sync",
    )
    if any(stats["reported"] for stats in projects.values()):
        click.echo()
        click.echo("what the clients themselves say that sessions cost, in USD:")
        table(ReportedCost._fields, lambda stats: stats["reported"], "")
        if any(cost.difference for stats in projects.values() for cost in stats["reported"]):
            click.echo(DIFFERENCE)
    _print_budgets(projects)
    click.echo()
    if single:
        print_fields({f"plans {name}": value for name, value in projects[None]["plans"].items()})
    else:
        plan_names = [*PlanStats.__annotations__]
        rows = [(project, *stats["plans"].values()) for project, stats in projects.items()]
        print_table(
            ("project", *(f"plans {name}" for name in plan_names)), rows, none_of("plans", place)
        )
    if any(stats["plan_groups"] for stats in projects.values()):
        click.echo()
        columns = (by, *PlanTotal._fields[1:])
        table(columns, lambda stats: stats["plan_groups"], "")
    if any(stats["kinds"] for stats in projects.values()):
        click.echo()
        table(KindCount._fields, lambda stats: stats["kinds"], none_of("records", place))
