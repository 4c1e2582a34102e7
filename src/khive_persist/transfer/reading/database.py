"""SQLite files: of another project, or of an old khive. They are read, never written."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from khive_persist.errors import InvalidFileError, InvalidRecordError
from khive_persist.models.purposes import BUILT_IN, EVENT_FILES, Purpose, purpose
from khive_persist.store import codec
from khive_persist.store.source import COLUMNS
from khive_persist.store.sqlite.connection import opened_reader
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.foreign_files import raw_rows
from khive_persist.store.sqlite.snapshot import record_tables
from khive_persist.transfer.row_validation import SourceEntry

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")
_EVENTS: Final = next(iter(EVENT_FILES.values())).table


def read_database(path: Path, *, is_in_project: bool = False) -> Iterator[SourceEntry]:
    """Yield the rows of every table with the five columns.

    A row of `hook_events` belongs to the tool that it names, unless the file has a purpose's name.

    Args:
        is_in_project: Whether it lies in a `.khive`, where a file has the name of its purpose.

    Raises:
        InvalidFileError: It has no such table.
        StoreError: As its subclasses say.
    """
    with opened_reader(path) as connection, translated(path):
        # Text that is no UTF-8 is found out by its lone surrogates.
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        tables = sorted(name for name in record_tables(connection) if _NAME.match(name))
        if not tables:
            raise InvalidFileError(f"{path} has no table with the columns {COLUMNS}")
        for table in tables:
            owner = _purpose(path.stem, table, is_in_project=is_in_project)
            for number, row in enumerate(raw_rows(connection, table), start=1):
                location = f"{path.name}: {table} row {number}"
                if row[0] is None:
                    yield SourceEntry(location, row, reason="it has no id", purpose=owner)
                else:
                    yield SourceEntry(location, row, codec.as_text(row), purpose=owner)


def _purpose(stem: str, table: str, *, is_in_project: bool) -> Purpose | None:
    for built_in in BUILT_IN:
        if table == built_in.table and (built_in.name == stem or table != _EVENTS):
            return built_in
    if is_in_project:
        # One of a name that is refused belongs where the import is told to put it.
        with suppress(InvalidRecordError):
            return purpose(stem, table)
    return None
