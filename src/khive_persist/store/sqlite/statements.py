"""The SQL of a table: its indexes and view, what writes to it and what reads from it.

Text gets in here only from a checked `Purpose`, a checked path, or this file. Values are bound.
"""

import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist.errors import InvalidQueryError
from khive_persist.models.purposes import Purpose
from khive_persist.models.query import (
    All,
    AnyOf,
    Compare,
    Contains,
    Field,
    Filter,
    HasText,
    Like,
    Not,
    OneOf,
    Order,
    checked_count,
)
from khive_persist.store.sqlite.whole_texts import whole_text
from khive_persist.store.sqlite.words import quoted

COLUMNS: Final = "id, content, node_metadata, created_at, embedding"
_DATE: Final = "-".join(["[0-9]" * 4, "[0-9]" * 2, "[0-9]" * 2])
_TIME: Final = ":".join(["[0-9]" * 2] * 3) + "." + "[0-9]" * 6
ODD_CREATED_AT: Final = f"created_at IS NULL OR created_at NOT GLOB '{_DATE} {_TIME}'"

_NULLS: Final = ", ".join(f"NULL AS {name}" for name in ("rowid", *COLUMNS.split(", ")))
_EMPTY_TABLE: Final = f"(SELECT {_NULLS} LIMIT 0)"

# To SQLite any text is larger than any number: this leaves out what is of the other kind. The empty
# text is the smallest, so both ends can be of one range of an index.
_KINDS: Final = {"<": ">= ''", "<=": ">= ''", ">": "< ''", ">=": "< ''"}

# Text that is no JSON would be an error to a function that looks into it.
_INNER: Final = "CASE WHEN type IN ('object', 'array') THEN value END"

_LIKE_MARKS: Final = re.compile(r"[\\%_]")


class Statement(NamedTuple):
    """SQL text and the values bound in it."""

    sql: str
    values: list[Any]


# Of a purpose without a file. Whoever reads by name knows by its column that no row follows.
NO_COLUMN: Final = "no_rows"
NO_ROWS: Final = Statement(f"SELECT NULL AS {NO_COLUMN} LIMIT 0", [])


class Source(NamedTuple):
    """The source of a SELECT, and how its database spells what is asked of it.

    Attributes:
        sql: A table, or several together.
        created_at: The expression that is `created_at` as text that sorts by time.
        tables: The tables, by the name of their purpose.
        content: The expression that is `content` as JSON.
        columns: The five columns of a record, by their names.
        inserted: The expression by which rows are in the order of their insertion, where a SELECT
            without an order does not give them so.
    """

    sql: str
    created_at: str
    tables: Mapping[str, str]
    content: str = "content"
    columns: str = COLUMNS
    inserted: str = ""

    def only(self, purpose: str) -> "Source":
        """Return the source of one purpose's rows: of no row where no file of it is read."""
        return self._replace(sql=self.tables.get(purpose, _EMPTY_TABLE))

    def extract(self, path: str) -> str:
        """Spell a field of content; see `extract`."""
        return extract(path, self.content)

    def operand(self, field: Field) -> str:
        """Spell the value of a field of a row, as it is compared and sorted."""
        if field.column == "created_at":
            return self.created_at
        if field.column:
            return field.column
        if field.lookups and field.path == "$":
            return _looked_up(field, self, "value")
        return extract(field.path, _looked_up(field, self))

    def condition(self, filter: Filter, values: list[Any]) -> str:
        """Spell a filter; its values are added to these."""
        return _condition(filter, self, values)

    def direction(self, *, descending: bool) -> str:
        """Spell the direction of an order: missing, numbers, text, or the reverse."""
        return " DESC" if descending else ""

    def window(self, limit: int | None, offset: int, values: list[Any]) -> str:
        """Spell a limit and an offset; their values are added to these."""
        values += [-1 if limit is None else limit, offset]
        return " LIMIT ? OFFSET ?"

    def number(self, field: Field) -> str:
        """Spell the number that a field is; NULL where it is none."""
        # In SQLite a number is less than any text, and null is not.
        value = self.operand(field)
        return f"CASE WHEN {value} < '' THEN {value} END"

    def is_real(self, field: Field) -> str:
        """Spell whether a field is a number with a fraction, as 1 or 0."""
        return f"typeof({self.operand(field)}) = 'real'"

    def total(self, number: str) -> str:
        """Spell the sum of numbers: 0 where there is none."""
        # Not sum(): whole numbers beyond 64 bits make an error of it.
        return f"total({number})"

    def value(self, operand: str) -> str:
        """Spell the value of an operand, as it is shown."""
        return operand

    def grouping(self, operands: Sequence[str]) -> str:
        """Spell the groups of the first columns of a SELECT, in their order."""
        places = ", ".join(str(number) for number, _ in enumerate(operands, start=1))
        return f" GROUP BY {places} ORDER BY {places}"


