"""Filters and order, as in `field("confidence") > 0.8`. Values only; the store writes the SQL.

Missing is a value here as in Python: `!=` holds for a record that lacks the field, and `~` gives
exactly the records that the filter does not. Smaller and larger compare numbers with numbers and
text with text: a record whose field is of the other kind passes none of them.
"""

import math
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain
from typing import Final, Literal, NamedTuple

from khive_persist.errors import InvalidQueryError

Value = str | int | float | bool | datetime | None
Comparison = Literal["==", "!=", "<", "<=", ">", ">="]

# Sorts after whatever can follow a beginning, as the end of a range of all that begins so.
LAST_CHARACTER: Final = "\U0010ffff"

_INT64: Final = range(-(2**63), 2**63)
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# SQLite takes patterns of 50,000 bytes; a character has up to four, or is escaped.
_MOST_SEARCHED: Final = 10_000
# A key that SQLite's JSON path can quote, and that no writer of JSON escapes.
_QUOTED_KEY: Final = re.compile(r"""[^\x00-\x1f\x7f-\U0010ffff"\\/<>&]*\Z""")
# In a path: a word of any language, with hyphens, or any key in double quotes.
_STEP: Final = re.compile(
    r"""(?:([\w-]+)|"([^"]*)")((?:\[(?:[0-9]{1,9}|#-[0-9]{1,9})\])*)(?:\.|\Z)"""
)
_COLUMNS: Final = frozenset({"id", "created_at"})


class Filter:
    """A condition on a record. Combine with `&`, `|` and `~`."""

    def __and__(self, other: "Filter") -> "Filter":
        return All((self, _filter(other)))

    def __or__(self, other: "Filter") -> "Filter":
        return AnyOf((self, _filter(other)))

    def __invert__(self) -> "Filter":
        return Not(self)

    def __bool__(self) -> bool:
        raise InvalidQueryError(
            "a filter has no truth value", hint="use & | ~ instead of and, or, not"
        )


class Lookup(NamedTuple):
    """A key of an object that a JSON path cannot name: it is looked up among the object's keys.

    Attributes:
        path: The path of the object, in the result of the lookup before.
        key: The key.
    """

    path: str
    key: str


class Field:
    """A place in a record: a column, or a path into `content`.

    Attributes:
        column: `id` or `created_at`, or an empty string for a path.
        lookups: The lookups that come first, each in the result of the one before it.
        path: The JSON path, `$.a.b[0]`, in `content` or in the result of the last lookup; an empty
            string for a column.
    """

    __hash__ = None  # type: ignore[assignment]  # == makes a filter, so a Field is no dict key

    def __init__(
        self, *, column: str = "", path: str = "", lookups: tuple[Lookup, ...] = ()
    ) -> None:
        self.column = column
        self.path = path
        self.lookups = lookups

    def __repr__(self) -> str:
        keys = "".join(f'{path[1:]}."{key}"' for path, key in self.lookups)
        return f"field({self.column or f'${keys}{self.path[1:]}'!r})"

    def __eq__(self, value: Value) -> Filter:  # type: ignore[override]
        return Compare(self, "==", _value(value))

    def __ne__(self, value: Value) -> Filter:  # type: ignore[override]
        return Compare(self, "!=", _value(value))

    def __lt__(self, value: Value) -> Filter:
        return Compare(self, "<", _ordered(value))

    def __le__(self, value: Value) -> Filter:
        return Compare(self, "<=", _ordered(value))

    def __gt__(self, value: Value) -> Filter:
        return Compare(self, ">", _ordered(value))

    def __ge__(self, value: Value) -> Filter:
        return Compare(self, ">=", _ordered(value))

    def in_(self, values: Iterable[Value]) -> Filter:
        """Match records whose field is one of these; none where there are none."""
        return OneOf(self, tuple(_value(value) for value in values))

    def like(self, pattern: str, *, escape: str | None = None) -> Filter:
        """Match as SQL's LIKE: `%` is any text, `_` any character, ASCII letters of either case.

        Args:
            pattern: The pattern.
            escape: The character before a `%`, a `_` or itself that stands for this very one:
                `field("note").like("100\\\\%%", escape="\\\\")` matches text with `100%` at its
                beginning.
        """
        if not isinstance(pattern, str):
            raise InvalidQueryError(f"like takes text, not {type(pattern).__name__}")
        if escape is not None and (not isinstance(escape, str) or len(escape) != 1):
            raise InvalidQueryError(f"escape is one character, not {escape!r}")
        return Like(self, _text(pattern), None if escape is None else _text(escape))

    def is_null(self) -> Filter:
        """Match records whose field is missing, or null."""
        return Compare(self, "==", None)

    def contains(self, value: Value) -> Filter:
        """Match records whose field is an array with this item."""
        if self.column:
            raise InvalidQueryError(f"the column {self.column} is no array")
        return Contains(self, _value(value))

    def __neg__(self) -> "Order":
        return Order(self, descending=True)

    def __pos__(self) -> "Order":
        return Order(self)


class Order(NamedTuple):
    """An order by a field, as SQLite sorts: missing, numbers, text; descending the reverse."""

    field: Field
    descending: bool = False


