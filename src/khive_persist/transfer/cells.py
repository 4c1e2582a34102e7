"""Cells of CSV and the values that they stand for, also where a spreadsheet has saved them."""

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

from khive_persist import clock
from khive_persist.errors import InvalidRecordError
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.transfer.columns import Column, Kind, typed
from khive_persist.transfer.formulas import neutralise, restore

Preference = Literal["columns", "content"]

_WORDS: Final = {"true": True, "false": False}
# A spreadsheet shows at least so many digits of a number, and saves what it shows.
_SHOWN_DIGITS: Final = 6


class UnquotedCell(str):
    """The text of a cell without quotes."""

    __slots__ = ()


def spelled(value: Any) -> str:
    """Format a value as a cell has it, before quotes."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return value if isinstance(value, str) else codec.dump_lossy(value)


def reconciled(
    row: StoredRow,
    columns: Sequence[Column],
    cells: Mapping[str, str],
    preference: Preference | None,
) -> StoredRow:
    """Return a row whose content says what the cells of its columns say.

    Where they differ, the preference tells which of the two counts.

    Raises:
        InvalidRecordError: They differ and nothing is preferred; or a column is no field's, or what
            stands in it cannot be the field's value.
    """
    if preference == "content":
        return row
    content = codec.column(row[1])
    fields = {column.name: column for column in columns}
    edited: list[tuple[Column, str]] = []
    for name, cell in cells.items():
        if (column := fields.get(name)) is None:
            if cell:
                raise InvalidRecordError(
                    f"no field takes the column {name!r}",
                    hint="--prefer content leaves the columns out",
                )
        elif not is_equivalent(cell, column.value(content)):
            edited.append((column, cell))
    if not edited:
        return row
    if preference is None:
        column, cell = edited[0]
        content_text = spelled(column.value(content)) or "nothing"
        raise InvalidRecordError(
            f"the column {column.name} says {cell[:40] or 'nothing'},"
            f" and content {content_text[:40]}",
            hint="--prefer columns, or --prefer content",
        )
    content = {} if content is None else content
    for column, cell in edited:
        put(content, column.path, value_of(cell, column, column.value(content)))
    return (row[0], codec.dump_spelled(content), *row[2:])


def differing(
    row: StoredRow, columns: Sequence[Column], values: Mapping[str, tuple[Kind, Any]]
) -> dict[str, str]:
    """Return the cells of those columns with types that say something else than a row's content."""
    content = codec.column(row[1])
    fields = {column.name: column for column in columns}
    cells = {}
    for name, (kind, value) in values.items():
        if isinstance(value, float) and math.isnan(value):
            # How other programs have nothing in a column of numbers.
            value = None
        column = fields.get(name)
        if typed(None if column is None else column.value(content), kind) != value:
            cells[name] = _cell_of(value)
    return cells


def is_equivalent(cell: str, value: Any) -> bool:
    """Return whether a cell says this value, in whatever spelling a spreadsheet gave it."""
    text = restore(cell)
    value_text = spelled(value)
    if text == value_text or _with_plain_ends(text) == _with_plain_ends(value_text):
        return True
    if isinstance(value, bool):
        return text.lower() == value_text
    if isinstance(value, int | float):
        return _is_rounded(text, value)
    return isinstance(value, list | dict) and codec.column(text) == value


def value_of(cell: str, column: Column, former: Any) -> Any:
    """Return the value that a cell gives a field; None for no value.

    Raises:
        InvalidRecordError: It cannot be one of the field's type, or of that of its former value.
    """
    text = restore(cell)
    if not text and (isinstance(cell, UnquotedCell) or column.kind != "string"):
        return None
    if column.kind in ("int64", "double", "bool") or isinstance(former, bool | int | float):
        value = number_or_word(text)
        is_word = column.kind == "bool" or isinstance(former, bool)
        fits = isinstance(value, bool) if is_word else isinstance(value, int | float)
        if not fits or (column.kind == "int64" and not isinstance(value, int)):
            raise InvalidRecordError(f"{column.name}: {text[:40]!r} is no {_name(column, former)}")
        return value
    if column.kind == "instant" and (clock.from_column(text) is None or _number(text) is not None):
        raise InvalidRecordError(f"{column.name}: {text[:40]!r} is no time")
    if column.kind == "date" and typed(text, "date") is None:
        raise InvalidRecordError(f"{column.name}: {text[:40]!r} is no date")
    if isinstance(former, list | dict):
        try:
            return codec.load(text)
        except ValueError as error:
            raise InvalidRecordError(f"{column.name} is no JSON ({error})") from error
    return text


def number_or_word(text: str) -> Any:
    """Return a number or a boolean as JSON or a spreadsheet spells it; else the text itself."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    number = _number(text)
    if number is None or not number.is_finite():
        return text
    is_whole = text.lstrip("+-").isdigit()
    return int(text) if is_whole else float(text)


def put(content: Any, path: Sequence[str], value: Any) -> None:
    """Set a field in content, or take it out where it has no value.

    Raises:
        InvalidRecordError: What is on the way to it is no object.
    """
    for key in path[:-1]:
        if isinstance(content, dict):
            content = content.setdefault(key, {})
    if not isinstance(content, dict):
        raise InvalidRecordError(f"content has no place for {'.'.join(path)}: it is no object")
    if value is None:
        content.pop(path[-1], None)
    else:
        content[path[-1]] = value


def _cell_of(value: Any) -> str:
    if isinstance(value, datetime):
        return clock.to_text(value)
    if isinstance(value, date):
        return value.isoformat()
    return neutralise(value) if isinstance(value, str) else UnquotedCell(spelled(value))


def _name(column: Column, former: Any) -> str:
    if column.kind == "bool" or isinstance(former, bool):
        return "true or false"
    return "whole number" if column.kind == "int64" else "number"


def _is_rounded(cell: str, value: float) -> bool:
    """Return whether a text is a number, or one to as many digits as a spreadsheet shows."""
    shown, number = _number(cell), _number(repr(value))
    if shown is None or number is None or not (shown.is_finite() and number.is_finite()):
        return False
    digits = len(shown.as_tuple().digits)
    is_close = digits >= _SHOWN_DIGITS and Decimal(f"{number:.{digits - 1}e}") == shown
    return shown == number or is_close


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text) if text == text.strip() and "_" not in text else None
    except InvalidOperation:
        return None


def _with_plain_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
