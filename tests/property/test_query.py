"""Filters: what SQLite finds is what plain Python finds over the same records.

Compared are values of the same type, where both mean the same. The last tests here pin down what
holds of others: smaller and larger are of numbers (true is 1, false 0) or of text alone; an array
or an object is its JSON text. They sort as missing, then numbers, then text.
"""

import asyncio
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from khive_persist.models.node import Node
from khive_persist.models.purposes import Purpose, purpose
from khive_persist.models.query import Field, Filter, field
from khive_persist.store.store import Store
from tests.hypotheses import examples

# SQLite before 3.45 reads \\u0000 in JSON as the end of the text.
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
WORDS = st.sampled_from(["", "a", "A", "ab", "aB", "b%", "_", "é", "É", "𝒳"]) | TEXTS
INTEGERS = st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1)
# To 15 digits every version of SQLite reads a number from text as Python does.
FLOATS = st.integers(-(10**9), 10**9).map(lambda number: number / 1000)
BOOLEANS = st.booleans()
ITEMS = st.lists(st.integers(-3, 3), max_size=4)
NAMES = st.sampled_from(["text", "integer", "float", "boolean"])
OF_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "text": WORDS,
    "integer": INTEGERS,
    "float": FLOATS,
    "boolean": BOOLEANS,
}


class Note(Node):
    """A record with a field of each type."""

    purpose: ClassVar[Purpose] = purpose("notes", indexes=(("text", "integer"), ("float",)))


CONTENTS = st.fixed_dictionaries(
    {"nested": st.fixed_dictionaries({}, optional={"integer": INTEGERS | st.none()})},
    optional={
        **{name: of_type | st.none() for name, of_type in OF_TYPE.items()},
        "items": ITEMS | st.none(),
    },
)


class Asked(NamedTuple):
    """A condition twice: for the store, and for Python."""

    filter: Filter
    holds: Callable[[dict[str, Any]], bool]
    text: str

    def __repr__(self) -> str:
        return self.text


def like(pattern: str) -> "re.Pattern[str]":
    """SQL's LIKE: letters of ASCII in either case, and only these."""
    parts = []
    for character in pattern:
        if character == "%":
            parts.append(".*")
        elif character == "_":
            parts.append(".")
        elif character.isascii() and character.isalpha():
            parts.append(f"[{character.lower()}{character.upper()}]")
        else:
            parts.append(re.escape(character))
    return re.compile("".join(parts), re.DOTALL)


COMPARISONS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], bool]]] = {
    "==": (lambda at, value: at == value, lambda found, value: found == value),
    "!=": (lambda at, value: at != value, lambda found, value: found != value),
    "<": (lambda at, value: at < value, lambda found, value: found is not None and found < value),
    "<=": (
        lambda at, value: at <= value,
        lambda found, value: found is not None and found <= value,
    ),
    ">": (lambda at, value: at > value, lambda found, value: found is not None and found > value),
    ">=": (
        lambda at, value: at >= value,
        lambda found, value: found is not None and found >= value,
    ),
}


@st.composite
def compared(draw: st.DrawFn) -> Asked:
    name = draw(NAMES)
    sign = draw(st.sampled_from(list(COMPARISONS)))
    value = draw(OF_TYPE[name])
    make, holds = COMPARISONS[sign]
    return Asked(
        make(field(name), value),
        lambda content: holds(content.get(name), value),
        f"{name} {sign} {value!r}",
    )


@st.composite
def one_of(draw: st.DrawFn) -> Asked:
    name = draw(NAMES)
    values = draw(st.lists(OF_TYPE[name] | st.none(), max_size=4))
    return Asked(
        field(name).in_(values),
        lambda content: content.get(name) in values,
        f"{name} in {values!r}",
    )


@st.composite
def matched(draw: st.DrawFn) -> Asked:
    pattern = draw(
        st.text(st.sampled_from("aAbB%_éÉ.*[") | st.characters(codec="ascii"), max_size=5)
    )
    pattern = pattern.replace("\0", "")
    expression = like(pattern)
    return Asked(
        field("text").like(pattern),
        lambda content: (
            bool(expression.fullmatch(content.get("text") or ""))
            and content.get("text") is not None
        ),
        f"text like {pattern!r}",
    )


@st.composite
def missing(draw: st.DrawFn) -> Asked:
    name = draw(NAMES | st.just("items"))
    return Asked(
        field(name).is_null(), lambda content: content.get(name) is None, f"{name} is null"
    )


@st.composite
def containing(draw: st.DrawFn) -> Asked:
    value = draw(st.integers(-3, 3))
    return Asked(
        field("items").contains(value),
        lambda content: value in (content.get("items") or ()),
        f"items contains {value}",
    )


@st.composite
def nested(draw: st.DrawFn) -> Asked:
    value = draw(INTEGERS)
    return Asked(
        field("nested.integer") == value,
        lambda content: content["nested"].get("integer") == value,
        f"nested.integer == {value}",
    )


def combined(parts: st.SearchStrategy[Asked]) -> st.SearchStrategy[Asked]:
    pairs = st.tuples(parts, parts)
    return (
        pairs.map(
            lambda p: Asked(
                p[0].filter & p[1].filter,
                lambda content: p[0].holds(content) and p[1].holds(content),
                f"({p[0]} & {p[1]})",
            )
        )
        | pairs.map(
            lambda p: Asked(
                p[0].filter | p[1].filter,
                lambda content: p[0].holds(content) or p[1].holds(content),
                f"({p[0]} | {p[1]})",
            )
        )
        | parts.map(lambda p: Asked(~p.filter, lambda content: not p.holds(content), f"~{p}"))
    )


SIMPLE = compared() | one_of() | matched() | missing() | containing() | nested()
ASKED = st.recursive(SIMPLE, combined, max_leaves=6)


