"""JSON text of whatever a file or a program holds."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from khive_persist.errors import InvalidRecordError
from khive_persist.store import codec


class Lift(BaseModel):
    weight: float
    note: Any = None


@dataclass
class Point:
    x: float


class Lap(NamedTuple):
    at: datetime
    splits: tuple[float, ...] = ()
    before: Any = None


def refuse(word: str) -> Any:
    raise AssertionError(f"{word} is no JSON")


def nested(value: Any, levels: int) -> Any:
    for _ in range(levels):
        value = [value]
    return value


SCALARS: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.integers(-(10**500), 10**500) | st.floats()
    | st.text() | st.text(st.characters(categories=["Cs"]), max_size=2) | st.decimals()
    | st.sampled_from([Path("/a"), datetime(2026, 1, 1, tzinfo=UTC), object(), b"\xff", {1},
                       codec.Overflow("1e400"), Lift(weight=math.nan), Point(math.inf)])
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS,
    lambda parts: (
        st.lists(parts, max_size=4)
        | st.dictionaries(st.text(max_size=3) | st.integers(), parts, max_size=4)
        | parts.map(lambda value: nested(value, 300))
    ),
    max_leaves=10,
)


@settings(max_examples=25, deadline=None)
@given(ANYTHING)
def test_whatever_is_shown_is_json_to_any_reader(value: Any) -> None:
    for text in (codec.dump_lossy(value), codec.dump_lossy(value, indent=True)):
        json.loads(text, parse_constant=refuse)
    line = codec.dump_line(value)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    json.loads(line, parse_constant=refuse)


@pytest.mark.parametrize("beside", [None, 2**70], ids=["alone", "beside a long integer"])
def test_what_has_no_json_is_replaced_where_it_is_shown(beside: Any) -> None:
    value = {"a": math.nan, "b": math.inf, "c": codec.Overflow("1e400"), "beside": beside}
    text = codec.dump_lossy(value)
    assert json.loads(text) == {"a": None, "b": None, "c": "1e400", "beside": beside}
    orjson.loads(text)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": [1, {"b": math.nan}]}, "a[1].b: NaN"),
        ({"lift": Lift(weight=math.inf)}, "lift.weight: NaN and infinity"),
        (Lift(weight=1, note={"x": math.nan}), "note.x: NaN"),
        ({"point": Point(math.nan)}, "point.x: NaN"),
        ({"a": {1: 2}}, "a: the key 1 is not text"),
        ({"a": {"\ud800": 2}}, "a: the key '\\ud800' has a lone surrogate"),
        ({"a": ["\ud800"]}, "a[0]: the text has a lone surrogate"),
        ({"a": {"b": object()}}, "a.b: object is not JSON"),
        ({"a": 2**70, "b": b"x"}, "b: bytes is not JSON"),
    ],
)
def test_what_cannot_be_written_is_named_by_its_path(value: Any, path: str) -> None:
    with pytest.raises(InvalidRecordError) as raised:
        codec.dump(value)
    assert path in str(raised.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("0.10"), "0.1"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.1234567890123456789"), '"0.1234567890123456789"'),
        (Decimal(2**70), str(2**70)),
        (Decimal("NaN"), '"NaN"'),
        (Decimal("1E+9999"), '"1E+9999"'),
    ],
)
def test_a_decimal_is_a_number_where_that_gives_it_back(value: Decimal, text: str) -> None:
    assert codec.dump([value]) == f"[{text}]"


@pytest.mark.parametrize("beside", [None, 2**70])
def test_a_named_tuple_is_shown_as_the_object_of_its_fields(beside: Any) -> None:
    noon = datetime(2026, 11, 1, 12, tzinfo=UTC)
    lap = Lap(noon, (1.5, 2.0), Lap(noon))
    text = "2026-11-01 12:00:00.000000"
    first: dict[str, Any] = {"at": text, "splits": [], "before": None}
    assert json.loads(codec.dump_lossy([lap, beside])) == [
        {"at": text, "splits": [1.5, 2.0], "before": first},
        beside,
    ]


def test_a_number_beyond_a_float_keeps_its_spelling() -> None:
    text = '{"a":1e400,"b":-1E+999,"c":[123456789012345678901234567890]}'
    value = codec.load(text)
    assert value == {"a": math.inf, "b": -math.inf, "c": [123456789012345678901234567890]}
    assert codec.dump_spelled(value) == text
    with pytest.raises(InvalidRecordError):
        codec.dump(value)


@given(st.integers(), st.sampled_from(["{}", " {} ", "[{}]", '{{"a":{}}}', '{{"a" : {} }}']))
def test_an_integer_of_any_length_is_read_as_it_stands(number: int, form: str) -> None:
    found = codec.load(form.format(number))
    while isinstance(found, list | dict):
        (found,) = found.values() if isinstance(found, dict) else found
    assert (type(found), found) == (int, number)
    beyond = number * 2**64
    assert codec.load(f'["12345678901234567890123", {beyond}]')[1] == beyond


@given(
    st.lists(
        st.sampled_from(["0" * 19, "9" * 20, "1" * 25, "-", "[", "]", ":", ",", " ", ".", "x"]),
        max_size=6,
    ).map("".join),
    st.integers(min_value=2**63),
)
def test_digits_in_a_text_hide_no_integer_and_are_none(digits: str, number: int) -> None:
    document = [digits, -number, digits, number, 0.5]
    assert repr(codec.load(json.dumps(document))) == repr(document)
    # A run of digits of any length is looked at once.
    long = "1" * 1_000_000
    assert codec.load(f'["{long}"]') == [long]
