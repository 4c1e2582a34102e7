"""Tables as one Excel workbook, a sheet a table, in flat memory."""

import sys
import tempfile
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import IO, Any, Final

from khive_persist import clock
from khive_persist.analytics.compare.report.elements import Cell
from khive_persist.analytics.compare.report.tables import Column, Table
from khive_persist.transfer.writing.excel import Workbook, dated

_WIDTH: Final = 18
_WIDE: Final = 60
_LONG: Final = ("definition", "left_out", "text")


async def write_excel(file: IO[bytes], tables: Sequence[Table]) -> None:
    """Write a `Workbook`.

    Raises:
        MissingExtraError: xlsxwriter is not here.
    """
    with tempfile.TemporaryDirectory() as folder:
        book = Workbook(file, Path(folder), largest=sys.float_info.max)
        try:
            for table in tables:
                names = [column.name for column in table.columns]
                book.begin(table.name, [(n, _WIDE if n in _LONG else _WIDTH) for n in names])
                async with aclosing(table.rows()) as rows:
                    async for row in rows:
                        cells = zip(row, table.columns, strict=True)
                        book.add([_cell(value, column) for value, column in cells])
        finally:
            book.end()


def _cell(value: Cell, column: Column) -> Any:
    return dated(clock.from_column(value), value) if column.kind == "time" else value
