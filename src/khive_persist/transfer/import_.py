"""Rows of a file, a folder or another project into this one."""

from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import anyio.to_thread

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.errors import InvalidQueryError, InvalidRecordError, KhiveError
from khive_persist.mirror.mirror import Mirror
from khive_persist.models.purpose_registry import remember
from khive_persist.models.purposes import BUILT_IN, Purpose
from khive_persist.models.records import class_of
from khive_persist.project import Project
from khive_persist.redaction import Redactor
from khive_persist.search_index.removal import settle
from khive_persist.settings import Settings
from khive_persist.store.codec import StoredRow
from khive_persist.store.equality import is_same
from khive_persist.store.redacting import load_redactor, redact_row
from khive_persist.store.serial_thread import SerialThread
from khive_persist.store.staging import staging
from khive_persist.store.writer import Writer
from khive_persist.threads import run_stoppable
from khive_persist.tombstones import Tombstones
from khive_persist.transfer.cells import Preference, differing, reconciled
from khive_persist.transfer.columns import Column, columns_of
from khive_persist.transfer.plain_documents import PlainRecords
from khive_persist.transfer.reading.archive import extract, is_archive
from khive_persist.transfer.reading.folder import described_in
from khive_persist.transfer.reading.source import read_source
from khive_persist.transfer.rejected_rows import RejectedRows
from khive_persist.transfer.row_validation import SourceEntry, checked, purpose_of

_BATCH_ROWS: Final = 500
_BATCH_CHARACTERS: Final = 4 << 20


class Counts(NamedTuple):
    """The outcome for the rows of one purpose.

    Attributes:
        new: The number of rows stored.
        same: The number of rows that existed already.
        changed: The number of rows that existed with other content: left as they were, or with
            `update` replaced.
    """

    new: int = 0
    same: int = 0
    changed: int = 0


class Imported(NamedTuple):
    """The result of an import.

    Attributes:
        purposes: The counts, by the name of the purpose.
        refused: The number of entries of the source that were not stored.
        listed: The first of them, each with its location in the source and the reason.
        aside: The path of the file in which they are kept, or an empty string.
        purged: The number of rows left out, as sessions had them until they were purged here.
        index_is_clean: Whether the index of the search has nothing of what was replaced.
    """

    purposes: dict[str, Counts]
    refused: int
    listed: list[tuple[str, str]]
    aside: str
    purged: int = 0
    index_is_clean: bool = True


class _ValidRow(NamedTuple):
    """A row that may be stored, and its entry in the source."""

    purpose: Purpose
    row: StoredRow
    entry: SourceEntry


async def import_rows(
    project: Project,
    source: Path | IO[bytes],
    *,
    update: bool = False,
    preference: Preference | None = None,
    default: Purpose | None = None,
    plain: PlainRecords | None = None,
    purposes: tuple[Purpose, ...] = (),
    advance: Callable[[int], None] | None = None,
) -> Imported:
    """Store what a source has, as `transfer.import_records` says.

    An import that was killed is completed by running it again. All five columns are stored as they
    are, whatever the age of the row, but for secrets, which are taken out as from everything that
    is stored. A row that is no JSON, has no id, or does not say where it belongs is refused and
    kept aside in `quarantine/`; the others are stored, but for what was purged here.

    Args:
        project: The project to import into, made where it is missing.
        source: As for `import_records`, packed with gzip or zstd or not.
        default: The purpose of rows that do not name one.
        plain: The mapping of documents that were not exported, if the source may have any. Those
            without a time are of that of the file, or of now.
        purposes: Purposes of your own that rows may name, besides the built-in ones.
        advance: A callback, given the number of rows each time some were examined.
    """
    await anyio.to_thread.run_sync(project.make)
    settings = configuration.load(project.config)
    redactor = load_redactor(project, settings)
    name = source.name if isinstance(source, Path) else "stdin"
    rejected = RejectedRows(project, name, redactor)
    purposes_by_name = {purpose.name: purpose for purpose in (*BUILT_IN, *purposes)}
    if plain is not None:
        plain = plain._replace(instant=await anyio.to_thread.run_sync(_instant_of, source))
    async with _opened(project, source, rejected) as opened:
        if isinstance(opened, Path):
            described = await anyio.to_thread.run_sync(
                described_in, opened, list(purposes_by_name.values())
            )
            purposes_by_name |= {purpose.name: purpose for purpose in described}
        entries = await anyio.to_thread.run_sync(read_source, opened, plain)
        rows = _valid_rows(entries, purposes_by_name, default, preference, redactor, rejected)
        tombstones = await anyio.to_thread.run_sync(Tombstones.load, project)
        merger = _RowMerger(project, settings, tombstones, rejected, update=update)
        imported = await _import(rows, merger, rejected, SerialThread(f"import of {name}"), advance)
    if not update or not any(counts.changed for counts in imported.purposes.values()):
        return imported
    left_in = await run_stoppable(partial(settle, project, settings))
    return imported._replace(index_is_clean=not left_in)


