"""Tables as CSV files, with a codebook, and scripts that read them into R and SPSS.

Text is in quotes, a missing value is empty, a number has a point, a time is UTC in ISO 8601, the
encoding is UTF-8. What a spreadsheet would run as a formula has an apostrophe before it; the end of
a line within a text is a blank, since SPSS takes it for that of the row.
"""

from collections.abc import Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import IO, Final

from khive_persist.analytics.compare.report.elements import Cell
from khive_persist.analytics.compare.report.tables import Column, Table
from khive_persist.transfer.target import check_target, replacing
from khive_persist.transfer.writing.csv import line

CODEBOOK: Final = ("table", "column", "type", "label")
R_SCRIPT: Final = "read.R"
SPSS_SCRIPT: Final = "read.sps"
_R_TYPES: Final = {"text": "character", "number": "numeric", "time": "character"}
# Of text SPSS wants to know the bytes: what is longer is cut there, and whole in the file.
_SPSS_TYPES: Final = {"text": "A2000", "number": "F20.8", "time": "A26"}


async def write_csv(folder: Path, tables: Sequence[Table], *, force: bool) -> list[Path]:
    """Write each table into a folder, in flat memory.

    Returns:
        The files: the tables, `codebook.csv`, `read.R` and `read.sps`.

    Raises:
        InvalidFileError: One of them is there already, and `force` is not set.
        OSError: One cannot be written.
    """
    paths = [folder / f"{table.name}.csv" for table in tables]
    others = {
        folder / "codebook.csv": b"".join(_codebook(tables)),
        folder / R_SCRIPT: "".join(_r(tables)).encode(),
        folder / SPSS_SCRIPT: "".join(_spss(tables)).encode(),
    }
    for path in (*paths, *others):
        check_target(path, force=force)
    for path, table in zip(paths, tables, strict=True):
        with replacing(path, force=force) as file:
            await _write(file, table)
    for path, content in others.items():
        with replacing(path, force=force) as file:
            file.write(content)
    return [*paths, *others]


async def _write(file: IO[bytes], table: Table) -> None:
    file.write(line([column.name for column in table.columns]))
    async with aclosing(table.rows()) as rows:
        async for row in rows:
            cells = zip(row, table.columns, strict=True)
            file.write(line([_cell(value, column) for value, column in cells]))


def _cell(value: Cell, column: Column) -> Cell:
    if column.kind == "time" and isinstance(value, str):
        return value.replace(" ", "T") + "Z"
    return " ".join(value.splitlines()) if isinstance(value, str) else value


def _codebook(tables: Sequence[Table]) -> Iterator[bytes]:
    yield line(CODEBOOK)
    for table in tables:
        for column in table.columns:
            yield line((table.name, column.name, column.kind, column.label))


def _r(tables: Sequence[Table]) -> Iterator[str]:
    yield "# Run it in this folder: source('read.R'). Each table becomes a data frame.\n"
    for table in tables:
        kinds = ", ".join(f'"{_R_TYPES[column.kind]}"' for column in table.columns)
        yield (
            f'{table.name} <- read.csv("{table.name}.csv", encoding = "UTF-8", na.strings = "",'
            f" check.names = FALSE,\n  colClasses = c({kinds}))\n"
        )
        for column in table.columns:
            if column.kind == "time":
                name = f'{table.name}[["{column.name}"]]'
                yield f'{name} <- as.POSIXct({name}, "UTC", format = "%Y-%m-%dT%H:%M:%OSZ")\n'


def _spss(tables: Sequence[Table]) -> Iterator[str]:
    yield "* Run it in this folder. Each table becomes a file NAME.sav.\n"
    for table in tables:
        names = "\n  ".join(f"{_name(c.name)} {_SPSS_TYPES[c.kind]}" for c in table.columns)
        quoted = [(_name(c.name), c.label.replace("'", "''")) for c in table.columns]
        labels = "\n  ".join(f"{name} '{label}'" for name, label in quoted)
        yield (
            f"GET DATA /TYPE=TXT /FILE='{table.name}.csv' /ENCODING='UTF8' /ARRANGEMENT=DELIMITED\n"
            f"  /DELIMITERS=',' /QUALIFIER='\"' /FIRSTCASE=2 /VARIABLES=\n  {names}.\n"
            f"VARIABLE LABELS\n  {labels}.\nSAVE OUTFILE='{table.name}.sav'.\n"
        )


def _name(name: str) -> str:
    """Return a name that is none of the words of SPSS's language, such as `by`, `all` and `to`."""
    return f"v_{name}" if name.lower() in _RESERVED else name


_RESERVED: Final = frozenset(
    {"all", "and", "by", "eq", "ge", "gt", "le", "lt", "ne", "not", "or", "to", "with"}
)
