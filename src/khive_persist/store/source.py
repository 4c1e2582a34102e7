"""`Source`: the rows that a SELECT reads, and how their database spells what is asked of them.

Text gets in here only from a checked path, or this package. Values are bound.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final, Literal, NamedTuple

from khive_persist import clock
from khive_persist.errors import InvalidQueryError
from khive_persist.models.query import (
    All,
    AnyOf,
    Field,
    Filter,
    Not,
    Order,
    checked_count,
)

COLUMNS: Final = "id, content, node_metadata, created_at, embedding"


class Statement(NamedTuple):
    """SQL text and the values bound in it."""

    sql: str
    values: list[Any]


# Of a purpose without a file. Whoever reads by name knows by its column that no row follows.
NO_COLUMN: Final = "no_rows"
NO_ROWS: Final = Statement(f"SELECT NULL AS {NO_COLUMN} LIMIT 0", [])


@dataclass(frozen=True, slots=True)
class Source(ABC):
    """The source of a SELECT, and how its database spells what is asked of it.

    Attributes:
        sql: A table, or several together.
        created_at: The expression by which rows are sorted by time.
        tables: The tables, by the name of their purpose.
        content: The expression that is `content` as JSON.
        columns: The five columns of a record, by their names.
        inserted: The expression by which rows are in the order of their insertion, where a SELECT
            without an order does not give them so.
    """

    true: ClassVar[str]
    false: ClassVar[str]

    sql: str
    created_at: str
    tables: Mapping[str, str]
    content: str = "content"
    columns: str = COLUMNS
    inserted: str = ""

    def condition(self, filter: Filter, values: list[Any]) -> str:
        """Spell a filter; its values are added to these."""
        match filter:
            case All(filters=parts):
                terms = [f"({self.condition(part, values)})" for part in parts]
                return " AND ".join(terms) or self.true
            case AnyOf(filters=parts):
                terms = [f"({self.condition(part, values)})" for part in parts]
                return " OR ".join(terms) or self.false
            case Not(filter=part):
                return f"({self.condition(part, values)}) IS NOT TRUE"
        return self.predicate(filter, values)

    @abstractmethod
    def only(self, purpose: str) -> "Source":
        """Return the source of one purpose's rows: of no row where no file of it is read."""

    @abstractmethod
    def extract(self, path: str) -> str:
        """Spell a field of content by its path, as the indexes do."""

    @abstractmethod
    def operand(self, field: Field) -> str:
        """Spell the value of a field of a row, as it is compared and sorted."""

    @abstractmethod
    def predicate(self, filter: Filter, values: list[Any]) -> str:
        """Spell a filter that is not made of others; its values are added to these.

        Raises:
            InvalidQueryError: It is no filter, or its value is of another kind than its field.
        """

    @abstractmethod
    def direction(self, *, descending: bool) -> str:
        """Spell the direction of an order: missing, numbers, text, or the reverse."""

    @abstractmethod
    def window(self, limit: int | None, offset: int, values: list[Any]) -> str:
        """Spell a limit and an offset; their values are added to these."""

    @abstractmethod
    def number(self, field: Field) -> str:
        """Spell the number that a field is; NULL where it is none."""

    @abstractmethod
    def is_real(self, field: Field) -> str:
        """Spell whether a field is a number with a fraction, as 1 or 0."""

    @abstractmethod
    def total(self, number: str) -> str:
        """Spell the sum of numbers: 0 where there is none."""

    @abstractmethod
    def shown(self, field: Field) -> str:
        """Spell the value of a field of a row, as it is shown."""

    @abstractmethod
    def extreme(self, function: Literal["min", "max"], field: Field) -> str:
        """Spell the least or greatest value of a field, as it is shown."""

    @abstractmethod
    def group(self, field: Field) -> str:
        """Spell the value that the rows of a group have in a field, as it is shown."""

    @abstractmethod
    def grouping(self, fields: Sequence[Field]) -> str:
        """Spell the groups by fields, which are the first columns of a SELECT, in their order."""


def select(
    source: Source,
    filters: Iterable[Filter] = (),
    order_by: Field | Order | Sequence[Field | Order] = (),
    limit: int | None = None,
    offset: int = 0,
    columns: str = "",
) -> Statement:
    """Select the rows that pass every filter, in order; without one, as they were inserted."""
    condition, values = passing(source, filters)
    terms = [order_by] if isinstance(order_by, Field | Order) else list(order_by)
    order = ", ".join(_order(term, source) for term in terms)
    sql = f"SELECT {columns or source.columns} FROM {source.sql} WHERE {condition}"
    if order or (source.inserted and not columns):
        sql += f" ORDER BY {order or source.inserted}"
    limit = checked_count("limit", limit)
    offset = checked_count("offset", offset) or 0
    if limit is not None or offset:
        sql += source.window(limit, offset, values)
    return Statement(sql, values)


def named(columns: Mapping[str, str]) -> str:
    """Spell the columns of a SELECT by their names, as whoever makes records of its rows needs."""
    return ", ".join(f"{expression} AS {name}" for name, expression in columns.items())


def union_all(selects: Sequence[str], values: Iterable[Any] = (), within: str = "{}") -> Statement:
    """Join SELECTs, each of which binds these values, within another one; without any, no row."""
    if not selects:
        return NO_ROWS
    return Statement(within.replace("{}", " UNION ALL ".join(selects)), [*values] * len(selects))


def distinct(source: Source, *paths: str, filters: Iterable[Filter] = ()) -> Statement:
    """Return the SELECT of the values that fields have together, each once."""
    columns = ", ".join(source.extract(path) for path in paths)
    return select(source, filters, columns=f"DISTINCT {columns}")


def passing(source: Source, filters: Iterable[Filter]) -> Statement:
    """Return the expression that is true of a row that passes every filter."""
    values: list[Any] = []
    try:
        return Statement(source.condition(All(tuple(filters)), values), values)
    except RecursionError as error:
        raise InvalidQueryError("the filter is nested too deeply") from error


def value_in(field: Field, value: Any) -> Any:
    """Return the value that a field is compared with: of `created_at` an instant, else as it is.

    Raises:
        InvalidQueryError: It is of another kind than its field.
    """
    if field.column == "created_at":
        instant = clock.from_column(value) if isinstance(value, str) else value
        if not isinstance(instant, datetime):
            raise InvalidQueryError(f"created_at is compared with a datetime, not {value!r}")
        return instant
    if isinstance(value, datetime):
        raise InvalidQueryError(f"{field!r} holds JSON, which has no datetime", hint="use its text")
    return value


def _order(term: Field | Order, source: Source) -> str:
    if isinstance(term, Field):
        term = Order(term)
    if not isinstance(term, Order) or not isinstance(term.field, Field):
        raise InvalidQueryError(
            f"{term!r} is no order", hint="write field('name') or -field('name')"
        )
    return source.operand(term.field) + source.direction(descending=term.descending)