def extract(path: str, content: str = "content") -> str:
    """Spell a field of content as the expression indexes do: otherwise none is used."""
    return f"json_extract({content}, '{_quoted(path)}')"


def aggregate(function: str, expression: str) -> str:
    """Spell an aggregate over numbers: SQLite takes the beginning of a text for one."""
    return f"{function}({expression}) FILTER (WHERE {expression} < '')"


def indexes(purpose: Purpose) -> dict[str, str]:
    """Return the statements that make the indexes of a table, by name."""
    statements = {}
    for paths in purpose.indexes:
        name = purpose.index_name(paths)
        terms = [path if path == "created_at" else extract(f"$.{path}") for path in paths]
        table = quoted(purpose.table)
        statements[name] = f"CREATE INDEX {quoted(name)} ON {table} ({', '.join(terms)})"
    return statements


def views(purpose: Purpose) -> dict[str, str]:
    """Return the statement that makes the view of a table, by name."""
    if not purpose.view:
        return {}
    view, table = quoted(purpose.view), quoted(purpose.table)
    return {purpose.view: f"CREATE VIEW {view} AS SELECT {view_columns(purpose)} FROM {table}"}


def view_columns(purpose: Purpose) -> str:
    """Return what the view of a table shows of each row."""
    fields = [
        f'{whole_text(purpose, path) or extract(f"$.{path}")} AS "{name}"'
        for path, name in purpose.column_names().items()
    ]
    return ", ".join(["id", "created_at", *fields])


def scalar(connection: sqlite3.Connection, sql: str, values: Sequence[Any] = ()) -> Any:
    """Return the first column of the first row of a statement."""
    return connection.execute(sql, values).fetchone()[0]


def has_odd_created_at(connection: sqlite3.Connection, table: str) -> bool:
    """Return whether some row's `created_at` is not spelled as ours, by its table's SQL name."""
    index = table.rpartition(".")[2].strip('"') + "_odd_created_at"
    sql = "SELECT EXISTS (SELECT 1 FROM {} WHERE " + ODD_CREATED_AT + ")"
    try:
        # Not named, SQLite would rather read the whole index on created_at.
        return bool(scalar(connection, sql.format(f"{table} INDEXED BY {index}")))
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_ERROR:
            raise
    # Another program's file has no such index.
    return bool(scalar(connection, sql.format(table)))


def is_indexed(definitions: Iterable[str]) -> bool:
    """Return whether one of the indexes is on a field of content: it takes no row of no JSON."""
    return any("json_extract(content," in sql for sql in definitions)


def has_malformed(connection: sqlite3.Connection, table: str) -> bool:
    """Return whether a row's content is no JSON, so that json_extract fails on it."""
    # Versions before 3.41 say that NULL is not valid, though json_extract takes it.
    condition = "content IS NOT NULL AND NOT json_valid(content)"
    sql = f"SELECT EXISTS (SELECT 1 FROM {quoted(table)} WHERE {condition})"
    return bool(scalar(connection, sql))


def content_without(name: str) -> str:
    """Spell `content` without one of its fields; what is no object stays as it is."""
    return (
        "CASE WHEN json_valid(content) AND json_type(content) = 'object'"
        f" THEN json_remove(content, '$.{name}') ELSE content END"
    )


def upsert(table: str, rows: int = 1) -> str:
    """Save rows under their ids; the time of a row's first save stays."""
    values = ", ".join(["(?, ?, ?, ?, ?)"] * rows)
    return (
        f"INSERT INTO {quoted(table)} ({COLUMNS}) VALUES {values} ON CONFLICT (id) DO UPDATE SET"
        " content = excluded.content, node_metadata = excluded.node_metadata,"
        " embedding = excluded.embedding"
    )


def replace(table: str, rows: int = 1) -> str:
    """Put rows in the place of those that have their ids, all columns of them."""
    return upsert(table, rows) + ", created_at = excluded.created_at"


def rows_of_ids(table: str) -> str:
    """Select the rows whose ids are in a JSON array."""
    return f"SELECT {COLUMNS} FROM {quoted(table)} WHERE id IN (SELECT value FROM json_each(?))"


def rows_of_sessions(table: str) -> str:
    """Select the rows of the sessions whose ids are in a JSON array."""
    sessions = f"{extract('$.session_id')} IN (SELECT value FROM json_each(?))"
    return f"SELECT {COLUMNS} FROM {quoted(table)} WHERE {sessions}"


def first_of_session(table: str) -> str:
    """Select the time of a session's first row that is none of a JSON array of ids."""
    return (
        f"SELECT created_at FROM {quoted(table)} WHERE {extract('$.session_id')} = ?"
        " AND id NOT IN (SELECT value FROM json_each(?)) ORDER BY created_at LIMIT 1"
    )


def insert_new(table: str, rows: int = 1) -> str:
    """Insert rows, unless their ids are there."""
    values = ", ".join(["(?, ?, ?, ?, ?)"] * rows)
    return f"INSERT INTO {quoted(table)} ({COLUMNS}) VALUES {values} ON CONFLICT (id) DO NOTHING"


