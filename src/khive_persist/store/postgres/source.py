"""`PostgresSource`: how PostgreSQL spells what is asked of records."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Final, Literal

from khive_persist import clock
from khive_persist.errors import InvalidQueryError
from khive_persist.models.purposes import Purpose
from khive_persist.models.query import (
    Compare,
    Contains,
    Field,
    Filter,
    HasText,
    Like,
    OneOf,
    field,
)
from khive_persist.store.postgres.keys import key_of
from khive_persist.store.source import Source, value_in

COLUMNS: Final = (
    "id, content_text AS content, node_metadata::text AS node_metadata,"
    " coalesce(created_at_text, to_char(created_at AT TIME ZONE 'UTC',"
    " 'YYYY-MM-DD HH24:MI:SS.US')) AS created_at, embedding::text AS embedding"
)
_STORED: Final = (
    "id, content_text, content, node_metadata, created_at, created_at_text, embedding, seq,"
    " written_by"
)
_EMPTY: Final = (
    "(SELECT NULL::text AS id, NULL::text AS content_text, NULL::jsonb AS content, NULL::json AS"
    " node_metadata, NULL::timestamptz AS created_at, NULL::text AS created_at_text, NULL::json AS"
    " embedding, 0::bigint AS seq, NULL::xid8 AS written_by LIMIT 0) AS nothing"
)
_STEP: Final = re.compile(r'\.(?:"([^"]*)"|([A-Za-z_][A-Za-z0-9_]*))|\[(#-)?([0-9]+)\]')
_LIKE_MARKS: Final = re.compile(r"[\\%_]")
# Text is larger than any number, as it is in SQLite.
_KINDS: Final = {"<": ">= '2'", "<=": ">= '2'", ">": "< '2'", ">=": "< '2'"}


@dataclass(frozen=True, slots=True)
class PostgresSource(Source):
    """The tables of one database of PostgreSQL."""

    true: ClassVar[str] = "true"
    false: ClassVar[str] = "false"

    def only(self, purpose: str) -> "PostgresSource":
        """Return the source of one purpose's rows."""
        return replace(self, sql=self.tables.get(purpose, _EMPTY))

    def extract(self, path: str) -> str:
        """Spell a field of content by its path, as the indexes do."""
        return key_sql(steps(path))

    def operand(self, field: Field) -> str:
        """Spell the value of a field of a row, as it is compared and sorted."""
        return field.column or key_sql(_steps_of(field))

    def predicate(self, filter: Filter, values: list[Any]) -> str:
        """Spell a filter that is not made of others; its values are added to these."""
        match filter:
            case OneOf(field=field, values=choices):
                operand = self.operand(field)
                present = [_bound(field, value) for value in choices if value is not None]
                values.append(present)
                membership = f"{operand} = ANY(?::{_type(field)}[])"
                return f"{membership} OR {operand} IS NULL" if None in choices else membership
            case Contains(field=field, value=value):
                values.append(None if value is None else _bound(field, value))
                array = f"content #> {_array(_steps_of(field))}"
                items = f"CASE WHEN jsonb_typeof({array}) = 'array' THEN {array} ELSE '[]' END"
                return (
                    f"EXISTS (SELECT 1 FROM jsonb_array_elements({items}) AS item"
                    " WHERE khive.key(item) IS NOT DISTINCT FROM ?)"
                )
            case Like(field=field, pattern=pattern, escape=escape):
                values += [pattern, escape or ""]
                return f'lower({_text(field)}) LIKE lower(?::text COLLATE "C") ESCAPE ?::text'
            case HasText(text=text):
                pattern = _LIKE_MARKS.sub(r"\\\g<0>", text)
                values.append(f"%{pattern}%")
                strings = "jsonb_path_query(content, 'strict $.** ? (@.type() == \"string\")')"
                return (
                    f"EXISTS (SELECT 1 FROM {strings} AS item WHERE lower((item #>> '{{}}')"
                    ' COLLATE "C") LIKE lower(?::text COLLATE "C"))'
                )
            case Compare(field=field, comparison=comparison, value=value):
                operand = self.operand(field)
                if value is None:
                    return f"{operand} {'IS' if comparison == '==' else 'IS NOT'} NULL"
                values.append(_bound(field, value))
                operator = {"==": "=", "!=": "IS DISTINCT FROM"}.get(comparison, comparison)
                compared = f"{operand} {operator} ?::{_type(field)}"
                is_text = isinstance(value, str)
                is_other_kind = comparison in (("<", "<=") if is_text else (">", ">="))
                if not field.column and is_other_kind:
                    return f"{compared} AND {operand} {_KINDS[comparison]}"
                return compared
        raise InvalidQueryError(f"{filter!r} is no filter")

    def direction(self, *, descending: bool) -> str:
        """Spell the direction of an order: missing, numbers, text, or the reverse."""
        return " DESC NULLS LAST" if descending else " ASC NULLS FIRST"

    def window(self, limit: int | None, offset: int, values: list[Any]) -> str:
        """Spell a limit and an offset; their values are added to these."""
        values += [limit, offset]
        return " LIMIT ?::bigint OFFSET ?::bigint"

    def number(self, field: Field) -> str:
        """Spell the number that a field is; NULL where it is none."""
        return f"khive.number(content #> {_array(_steps_of(field))})"

    def is_real(self, field: Field) -> str:
        """Spell whether a field is a number with a fraction, as 1 or 0."""
        value = f"content #> {_array(_steps_of(field))}"
        return (
            f"CASE WHEN jsonb_typeof({value}) = 'number' AND scale(({value})::numeric) > 0"
            " THEN 1 ELSE 0 END"
        )

    def total(self, number: str) -> str:
        """Spell the sum of numbers: 0 where there is none."""
        return f"coalesce(sum({number}), 0)"

    def shown(self, field: Field) -> str:
        """Spell the value of a field of a row, as it is shown."""
        return field.column or f"khive.value({_shown_key(field)})"

    def extreme(self, function: Literal["min", "max"], field: Field) -> str:
        """Spell the least or greatest value of a field, as it is shown."""
        if field.column:
            return f"{function}({field.column})"
        return f"khive.value({function}({_shown_key(field)}))"

    def group(self, field: Field) -> str:
        """Spell the value that the rows of a group have in a field, as it is shown."""
        # Of numbers that are equal, and of which one is a float, this is the float.
        return field.column or self.extreme("max", field)

    def grouping(self, fields: Sequence[Field]) -> str:
        """Spell the groups by fields, which are the first columns of a SELECT, in their order."""
        operands = [self.operand(field) for field in fields]
        order = ", ".join(f"{operand} ASC NULLS FIRST" for operand in operands)
        return f" GROUP BY {', '.join(operands)} ORDER BY {order}"


