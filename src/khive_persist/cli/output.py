"""Print what a command answers: a table for a person, JSON for a program."""

import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click

from khive_persist.store import codec
from khive_persist.transfer.target import replacing

# A table in a pipe has no screen to fit: its cells are as wide as they need.
_PIPE_WIDTH: Final = 10_000
_CELL_CHARACTERS: Final = 400


class _Warnings(logging.Handler):
    """Prints the library's warnings as lines on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        warn(record.getMessage())


def print_warnings() -> None:
    """Print the library's warnings on stderr from now on."""
    logging.getLogger("khive_persist").handlers = [_Warnings(logging.WARNING)]


def warn(line: str) -> None:
    """Print a line on stderr, with the name of the program before it."""
    click.echo(f"khive-persist: {line}", err=True)


def print_json(value: Any) -> None:
    """Print one JSON document, indented."""
    click.echo(codec.dump_lossy(value, indent=True))


class Documents:
    """Prints documents one a line, or as one array; each is written as soon as it comes."""

    def __init__(self, form: str) -> None:
        self._lines = form == "jsonl"
        self._count = 0

    def write(self, document: Any) -> None:
        """Print one more document."""
        text = codec.dump_lossy(document)
        click.echo(
            text if self._lines else f"{',' if self._count else '['}\n{text}", nl=self._lines
        )
        self._count += 1

    def end(self) -> None:
        """Close the array."""
        if not self._lines:
            click.echo("\n]" if self._count else "[]")


def print_documents(form: str, documents: Iterable[Any]) -> None:
    """Print documents that are all at hand."""
    output = Documents(form)
    for document in documents:
        output.write(document)
    output.end()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], empty: str) -> None:
    """Print a table, or on stderr the line that says why there is none."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[Text(cell(value)) for value in row] for row in rows]
    if not cells:
        click.echo(empty, err=True)
        return
    screen = sys.stdout.isatty()
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name, no_wrap=True, overflow="ellipsis" if screen else "ignore")
    for row in cells:
        table.add_row(*row)
    console = Console(width=None if screen else _PIPE_WIDTH, highlight=False, soft_wrap=not screen)
    if screen:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def write_report(target: str, report: str, *, force: bool) -> None:
    """Write a report to a file, and say so on stderr.

    Raises:
        InvalidFileError: The file is there, and `force` is not set, or it cannot be written.
    """
    with replacing(Path(target), force=force) as file:
        file.write(report.encode("utf-8", "replace"))
    click.echo(f"written to {target}", err=True)


def print_fields(fields: Mapping[str, Any]) -> None:
    """Print one value a line, with its name before it."""
    width = max(map(len, fields), default=0)
    for name, value in fields.items():
        click.echo(f"{name.ljust(width)}  {cell(value, limit=None)}")


def cell(value: Any, limit: int | None = _CELL_CHARACTERS) -> str:
    """Return a value on one line, with what could move a terminal's cursor made visible."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        text = f"{value:.10g}"
    elif isinstance(value, (list, dict)):
        text = codec.dump_lossy(value)
    else:
        text = str(value)
    text = text if limit is None else text[:limit]
    return "".join(c if c.isprintable() else _visible(c) for c in text)


def _visible(character: str) -> str:
    return character.encode("unicode_escape").decode()
