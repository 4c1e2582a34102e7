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
from khive_persist.project import Project
from khive_persist.redaction import Redactor
from khive_persist.settings import Settings
from khive_persist.store.codec import StoredRow
from khive_persist.store.equality import is_same
from khive_persist.store.redacting import load_redactor, seal
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
from khive_persist.transfer.record_classes import class_of
from khive_persist.transfer.rejected_rows import Aside
from khive_persist.transfer.row_validation import Found, checked, purpose_of

_BATCH_ROWS: Final = 500
_BATCH_CHARACTERS: Final = 4 << 20


class Counts(NamedTuple):
    """What became of the rows of one purpose.

    Attributes:
        new: Stored.
        same: There already.
        changed: There already under their id, with other content: left as they were, or with
            `update` replaced.
    """

    new: int = 0
    same: int = 0
    changed: int = 0


class Imported(NamedTuple):
    """The result of an import.

    Attributes:
        purposes: The counts, by the name of the purpose.
        refused: How many things in the source were not stored.
        listed: The first of them, each with its project in the source and the reason.
        aside: The file in which they are kept, or an empty string.
        purged: How many rows were left out, as sessions had them until they were purged here.
    """

    purposes: dict[str, Counts]
    refused: int
    listed: list[tuple[str, str]]
    aside: str
    purged: int = 0


class _Ready(NamedTuple):
    """A row that may be stored, and what it was made of."""

    purpose: Purpose
    row: StoredRow
    found: Found


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
    """Store what a source has: committed, synced and copied on return.

    A row is known by its id, so that importing again changes nothing, and an import that was killed
    is completed by running it again. All five columns are stored as they are, whatever the age of
    the row, but for secrets, which are taken out as from everything that is stored. A row that is
    no JSON, has no id, or does not say where it belongs is refused and kept aside in `quarantine/`;
    the others are stored, but for what was purged here. Cancelled, what was committed by then
    stays.

    Args:
        project: Where to, made where it is missing.
        source: JSON, JSON Lines, CSV, Parquet or Markdown, packed with gzip or zstd or not; a
            mirror folder, or a tar archive of one; a folder of Markdown; a `.khive`; a database,
            also of an old khive; or an open file with JSON, CSV or Markdown.
        update: Replace a row that is there with other content.
        preference: Which of its columns and its content counts where those of a row of CSV or
            Parquet differ; without it, such a row is refused.
        default: Where rows belong that do not say it.
        plain: What documents are that were not exported, if they may be in the source. Those
            without a time are of that of the file, or of now.
        purposes: Purposes of your own that rows may name, besides the built-in ones.
        advance: Called with the number of rows each time some were looked at.

    Raises:
        InvalidFileError: The source's content is unknown or damaged; rows before the damage are
            stored.
        InvalidSettingsError: config.toml is wrong.
        MissingExtraError: Reading the source needs a package that is not here.
        StoreError: As its subclasses say; what was committed before stays.
        OSError: The source cannot be read.
    """
    await anyio.to_thread.run_sync(project.make)
    settings = configuration.load(project.config)
    redactor = load_redactor(project, settings)
    name = source.name if isinstance(source, Path) else "stdin"
    aside = Aside(project, name, redactor)
    known = {purpose.name: purpose for purpose in (*BUILT_IN, *purposes)}
    if plain is not None:
        plain = plain._replace(instant=await anyio.to_thread.run_sync(_instant_of, source))
    async with _opened(project, source, aside) as opened:
        if isinstance(opened, Path):
            described = await anyio.to_thread.run_sync(described_in, opened, list(known.values()))
            known |= {purpose.name: purpose for purpose in described}
        found = await anyio.to_thread.run_sync(read_source, opened, plain)
        rows = _ready(found, known, default, preference, redactor, aside)
        tombstones = await anyio.to_thread.run_sync(Tombstones.load, project)
        merging = _Merging(project, settings, tombstones, aside, update=update)
        return await _import(rows, merging, aside, SerialThread(f"import of {name}"), advance)


@asynccontextmanager
async def _opened(
    project: Project, source: Path | IO[bytes], aside: Aside
) -> AsyncIterator[Path | IO[bytes]]:
    """What is to be read: the source, or the mirror that is packed in it."""
    if not isinstance(source, Path) or not await anyio.to_thread.run_sync(is_archive, source):
        yield source
        return
    folder = staging(project)
    path = await anyio.to_thread.run_sync(folder.__enter__)
    try:
        extracted = await run_stoppable(partial(extract, source, path))
        for beside in extracted.beside:
            aside.add(Found(beside, None), "not of the mirror, left alone")
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
    rows: Generator[_Ready | None, None, None],
    merging: "_Merging",
    aside: Aside,
    thread: SerialThread,
    advance: Callable[[int], None] | None,
) -> Imported:
    try:
        try:
            while batch := await thread.run(_take, rows):
                await merging.merge([item for item in batch if item is not None])
                if advance is not None:
                    advance(len(batch))
        finally:
            await merging.close()
        kept = await thread.run(aside.finish)
    except Exception:
        await thread.close(partial(_close, rows, aside))
        raise
    finally:
        # In the thread that reads. Who cancels does not wait for it, as it may wait for a pipe.
        thread.finish(partial(_close, rows, aside))
    return Imported(merging.counts, aside.count, aside.listed, kept, merging.purged)


