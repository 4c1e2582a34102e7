"""Rows of a project into one file, whole or not at all."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, Literal, NamedTuple, get_args

from khive_persist.errors import InvalidFileError
from khive_persist.models.node import Node
from khive_persist.models.purposes import Purpose
from khive_persist.models.query import Filter
from khive_persist.opening import reading
from khive_persist.project import Project
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.reader import Reader
from khive_persist.store.serial_thread import SerialThread
from khive_persist.store.source import select
from khive_persist.transfer.columns import columns_of
from khive_persist.transfer.target import check_target, replacing
from khive_persist.transfer.writing import RowWriter, Table
from khive_persist.transfer.writing.csv import CsvWriter
from khive_persist.transfer.writing.documents import DocumentWriter
from khive_persist.transfer.writing.excel import ExcelWriter
from khive_persist.transfer.writing.parquet import ParquetWriter

Form = Literal["json", "jsonl", "csv", "xlsx", "parquet"]

FORMS: Final[tuple[Form, ...]] = get_args(Form)
_CHUNK_ROWS: Final = 256
_CHUNK_CHARACTERS: Final = 1 << 20


class ExportPart(NamedTuple):
    """The part of an export from one purpose: rows of a class that pass every filter."""

    record: type[Node]
    purpose: Purpose
    filters: tuple[Filter, ...] = ()


def parts_of(record: type[Node], *filters: Filter) -> list[ExportPart]:
    """Return the rows of a class that pass every filter, a part for each of its files."""
    return [ExportPart(record, purpose, filters) for purpose in record.purposes()]


async def export(
    project: Project,
    parts: Sequence[ExportPart],
    output: Path | None,
    form: Form,
    *,
    limit: int | None = None,
    force: bool = False,
    advance: Callable[[int], None] | None = None,
) -> int:
    """Write rows to a file as `transfer.export_records` says, and return their number.

    Each part is of the moment at which its reading began; rows come as they were stored. JSON, JSON
    Lines, CSV and Parquet hold all of a row, so that importing them gives the same rows; Excel cuts
    long cells. Text that would be run as a formula is neutralised in CSV and Excel.

    Args:
        project: The project with the rows; its spool is drained first.
        parts: The rows to write, in this order; one or more parts.
        output: The file, outside `.khive`; None is stdout.
        limit: The largest number of rows in all.
        advance: A callback, given the number of rows each time some are written.
    """
    if output is not None:
        target = check_target(output, force=force)
        if target.is_relative_to(project.khive.resolve()):
            # A database there could be written over.
            raise InvalidFileError(f"{target} is in .khive", hint="export to another folder")
    tables = [Table(p.purpose, tuple(columns_of(p.record, p.purpose))) for p in parts]
    count = 0
    with _writer(output, form, tables, force=force) as writer:
        thread = SerialThread(f"export to {output or 'stdout'}")
        try:
            for part, table in zip(parts, tables, strict=True):
                remaining = None if limit is None else limit - count
                async with reading(project, part.purpose) as reader:
                    await thread.run(writer.begin, table)
                    count += await _write_rows(reader, part, remaining, thread, writer, advance)
            await thread.run(writer.end)
        finally:
            # Its file is closed next: nothing may be writing to it then, whatever stops the wait.
            try:
                await thread.close()
            finally:
                thread.join()
    return count


async def count_rows(project: Project, parts: Sequence[ExportPart]) -> int:
    """Count the rows that an export without a limit will have."""
    total = 0
    for part in parts:
        async with reading(project, part.purpose) as reader:
            counts = await reader.fetch(partial(select, filters=part.filters, columns="count(*)"))
            total += int(counts[0][0])
    return total


async def _write_rows(
    reader: Reader,
    part: ExportPart,
    limit: int | None,
    thread: SerialThread,
    writer: RowWriter,
    advance: Callable[[int], None] | None,
) -> int:
    count = characters = 0
    chunk: list[StoredRow] = []

    async def flush() -> None:
        nonlocal chunk, count, characters
        await thread.run(writer.write, chunk)
        count += len(chunk)
        if advance is not None:
            advance(len(chunk))
        chunk, characters = [], 0

    build = partial(select, filters=part.filters, limit=limit)
    async with aclosing(reader.stream(build, holds_snapshot=True)) as rows:
        async for row in rows:
            chunk.append(codec.as_text(row))
            characters += len(chunk[-1][1] or "")
            if len(chunk) == _CHUNK_ROWS or characters >= _CHUNK_CHARACTERS:
                await flush()
    await flush()
    return count


@contextmanager
def _writer(
    output: Path | None, form: Form, tables: Sequence[Table], *, force: bool
) -> Iterator[RowWriter]:
    with (
        _opened(output, form, force=force) as file,
        _format_writer(output, file, form, tables) as writer,
    ):
        try:
            yield writer
        except BaseException:
            writer.abandon()
            raise


@contextmanager
def _opened(output: Path | None, form: Form, *, force: bool) -> Iterator[IO[bytes]]:
    if output is not None:
        with replacing(output, force=force) as file:
            yield file
    elif form in ("xlsx", "parquet"):
        if sys.stdout.isatty():
            raise InvalidFileError(f"{form} is not for a terminal", hint="name a file")
        # Both formats go back in their file, which a pipe cannot.
        with tempfile.TemporaryFile() as file:
            yield file
            file.seek(0)
            shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
    else:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()


@contextmanager
def _format_writer(
    output: Path | None, file: IO[bytes], form: Form, tables: Sequence[Table]
) -> Iterator[RowWriter]:
    match form:
        case "json" | "jsonl":
            yield DocumentWriter(file, array=form == "json")
        case "csv":
            yield CsvWriter(file, tables)
        case "parquet":
            yield ParquetWriter(file, tables)
        case "xlsx":
            scratch: Any = output.absolute().parent if output is not None else None
            with tempfile.TemporaryDirectory(prefix=".khive-export-", dir=scratch) as folder:
                yield ExcelWriter(file, Path(folder))
