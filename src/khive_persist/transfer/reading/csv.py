"""CSV as `writing/csv.py` writes it, as another program saved it again, or of another program."""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import IO, Any, Final

from khive_persist import clock
from khive_persist.errors import InvalidFileError
from khive_persist.models.purposes import Purpose
from khive_persist.store.codec import StoredRow
from khive_persist.transfer.cells import UnquotedCell, number_or_word, put
from khive_persist.transfer.columns import ENVELOPE, Column, columns_of
from khive_persist.transfer.formulas import restore
from khive_persist.transfer.plain_documents import PlainRecords
from khive_persist.transfer.row_validation import SourceEntry, entry_of

MAX_RECORD_CHARACTERS: Final = 64 << 20
_CELL: Final = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n?\Z)')
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?\Z")
# A number that is none of an id: 007 is one, and so is 12e4.
_PLAIN_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]\d+)?\Z")
# As a spreadsheet saves a long number, its last digits lost.
_ROUNDED: Final = re.compile(r"-?\d(?:\.\d+)?E[+-]?\d+\Z")
# Days since 1900 as a spreadsheet counts them, up to the year 9999. Seconds since 1970 of that few
# are in its first month.
_LAST_DAY: Final = 2_958_465


def read_csv(file: IO[str], name: str, plain: PlainRecords | None = None) -> Iterator[SourceEntry]:
    """Yield the rows of a CSV file; a record that is none is found as one without a row.

    Args:
        file: Opened so that line ends stay as they are.
        name: The name of the file in errors.
        plain: The mapping of its rows where it was not exported.

    Raises:
        InvalidFileError: It has no header with `id` and `content` though it has to, or one with a
            name twice.
    """
    records = _records(file)
    _, first = next(records, ("", ""))
    header = [str(cell) for cell in _cells(first) or ()]
    is_export = {"id", "content"} <= set(header)
    if plain is None and not is_export:
        raise InvalidFileError(
            f"{name}: unknown content, neither JSON nor a CSV export",
            hint="--purpose says what the rows of another CSV are",
        )
    if duplicate := next((column for column in header if header.count(column) > 1), None):
        raise InvalidFileError(f"{name} has two columns {duplicate!r}")
    is_plain = plain is not None and (plain.has_named_fields or not is_export)
    columns = columns_of(plain.record, plain.purpose) if plain is not None else []
    fields = {column.name: column for column in columns}
    for location, text in records:
        cells = _cells(text)
        if cells is None:
            reason = "a quote is not closed, or stands inside a cell"
            yield SourceEntry(location, text, reason=reason)
            continue
        if len(cells) != len(header):
            yield SourceEntry(location, text, reason=f"{len(cells)} cells instead of {len(header)}")
            continue
        named_cells = dict(zip(header, cells, strict=True))
        if is_plain and plain is not None:
            yield entry_of(location, text, partial(_plain_row, named_cells, plain, fields))
        else:
            yield _entry(location, text, named_cells)


def _entry(location: str, text: str, cells: dict[str, str]) -> SourceEntry:
    created_at = cells.get("created_at", _NOTHING)
    if reason := _spoiled(cells["id"], created_at):
        return SourceEntry(location, text, reason=reason)
    row = (
        _text(cells["id"]) or "",
        _text(cells["content"]),
        _text(cells.get("node_metadata", _NOTHING)),
        _instant(created_at),
        _text(cells.get("embedding", _NOTHING)),
    )
    fields = {name: cell for name, cell in cells.items() if name not in ENVELOPE}
    purpose = _text(cells.get("purpose", _NOTHING))
    return SourceEntry(location, text, row, purpose=purpose, cells=fields)


def _spoiled(id: str, created_at: str) -> str:
    """Return why an id or a time was spoiled by another program; an empty string if it was not."""
    # What we write has text in quotes, and there whatever a database holds is taken.
    is_text = isinstance(created_at, UnquotedCell) and not _NUMBER.match(created_at)
    if not isinstance(id, UnquotedCell) and not is_text:
        return ""
    if isinstance(id, UnquotedCell) and _ROUNDED.match(id):
        return f"the id {id} is a number that a spreadsheet has rounded"
    if not created_at:
        return ""
    is_days = bool(_NUMBER.match(created_at)) and float(created_at) <= _LAST_DAY
    if is_days or clock.from_column(created_at) is None:
        return f"created_at {created_at[:40]!r} is no time: a spreadsheet has changed it"
    return ""


def _plain_row(
    cells: Mapping[str, str], plain: PlainRecords, fields: Mapping[str, Column]
) -> tuple[StoredRow, Purpose]:
    document: dict[str, Any] = {}
    for name, cell in cells.items():
        column = fields.get(name) or Column(name, (name,), "string")
        put(document, column.path, _value(cell, column))
    return plain.row(document)


def _value(cell: str, column: Column) -> Any:
    is_number = column.kind in ("int64", "double", "bool")
    if not cell and (is_number or isinstance(cell, UnquotedCell)):
        return None
    value = number_or_word(cell)
    is_plain = isinstance(cell, UnquotedCell) and (
        isinstance(value, bool) or _PLAIN_NUMBER.match(cell)
    )
    return value if is_number or is_plain else str(cell)


def _text(cell: str) -> str | None:
    return None if isinstance(cell, UnquotedCell) and not cell else restore(cell)


def _instant(cell: str) -> str | float | None:
    if isinstance(cell, UnquotedCell) and _NUMBER.match(cell):
        return float(cell) if set(cell) & set(".eE") else int(cell)
    return _text(cell)


_NOTHING: Final = UnquotedCell()


def _records(file: IO[str]) -> Iterator[tuple[str, str]]:
    """Yield each record with its line: it ends with the first line that leaves no quote open."""
    number = 0
    lines: list[str] = []
    start = size = quotes = 0
    while line := file.readline(MAX_RECORD_CHARACTERS):
        number += 1
        start = start or number
        lines.append(line)
        size += len(line)
        quotes += line.count('"')
        if quotes % 2 == 0 or size >= MAX_RECORD_CHARACTERS:
            text = "".join(lines)
            if text.strip():
                yield _location(start, number), text
            lines, start, size, quotes = [], 0, 0, 0
    if lines:
        yield _location(start, number), "".join(lines)


def _location(start: int, end: int) -> str:
    return f"line {start}" if start == end else f"lines {start} to {end}"


def _cells(record: str) -> list[str | UnquotedCell] | None:
    """Return the cells of a record, text in quotes or bare text; None where it is no record."""
    cells: list[str | UnquotedCell] = []
    position = 0
    while match := _CELL.match(record, position):
        quoted, unquoted, end = match.groups()
        cells.append(UnquotedCell(unquoted) if quoted is None else quoted.replace('""', '"'))
        position = match.end()
        if end != ",":
            return cells if position == len(record) else None
    return None
