"""CSV as `writing/csv.py` writes it, or as another program saved it again."""

import re
from collections.abc import Iterator
from typing import IO, Final

from khive_persist.errors import InvalidFileError
from khive_persist.exchange.columns import ENVELOPE
from khive_persist.exchange.formulas import restore
from khive_persist.exchange.rows import Found

MAX_RECORD_CHARACTERS: Final = 64 << 20
_CELL: Final = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n?\Z)')
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?\Z")


def read_csv(file: IO[str], name: str) -> Iterator[Found]:
    """The rows of a CSV file; a record that is none is found as one without a row.

    Args:
        file: Opened so that line ends stay as they are.
        name: What to call it in an error.

    Raises:
        InvalidFileError: It has no header with `id` and `content`.
    """
    records = _records(file)
    _, first = next(records, ("", ""))
    header = _cells(first) or []
    if not {"id", "content"} <= set(header):
        raise InvalidFileError(f"{name}: unknown content, neither JSON nor a CSV export")
    places = {column: header.index(column) for column in ENVELOPE if column in header}
    for where, text in records:
        cells = _cells(text)
        if cells is None:
            yield Found(where, text, reason="a quote is not closed, or stands inside a cell")
        elif len(cells) != len(header):
            yield Found(where, text, reason=f"{len(cells)} cells instead of {len(header)}")
        else:
            yield _found(where, text, {column: cells[at] for column, at in places.items()})


class _Bare(str):
    """The text of a cell without quotes."""

    __slots__ = ()


def _found(where: str, text: str, cells: dict[str, str]) -> Found:
    row = (
        _text(cells["id"]) or "",
        _text(cells["content"]),
        _text(cells.get("node_metadata", _NOTHING)),
        _instant(cells.get("created_at", _NOTHING)),
        _text(cells.get("embedding", _NOTHING)),
    )
    return Found(where, text, row, purpose=_text(cells.get("purpose", _NOTHING)))


def _text(cell: str) -> str | None:
    return None if isinstance(cell, _Bare) and not cell else restore(cell)


def _instant(cell: str) -> str | float | None:
    if isinstance(cell, _Bare) and _NUMBER.match(cell):
        return float(cell) if set(cell) & set(".eE") else int(cell)
    return _text(cell)


_NOTHING: Final = _Bare()


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


def _cells(record: str) -> list[str | _Bare] | None:
    """The cells of a record, text in quotes or bare text; None where it is no record."""
    cells: list[str | _Bare] = []
    at = 0
    while found := _CELL.match(record, at):
        quoted, bare, end = found.groups()
        cells.append(_Bare(bare) if quoted is None else quoted.replace('""', '"'))
        at = found.end()
        if end != ",":
            return cells if at == len(record) else None
    return None