@asynccontextmanager
async def _opened(
    project: Project, source: Path | IO[bytes], rejected: RejectedRows
) -> AsyncIterator[Path | IO[bytes]]:
    """Yield the source, or the mirror that is packed in it, extracted for the `with`."""
    if not isinstance(source, Path) or not await anyio.to_thread.run_sync(is_archive, source):
        yield source
        return
    folder = staging(project)
    path = await anyio.to_thread.run_sync(folder.__enter__)
    try:
        extracted = await run_stoppable(partial(extract, source, path))
        for name in extracted.other_files:
            rejected.add(SourceEntry(name, None), "not of the mirror, left alone")
        yield extracted.folder
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(folder.__exit__, None, None, None)


def _instant_of(source: Path | IO[bytes]) -> datetime:
    if not isinstance(source, Path):
        return clock.now()
    # Not that of the import: a file that is imported again changes nothing.
    return clock.from_ns(source.stat().st_mtime_ns)


async def _import(
    rows: Generator[_ValidRow | None, None, None],
    merger: "_RowMerger",
    rejected: RejectedRows,
    thread: SerialThread,
    advance: Callable[[int], None] | None,
) -> Imported:
    try:
        try:
            while batch := await thread.run(_next_batch, rows):
                await merger.merge([item for item in batch if item is not None])
                if advance is not None:
                    advance(len(batch))
        finally:
            await merger.close()
        rejected_path = await thread.run(rejected.finish)
    except Exception:
        await thread.close(partial(_close, rows, rejected))
        raise
    finally:
        # In the reading thread. A cancellation does not wait for it, as it may wait for a pipe.
        thread.finish(partial(_close, rows, rejected))
    return Imported(merger.counts, rejected.count, rejected.listed, rejected_path, merger.purged)