def delete(table: str) -> str:
    """Delete the row of an id."""
    return f"DELETE FROM {quoted(table)} WHERE id = ?"


def union(tables: Mapping[str, str], *, odd: bool = False, guarded: bool = False) -> Source:
    """Join several tables to one source.

    Args:
        tables: Qualified names by purpose; none at all is a table without rows.
        odd: Whether some row's `created_at` is not spelled as ours.
        guarded: Whether some row's content can be no JSON, on which json_extract fails.
    """
    created_at = "utc_text(created_at)" if odd else "created_at"
    content = "CASE WHEN json_valid(content) THEN content END" if guarded else "content"
    if len(tables) == 1:
        return Source(next(iter(tables.values())), created_at, tables, content)
    each = " UNION ALL ".join(f"SELECT {COLUMNS} FROM {table}" for table in tables.values())
    return Source(f"({each})" if each else _EMPTY_TABLE, created_at, tables, content)


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


def _order(term: Field | Order, source: Source) -> str:
    if isinstance(term, Field):
        term = Order(term)
    if not isinstance(term, Order) or not isinstance(term.field, Field):
        raise InvalidQueryError(
            f"{term!r} is no order", hint="write field('name') or -field('name')"
        )
    return source.operand(term.field) + source.direction(descending=term.descending)


def _looked_up(field: Field, source: Source, last: str = _INNER) -> str:
    """Return what a field's path leads into: content, or what its lookups find in there.

    `last` is the column that is taken of the key looked up last.
    """
    value = source.content
    for number, lookup in enumerate(field.lookups, start=1):
        column = last if number == len(field.lookups) else _INNER
        keys = f"json_each({value}, '{_quoted(lookup.path)}')"
        value = f"(SELECT {column} FROM {keys} WHERE key = '{_quoted(lookup.key)}' LIMIT 1)"
    return value


def _condition(filter: Filter, source: Source, values: list[Any]) -> str:
    match filter:
        case All(filters=parts):
            return " AND ".join(f"({_condition(part, source, values)})" for part in parts) or "1"
        case AnyOf(filters=parts):
            return " OR ".join(f"({_condition(part, source, values)})" for part in parts) or "0"
        case Not(filter=part):
            return f"({_condition(part, source, values)}) IS NOT TRUE"
        case OneOf(field=field, values=choices):
            value_sql = source.operand(field)
            present = [_bound(field, value) for value in choices if value is not None]
            values += present
            membership = f"{value_sql} IN ({', '.join('?' * len(present))})"
            return f"{membership} OR {value_sql} IS NULL" if None in choices else membership
        case Contains(field=field, value=value):
            values.append(_bound(field, value))
            at = f"{_looked_up(field, source)}, '{_quoted(field.path)}'"
            array, is_array = f"json_each({at})", f"json_type({at}) = 'array'"
            return f"{is_array} AND EXISTS (SELECT 1 FROM {array} WHERE value IS ?)"
        case Like(field=field, pattern=pattern, escape=escape):
            values += [_bound(field, pattern)] if escape is None else [pattern, escape]
            return f"{source.operand(field)} LIKE ?" + ("" if escape is None else " ESCAPE ?")
        case HasText(text=text):
            pattern = _LIKE_MARKS.sub(r"\\\g<0>", text)
            values.append(f"%{pattern}%")
            texts = f"json_tree({source.content}) WHERE type = 'text'"
            return f"EXISTS (SELECT 1 FROM {texts} AND atom LIKE ? ESCAPE '\\')"
        case Compare(field=field, comparison=comparison, value=value):
            value_sql = source.operand(field)
            if value is None:
                return f"{value_sql} {'IS' if comparison == '==' else 'IS NOT'} NULL"
            bound = _bound(field, value)
            values.append(bound)
            # `IS ?` cannot use an index where `= ?` can, and both mean the same for a value.
            operator = {"==": "=", "!=": "IS NOT"}.get(comparison, comparison)
            is_other_kind = comparison in (("<", "<=") if isinstance(bound, str) else (">", ">="))
            if not field.column and is_other_kind:
                return f"{value_sql} {operator} ? AND {value_sql} {_KINDS[comparison]}"
            return f"{value_sql} {operator} ?"
    raise InvalidQueryError(f"{filter!r} is no filter")


def _quoted(path: str) -> str:
    return path.replace("'", "''")


def _bound(field: Field, value: Any) -> Any:
    if field.column == "created_at":
        instant = clock.from_column(value) if isinstance(value, str) else value
        if not isinstance(instant, datetime):
            raise InvalidQueryError(f"created_at is compared with a datetime, not {value!r}")
        return clock.to_text(instant)
    if isinstance(value, datetime):
        raise InvalidQueryError(f"{field!r} holds JSON, which has no datetime", hint="use its text")
    return int(value) if isinstance(value, bool) else value
