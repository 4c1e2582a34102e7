"""Tokens and costs of messages, by day, project, tool, model, session, agent or their plan."""

from collections.abc import Mapping
from contextlib import aclosing
from functools import partial
from typing import Any, Final, Literal, NamedTuple, get_args

from khive_persist import clock
from khive_persist.models.purposes import CONVERSATIONS
from khive_persist.models.query import AnyOf, Filter, field
from khive_persist.prices import PRICED, PriceTable, priced_field
from khive_persist.sessions.definitions import (
    Spent,
    prompt_tokens_sql,
    spent_by,
    text_sql,
    used_sql,
)
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement, named, select

By = Literal["day", "project", "tool", "model", "session", "agent", "complexity", "pattern"]

BY: Final = get_args(By)
_FIELDS: Final[dict[str, str]] = {
    "project": "cwd",
    "tool": "tool",
    "model": "model",
    "session": "session_id",
    "agent": "agent_id",
    # Of the plan that the session carries out.
    "complexity": "session_id",
    "pattern": "session_id",
}
_NOTHING: Final = Spent()


class TokenTotal(NamedTuple):
    """The messages of one group that used tokens.

    Attributes:
        group: The day in UTC, project, tool, model, session or agent, or of the session's plan the
            complexity or workflow pattern; None for those of none.
        messages: Their number.
        input: Tokens of the prompts that came from no cache.
        cache_read: Those that came from one.
        cache_write: Those that were put into one, for however long.
        output: Tokens of the answers, reasoning included.
        cost: The cost in USD of the messages that have a price; None where none has.
        unpriced: The number of messages that have none, and are not in `cost`.
    """

    group: str | None
    messages: int
    input: int
    cache_read: int
    cache_write: int
    output: int
    cost: float | None
    unpriced: int

    @property
    def tokens(self) -> int:
        """All classes together."""
        return self.input + self.cache_read + self.cache_write + self.output

    @property
    def whole_cost(self) -> float | None:
        """The cost; None also where a part has no price, so that no part is taken for the whole."""
        return None if self.unpriced else self.cost


class _Use(NamedTuple):
    """The tokens and searches of one message; `prompt` is the tokens of its longest prompt."""

    group: Any
    model: str
    created_at: Any
    speed: str
    geo: str
    prompt: int
    input: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    output: int
    web_search: int


async def token_totals(
    reader: Reader,
    by: By,
    prices: PriceTable,
    *filters: Filter,
    plan_groups: Mapping[str, str | None] | None = None,
) -> list[TokenTotal]:
    """Return the tokens and costs of messages that pass every filter, most expensive group first.

    Each message counts once, however many lines and files repeat it.

    Args:
        reader: A reader of the messages, and maybe of other records.
        by: The groups.
        prices: The prices of tokens.
        filters: The filters of messages.
        plan_groups: The groups of sessions, where these are grouped by their plans.
    """
    counts: dict[str | None, int] = {}
    sums: dict[str | None, Spent] = {}
    async with aclosing(reader.stream_as(_Use, partial(_statement, by, filters))) as uses:
        async for use in uses:
            spent = spent_by(
                use.model,
                {name: getattr(use, name) for name in PRICED},
                clock.from_column(use.created_at) or clock.unreadable(),
                prices,
                prompt=use.prompt,
                speed=use.speed,
                geo=use.geo,
            )
            group = use.group if plan_groups is None else plan_groups.get(use.group)
            counts[group] = counts.get(group, 0) + 1
            sums[group] = sums.get(group, _NOTHING).plus(spent)
    totals = [
        TokenTotal(
            None if group is None else str(group), counts[group], spent.input, spent.cache_read,
            spent.cache_write, spent.output, spent.cost, spent.unpriced,
        )
        for group, spent in sums.items()
    ]  # fmt: skip
    return sorted(totals, key=lambda total: (-(total.cost or 0), -total.output, total.group or ""))


def _statement(by: By, filters: tuple[Filter, ...], source: Source) -> Statement:
    if by == "day":
        group = f"substr({source.created_at}, 1, 10)"
    else:
        group = f"nullif({text_sql(source, _FIELDS[by])}, '')"
    columns = {
        '"group"': group,
        "created_at": source.created_at,
        "prompt": prompt_tokens_sql(source),
        **{name: text_sql(source, name) for name in ("model", "speed", "geo")},
        **{name: used_sql(source, name) for name in PRICED},
    }
    is_used = AnyOf(tuple(field(priced_field(name)) > 0 for name in PRICED))
    messages = source.only(CONVERSATIONS.name)
    return select(messages, [*filters, is_used], columns=named(columns))
