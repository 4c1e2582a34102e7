"""Print what a command answers: a table for a person, JSON for a program."""

import logging
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from khive_persist.cli.cells import cell as cell
from khive_persist.cli.columns import Column
from khive_persist.cli.screen import screen_width
from khive_persist.store import codec
from khive_persist.transfer.target import replacing


class _Warnings(logging.Handler):
    """Prints the library's warnings as lines on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        warn(record.getMessage())


def print_warnings() -> None:
    """Print the library's warnings on stderr from now on."""
    logging.getLogger("khive_persist").handlers = [_Warnings(logging.WARNING)]


def warn(line: str) -> None:
    """Print a line on stderr, with the name of the program before it."""
    click.echo(f"khive-persist: {cell(line, None)}", err=True)


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


def print_table(
    columns: Sequence[str | Column],
    rows: Iterable[Sequence[Any]],
    empty: str,
    *,
    short_ids: Mapping[str, str] | None = None,
) -> None:
    """Print a table, or on stderr the line that says why there is none.

    On a terminal it fits: long texts are cut, and then columns are left out and named on stderr.
    Elsewhere all values are whole.

    Args:
        columns: Columns, or names, whose columns are those of `columns.py`.
        rows: A value a column each.
        empty: The line for no rows.
        short_ids: Short forms of ids, by the ids; else the shortest that differ in these rows.
    """
    from khive_persist.cli.table import Table

    values = [*map(tuple, rows)]
    if not values:
        click.echo(empty, err=True)
        return
    table = Table(columns, values, short_ids)
    for line in table.lines():
        click.echo(line)
    if table.hidden:
        names = f"no room for {', '.join(table.hidden)}"
        click.secho(textwrap.fill(names, screen_width()), err=True, dim=True)


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
