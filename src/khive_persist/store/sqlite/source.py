"""`SqliteSource`: how SQLite spells what is asked of records."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Final, Literal

from khive_persist import clock
from khive_persist.errors import InvalidQueryError
from khive_persist.models.query import (
    Compare,
    Contains,
    Field,
    Filter,
    HasText,
    Like,
    OneOf,
)
from khive_persist.store.source import COLUMNS, Source, value_in

_NULLS: Final = ", ".join(f"NULL AS {name}" for name in ("rowid", *COLUMNS.split(", ")))
_EMPTY_TABLE: Final = f"(SELECT {_NULLS} LIMIT 0)"

# To SQLite any text is larger than any number: this leaves out what is of the other kind. The empty
# text is the smallest, so both ends can be of one range of an index.
_KINDS: Final = {"<": ">= ''", "<=": ">= ''", ">": "< ''", ">=": "< ''"}

# Text that is no JSON would be an error to a function that looks into it.
_INNER: Final = "CASE WHEN type IN ('object', 'array') THEN value END"

_LIKE_MARKS: Final = re.compile(r"[\\%_]")


@dataclass(frozen=True, slots=True)
class SqliteSource(Source):
    """The tables of one or several files; `created_at` is text that sorts by time."""

    # No words for them before SQLite 3.23.
    true: ClassVar[str] = "1"
    false: ClassVar[str] = "0"

    def only(self, purpose: str) -> "SqliteSource":
        """Return the source of one purpose's rows: of no row where no file of it is read."""
        return replace(self, sql=self.tables.get(purpose, _EMPTY_TABLE))

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

    def predicate(self, filter: Filter, values: list[Any]) -> str:
        """Spell a filter that is not made of others; its values are added to these."""
        match filter:
            case OneOf(field=field, values=choices):
                value_sql = self.operand(field)
                present = [_bound(field, value) for value in choices if value is not None]
                values += present
                membership = f"{value_sql} IN ({', '.join('?' * len(present))})"
                return f"{membership} OR {value_sql} IS NULL" if None in choices else membership
            case Contains(field=field, value=value):
                values.append(_bound(field, value))
                at = f"{_looked_up(field, self)}, '{_quoted(field.path)}'"
                array, is_array = f"json_each({at})", f"json_type({at}) = 'array'"
                return f"{is_array} AND EXISTS (SELECT 1 FROM {array} WHERE value IS ?)"
            case Like(field=field, pattern=pattern, escape=escape):
                values += [_bound(field, pattern)] if escape is None else [pattern, escape]
                return f"{self.operand(field)} LIKE ?" + ("" if escape is None else " ESCAPE ?")
            case HasText(text=text):
                pattern = _LIKE_MARKS.sub(r"\\\g<0>", text)
                values.append(f"%{pattern}%")
                texts = f"json_tree({self.content}) WHERE type = 'text'"
                return f"EXISTS (SELECT 1 FROM {texts} AND atom LIKE ? ESCAPE '\\')"
            case Compare(field=field, comparison=comparison, value=value):
                value_sql = self.operand(field)
                if value is None:
                    return f"{value_sql} {'IS' if comparison == '==' else 'IS NOT'} NULL"
                bound = _bound(field, value)
                values.append(bound)
                # `IS ?` cannot use an index where `= ?` can, and both mean the same for a value.
                operator = {"==": "=", "!=": "IS NOT"}.get(comparison, comparison)
                is_text = isinstance(bound, str)
                is_other_kind = comparison in (("<", "<=") if is_text else (">", ">="))
                if not field.column and is_other_kind:
                    return f"{value_sql} {operator} ? AND {value_sql} {_KINDS[comparison]}"
                return f"{value_sql} {operator} ?"
        raise InvalidQueryError(f"{filter!r} is no filter")

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

    def shown(self, field: Field) -> str:
        """Spell the value of a field of a row, as it is shown."""
        return self.operand(field)

    def extreme(self, function: Literal["min", "max"], field: Field) -> str:
        """Spell the least or greatest value of a field, as it is shown."""
        return f"{function}({self.operand(field)})"

    def group(self, field: Field) -> str:
        """Spell the value that the rows of a group have in a field, as it is shown."""
        return self.operand(field)

    def grouping(self, fields: Sequence[Field]) -> str:
        """Spell the groups by fields, which are the first columns of a SELECT, in their order."""
        places = ", ".join(str(number) for number, _ in enumerate(fields, start=1))
        return f" GROUP BY {places} ORDER BY {places}"


def extract(path: str, content: str = "content") -> str:
    """Spell a field of content as the expression indexes do: otherwise none is used."""
    return f"json_extract({content}, '{_quoted(path)}')"


def union(tables: Mapping[str, str], *, odd: bool = False, guarded: bool = False) -> SqliteSource:
    """Join several tables to one source.

    Args:
        tables: Qualified names by purpose; none at all is a table without rows.
        odd: Whether some row's `created_at` is not spelled as ours.
        guarded: Whether some row's content can be no JSON, on which json_extract fails.
    """
    created_at = "utc_text(created_at)" if odd else "created_at"
    content = "CASE WHEN json_valid(content) THEN content END" if guarded else "content"
    if len(tables) == 1:
        return SqliteSource(next(iter(tables.values())), created_at, tables, content)
    each = " UNION ALL ".join(f"SELECT {COLUMNS} FROM {table}" for table in tables.values())
    return SqliteSource(f"({each})" if each else _EMPTY_TABLE, created_at, tables, content)


def _looked_up(field: Field, source: SqliteSource, last: str = _INNER) -> str:
    """Return what a field's path leads into: content, or what its lookups find in there.

    `last` is the column that is taken of the key looked up last.
    """
    value = source.content
    for number, lookup in enumerate(field.lookups, start=1):
        column = last if number == len(field.lookups) else _INNER
        keys = f"json_each({value}, '{_quoted(lookup.path)}')"
        value = f"(SELECT {column} FROM {keys} WHERE key = '{_quoted(lookup.key)}' LIMIT 1)"
    return value


def _quoted(path: str) -> str:
    return path.replace("'", "''")


def _bound(field: Field, value: Any) -> Any:
    value = value_in(field, value)
    if isinstance(value, datetime):
        return clock.to_text(value)
    return int(value) if isinstance(value, bool) else value