class Compare(Filter):
    """A comparison of one field with one value."""

    def __init__(self, field: Field, comparison: Comparison, value: Value) -> None:
        self.field, self.comparison, self.value = field, comparison, value


class Like(Filter):
    """One field, a pattern, and the pattern's escape character."""

    def __init__(self, field: Field, pattern: str, escape: str | None) -> None:
        self.field, self.pattern, self.escape = field, pattern, escape


class OneOf(Filter):
    """One field and the values that it may have."""

    def __init__(self, field: Field, values: tuple[Value, ...]) -> None:
        self.field, self.values = field, values


class Contains(Filter):
    """One array and an item of it."""

    def __init__(self, field: Field, value: Value) -> None:
        self.field, self.value = field, value


class HasText(Filter):
    """A text that stands within any text of the content, ASCII letters of either case."""

    def __init__(self, text: str) -> None:
        """Take the text.

        Raises:
            InvalidQueryError: It is longer than SQLite compares.
        """
        if isinstance(text, str) and len(text) > _MOST_SEARCHED:
            raise InvalidQueryError(f"a text to find has at most {_MOST_SEARCHED} characters")
        self.text = _text(text)


class All(Filter):
    """All of these filters; without any, every record."""

    def __init__(self, filters: tuple[Filter, ...]) -> None:
        self.filters = filters


class AnyOf(Filter):
    """At least one of these filters; without any, no record."""

    def __init__(self, filters: tuple[Filter, ...]) -> None:
        self.filters = filters


class Not(Filter):
    """The records that the filter does not match."""

    def __init__(self, filter: Filter) -> None:
        self.filter = filter


def field(path: str, *keys: str) -> Field:
    """Return a field of `content`, by its path.

    Args:
        path: Keys joined by dots, with array items in brackets: `confidence`,
            `metadata.planner.name`, `phases[0].cost`, `phases[#-1]` for the last, `größe`,
            `cost-usd`. A key in double quotes has any characters but these: `metadata."a.b"`. `$`
            alone is the content.
        keys: Further keys, each taken as it is: `field("metadata", "odd key.with dots")`,
            `field("$", 'a "quoted" one')`.

    Raises:
        InvalidQueryError: The path is not of this form. Nothing else than a checked path gets into
            SQL text; values are always bound.
    """
    if not isinstance(path, str):
        raise InvalidQueryError(f"a path is text, not {type(path).__name__}")
    lookups: list[Lookup] = []
    spelled = "$"
    steps = () if path == "$" else _steps(path)
    for key, brackets in chain(steps, ((key, "") for key in keys)):
        if not isinstance(key, str) or "\0" in key:
            raise InvalidQueryError(f"{key!r} cannot stand in a path")
        if _PLAIN_KEY.match(key):
            spelled += f".{key}{brackets}"
        elif _QUOTED_KEY.match(key):
            spelled += f'."{key}"{brackets}'
        else:
            lookups.append(Lookup(spelled, _text(key)))
            spelled = f"${brackets}"
    return Field(path=spelled, lookups=tuple(lookups))


def column(name: Literal["id", "created_at"]) -> Field:
    """Return the column `id`, or `created_at`, which compares with a datetime.

    Args:
        name: `id` or `created_at`.

    Raises:
        InvalidQueryError: It is another name.
    """
    if name not in _COLUMNS:
        raise InvalidQueryError(f"{name!r} is no column to filter by", hint="id or created_at")
    return Field(column=name)


def checked_count(name: str, value: int | None) -> int | None:
    """Return a limit or an offset: None, or a whole number from 0.

    Raises:
        InvalidQueryError: The value is anything else.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise InvalidQueryError(f"{name} is a whole number from 0, not {value!r}")
    return value


def _steps(path: str) -> Iterator[tuple[str, str]]:
    """Yield the keys of a path, each with the brackets after it."""
    at = 0
    while at < len(path) or path.endswith(".") or not path:
        step = _STEP.match(path, at)
        if step is None:
            raise InvalidQueryError(
                f"{path[:80]!r} is no path",
                hint="write it as in field('metadata.phases[0].cost'), or field('$', 'any key')",
            )
        key, quoted, brackets = step.groups()
        yield (quoted if key is None else key), brackets
        if step.end() == len(path) and not path.endswith("."):
            return
        at = step.end()


def _filter(value: object) -> Filter:
    if not isinstance(value, Filter):
        raise InvalidQueryError(f"{value!r} is no filter")
    return value


def _value(value: Value) -> Value:
    if isinstance(value, float) and math.isnan(value):
        raise InvalidQueryError("NaN equals nothing")
    if isinstance(value, int) and value not in _INT64:
        raise InvalidQueryError(f"{value} does not fit 64 bits")
    if value is not None and not isinstance(value, (str, int, float, datetime)):
        raise InvalidQueryError(f"cannot compare with {type(value).__name__}")
    return _text(value) if isinstance(value, str) else value


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidQueryError("the text has a lone surrogate") from error
    return value


def _ordered(value: Value) -> Value:
    if value is None:
        raise InvalidQueryError("nothing is smaller or larger than None", hint="use is_null()")
    return _value(value)
