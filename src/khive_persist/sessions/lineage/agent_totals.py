"""What an agent did: its messages, tokens, cost, time and tool calls."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from khive_persist.prices import TOKEN_CLASSES, PriceTable


class Work(NamedTuple):
    """What one agent did, or several together.

    Attributes:
        messages: How many messages it has, prompts and results of tools among them.
        input: Tokens of the prompts that came from no cache.
        cache_read: Those that came from one.
        cache_write: Those that were put into one, for however long.
        output: Tokens of the answers, reasoning included.
        cost: In USD, of those messages whose model has a price; None where none has.
        unpriced: How many messages that used tokens have no price, and are not in `cost`.
        tool_calls: How many tools the model asked for.
        failures: How many of those failed, were refused or interrupted.
        started_at: The first that is recorded of it.
        ended_at: The last.
    """

    messages: int = 0
    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    cost: float | None = None
    unpriced: int = 0
    tool_calls: int = 0
    failures: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def tokens(self) -> int:
        """All classes together."""
        return self.input + self.cache_read + self.cache_write + self.output

    @property
    def duration_seconds(self) -> float | None:
        """From the first to the last, waiting included."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()


def together(parts: Iterable[Work]) -> Work:
    """The work of several agents as one; their time is from the first start to the last end."""
    sums: dict[str, Any] = dict.fromkeys(_SUMMED, 0)
    costs, starts, ends = [], [], []
    for part in parts:
        for name in _SUMMED:
            sums[name] += getattr(part, name)
        costs += [part.cost] if part.cost is not None else []
        starts += [part.started_at] if part.started_at is not None else []
        ends += [part.ended_at] if part.ended_at is not None else []
    return Work(
        **sums,
        cost=sum(costs) if costs else None,
        started_at=min(starts, default=None),
        ended_at=max(ends, default=None),
    )


def of_message(content: Mapping[str, Any], at: datetime, prices: PriceTable) -> Work:
    """What one message adds, but for its tool calls, which several messages may tell of."""
    tokens = content.get("tokens")
    tokens = tokens if isinstance(tokens, Mapping) else {}
    counts = {name: _count(tokens.get(name)) for name in TOKEN_CLASSES}
    cost = prices.cost_of_message(content, at)
    return Work(
        messages=int(content.get("role") != "none"),
        input=counts["input"],
        cache_read=counts["cache_read"],
        cache_write=counts["cache_write"] + counts["cache_write_1h"],
        output=counts["output"],
        cost=cost,
        unpriced=int(cost is None and any(counts.values())),
        started_at=at,
        ended_at=at,
    )


_SUMMED = (
    "messages", "input", "cache_read", "cache_write", "output", "unpriced", "tool_calls",
    "failures",
)  # fmt: skip


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
