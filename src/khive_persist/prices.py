"""What tokens cost: a dated table of list prices, which a person can add to in config.toml."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Final, NamedTuple

from khive_persist.errors import InvalidSettingsError

TOKEN_CLASSES: Final = ("input", "cache_read", "cache_write", "cache_write_1h", "output")
_PER: Final = 1_000_000

# List prices as the providers' pricing pages gave them on 2026-11-21. A model that is not here has
# no price: what is not known is not guessed.
LIST_PRICES: Final = (
    "claude-opus-4-2* from=2025-05-22 input=15 output=75 cache_read=1.5 cache_write=18.75"
    " cache_write_1h=30",
    "claude-opus-4-1* from=2025-08-05 input=15 output=75 cache_read=1.5 cache_write=18.75"
    " cache_write_1h=30",
    "claude-opus-4-[5678]* from=2025-11-24 input=5 output=25 cache_read=0.5 cache_write=6.25"
    " cache_write_1h=10",
    "claude-opus-5 from=2026-07-24 input=5 output=25 cache_read=0.5 cache_write=6.25"
    " cache_write_1h=10",
    "claude-sonnet-4* from=2025-05-22 input=3 output=15 cache_read=0.3 cache_write=3.75"
    " cache_write_1h=6",
    "claude-opus-5-5* from=2026-01-01 input=4 output=20 cache_read=0.2 cache_write=5"
    " cache_write_1h=8",
    "claude-sonnet-5 from=2026-01-01 input=2 output=10 cache_read=0.2 cache_write=2.5"
    " cache_write_1h=4",
    "claude-sonnet-5-5* from=2026-01-01 input=2 output=10 cache_read=0.2 cache_write=2.5"
    " cache_write_1h=4",
    "claude-sonnet-5-5* from=2026-10-07 input=2 output=10 cache_read=0.1 cache_write=2.5"
    " cache_write_1h=4",
    "claude-haiku-4-5* from=2025-10-15 input=1 output=5 cache_read=0.1 cache_write=1.25"
    " cache_write_1h=2",
    "claude-haiku-5-5* from=2026-10-07 input=0.1 output=0.5 cache_read=0.01 cache_write=0.125"
    " cache_write_1h=0.2",
    "claude-haiku-5-5* from=2026-10-07 prompt_over=100000 input=0.5 output=2.5 cache_read=0.05"
    " cache_write=0.625 cache_write_1h=1",
    "gpt-5-codex from=2025-09-23 input=1.25 output=10 cache_read=0.125",
)


class Price(NamedTuple):
    """USD per million tokens of each class.

    Attributes:
        model: A pattern as in file names: `claude-opus-4-5*`.
        since: The day in UTC from which it holds.
        prompt_over: It holds for requests whose prompt has more tokens than this.
        dollars: By class of tokens; a class that is missing has no price.
    """

    model: str
    since: date
    prompt_over: int
    dollars: dict[str, float]


def parse(text: str) -> Price:
    """A price as config.toml has it: `my-model* from=2026-01-31 input=3 output=15`.

    Raises:
        InvalidSettingsError: It is none.
    """
    model, *given = text.split() or [""]
    since, prompt_over, dollars = date.min, 0, {}
    try:
        for word in given:
            name, _, value = word.partition("=")
            if name == "from":
                since = date.fromisoformat(value)
            elif name == "prompt_over":
                prompt_over = int(value)
            elif name in TOKEN_CLASSES and 0 <= float(value) < float("inf"):
                dollars[name] = float(value)
            else:
                raise ValueError(f"{word!r} is no price")
        if not dollars:
            raise ValueError("it has no price")
    except ValueError as error:
        raise InvalidSettingsError(
            f"cost.prices: {text!r}: {error}",
            hint="write a model, from=DATE, and input=, output=, cache_read=, … in USD per million",
        ) from error
    return Price(model, since, prompt_over, dollars)


class PriceTable:
    """Prices by model and day. Those that a person gave come before the list prices."""

    def __init__(self, given: Sequence[str] = ()) -> None:
        """Raises: InvalidSettingsError: One of them is wrong."""
        self._tables = [[parse(text) for text in given], _list_prices()]

    def cost_of(
        self, model: str | None, tokens: Mapping[str, Any] | None, at: datetime
    ) -> float | None:
        """What the tokens of one message cost, in USD.

        None where the model has no price on that day, or none for a class of which there are
        tokens: no guess. `reasoning` is a part of `output` and costs nothing by itself.
        """
        counts = _counts(tokens)
        if not counts:
            return None
        return self.cost_of_all(model, counts, at, sum(counts.values()) - counts.get("output", 0))

    def cost_of_all(
        self, model: str | None, counts: Mapping[str, int], at: datetime, prompt: int
    ) -> float | None:
        """What the tokens of several messages cost that share a price, in USD; None as `cost_of`.

        Args:
            model: Theirs.
            counts: Their sums by class.
            at: When they were said.
            prompt: How many tokens the longest of their prompts has.
        """
        price = self.price(model, at, prompt)
        used = {name: count for name, count in counts.items() if count > 0}
        if price is None or any(name not in price.dollars for name in used):
            return None
        return sum(count * price.dollars[name] for name, count in used.items()) / _PER

    def lengths(self) -> list[int]:
        """The lengths of prompts, in tokens, above which a price changes; the shortest first."""
        return sorted({p.prompt_over for table in self._tables for p in table if p.prompt_over})

    def price(self, model: str | None, at: datetime, prompt: int) -> Price | None:
        """The price of a model on a day, for a prompt of so many tokens."""
        day = at.astimezone(UTC).date()
        for table in self._tables:
            fitting = [
                price
                for price in table
                if model is not None
                and fnmatchcase(model, price.model)
                and price.since <= day
                and (prompt > price.prompt_over or not price.prompt_over)
            ]
            if fitting:
                return max(fitting, key=lambda price: (price.since, price.prompt_over))
        return None


def _counts(tokens: Mapping[str, Any] | None) -> dict[str, int]:
    if not isinstance(tokens, Mapping):
        return {}
    return {
        name: tokens[name]
        for name in TOKEN_CLASSES
        if isinstance(tokens.get(name), int) and tokens[name] > 0
    }


@cache
def _list_prices() -> list[Price]:
    return [parse(text) for text in LIST_PRICES]
