"""`khive-persist query`."""

import json
import shutil
import sys
import textwrap
from itertools import islice
from typing import IO, Final

import click

from khive_persist.cli.columns import Column
from khive_persist.cli.empty import none_of
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import (
    drained_project,
    with_limit,
    with_output,
    with_project,
    with_times,
)
from khive_persist.cli.output import Documents, cell, print_documents, print_table, warn
from khive_persist.errors import StoreError
from khive_persist.project import Project
from khive_persist.store.sqlite.catalogue import Table, databases_in
from khive_persist.store.sqlite.readonly_query import (
    AdHoc,
    tables_in,
    to_cells,
    to_document,
    to_texts,
)
from khive_persist.transfer.writing.csv import line

_STDIN: Final = "-"
_LEAST_CELLS: Final = 6
_TABLES: Final = "tables"
_COLUMNS: Final = "columns"


@click.command("query")
@click.argument("sql", required=False, metavar="[SQL|tables|columns]")
@click.argument("table", required=False)
@click.option("--file", "-f", "file", type=click.File("rb"),
              help="Take the SQL from FILE; - is stdin, as it is in place of SQL.")  # fmt: skip
@click.option("--tables", is_flag=True, help="List the tables and columns that there are.")
@click.option("--csv", "form", flag_value="csv", help="CSV with a header, for a spreadsheet.")
@with_project
@with_limit()
@with_output
@with_times
def command(
    sql: str | None,
    table: str | None,
    file: IO[bytes] | None,
    tables: bool,
    limit: int | None,
    form: str,
) -> int:
    """Run SQL over all files, for reading only.

    \b
      khive-persist query tables
      khive-persist query columns events
      khive-persist query "SELECT event_type, count(*) FROM events GROUP BY 1"
      khive-persist query "SELECT * FROM planner_sessions
          WHERE json_extract(content, '$.complexity') = 'complex'" --jsonl
      khive-persist query --file costs.sql --csv > costs.csv

    `tables` lists the tables and views that there are, with their columns, as --tables does;
    `columns` lists the columns one a line, of TABLE or of all.

    Tables: planner_sessions, and hook_events of all tools together; one tool's alone is
    claude_hooks.hook_events, codex_hooks.hook_events or gemini_hooks.hook_events. The views plans
    and events have the same rows as plain columns. A statement that would write fails.

    The second column of one name is NAME_2. Bytes are {"base64": "…"} in JSON and base64 in CSV, an
    infinite number is the text 9e999 in both; in CSV, text that a spreadsheet would run gets an
    apostrophe.
    """
    is_about_columns = sql == _COLUMNS and file is None and not tables
    if table is not None and not is_about_columns:
        raise click.UsageError(f"{table!r} is too much: SQL is one argument, in quotes")
    if sql == _TABLES and file is None:
        sql, tables = None, True
    if sum((sql is not None, file is not None, tables)) != 1:
        raise click.UsageError("give one of SQL, --file FILE and --tables")
    if sql == _STDIN:
        file = sys.stdin.buffer
    if file is not None:
        sql = _text(file)
    project = drained_project()
    if is_about_columns:
        return _print_columns(project, table, form, limit)
    return _print_tables(project, form, limit) if sql is None else _run(project, sql, form, limit)


def _text(file: IO[bytes]) -> str:
    try:
        return file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.UsageError("the SQL is no text in UTF-8") from error


def _run(project: Project, sql: str, form: str, limit: int | None) -> int:
    databases = AdHoc(databases_in(project.khive), sql)
    try:
        _print_unread(databases.unread)
        names, rows = databases.run(sql)
        rows = islice(rows, limit)
        if form == "table":
            # What a name means elsewhere says nothing of a column that somebody named so here.
            columns = [Column(name, minimum=_LEAST_CELLS) for name in names]
            print_table(columns, map(to_cells, rows), none_of("rows", project))
        elif form == "csv":
            click.echo(line(names), nl=False)
            for row in rows:
                click.echo(line(to_texts(row)), nl=False)
        else:
            output = Documents(form)
            for row in rows:
                output.write(to_document(names, row))
            output.end()
    finally:
        databases.close()
    return FAILED if databases.unread else DONE


def _print_tables(project: Project, form: str, limit: int | None) -> int:
    tables, unread = tables_in(databases_in(project.khive))
    _print_unread(unread)
    tables = tables[:limit]
    documents = [
        {**table._asdict(), "columns": [column._asdict() for column in table.columns]}
        for table in tables
    ]
    if form == "csv":
        click.echo(line(Table._fields), nl=False)
        for table in tables:
            names = json.dumps([column.name for column in table.columns])
            click.echo(line([table.database, table.name, table.type, names]), nl=False)
    elif form == "table":
        for table in tables:
            _print_table_of(table)
    else:
        print_documents(form, documents)
    return FAILED if unread else DONE


def _print_columns(project: Project, name: str | None, form: str, limit: int | None) -> int:
    tables, unread = tables_in(databases_in(project.khive))
    _print_unread(unread)
    chosen = [table for table in tables if name is None or name in _names_of(table)]
    if name is not None and not chosen:
        raise click.UsageError(
            f"there is no table {name!r} in {project.khive}: khive-persist query tables lists them"
        )
    heading = ("database", "table", "column", "type")
    rows = [
        (table.database, table.name, column.name, column.type)
        for table in chosen
        for column in table.columns
    ][:limit]
    if form == "csv":
        click.echo(line(heading), nl=False)
        for row in rows:
            click.echo(line(row), nl=False)
    elif form == "table":
        print_table(heading, rows, none_of("columns", project))
    else:
        print_documents(form, [dict(zip(heading, row, strict=True)) for row in rows])
    return FAILED if unread else DONE


def _names_of(table: Table) -> tuple[str, str]:
    return table.name, f"{table.database}.{table.name}"


def _print_table_of(table: Table) -> None:
    home = "all tools" if table.database is None else table.database
    click.echo(f"{cell(table.name, None)}  ({table.type} of {cell(home, None)})")
    names = ", ".join(cell(column.name, None) for column in table.columns)
    click.echo(
        textwrap.fill(
            names or "its columns cannot be told",
            width=max(40, shutil.get_terminal_size().columns),
            initial_indent="  ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def _print_unread(errors: list[StoreError]) -> None:
    for error in errors:
        warn(f"left out: {cell(error, None)}")