def source_of(tables: Mapping[str, str]) -> PostgresSource:
    """Return the source of some tables, by the names of their purposes."""
    names = list(dict.fromkeys(tables.values()))
    columns = (
        "id, content_text, content, node_metadata, created_at, created_at_text, embedding, seq"
    )
    each = " UNION ALL ".join(f"SELECT {columns} FROM {name}" for name in names)
    sql = names[0] if len(names) == 1 else f"({each}) AS records" if each else _EMPTY
    return PostgresSource(sql, "created_at", tables, "content", COLUMNS, "seq")


def indexes(purpose: Purpose, table: str) -> list[str]:
    """Return the statements that make the indexes of a table, which serve `field(…)`."""
    statements = []
    for paths in purpose.indexes:
        terms = [
            f"{path} NULLS FIRST" if path == "created_at"
            else f"({key_sql(_steps_of(field(path)))}) NULLS FIRST"
            for path in paths
        ]  # fmt: skip
        name = quoted(purpose.index_name(paths))
        statements.append(f"CREATE INDEX IF NOT EXISTS {name} ON {table} ({', '.join(terms)})")
    return statements


def quoted(name: str) -> str:
    """Return a name as SQL spells it."""
    return '"' + name.replace('"', '""') + '"'


def key_sql(path: Sequence[str]) -> str:
    """Spell the key of a value of content, in the bytes' order."""
    return f'khive.key(content #> {_array(path)}) COLLATE "C"'


def steps(path: str) -> list[str]:
    """Return the steps of a JSON path of ours, `$.a."b c"[0][#-1]`, as PostgreSQL takes them."""
    return [
        word if word is not None else name or f"{'-' if mark else ''}{number}"
        for word, name, mark, number in (
            (step[1], step[2], step[3], step[4]) for step in _STEP.finditer(path, 1)
        )
    ]


def _shown_key(field: Field) -> str:
    return f'khive.shown_key(content #> {_array(_steps_of(field))}) COLLATE "C"'


def _steps_of(field: Field) -> list[str]:
    path: list[str] = []
    for lookup in field.lookups:
        path += [*steps(lookup.path), lookup.key]
    return path + steps(field.path)


def _array(path: Sequence[str]) -> str:
    texts = ", ".join("'" + step.replace("'", "''") + "'" for step in path)
    return f"ARRAY[{texts}]::text[]"


def _text(field: Field) -> str:
    if field.column:
        return f'{field.column}::text COLLATE "C"'
    value = f"content #> {_array(_steps_of(field))}"
    return (
        f"(CASE jsonb_typeof({value}) WHEN 'boolean' THEN CASE {value} WHEN 'true' THEN '1' ELSE"
        f" '0' END ELSE {value} #>> '{{}}' END) COLLATE \"C\""
    )


def _type(field: Field) -> str:
    return "timestamptz" if field.column == "created_at" else "text"


def _bound(field: Field, value: Any) -> Any:
    value = value_in(field, value)
    if isinstance(value, datetime):
        return clock.as_utc(value)
    return str(value) if field.column else key_of(value)
