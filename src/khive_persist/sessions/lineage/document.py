"""A lineage as JSON has it."""

from datetime import datetime
from typing import Any

from khive_persist import clock
from khive_persist.sessions.lineage.agent_totals import Work
from khive_persist.sessions.lineage.lineage import Lineage


def as_document(found: Lineage) -> dict[str, Any]:
    """All of it, instants as text in UTC."""
    links = found.links
    return {
        "session_id": found.session_id,
        "tool": found.tool,
        "starts": [_plain(start._asdict()) for start in found.starts],
        "agents": [
            agent._asdict() | {"own": _work(agent.own), "total": _work(agent.total)}
            for agent in found.agents
        ],
        "links": {
            "forked_from": links.forked_from and _plain(links.forked_from._asdict()),
            "forks": [_plain(link._asdict()) for link in links.forks],
            "started_by": links.started_by and _plain(links.started_by._asdict()),
            "started": [_plain(link._asdict()) for link in links.started],
        },
    }


def _work(work: Work) -> dict[str, Any]:
    sums = {"tokens": work.tokens, "duration_seconds": work.duration_seconds}
    return _plain(work._asdict() | sums)


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """With instants as every other command has them."""
    return {n: clock.to_text(v) if isinstance(v, datetime) else v for n, v in fields.items()}
