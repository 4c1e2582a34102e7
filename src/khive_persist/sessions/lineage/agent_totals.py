"""What an agent did: its messages, tokens, cost, time and tool calls."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from khive_persist.prices import PriceTable
from khive_persist.sessions.definitions import Spent, is_message, spent, unreported


class Work(NamedTuple):
    """What one agent did, or several together.

    Attributes:
        messages: How many messages it has, prompts and results of tools among them.
        spent: The tokens and the cost of these.
        tool_calls: How many tool calls ended, each once.
        failures: How many of those failed or were refused.
        started_at: The first that is recorded of it.
        ended_at: The last.
    """

    messages: int = 0
    spent: Spent = Spent()
    tool_calls: int = 0
    failures: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def duration_seconds(self) -> float | None:
        """From the first to the last, waiting included."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()


def together(parts: Iterable[Work]) -> Work:
    """The work of several agents as one; their time is from the first start to the last end."""
    both = Work()
    for part in parts:
        both = Work(
            both.messages + part.messages,
            both.spent.plus(part.spent),
            both.tool_calls + part.tool_calls,
            both.failures + part.failures,
            min((at for at in (both.started_at, part.started_at) if at is not None), default=None),
            max((at for at in (both.ended_at, part.ended_at) if at is not None), default=None),
        )
    return both


def of_message(content: Mapping[str, Any], at: datetime, prices: PriceTable) -> Work:
    """Return what one message adds: of tool calls, those of which no event tells."""
    calls, failures = unreported(content, "calls"), unreported(content, "failures")
    messages = int(is_message(content))
    return Work(messages, spent(content, at, prices), calls, failures, at, at)