class Notes:
    """A store that is driven from plain functions."""

    def __init__(self, folder: Path) -> None:
        self.runner = asyncio.Runner()
        self.store = Store(Note, lambda what: folder / what.file)
        self.runner.run(self.store.open())

    def hold(self, contents: list[dict[str, Any]]) -> None:
        """Hold these records and no others."""
        self.runner.run(self._hold(contents))

    async def _hold(self, contents: list[dict[str, Any]]) -> None:
        for one in await self.store.find():
            await self.store.delete(one.id)
        await self.store.save_many(
            Note(id=f"{number}", content=content) for number, content in enumerate(contents)
        )

    def find(self, filter: Filter) -> set[int]:
        return {int(one.id) for one in self.runner.run(self.store.find(filter))}

    def count(self, filter: Filter) -> int:
        return self.runner.run(self.store.count(filter))

    def in_order(self, by: Field) -> list[int]:
        return [int(one.id) for one in self.runner.run(self.store.find(order_by=by))]

    def close(self) -> None:
        self.runner.run(self.store.close())
        self.runner.close()


@pytest.fixture(scope="module")
def notes() -> Iterator[Notes]:
    with tempfile.TemporaryDirectory() as folder:
        made = Notes(Path(folder))
        yield made
        made.close()


@settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(CONTENTS, max_size=12), st.lists(ASKED, min_size=1, max_size=8))
@example(
    [{"nested": {}, "text": None}, {"nested": {}}, {"nested": {"integer": 0}, "text": "A"}],
    [Asked(~field("text").like("a"), lambda content: content.get("text") != "A", "~like")],
)
def test_a_filter_finds_what_python_finds(
    notes: Notes, contents: list[dict[str, Any]], questions: list[Asked]
) -> None:
    notes.hold(contents)
    for asked in questions:
        wanted = {number for number, content in enumerate(contents) if asked.holds(content)}
        assert notes.find(asked.filter) == wanted
        assert notes.count(asked.filter) == len(wanted)
        assert notes.find(~asked.filter) == set(range(len(contents))) - wanted


@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from(["text", "integer", "float"]).flatmap(
        lambda name: st.tuples(st.just(name), st.lists(OF_TYPE[name], min_size=1, max_size=12))
    )
)
def test_an_order_is_that_of_python(notes: Notes, drawn: tuple[str, list[Any]]) -> None:
    name, values = drawn
    notes.hold([{name: value} for value in values])
    assert [values[at] for at in notes.in_order(field(name))] == sorted(values)


def test_what_is_of_another_type_compares_as_sqlite_has_it(notes: Notes) -> None:
    values = [None, False, -1, 0.5, True, 2, "", "10", "a", [1, 2], {"b": 1}]
    notes.hold([{"x": value} for value in values])

    def found(filter: Filter) -> list[Any]:
        return [values[at] for at in sorted(notes.find(filter))]

    assert found(field("x") == 1) == [True]
    assert found(field("x") == True) == [True]  # noqa: E712 - makes a filter
    assert found(field("x") == "10") == ["10"]
    assert found(field("x") == 10) == []
    assert found(field("x") < 1) == [False, -1, 0.5]
    assert found(field("x") > 1) == [2]
    assert found(field("x") >= 1) == [True, 2]
    assert found(~(field("x") > 1)) == [value for value in values if value != 2]
    assert found(field("x") < "a") == ["", "10", [1, 2]]
    assert found(field("x") <= "") == [""]
    assert found(field("x") >= "a") == ["a", {"b": 1}]
    assert found(field("x") == "[1,2]") == [[1, 2]]
    assert found(field("x").like("%1%")) == [-1, True, "10", [1, 2], {"b": 1}]
    assert found(field("x").contains(2)) == [[1, 2]]
    assert found(field("x") != 2) == [value for value in values if value != 2]


def test_records_sort_by_type_first(notes: Notes) -> None:
    values: list[Any] = ["b", 2, [0], None, True, "a", 1.5]
    notes.hold([{"x": value} for value in values] + [{}])
    in_order = [[*values, None][at] for at in notes.in_order(field("x"))]
    assert in_order == [None, None, True, 1.5, 2, [0], "a", "b"]


KEYS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4) | (
    st.sampled_from(['"', "\\", "a.b", "a[0]", "größe", "cost-usd", "it's", "/", "", "$", "\n"])
)


@settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(KEYS, min_size=1, max_size=3), st.booleans())
@example(['"', "a", "\\"], True)
@example(["a", '"', '"'], False)
def test_any_key_can_be_named(notes: Notes, keys: list[str], is_array: bool) -> None:
    value: Any = [5] if is_array else 5
    others: list[Any] = ["text", {}, [], {keys[0]: "text"}, {keys[0]: None}]
    for key in reversed(keys):
        value = {key: value}
    notes.hold([value, *(other for other in others if other != value)])
    at = field("$", *keys)
    assert notes.find(at.contains(5) if is_array else at >= 5) == {0}
    assert notes.in_order(at)[-1] == 0 or len(keys) == 1


def escaped(text: str) -> str:
    return "".join(f"!{character}" if character in "%_!" else character for character in text)


@settings(
    max_examples=examples(100),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.text("a%_!\\", max_size=4), min_size=1, max_size=6), st.data())
def test_an_escaped_pattern_is_the_text_itself(
    notes: Notes, texts: list[str], data: st.DataObject
) -> None:
    text = data.draw(st.sampled_from(texts))
    notes.hold([{"text": one} for one in texts])
    wanted = {number for number, one in enumerate(texts) if one.startswith(text)}
    assert notes.find(field("text").like(f"{escaped(text)}%", escape="!")) == wanted
