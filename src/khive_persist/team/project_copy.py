"""`ProjectCopy`: the records that one person's machine has pushed of a project, as a project here.

It is derived: its records are written, and then how far they were followed, so that what is killed
in between is written again. Where a record was purged, all of it is made anew. What no database
here can hold, as content that is no JSON, is passed over, and logged.
"""

import logging
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import anyio

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.errors import InvalidQueryError, InvalidRecordError, NotFoundError
from khive_persist.models.purpose_registry import remember
from khive_persist.models.purposes import BUILT_IN, Purpose
from khive_persist.models.purposes import purpose as described
from khive_persist.project import Project, make_directory, write_private
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.equality import is_same
from khive_persist.store.postgres.team_following import FollowedRow, TeamFollowing, Version
from khive_persist.store.writer import Writer

VERSION_FILE: Final = "team-copy.json"
# Whoever looks again sooner is told what was there.
_FRESH_SECONDS: Final = 1.0
# Each is a file, and is looked at for each other one: a project that pushes has a few.
_MOST_OWN_KINDS: Final = 100
_BUILT_IN: Final = {purpose.name: purpose for purpose in BUILT_IN}
_log = logging.getLogger(__name__)


class _PurgedError(Exception):
    """A record that may be in the copy was purged."""


class ProjectCopy:
    """A copy of one person's project on one machine, brought up to date when it is asked for.

    Attributes:
        project: The project here; its files are there once it was brought up to date.
        copied: The number of records that the present call of `renew` has written.
        waiting: The number of those that it is to write.
    """

    def __init__(
        self,
        folder: Path,
        name: tuple[str, str, str],
        following: TeamFollowing,
        turns: anyio.CapacityLimiter,
    ) -> None:
        """Read nothing yet.

        Args:
            folder: The directory that is to hold `.khive`; whoever else is in it is removed.
            name: Person, machine and project.
            following: The reader of the team's records.
            turns: The limit of how many copies are made at once.
        """
        self.project = Project(folder)
        self.copied = self.waiting = 0
        self._name = name
        self._following = following
        self._turns = turns
        self._writers: dict[str, Writer] = {}
        self._own_kinds: dict[str, Purpose | None] = {}
        self._passed_over = 0
        self._turn = anyio.Lock()
        self._renewed = 0.0

    def is_fresh(self) -> bool:
        """Return whether it was brought up to date within the last second."""
        return time.monotonic() - self._renewed < _FRESH_SECONDS

    async def renew(self, before_removal: Callable[[], Awaitable[None]]) -> None:
        """Bring it up to date.

        Args:
            before_removal: The function that is called before its files are removed: nobody may
                read them after that.

        Raises:
            NotFoundError: The team has no record of the project; the copy is removed.
            StoreError: The team's records cannot be read, or the copy cannot be written.
        """
        async with self._turn:
            if self.is_fresh():
                return
            began = time.monotonic()
            await self._follow(before_removal)
            self._renewed = began

    async def close(self) -> None:
        """Close its files."""
        writers, self._writers = self._writers, {}
        for writer in writers.values():
            await writer.close()

    async def _follow(self, before_removal: Callable[[], Awaitable[None]]) -> None:
        latest = await self._following.version()
        copied = await anyio.to_thread.run_sync(self._version)
        if (
            copied is not None
            and copied.tables == latest.tables
            and copied.transaction <= latest.transaction
        ):
            try:
                await self._copy(copied.transaction, latest)
            except _PurgedError:
                pass
            else:
                return
        async with self._turns:
            await before_removal()
            await self.remove()
            if not await self._following.has_records(self._name):
                raise NotFoundError("the team has no such project")
            await anyio.to_thread.run_sync(_make, self.project)
            await self._copy(0, latest)

    async def _copy(self, start: int, latest: Version) -> None:
        """Write what lies between two versions, and then that it was."""
        if start == latest.transaction:
            return
        self.copied = self._passed_over = 0
        self.waiting = await self._following.count(self._name, start, latest.transaction)
        async for batch in self._following.rows(self._name, start, latest.transaction):
            present = [row for row in batch if row.content is not None]
            if start and len(present) < len(batch):
                raise _PurgedError
            await self._write(present)
            self.copied += len(batch)
        if self._passed_over:
            _log.warning("records_passed_over", extra={"fields": {"records": self._passed_over}})
        await anyio.to_thread.run_sync(self._set_version, latest)

    async def _write(self, batch: Sequence[FollowedRow]) -> None:
        by_purpose: dict[str, dict[str, StoredRow]] = {}
        for row in batch:
            stored_row = (row.id, row.content, None, clock.to_text(row.created_at), None)
            by_purpose.setdefault(row.purpose, {})[row.id] = stored_row
        for name, rows in by_purpose.items():
            purpose = _BUILT_IN.get(name) or await self._own_kind(name)
            if purpose is None:
                self._passed_over += len(rows)
                continue
            await self._merge(self._writer(purpose), [*rows.values()])
            if purpose.name not in _BUILT_IN:
                # Of many kinds, each open file would be one less for connections.
                await self._writers.pop(purpose.name).close()

    async def _merge(self, writer: Writer, rows: Sequence[StoredRow]) -> None:
        try:
            await writer.merge(rows, is_same=is_same, update=True)
        except (InvalidQueryError, InvalidRecordError):
            if len(rows) == 1:
                self._passed_over += 1
                return
            # One of them, or some, which no call names.
            middle = len(rows) // 2
            for part in (rows[:middle], rows[middle:]):
                await self._merge(writer, part)

    async def _own_kind(self, name: str) -> Purpose | None:
        """Return a kind of the project's own, of which the team knows the name alone.

        None is one whose name can be none of a table, or one of too many.
        """
        if name not in self._own_kinds and len(self._own_kinds) < _MOST_OWN_KINDS:
            try:
                purpose = described(name)
                await anyio.to_thread.run_sync(remember, self.project, purpose)
            except InvalidRecordError:
                self._own_kinds[name] = None
            else:
                self._own_kinds[name] = purpose
        return self._own_kinds.get(name)

    def _writer(self, purpose: Purpose) -> Writer:
        writer = self._writers.get(purpose.name)
        if writer is None:
            timeout = configuration.load(self.project.config).store_busy_timeout_seconds
            writer = Writer(self.project.database(purpose.file), purpose, timeout, "off")
            self._writers[purpose.name] = writer
        return writer

    async def remove(self) -> None:
        """Remove it from the disk."""
        await self.close()
        self._own_kinds.clear()
        await anyio.to_thread.run_sync(_remove, self.project.root)

    def _version(self) -> Version | None:
        try:
            tables, transaction = codec.load((self.project.khive / VERSION_FILE).read_bytes())
        except (OSError, ValueError, TypeError):
            return None
        is_ours = isinstance(tables, str) and type(transaction) is int
        return Version(tables, transaction) if is_ours else None

    def _set_version(self, version: Version) -> None:
        write_private(self.project.khive / VERSION_FILE, codec.dump_line(list(version)))


def _make(project: Project) -> None:
    make_directory(project.root)
    project.make()


def _remove(folder: Path) -> None:
    # The version first: what is removed half is no copy.
    with suppress(OSError):
        os.unlink(folder / ".khive" / VERSION_FILE)
    shutil.rmtree(folder, ignore_errors=True)
