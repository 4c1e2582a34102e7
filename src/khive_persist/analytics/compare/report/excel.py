"""Tables as one Excel workbook, a sheet a table, in flat memory."""

import tempfile
from collections.abc import Sequence
from contextlib import aclosing
from typing import IO, Any, Final

from khive_persist import clock
from khive_persist.analytics.compare.report.figures import Cell
from khive_persist.analytics.compare.report.tables import Column, Table
from khive_persist.errors import extra
from khive_persist.transfer.writing.excel import SHEET_ROWS, cell_text

_WIDTH: Final = 18
_WIDE: Final = 60
_LONG: Final = ("definition", "left_out", "text")


async def write_excel(file: IO[bytes], tables: Sequence[Table]) -> None:
    """Write a workbook: typed cells, a frozen header; a full sheet goes on in another.

    Raises:
        MissingExtraError: xlsxwriter is not here.
    """
    with extra("export", "Excel"):
        import xlsxwriter
    with tempfile.TemporaryDirectory() as folder:
        options = {"constant_memory": True, "tmpdir": folder, "use_zip64": True}
        book = xlsxwriter.Workbook(file, options)
        try:
            for table in tables:
                await _Sheets(book, table).write()
        finally:
            book.close()


class _Sheets:
    """The sheets of one table."""

    def __init__(self, book: Any, table: Table) -> None:
        self._book = book
        self._table = table
        self._bold = book.add_format({"bold": True})
        self._time = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"})
        self._number = 0

    async def write(self) -> None:
        sheet, at = self._begin(), 1
        columns = self._table.columns
        async with aclosing(self._table.rows()) as rows:
            async for row in rows:
                if at == SHEET_ROWS:
                    sheet, at = self._begin(), 1
                for position, (value, column) in enumerate(zip(row, columns, strict=True)):
                    self._write_cell(sheet, at, position, value, column)
                at += 1

    def _begin(self) -> Any:
        self._number += 1
        suffix = f" {self._number}" if self._number > 1 else ""
        sheet = self._book.add_worksheet(self._table.name + suffix)
        sheet.freeze_panes(1, 0)
        for position, column in enumerate(self._table.columns):
            wide = _WIDE if column.name in _LONG else _WIDTH
            sheet.set_column(position, position, wide)
            sheet.write_string(0, position, column.name, self._bold)
        return sheet

    def _write_cell(self, sheet: Any, at: int, position: int, value: Cell, column: Column) -> None:
        if value is None:
            return
        if isinstance(value, int | float):
            sheet.write_number(at, position, value)
            return
        instant = clock.from_column(value) if column.kind == "time" else None
        if instant is not None and instant.year >= 1900:
            sheet.write_datetime(at, position, instant.replace(tzinfo=None), self._time)
        else:
            sheet.write_string(at, position, cell_text(value))
