"""Records of a project and of a database of PostgreSQL: copied to it, from it, and compared."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import anyio.to_thread

from khive_persist import settings as configuration
from khive_persist.capture.drain import drain
from khive_persist.mirror.mirror import Mirror
from khive_persist.models.purpose_registry import known_purposes, remember
from khive_persist.models.purposes import Purpose
from khive_persist.models.query import column
from khive_persist.models.records import class_of
from khive_persist.project import Project
from khive_persist.project_search import existing_project, find_project
from khive_persist.store import codec, postgres
from khive_persist.store.backend import Merged
from khive_persist.store.codec import StoredRow
from khive_persist.store.equality import is_same
from khive_persist.store.source import select
from khive_persist.store.sqlite import rows
from khive_persist.store.writer import Writer

_BATCH: Final = 500


class DatabaseDifference(NamedTuple):
    """A record that a project and a database do not have alike.

    Attributes:
        kind: `missing_in_database`, `missing_in_project` or `differs`.
        purpose: The name of its purpose.
        id: Its id.
    """

    kind: str
    purpose: str
    id: str


class DatabaseComparison(NamedTuple):
    """The result of comparing a project with a database.

    Attributes:
        records: The number of records that both have alike.
        differences: The others.
    """

    records: int
    differences: list[DatabaseDifference]


async def copy_to_database(url: str, *, dir: Path | str | None = None) -> dict[str, Merged]:
    """Bring every record of a project into a database: committed on return.

    Records are known by their ids: what is there and says something else is replaced. Cancelled,
    what was committed by then stays, and to call it again copies the rest.

    Args:
        url: `postgresql://…`.
        dir: The directory that holds `.khive`.

    Returns:
        Counts by the name of the purpose.

    Raises:
        ProjectError: There is no project.
        StoreError: As its subclasses say.
    """
    project = existing_project(dir)
    await anyio.to_thread.run_sync(drain, project)
    purposes = await anyio.to_thread.run_sync(known_purposes, project)
    counts: dict[str, Merged] = {}
    async with _tables(project, url, purposes) as tables:
        for purpose in purposes:
            async for batch in _rows_of(project, purpose):
                merged = await tables.writers[purpose].merge(batch, is_same=is_same, update=True)
                counts[purpose.name] = _plus(counts.get(purpose.name), merged)
    return counts


async def copy_from_database(
    url: str, *, update: bool = False, dir: Path | str | None = None
) -> dict[str, Merged]:
    """Bring the records of a database into a project: committed, synced and copied on return.

    Args:
        url: `postgresql://…`.
        update: Whether to replace existing records with other content.
        dir: The directory that holds `.khive`, made where it is missing.

    Returns:
        Counts by the name of the purpose.

    Raises:
        ProjectError: The project cannot be used.
        StoreError: As its subclasses say; what was committed before stays.
    """
    project = find_project(dir)
    await anyio.to_thread.run_sync(project.make)
    settings = configuration.load(project.config)
    mirror = Mirror(project, settings)
    purposes = await anyio.to_thread.run_sync(known_purposes, project)
    counts: dict[str, Merged] = {}
    writers = {
        purpose: Writer(
            project.database(purpose.file),
            purpose,
            settings.store_busy_timeout_seconds,
            mirror.follower(purpose),
        )
        for purpose in purposes
    }
    try:
        async with _tables(project, url, purposes, read_only=True) as tables:
            for table_purposes in _by_table(purposes):
                async for batch in _rows_in(tables, table_purposes[0]):
                    for purpose, of_purpose in _by_purpose(table_purposes, batch):
                        await anyio.to_thread.run_sync(remember, project, purpose)
                        merged = await writers[purpose].merge(
                            of_purpose, is_same=is_same, update=update
                        )
                        counts[purpose.name] = _plus(counts.get(purpose.name), merged)
    finally:
        for writer in writers.values():
            await writer.close()
    return counts


async def compare_with_database(url: str, *, dir: Path | str | None = None) -> DatabaseComparison:
    """Compare each record of a project with the one that a database has, by what they say.

    Raises:
        ProjectError: There is no project.
        StoreError: As its subclasses say.
    """
    project = existing_project(dir)
    await anyio.to_thread.run_sync(drain, project)
    purposes = await anyio.to_thread.run_sync(known_purposes, project)
    alike = 0
    differences: list[DatabaseDifference] = []
    async with _tables(project, url, purposes, read_only=True) as tables:
        for purpose in purposes:
            async for batch in _rows_of(project, purpose):
                database_rows = await _rows_by_id(tables, purpose, [row[0] for row in batch])
                for row in batch:
                    if row[0] not in database_rows:
                        difference = DatabaseDifference("missing_in_database", purpose.name, row[0])
                        differences.append(difference)
                    elif not is_same(row, database_rows[row[0]]):
                        differences.append(DatabaseDifference("differs", purpose.name, row[0]))
                    else:
                        alike += 1
        for table_purposes in _by_table(purposes):
            async for batch in _rows_in(tables, table_purposes[0]):
                for purpose, of_purpose in _by_purpose(table_purposes, batch):
                    ids = await anyio.to_thread.run_sync(_ids_of, project, purpose, of_purpose)
                    differences += [
                        DatabaseDifference("missing_in_project", purpose.name, row[0])
                        for row in of_purpose
                        if row[0] not in ids
                    ]
    return DatabaseComparison(alike, differences)


@asynccontextmanager
async def _tables(
    project: Project, url: str, purposes: Sequence[Purpose], *, read_only: bool = False
) -> AsyncIterator[Any]:
    timeout = configuration.load(project.config).store_busy_timeout_seconds
    tables = postgres.tables_at(url, purposes, timeout, read_only=read_only)
    await tables.open()
    try:
        yield tables
    finally:
        with anyio.CancelScope(shield=True):
            await tables.close()


async def _rows_of(project: Project, purpose: Purpose) -> AsyncIterator[list[StoredRow]]:
    path = project.database(purpose.file)
    if not path.exists():
        return
    with closing(rows.read_all(path, purpose.table)) as batches:
        while batch := await anyio.to_thread.run_sync(next, batches, None):
            yield batch


async def _rows_in(tables: Any, purpose: Purpose) -> AsyncIterator[list[StoredRow]]:
    async for page in tables.reader.pages(lambda source: select(source.only(purpose.name))):
        for at in range(0, len(page), _BATCH):
            yield [codec.as_text(row) for row in page[at : at + _BATCH]]


async def _rows_by_id(tables: Any, purpose: Purpose, ids: list[str]) -> dict[str, StoredRow]:
    filters = [column("id").in_(ids)]
    fetched = await tables.reader.fetch(lambda source: select(source.only(purpose.name), filters))
    return {row[0]: codec.as_text(row) for row in fetched}


def _by_table(purposes: Sequence[Purpose]) -> list[list[Purpose]]:
    """Return the purposes that share a table, as the events of all tools do."""
    tables: dict[str, list[Purpose]] = {}
    for purpose in purposes:
        tables.setdefault(purpose.table, []).append(purpose)
    return list(tables.values())


def _by_purpose(
    purposes: Sequence[Purpose], batch: Sequence[StoredRow]
) -> list[tuple[Purpose, list[StoredRow]]]:
    """Return rows of a table by the purpose whose file has them."""
    if len(purposes) == 1:
        return [(purposes[0], list(batch))]
    record = class_of(purposes[0])
    groups: dict[Purpose, list[StoredRow]] = {}
    for row in batch:
        groups.setdefault(record.purpose_of(codec.column(row[1])), []).append(row)
    return list(groups.items())


def _ids_of(project: Project, purpose: Purpose, batch: Sequence[StoredRow]) -> set[str]:
    path = project.database(purpose.file)
    if not path.exists():
        return set()
    return {row[0] for row in rows.read_ids(path, purpose.table, [row[0] for row in batch])}


def _plus(counts: Merged | None, merged: Merged) -> Merged:
    if counts is None:
        return merged
    return Merged(*(mine + yours for mine, yours in zip(counts, merged, strict=True)))
