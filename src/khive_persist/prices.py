"""Price tokens by a dated table of list prices, which a person can add to in config.toml."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from khive_persist.errors import InvalidSettingsError

TOKEN_CLASSES: Final = ("input", "cache_read", "cache_write", "cache_write_1h", "output")
# Not a token, and with a price of its own: a search of the web that the provider ran.
WEB_SEARCH: Final = "web_search"
PRICED: Final = (*TOKEN_CLASSES, WEB_SEARCH)
US: Final = "us"
# A price per million is one of as many of these a token. Sums of whole numbers are the same in
# whatever order they are added up, and what is taken out again leaves what was there before.
_PICODOLLARS_A_TOKEN: Final = 1_000_000
PICODOLLARS: Final = 1_000_000_000_000

_LIST: Final = Path(__file__).with_name("list_prices.txt")
# What resellers and clients put around a model's name, and its date: its price is the same.
_PREFIX: Final = re.compile(r"models/|(?:anthropic|openai|google)/|(?:[a-z-]+\.)?anthropic\.")
_SUFFIX: Final = re.compile(r"(?:\[1m\]|-v\d+(?::\d+)?|[@-]20\d\d-?[01]\d-?[0-3]\d)\Z")
_NEWEST_CLAUDE: Final = re.compile(r"(claude-.+)-latest\Z")


class Price(NamedTuple):
    """USD per million tokens of each class, and per search.

    Attributes:
        model: A pattern as in file names: `claude-opus-4-5*`.
        since: The day in UTC from which it holds.
        prompt_over: The number of tokens that a prompt must exceed for it.
        speed: The speed of the requests that it holds for: `fast`; an empty text for the usual.
        dollars: The price by class of tokens, and of `web_search`; a missing class has no price.
        us: The factor of the tokens' price where only the United States may serve the request.
        source: The source of the price.
    """

    model: str
    since: date
    prompt_over: int
    speed: str
    dollars: dict[str, float]
    us: float = 1.0
    source: str = ""


def parse(text: str) -> Price:
    """Parse a price of config.toml: `my-model* from=2026-01-31 input=3 output=15`.

    Raises:
        InvalidSettingsError: It is none.
    """
    model, *words = text.split() or [""]
    since, prompt_over, speed, us, source, dollars = date.min, 0, "", 1.0, "", {}
    try:
        for word in words:
            name, _, value = word.partition("=")
            if name == "from":
                since = date.fromisoformat(value)
            elif name == "prompt_over":
                prompt_over = int(value)
            elif name == "speed" and value:
                speed = value
            elif name == "us" and 0 < float(value) < float("inf"):
                us = float(value)
            elif name == "source" and value:
                source = value
            elif name in PRICED and 0 <= float(value) < float("inf"):
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
    return Price(model, since, prompt_over, speed, dollars, us, source)


class PriceTable:
    """Prices by model and day. Those that a person gave come before the list prices."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        """Parse a person's prices.

        Raises:
            InvalidSettingsError: One of them is wrong.
        """
        self._own = [parse(text) for text in texts]

    def picodollars(
        self,
        model: str | None,
        counts: Mapping[str, int],
        at: datetime,
        prompt: int,
        speed: str = "",
        geo: str = "",
    ) -> int | None:
        """Return the cost of the tokens of messages that share a price, in 10⁻¹² USD.

        It is None, and no guess, where the model has no price on that day, or none for a class of
        which there are tokens.

        Args:
            model: The model of the messages.
            counts: The sums of tokens by class.
            at: The time of the messages.
            prompt: The number of tokens of the longest prompt.
            speed: The speed at which they were sent.
            geo: The only region that may have served them, or an empty string.
        """
        price = self.price(model, at, prompt, speed)
        used = {name: count for name, count in counts.items() if count > 0}
        if price is None or any(name not in price.dollars for name in used):
            return None
        searches = used.pop(WEB_SEARCH, 0) * round(price.dollars.get(WEB_SEARCH, 0) * PICODOLLARS)
        unit = (price.us if geo == US else 1) * _PICODOLLARS_A_TOKEN
        tokens = (count * round(price.dollars[name] * unit) for name, count in used.items())
        return sum(tokens) + searches

    def lengths(self) -> list[int]:
        """Return the lengths of prompts, in tokens, above which a price changes, in order."""
        listed = (price for prices in _list_prices().values() for price in prices)
        return sorted({p.prompt_over for p in (*self._own, *listed) if p.prompt_over})

    def price(self, model: str | None, at: datetime, prompt: int, speed: str = "") -> Price | None:
        """Return the price of a model on a day, for a prompt of so many tokens.

        A person's pattern is for the name as the client has it, the list's for the model: a date,
        a reseller's prefix and the like are left out.
        """
        if model is None:
            return None
        day = at.astimezone(UTC).date()
        listed = next((_list_prices()[n] for n in _names(model) if n in _list_prices()), [])
        for prices in ([p for p in self._own if fnmatchcase(model, p.model)], listed):
            fitting = [
                price
                for price in prices
                if price.since <= day
                and price.speed == speed
                and (prompt > price.prompt_over or not price.prompt_over)
            ]
            if fitting:
                return max(fitting, key=lambda price: (price.since, price.prompt_over))
        return None


def priced_field(name: str) -> str:
    """Return the path of a class's count in the content of a message."""
    return "web_searches" if name == WEB_SEARCH else f"tokens.{name}"


def list_prices() -> list[Price]:
    """Return the prices that are built in."""
    lines = _LIST.read_text("utf-8").splitlines()
    return [parse(line) for line in lines if line and not line.startswith("#")]


@cache
def _list_prices() -> dict[str, list[Price]]:
    prices: dict[str, list[Price]] = {}
    for price in list_prices():
        prices.setdefault(price.model, []).append(price)
    return prices


def _names(model: str) -> Iterator[str]:
    """Yield the model's name, and shorter names without the parts that change no price."""
    yield model
    name = model
    if prefix := _PREFIX.match(name):
        name = name[prefix.end() :]
    while suffix := _SUFFIX.search(name):
        name = name[: suffix.start()]
    yield name
    if newest := _NEWEST_CLAUDE.match(name):
        yield newest[1]