class _Merging:
    """The writers of the files that rows go to, and what became of the rows."""

    def __init__(
        self,
        project: Project,
        settings: Settings,
        tombstones: Tombstones,
        aside: Aside,
        *,
        update: bool,
    ) -> None:
        self._project = project
        self._tombstones = tombstones
        self._timeout = settings.store_busy_timeout_seconds
        self._aside = aside
        self._update = update
        self._mirror = Mirror(project, settings)
        self._writers: dict[Purpose, Writer] = {}
        self.counts: dict[str, Counts] = {}
        self.purged = 0

    async def close(self) -> None:
        for writer in self._writers.values():
            await writer.close()

    async def merge(self, batch: list[_Ready]) -> None:
        """Store what was not purged: a file's rows in one transaction, unless an id comes twice."""
        # Two rows of one id come one after the other, for the second is compared with the first.
        waiting: dict[tuple[Purpose, str], _Ready] = {}
        for item in batch:
            if self._tombstones.is_purged(item.row):
                self.purged += 1
                continue
            if (item.purpose, item.row[0]) in waiting:
                await self._merge_distinct(list(waiting.values()))
                waiting.clear()
            waiting[item.purpose, item.row[0]] = item
        await self._merge_distinct(list(waiting.values()))

    async def _merge_distinct(self, batch: list[_Ready]) -> None:
        by_purpose: dict[Purpose, list[_Ready]] = {}
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

    async def _merge_into(self, purpose: Purpose, items: list[_Ready]) -> None:
        rows = [item.row for item in items]
        try:
            writer = await self._writer(purpose)
            merged = await writer.merge(rows, is_same=is_same, update=self._update)
        except (InvalidRecordError, InvalidQueryError) as error:
            if len(items) == 1:
                self._aside.add(items[0].found, _reason(error))
                return
            # One row that SQLite cannot hold must not keep the others out.
            for item in items:
                await self._merge_into(purpose, [item])
            return
        before = self.counts.get(purpose.name, Counts())
        self.counts[purpose.name] = Counts(
            before.new + merged.new, before.same + merged.same, before.changed + merged.changed
        )


def _ready(
    source: Iterator[Found],
    known: Mapping[str, Purpose],
    default: Purpose | None,
    preference: Preference | None,
    redactor: Redactor | None,
    aside: Aside,
) -> Generator[_Ready | None, None, None]:
    """Each row without secrets; None for one that was refused."""
    columns: dict[Purpose, list[Column]] = {}
    for found in source:
        if found.row is None:
            aside.add(found, found.reason)
            yield None
            continue
        try:
            row = checked(found.row)
            try:
                purpose = purpose_of(row, known, found.purpose)
            except InvalidRecordError:
                if default is None or found.purpose is not None:
                    raise
                purpose = default
            if found.cells or found.values:
                if purpose not in columns:
                    columns[purpose] = columns_of(class_of(purpose), purpose)
                cells = found.cells or differing(row, columns[purpose], found.values)
                row = reconciled(row, columns[purpose], cells, preference)
        except InvalidRecordError as error:
            aside.add(found, _reason(error))
            yield None
        else:
            yield _Ready(purpose, row if redactor is None else _sealed(redactor, row), found)


def _close(rows: Generator[Any, None, None], aside: Aside) -> None:
    try:
        rows.close()
    finally:
        aside.close()


def _take(rows: Iterator[_Ready | None]) -> list[_Ready | None]:
    batch: list[_Ready | None] = []
    characters = 0
    for item in rows:
        batch.append(item)
        characters += len(item.row[1] or "") if item is not None else 0
        if len(batch) == _BATCH_ROWS or characters >= _BATCH_CHARACTERS:
            break
    return batch


def _sealed(redactor: Redactor, row: StoredRow) -> StoredRow:
    """A row without secrets, in what should be its time, too."""
    id, content, metadata, created_at, embedding = row
    if isinstance(created_at, str):
        created_at, _ = redactor.redact_text(created_at)
    return seal(redactor, (id, content, metadata, created_at, embedding))


def _reason(error: KhiveError) -> str:
    return " ".join(str(error).split())
