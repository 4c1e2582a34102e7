"""Tokens and costs of messages, by what one wants to know them of."""

from contextlib import aclosing
from functools import partial
from typing import Any, Final, Literal, NamedTuple, get_args

from khive_persist import clock
from khive_persist.models.query import Filter, field
from khive_persist.prices import PRICED, PriceTable, priced_field
from khive_persist.store.reader import Reader
from khive_persist.store.sqlite.statements import Source, Statement, select

By = Literal["day", "project", "tool", "model", "session", "agent"]

BY: Final = get_args(By)
_FIELDS: Final[dict[str, str]] = {
    "project": "$.cwd",
    "tool": "$.tool",
    "model": "$.model",
    "session": "$.session_id",
    "agent": "$.agent_id",
}


class TokenTotal(NamedTuple):
    """The messages of one group that used tokens.

    Attributes:
        group: The day in UTC, project, tool, model, session or agent; None for those of none.
        messages: How many they are.
        input: Tokens of the prompts that came from no cache.
        cache_read: Those that came from one.
        cache_write: Those that were put into one, for however long.
        output: Tokens of the answers, reasoning included.
        cost: In USD, of those messages whose model has a price; None where none has.
        unpriced: How many messages have none, and are not in `cost`.
    """

    group: str | None
    messages: int
    input: int
    cache_read: int
    cache_write: int
    output: int
    cost: float | None
    unpriced: int


async def token_totals(
    reader: Reader, by: By, prices: PriceTable, *filters: Filter
) -> list[TokenTotal]:
    """The tokens and costs of messages that pass every filter, the most expensive group first.

    Each message counts once, however many lines and files repeat it.

    Raises:
        StoreError: As its subclasses say.
    """
    sums: dict[str | None, list[Any]] = {}
    async with aclosing(reader.stream(partial(_statement, by, filters))) as rows:
        async for group, model, created_at, speed, geo, prompt, *counts in rows:
            total = sums.setdefault(group, [0, 0, 0, 0, 0, None, 0])
            tokens = dict(zip(PRICED, counts, strict=True))
            count = {name: value if isinstance(value, int) else 0 for name, value in tokens.items()}
            total[0] += 1
            total[1] += count["input"]
            total[2] += count["cache_read"]
            total[3] += count["cache_write"] + count["cache_write_1h"]
            total[4] += count["output"]
            at = clock.from_column(created_at) or clock.unreadable()
            cost = prices.cost_of(
                model if isinstance(model, str) else None,
                tokens,
                at,
                speed=speed if isinstance(speed, str) else "",
                geo=geo if isinstance(geo, str) else "",
                prompt=prompt if isinstance(prompt, int) else None,
            )
            if cost is None:
                # What used no token costs nothing, whatever its model.
                total[6] += any(count.values())
            else:
                total[5] = (total[5] or 0.0) + cost
    totals = [TokenTotal(None if group is None else str(group), *sums[group]) for group in sums]
    return sorted(totals, key=lambda one: (-(one.cost or 0), -one.output, one.group or ""))


def _statement(by: By, filters: tuple[Filter, ...], source: Source) -> Statement:
    group = f"substr({source.created_at}, 1, 10)" if by == "day" else source.extract(_FIELDS[by])
    fields = ("model", "created_at", "speed", "geo", "prompt_tokens", *map(priced_field, PRICED))
    columns = ", ".join(
        name if name == "created_at" else source.extract(f"$.{name}") for name in fields
    )
    columns = f"{group}, {columns}"
    return select(source, [*filters, ~field("tokens").is_null()], columns=columns)
