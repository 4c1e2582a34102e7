"""Rows as an Excel workbook, a sheet a purpose, in memory that does not grow with them.

https://support.microsoft.com/office/1672b34d-7043-467e-8e27-269d656771c3 has Excel's limits.
"""

from collections.abc import Sequence
from datetime import date, datetime
from itertools import count
from pathlib import Path
from typing import IO, Any, Final

from khive_persist import clock
from khive_persist.errors import extra
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.transfer.columns import ENVELOPE, Column, typed
from khive_persist.transfer.formulas import neutralise
from khive_persist.transfer.writing import RowWriter, Table

SHEET_ROWS: Final = 1_048_576
CELL_CHARACTERS: Final = 32_767
_SHEET_NAME_CHARACTERS: Final = 31
# Excel keeps it for itself, and repairs a workbook that has such a sheet.
_RESERVED: Final = "history"
_FIRST_YEAR: Final = 1900
# Beyond it a number of Excel's, which is a double, would be another one.
_EXACT: Final = 2**53
_WIDTHS: Final = {"id": 38, "created_at": 24, "content": 60}
_DEFAULT_WIDTH: Final = 16


class Workbook:
    """Tables of typed cells under a frozen header; where a sheet is full, it goes on in another."""

    def __init__(
        self,
        file: IO[bytes],
        folder: Path,
        *,
        sheet_rows: int = SHEET_ROWS,
        largest: float = _EXACT,
    ) -> None:
        """Begin a workbook.

        Args:
            file: The file to write to.
            folder: The folder of the sheets while they are written; its maker removes it.
            sheet_rows: The number of rows of a sheet, its header included.
            largest: The largest number that is written as one, and not as text.

        Raises:
            MissingExtraError: xlsxwriter is not here.
        """
        with extra("export", "Excel"):
            import xlsxwriter
        self._book = xlsxwriter.Workbook(
            file, {"constant_memory": True, "tmpdir": str(folder), "use_zip64": True}
        )
        self._bold = self._book.add_format({"bold": True})
        self._time = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"})
        self._date = self._book.add_format({"num_format": "yyyy-mm-dd"})
        self._sheet_rows, self._largest = sheet_rows, largest
        self._sheet_names = {_RESERVED}
        self._sheet: Any = None
        self._name = ""
        self._columns: Sequence[tuple[str, int]] = ()
        self._number = self._row = 0

    def begin(self, name: str, columns: Sequence[tuple[str, int]]) -> None:
        """Begin the next table: its name, and its columns with their widths."""
        self._name, self._columns, self._number = name, columns, 0
        self._begin_sheet()

    def add(self, cells: Sequence[Any]) -> None:
        """Add a row to the table that was begun last."""
        if self._row == self._sheet_rows:
            self._begin_sheet()
        for column_index, value in enumerate(cells):
            self._write_cell(column_index, value)
        self._row += 1

    def end(self) -> None:
        """Finish the file."""
        from xlsxwriter.exceptions import FileCreateError

        try:
            self._book.close()
        except FileCreateError as error:
            raise OSError(*error.args[0].args) from error

    def abandon(self) -> None:
        """Release all resources; the file is of no use."""
        # There is no other way to have it close the files of its sheets, which are removed after.
        for sheet in self._book.worksheets():
            sheet.row_data_fh.close()

    def _begin_sheet(self) -> None:
        self._number += 1
        suffix = f" {self._number}" if self._number > 1 else ""
        name = self._free_name(suffix)
        self._sheet = self._book.add_worksheet(name)
        self._sheet_names.add(name.lower())
        self._sheet.freeze_panes(1, 0)
        for column_index, (title, width) in enumerate(self._columns):
            self._sheet.set_column(column_index, column_index, width)
            self._sheet.write_string(0, column_index, title, self._bold)
        self._row = 1

    def _free_name(self, suffix: str) -> str:
        for number in count(1):
            end = (f"~{number}" if number > 1 else "") + suffix
            name = self._name[: _SHEET_NAME_CHARACTERS - len(end)] + end
            if name.lower() not in self._sheet_names:
                return name
        raise AssertionError

    def _write_cell(self, column_index: int, value: Any) -> None:
        if value is None:
            return
        if isinstance(value, bool):
            self._sheet.write_boolean(self._row, column_index, value)
        elif isinstance(value, int | float) and abs(value) <= self._largest:
            self._sheet.write_number(self._row, column_index, value)
        elif isinstance(value, datetime):
            self._sheet.write_datetime(self._row, column_index, value, self._time)
        elif isinstance(value, date):
            self._sheet.write_datetime(self._row, column_index, value, self._date)
        else:
            self._sheet.write_string(self._row, column_index, cell_text(value))


class ExcelWriter(RowWriter):
    """Writes a sheet, or more, a purpose."""

    def __init__(self, file: IO[bytes], folder: Path, *, sheet_rows: int = SHEET_ROWS) -> None:
        """Begin a `Workbook`."""
        self._book = Workbook(file, folder, sheet_rows=sheet_rows)

    def begin(self, table: Table) -> None:
        super().begin(table)
        names = [ENVELOPE[0], ENVELOPE[2], *(column.name for column in table.columns)]
        columns = [(name, _WIDTHS.get(name, _DEFAULT_WIDTH)) for name in [*names, *ENVELOPE[3:]]]
        self._book.begin(table.purpose.name, columns)

    def write(self, rows: Sequence[StoredRow]) -> None:
        for id, content, metadata, created_at, embedding in rows:
            parsed = codec.column(content)
            fields = [_typed(column, parsed) for column in self._table.columns]
            instant = dated(clock.from_column(created_at), created_at)
            self._book.add([id, instant, *fields, content, metadata, embedding])

    def end(self) -> None:
        self._book.end()

    def abandon(self) -> None:
        self._book.abandon()


def cell_text(value: Any) -> str:
    """Return text that a cell can hold: neutralised, and with a mark where it had to be cut."""
    if isinstance(value, int | float):
        return repr(value)
    text = neutralise(value if isinstance(value, str) else codec.dump_lossy(value))
    # Excel counts in UTF-16.
    if len(text) * 2 <= CELL_CHARACTERS or _units(text) <= CELL_CHARACTERS:
        return text
    mark = f"… [cut: {len(text)} characters]"
    beginning = text.encode("utf-16-le", "replace")[: 2 * (CELL_CHARACTERS - len(mark))]
    # Half of the last character may be left.
    return beginning.decode("utf-16-le", "ignore") + mark


def _units(text: str) -> int:
    return len(text) + sum(character >= "\U00010000" for character in text)


def _typed(column: Column, content: Any) -> Any:
    value = column.value(content)
    return dated(typed(value, column.kind), value) if column.kind in ("instant", "date") else value


def dated(day: date | None, value: Any) -> Any:
    """Return the date or instant without a time zone, as Excel has it; else the value itself."""
    if day is None or day.year < _FIRST_YEAR:
        return value
    return day.replace(tzinfo=None) if isinstance(day, datetime) else day
