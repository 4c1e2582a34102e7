"""Records made of the rows of a SELECT by the names of its columns, in whatever order they are."""

import sqlite3
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from khive_persist.store.source import NO_COLUMN

Record = TypeVar("Record", bound=NamedTuple)
Row = Sequence[Any]


def rows_as(record: type[Record], cursor: sqlite3.Cursor) -> list[Record]:
    """Return the rows of a cursor as records.

    Raises:
        TypeError: The columns are not the record's fields.
    """
    return [*map(row_maker(record, cursor), cursor)]


def rows_by_key(key: str, record: type[Record], cursor: sqlite3.Cursor) -> list[tuple[Any, Record]]:
    """Return the rows of a cursor as pairs: the column of this name, and a record of the others.

    Raises:
        TypeError: The columns are not the key and the record's fields.
    """
    place, *others = _places(record, (key, *record._fields), _names(cursor))
    make = _maker(record, others)
    return [(row[place], make(row)) for row in cursor]


def row_maker(record: type[Record], cursor: sqlite3.Cursor) -> Callable[[Row], Record]:
    """Return a function that makes a record of a row of a cursor.

    Raises:
        TypeError: The columns are not the record's fields.
    """
    names = _names(cursor)
    if names == record._fields:
        return record._make
    return _maker(record, _places(record, record._fields, names))


def _maker(record: type[Record], places: Sequence[int]) -> Callable[[Row], Record]:
    if len(places) == 1:
        # An itemgetter of one gives the item, not a tuple of it.
        (place,) = places
        return lambda row: record._make((row[place],))
    pick = itemgetter(*places)
    return lambda row: record._make(pick(row))


def _names(cursor: sqlite3.Cursor) -> tuple[str, ...]:
    return tuple([column[0] for column in cursor.description])


@lru_cache
def _places(record: type[Any], fields: tuple[str, ...], names: tuple[str, ...]) -> Sequence[int]:
    if names == (NO_COLUMN,):
        # No row follows, of which these would be the places.
        return range(len(fields))
    if sorted(names) != sorted(fields):
        missing = [field for field in fields if field not in names]
        surplus = [name for name in names if name not in fields or names.count(name) > 1]
        raise TypeError(f"{record.__name__}: columns missing: {missing}, too many: {surplus}")
    return [names.index(field) for field in fields]
