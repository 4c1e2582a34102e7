"""A lineage as JSON has it."""

from datetime import datetime
from typing import Any

from khive_persist import clock
from khive_persist.sessions.lineage.agent_totals import Work
from khive_persist.sessions.lineage.lineage import Lineage


def as_document(lineage: Lineage) -> dict[str, Any]:
    """Return all of a lineage, instants as text in UTC."""
    links = lineage.links
    return {
        "session_id": lineage.session_id,
        "tool": lineage.tool,
        "starts": [_plain(start._asdict()) for start in lineage.starts],
        "agents": [
            agent._asdict() | {"own": _work(agent.own), "total": _work(agent.total)}
            for agent in lineage.agents
        ],
        "links": {
            "forked_from": links.forked_from and _plain(links.forked_from._asdict()),
            "forks": [_plain(link._asdict()) for link in links.forks],
            "started_by": links.started_by and _plain(links.started_by._asdict()),
            "started": [_plain(link._asdict()) for link in links.started],
        },
    }


def _work(work: Work) -> dict[str, Any]:
    spent = work.spent
    return _plain(
        {
            "messages": work.messages,
            "input": spent.input,
            "cache_read": spent.cache_read,
            "cache_write": spent.cache_write,
            "output": spent.output,
            "cost": spent.cost,
            "unpriced": spent.unpriced,
            "tool_calls": work.tool_calls,
            "failures": work.failures,
            "started_at": work.started_at,
            "ended_at": work.ended_at,
            "tokens": spent.tokens,
            "duration_seconds": work.duration_seconds,
        }
    )


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """Write instants as every other command does."""
    return {n: clock.to_text(v) if isinstance(v, datetime) else v for n, v in fields.items()}
