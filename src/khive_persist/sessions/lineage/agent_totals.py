"""The work of an agent: its messages, tokens, cost, time and tool calls."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from khive_persist.prices import PriceTable
from khive_persist.sessions.definitions import Spent, is_message, spent, unreported


class Work(NamedTuple):
    """The work of one agent, or of several together, in the words of `AgentWork`."""

    messages: int = 0
    spent: Spent = Spent()
    tool_calls: int = 0
    failures: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None


class AgentWork(NamedTuple):
    """The work of one agent, or of several, with the tokens and the cost of its messages.

    Attributes:
        messages: The number of messages, prompts and results of tools among them.
        cost: The cost in USD of those that have a price; None where none has.
        unpriced: The number of those that used tokens and have no price.
        tool_calls: The number of tool calls that ended, each once.
        failures: The number of those that failed or were refused.
        started_at: The time of the first record.
        ended_at: The time of the last.
        tokens: The tokens of all classes together.
        duration_seconds: The time from the first record to the last, waiting included.
    """

    messages: int
    input: int
    cache_read: int
    cache_write: int
    output: int
    cost: float | None
    unpriced: int
    tool_calls: int
    failures: int
    started_at: datetime | None
    ended_at: datetime | None
    tokens: int
    duration_seconds: float | None


def agent_work(work: Work) -> AgentWork:
    """Return work as it is shown."""
    spent, start, end = work.spent, work.started_at, work.ended_at
    fields = work._asdict() | spent._asdict()
    return AgentWork(
        cost=spent.cost,
        tokens=spent.tokens,
        duration_seconds=(end - start).total_seconds() if start and end else None,
        **{name: fields[name] for name in AgentWork._fields if name in fields},
    )


def sum_work(parts: Iterable[Work]) -> Work:
    """Sum the work of several agents; its time is from the first start to the last end."""
    total = Work()
    for part in parts:
        total = Work(
            total.messages + part.messages,
            total.spent.plus(part.spent),
            total.tool_calls + part.tool_calls,
            total.failures + part.failures,
            min((at for at in (total.started_at, part.started_at) if at is not None), default=None),
            max((at for at in (total.ended_at, part.ended_at) if at is not None), default=None),
        )
    return total


def of_message(content: Mapping[str, Any], at: datetime, prices: PriceTable) -> Work:
    """Return the work of one message: of tool calls, those that no event tells of."""
    calls, failures = unreported(content, "calls"), unreported(content, "failures")
    messages = int(is_message(content))
    return Work(messages, spent(content, at, prices), calls, failures, at, at)
