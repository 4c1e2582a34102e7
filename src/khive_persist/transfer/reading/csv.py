"""CSV as `writing/csv.py` writes it, as another program saved it again, or of another program."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Final

from khive_persist import clock
from khive_persist.errors import InvalidFileError, InvalidRecordError
from khive_persist.transfer.cells import Bare, number_or_word, put
from khive_persist.transfer.columns import ENVELOPE, Column, columns_of
from khive_persist.transfer.formulas import restore
from khive_persist.transfer.plain_documents import PlainRecords
from khive_persist.transfer.row_validation import Found

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


def read_csv(file: IO[str], name: str, plain: PlainRecords | None = None) -> Iterator[Found]:
    """The rows of a CSV file; a record that is none is found as one without a row.

    Args:
        file: Opened so that line ends stay as they are.
        name: What to call it in an error.
        plain: What its rows are where it was not exported.

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
    if twice := next((column for column in header if header.count(column) > 1), None):
        raise InvalidFileError(f"{name} has two columns {twice!r}")
    is_plain = plain is not None and (plain.is_told or not is_export)
    columns = columns_of(plain.record, plain.purpose) if plain is not None else []
    for where, text in records:
        cells = _cells(text)
        if cells is None:
            yield Found(where, text, reason="a quote is not closed, or stands inside a cell")
        elif len(cells) != len(header):
            yield Found(where, text, reason=f"{len(cells)} cells instead of {len(header)}")
        elif is_plain and plain is not None:
            yield _plain(where, text, dict(zip(header, cells, strict=True)), plain, columns)
        else:
            yield _found(where, text, dict(zip(header, cells, strict=True)))


def _found(where: str, text: str, cells: dict[str, str]) -> Found:
    created_at = cells.get("created_at", _NOTHING)
    if reason := _spoiled(cells["id"], created_at):
        return Found(where, text, reason=reason)
    row = (
        _text(cells["id"]) or "",
        _text(cells["content"]),
        _text(cells.get("node_metadata", _NOTHING)),
        _instant(created_at),
        _text(cells.get("embedding", _NOTHING)),
    )
    fields = {name: cell for name, cell in cells.items() if name not in ENVELOPE}
    purpose = _text(cells.get("purpose", _NOTHING))
    return Found(where, text, row, purpose=purpose, cells=fields)


def _spoiled(id: str, created_at: str) -> str:
    """Why an id or a time is not what it was, in a record that another program saved again."""
    # What we write has text in quotes, and there whatever a database holds is taken.
    is_text = isinstance(created_at, Bare) and not _NUMBER.match(created_at)
    if not isinstance(id, Bare) and not is_text:
        return ""
    if isinstance(id, Bare) and _ROUNDED.match(id):
        return f"the id {id} is a number that a spreadsheet has rounded"
    if not created_at:
        return ""
    is_days = bool(_NUMBER.match(created_at)) and float(created_at) <= _LAST_DAY
    if is_days or clock.from_column(created_at) is None:
        return f"created_at {created_at[:40]!r} is no time: a spreadsheet has changed it"
    return ""


def _plain(
    where: str, text: str, cells: Mapping[str, str], plain: PlainRecords, columns: Sequence[Column]
) -> Found:
    fields = {column.name: column for column in columns}
    document: dict[str, Any] = {}
    try:
        for name, cell in cells.items():
            column = fields.get(name) or Column(name, (name,), "string")
            put(document, column.path, _value(cell, column))
        row, purpose = plain.row(document)
    except InvalidRecordError as error:
        return Found(where, text, reason=str(error))
    return Found(where, text, row, purpose=purpose)


def _value(cell: str, column: Column) -> Any:
    is_number = column.kind in ("int64", "double", "bool")
    if not cell and (is_number or isinstance(cell, Bare)):
        return None
    value = number_or_word(cell)
    is_plain = isinstance(cell, Bare) and (isinstance(value, bool) or _PLAIN_NUMBER.match(cell))
    return value if is_number or is_plain else str(cell)


def _text(cell: str) -> str | None:
    return None if isinstance(cell, Bare) and not cell else restore(cell)


def _instant(cell: str) -> str | float | None:
    if isinstance(cell, Bare) and _NUMBER.match(cell):
        return float(cell) if set(cell) & set(".eE") else int(cell)
    return _text(cell)


_NOTHING: Final = Bare()


def _records(file: IO[str]) -> Iterator[tuple[str, str]]:
    """Each record with its line: it ends with the first line that leaves no quote open."""
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
                yield _where(start, number), text
            lines, start, size, quotes = [], 0, 0, 0
    if lines:
        yield _where(start, number), "".join(lines)


def _where(start: int, end: int) -> str:
    return f"line {start}" if start == end else f"lines {start} to {end}"


def _cells(record: str) -> list[str | Bare] | None:
    """The cells of a record, text in quotes or bare text; None where it is no record."""
    cells: list[str | Bare] = []
    at = 0
    while found := _CELL.match(record, at):
        quoted, bare, end = found.groups()
        cells.append(Bare(bare) if quoted is None else quoted.replace('""', '"'))
        at = found.end()
        if end != ",":
            return cells if at == len(record) else None
    return None
