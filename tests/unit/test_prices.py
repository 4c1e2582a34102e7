"""What tokens cost: by model, day, class and length of the prompt; never by guess."""

from datetime import UTC, datetime, timedelta

import pytest

from khive_persist.errors import InvalidSettingsError
from khive_persist.prices import LIST_PRICES, PriceTable, parse

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def test_each_class_has_its_price_and_reasoning_is_in_output() -> None:
    table = PriceTable(["m input=1 output=10 cache_read=0.1 cache_write=2 cache_write_1h=4"])
    tokens = {"input": 10**6, "output": 10**5, "cache_read": 10**6, "cache_write": 10**5}
    tokens |= {"cache_write_1h": 10**5, "reasoning": 10**9}
    assert table.cost_of("m", tokens, NOW) == pytest.approx(1 + 1 + 0.1 + 0.2 + 0.4)


def test_the_price_of_the_day_holds() -> None:
    table = PriceTable(["m from=2026-01-01 input=1", "m from=2026-06-01 input=3"])
    dates = [(datetime(2025, 12, 31, tzinfo=UTC), None), (datetime(2026, 5, 31, tzinfo=UTC), 1.0),
             (datetime(2026, 6, 1, tzinfo=UTC), 3.0)]  # fmt: skip
    for at, cost in dates:
        assert table.cost_of("m", {"input": 10**6}, at) == cost


def test_long_prompts_have_their_own_price() -> None:
    table = PriceTable(["m input=1 output=1", "m prompt_over=1000 input=2 output=3"])
    assert table.cost_of("m", {"input": 1_000, "output": 1_000}, NOW) == pytest.approx(0.002)
    assert table.cost_of("m", {"input": 1_001}, NOW) == pytest.approx(0.002002)


def test_what_a_person_wrote_comes_first() -> None:
    tokens = {"input": 10**6}
    assert PriceTable().cost_of("claude-opus-4-8", tokens, NOW) == 5
    assert PriceTable(["claude-*  input=7"]).cost_of("claude-opus-4-8", tokens, NOW) == 7


@pytest.mark.parametrize("model", [None, "", "nobody-knows", "claude-opus-9"])
def test_an_unknown_model_has_no_price(model: str | None) -> None:
    assert PriceTable().cost_of(model, {"input": 1}, NOW) is None


def test_a_class_without_a_price_makes_the_cost_unknown() -> None:
    table = PriceTable(["m input=1"])
    assert table.cost_of("m", {"input": 1, "output": 1}, NOW) is None
    assert table.cost_of("m", {"input": 10**6, "output": 0}, NOW) == 1


@pytest.mark.parametrize("tokens", [None, {}, {"input": 0}, {"input": "many"}, {"input": -1}])
def test_no_tokens_have_no_cost(tokens: object) -> None:
    assert PriceTable(["m input=1"]).cost_of("m", tokens, NOW) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    ["", "m", "m input", "m input=x", "m input=-1", "m input=inf", "m from=soon input=1",
     "m tokens=1", "m prompt_over=x input=1"],
)  # fmt: skip
def test_a_price_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidSettingsError):
        parse(text)


def test_the_list_prices_are_sound() -> None:
    for text in LIST_PRICES:
        price = parse(text)
        assert price.since < (NOW + timedelta(days=1)).date()
        assert {"input", "output"} <= price.dollars.keys()
