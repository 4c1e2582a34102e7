"""What tokens cost: by model, day, class and length of the prompt; never by guess."""

from datetime import UTC, datetime
from typing import Any

import pytest

from khive_persist.errors import InvalidSettingsError
from khive_persist.prices import PriceTable, list_prices, parse
from khive_persist.sessions.definitions import spent

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def cost_of_message(table: PriceTable, content: dict[str, Any], at: datetime) -> float | None:
    return spent(content, at, table).cost


def cost_of(
    table: PriceTable, model: str | None, tokens: Any, at: datetime, speed: str = ""
) -> float | None:
    return cost_of_message(table, {"model": model, "tokens": tokens, "speed": speed}, at)


def test_each_class_has_its_price_and_reasoning_is_in_output() -> None:
    table = PriceTable(["m input=1 output=10 cache_read=0.1 cache_write=2 cache_write_1h=4"])
    tokens = {"input": 10**6, "output": 10**5, "cache_read": 10**6, "cache_write": 10**5}
    tokens |= {"cache_write_1h": 10**5, "reasoning": 10**9}
    assert cost_of(table, "m", tokens, NOW) == pytest.approx(1 + 1 + 0.1 + 0.2 + 0.4)


def test_the_price_of_the_day_holds() -> None:
    table = PriceTable(["m from=2026-01-01 input=1", "m from=2026-06-01 input=3"])
    dates = [(datetime(2025, 12, 31, tzinfo=UTC), None), (datetime(2026, 5, 31, tzinfo=UTC), 1.0),
             (datetime(2026, 6, 1, tzinfo=UTC), 3.0)]  # fmt: skip
    for at, cost in dates:
        assert cost_of(table, "m", {"input": 10**6}, at) == cost


def test_long_prompts_have_their_own_price() -> None:
    table = PriceTable(["m input=1 output=1", "m prompt_over=1000 input=2 output=3"])
    assert cost_of(table, "m", {"input": 1_000, "output": 1_000}, NOW) == pytest.approx(0.002)
    assert cost_of(table, "m", {"input": 1_001}, NOW) == pytest.approx(0.002002)


def test_what_a_person_wrote_comes_first() -> None:
    tokens = {"input": 10**6}
    assert cost_of(PriceTable(), "claude-opus-4-8", tokens, NOW) == 5
    assert cost_of(PriceTable(["claude-*  input=7"]), "claude-opus-4-8", tokens, NOW) == 7


@pytest.mark.parametrize("model", [None, "", "nobody-knows", "claude-opus-9"])
def test_an_unknown_model_has_no_price(model: str | None) -> None:
    assert cost_of(PriceTable(), model, {"input": 1}, NOW) is None


def test_a_class_without_a_price_makes_the_cost_unknown() -> None:
    table = PriceTable(["m input=1"])
    assert cost_of(table, "m", {"input": 1, "output": 1}, NOW) is None
    assert cost_of(table, "m", {"input": 10**6, "output": 0}, NOW) == 1


@pytest.mark.parametrize("tokens", [None, {}, {"input": 0}, {"input": "many"}, {"input": -1}])
def test_no_tokens_have_no_cost(tokens: object) -> None:
    assert cost_of(PriceTable(["m input=1"]), "m", tokens, NOW) is None


@pytest.mark.parametrize(
    "text",
    ["", "m", "m input", "m input=x", "m input=-1", "m input=inf", "m from=soon input=1",
     "m tokens=1", "m prompt_over=x input=1"],
)  # fmt: skip
def test_a_price_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidSettingsError):
        parse(text)


def test_the_list_prices_are_sound() -> None:
    prices = list_prices()
    for price in prices:
        assert {"input", "output"} <= price.dollars.keys()
        assert price.source
    keys = [(price.model, price.since, price.prompt_over, price.speed) for price in prices]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("name", "dollars"),
    [("claude-opus-4-5-20251101", 5), ("us.anthropic.claude-opus-4-5-20251101-v1:0", 5),
     ("claude-opus-4-5@20251101", 5), ("claude-opus-4-20250514", 15), ("claude-sonnet-4-5[1m]", 3),
     ("claude-3-5-haiku-latest", 0.8), ("gpt-5-2025-08-07", 1.25), ("models/gemini-2.5-pro", 1.25),
     ("claude-sonnet-5", 2), ("claude-sonnet-5-9", None), ("claude-opus-5-5-turbo", None),
     ("gpt-5-codex", 1.25), ("gpt-5-unheard-of", None)],
)  # fmt: skip
def test_a_model_has_one_price_under_all_its_names(name: str, dollars: float | None) -> None:
    # Below the length at which some prices change.
    cost = cost_of(PriceTable(), name, {"input": 10_000}, NOW)
    assert cost == (None if dollars is None else pytest.approx(dollars / 100))


def test_searches_of_the_web_have_a_price_each() -> None:
    content = {"model": "claude-sonnet-4-6", "tokens": {"input": 1000, "output": 100}}
    table = PriceTable(["n input=1"])
    assert cost_of_message(table, content, NOW) == pytest.approx(0.0045)
    assert cost_of_message(table, content | {"web_searches": 10}, NOW) == pytest.approx(0.1045)
    assert cost_of_message(table, {"model": "n", "web_searches": 1}, NOW) is None


def test_the_fast_mode_has_its_own_price_or_none() -> None:
    tokens = {"input": 10**6}
    assert cost_of(PriceTable(), "claude-opus-4-8", tokens, NOW, speed="fast") == 10
    assert cost_of(PriceTable(), "claude-sonnet-4-6", tokens, NOW, speed="fast") is None


def test_a_prompt_is_as_long_as_the_longest_of_its_requests() -> None:
    table = PriceTable(["m input=1 output=1", "m prompt_over=1000 input=2 output=2"])
    content = {"model": "m", "tokens": {"input": 1_800}}
    assert cost_of_message(table, content, NOW) == pytest.approx(0.0036)
    assert cost_of_message(table, content | {"prompt_tokens": 900}, NOW) == pytest.approx(0.0018)


@pytest.mark.parametrize(
    ("day", "dollars"),
    [(datetime(2026, 7, 29, tzinfo=UTC), 0.1), (datetime(2026, 7, 30, tzinfo=UTC), 0.02)],
)
def test_a_list_price_that_changed_holds_from_its_day(day: datetime, dollars: float) -> None:
    assert cost_of(PriceTable(), "gpt-5.6-luna", {"input": 10**5}, day) == dollars


def test_where_a_request_may_be_served_multiplies_the_price_of_its_tokens() -> None:
    content = {"model": "claude-opus-5-5", "tokens": {"output": 10**6}, "web_searches": 1}
    assert cost_of_message(PriceTable(), content, NOW) == pytest.approx(20.01)
    assert cost_of_message(PriceTable(), content | {"geo": "us"}, NOW) == pytest.approx(22.01)


@pytest.mark.parametrize(
    ("model", "fast"),
    [("claude-opus-4-6", 150), ("claude-opus-4-8", 50), ("claude-opus-5-5", 40),
     ("claude-fable-5-2", 80)],
)  # fmt: skip
def test_fast_prices_are_those_of_the_client(model: str, fast: float) -> None:
    assert cost_of(PriceTable(), model, {"output": 10**6}, NOW, speed="fast") == fast