class _RowMerger:
    """The writers of the files that rows go to, and the counts of the rows."""

    def __init__(
        self,
        project: Project,
        settings: Settings,
        tombstones: Tombstones,
        rejected: RejectedRows,
        *,
        update: bool,
    ) -> None:
        self._project = project
        self._tombstones = tombstones
        self._timeout = settings.store_busy_timeout_seconds
        self._rejected = rejected
        self._update = update
        self._mirror = Mirror(project, settings)
        self._writers: dict[Purpose, Writer] = {}
        self.counts: dict[str, Counts] = {}
        self.purged = 0

    async def close(self) -> None:
        for writer in self._writers.values():
            await writer.close()

    async def merge(self, batch: list[_ValidRow]) -> None:
        """Store rows that were not purged: a batch in one transaction, unless an id comes twice."""
        # Two rows of one id come one after the other, for the second is compared with the first.
        pending: dict[tuple[Purpose, str], _ValidRow] = {}
        for item in batch:
            if self._tombstones.is_purged(item.row):
                self.purged += 1
                continue
            if (item.purpose, item.row[0]) in pending:
                await self._merge_distinct(list(pending.values()))
                pending.clear()
            pending[item.purpose, item.row[0]] = item
        await self._merge_distinct(list(pending.values()))

    async def _merge_distinct(self, batch: list[_ValidRow]) -> None:
        by_purpose: dict[Purpose, list[_ValidRow]] = {}
        for item in batch:
            by_purpose.setdefault(item.purpose, []).append(item)
        for purpose, items in by_purpose.items():
            await self._merge_into(purpose, items)

    async def _writer(self, purpose: Purpose) -> Writer:
        if purpose not in self._writers:
            await anyio.to_thread.run_sync(remember, self._project, purpose)
            path = self._project.database(purpose.file)
            mirror = self._mirror.follower(purpose)
            self._writers[purpose] = Writer(path, purpose, self._timeout, mirror)
        return self._writers[purpose]

    async def _merge_into(self, purpose: Purpose, items: list[_ValidRow]) -> None:
        rows = [item.row for item in items]
        try:
            writer = await self._writer(purpose)
            merged = await writer.merge(rows, is_same=is_same, update=self._update)
        except (InvalidRecordError, InvalidQueryError) as error:
            if len(items) == 1:
                self._rejected.add(items[0].entry, _reason(error))
                return
            # One row that SQLite cannot hold must not keep the others out.
            for item in items:
                await self._merge_into(purpose, [item])
            return
        counts = self.counts.get(purpose.name, Counts())
        self.counts[purpose.name] = Counts(
            counts.new + merged.new, counts.same + merged.same, counts.changed + merged.changed
        )


def _valid_rows(
    entries: Iterator[SourceEntry],
    purposes_by_name: Mapping[str, Purpose],
    default: Purpose | None,
    preference: Preference | None,
    redactor: Redactor | None,
    rejected: RejectedRows,
) -> Generator[_ValidRow | None, None, None]:
    """Yield each row without secrets; None for one that was refused."""
    columns: dict[Purpose, list[Column]] = {}
    for entry in entries:
        if entry.row is None:
            rejected.add(entry, entry.reason)
            yield None
            continue
        try:
            row = checked(entry.row)
            try:
                purpose = purpose_of(row, purposes_by_name, entry.purpose)
            except InvalidRecordError:
                if default is None or entry.purpose is not None:
                    raise
                purpose = default
            if entry.cells or entry.values:
                if purpose not in columns:
                    columns[purpose] = columns_of(class_of(purpose), purpose)
                cells = entry.cells or differing(row, columns[purpose], entry.values)
                row = reconciled(row, columns[purpose], cells, preference)
        except InvalidRecordError as error:
            rejected.add(entry, _reason(error))
            yield None
        else:
            yield _ValidRow(purpose, row if redactor is None else _redacted(redactor, row), entry)


def _close(rows: Generator[Any, None, None], rejected: RejectedRows) -> None:
    try:
        rows.close()
    finally:
        rejected.close()


def _next_batch(rows: Iterator[_ValidRow | None]) -> list[_ValidRow | None]:
    batch: list[_ValidRow | None] = []
    characters = 0
    for item in rows:
        batch.append(item)
        characters += len(item.row[1] or "") if item is not None else 0
        if len(batch) == _BATCH_ROWS or characters >= _BATCH_CHARACTERS:
            break
    return batch


def _redacted(redactor: Redactor, row: StoredRow) -> StoredRow:
    """Return a row without secrets, in what should be its time, too."""
    id, content, metadata, created_at, embedding = row
    if isinstance(created_at, str):
        created_at, _ = redactor.redact_text(created_at)
    return redact_row(redactor, (id, content, metadata, created_at, embedding))


def _reason(error: KhiveError) -> str:
    return " ".join(str(error).split())
