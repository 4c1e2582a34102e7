"""`khive-persist lineage`."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import anyio
import click

from khive_persist import settings as configuration
from khive_persist.cli import completions
from khive_persist.cli.columns import Column
from khive_persist.cli.options import drained_project, with_limit, with_project, with_times
from khive_persist.cli.output import cell, print_fields, print_json, print_table
from khive_persist.cli.times import times
from khive_persist.prices import PriceTable
from khive_persist.sessions.lineage.agent_totals import AgentWork
from khive_persist.sessions.lineage.agents import Agent
from khive_persist.sessions.lineage.lineage import Lineage, read_lineage
from khive_persist.sessions.lineage.links import Link

COLUMNS: Final[Sequence[str | Column]] = (
    Column("agent", minimum=18, priority=0),
    "type",
    Column("model", minimum=12),
    *(Column(name, kind="number") for name in ("messages", "tokens", "cost", "seconds")),
    *(Column(name, kind="number", priority=1) for name in ("calls", "failed")),
    *(Column(f"all {name}", kind="number", priority=3) for name in ("tokens", "cost", "calls")),
)
DEEPEST = 40


@click.command("lineage")
@click.argument("session", shell_complete=completions.sessions)
@with_project
@with_limit()
@with_times
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(session: str, limit: int | None, as_json: bool) -> None:
    """Show who worked in a session, and where it came from.

    SESSION is a session's id, or the beginning of one. Its agents are a tree: each subagent stands
    under the one that started it, to any depth, with its own messages, tokens, cost, time and tool
    calls, and the sums with all below it. An agent whose parent is not recorded is marked, and no
    parent is guessed. Below are the sessions that it was forked from or that were forked from it,
    and when it was resumed.

    \b
      khive-persist lineage 3aeaa724
      khive-persist lineage 3aeaa724 --json | jq '.agents[] | {agent_id, depth, total}'

    Tokens are of the tools' transcripts, which `sync` reads; what both tell of counts once. A model
    without a price has tokens and no cost. Time is from the first to the last that is recorded.

    With --limit only the first agents of the tree are listed; each still has the sums of all below.
    """
    project = drained_project()
    prices = PriceTable(configuration.load(project.config).cost_prices)
    lineage = anyio.run(read_lineage, project, session, prices)
    lineage = lineage._replace(agents=lineage.agents[:limit])
    if as_json:
        print_json(lineage)
        return
    print_table(COLUMNS, list(_rows(lineage.agents)), "")
    click.echo()
    print_fields(dict(_facts(lineage)))


def _rows(agents: list[Agent]) -> Iterator[tuple[Any, ...]]:
    for agent in agents:
        # A tree of damaged data may be deeper than any screen is wide.
        indent = "  " * min(agent.depth, DEEPEST)
        name = agent.agent_id or "the session's own"
        mark = "" if agent.parent_is_recorded else "  (parent not recorded)"
        own_work, total = agent.own, agent.total
        yield (
            f"{indent}{name}{mark}",
            agent.agent_type,
            ", ".join(agent.models) or None,
            own_work.messages,
            own_work.tokens,
            _cost(own_work),
            None if own_work.duration_seconds is None else round(own_work.duration_seconds, 1),
            own_work.tool_calls,
            own_work.failures,
            total.tokens,
            _cost(total),
            total.tool_calls,
        )


def _cost(work: AgentWork) -> str | None:
    """Return the cost in USD, and the number of messages without a price."""
    cost = None if work.cost is None else f"{work.cost:.4f}"
    unpriced = f"{work.unpriced} unpriced" if work.unpriced else None
    return " + ".join(filter(None, (cost, unpriced))) or None


def _facts(lineage: Lineage) -> Iterator[tuple[str, str]]:
    yield "session", lineage.session_id
    yield "tool", cell(lineage.tool)
    links = lineage.links
    if links.forked_from is not None:
        yield "forked from", _link_text(links.forked_from)
    if links.forks:
        yield "forks", "; ".join(map(_link_text, links.forks))
    if links.started_by is not None:
        yield "started by", _link_text(links.started_by)
    if links.started:
        yield "started", "; ".join(map(_link_text, links.started))
    for start in lineage.starts:
        yield times().text(start.at), start.source or "start"


def _link_text(link: Link) -> str:
    parts = [] if link.is_recorded else ["not recorded"]
    if link.messages is not None:
        parts.append(f"{link.messages} messages in common, the last at {times().text(link.at)}")
    return link.session_id + (f" ({'; '.join(parts)})" if parts else "")
