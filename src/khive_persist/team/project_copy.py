"""`ProjectCopy`: the records that one person's machine has pushed of a project, as a project here.

It is of the process that made it, and begins anew with the next one. Where a record was purged, all
of it is made anew, too. What no database here can hold, as content that is no JSON, is passed over,
and logged.
"""

import logging
import shutil
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Final

import anyio

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.errors import InvalidQueryError, InvalidRecordError, NotFoundError
from khive_persist.models.purpose_registry import remember
from khive_persist.models.purposes import BUILT_IN, Purpose
from khive_persist.models.purposes import purpose as described
from khive_persist.project import Project, make_directory
from khive_persist.store.codec import StoredRow
from khive_persist.store.equality import is_same
from khive_persist.store.postgres.team_following import FollowedRow, TeamFollowing, Version
from khive_persist.store.writer import Writer

# Whoever looks again sooner is told what was there.
_FRESH_SECONDS: Final = 1.0
# What is of another name now, or was deleted by SQL, left no version: its number is missed.
_COUNT_SECONDS: Final = 10.0
# Each is a file, and is looked at for each other one: a project that pushes has a few.
_MOST_OWN_KINDS: Final = 100
_BUILT_IN: Final = {purpose.name: purpose for purpose in BUILT_IN}
# It works within a server, whose log it writes to.
_log = logging.getLogger("khive_persist.server")


class _RemovedError(Exception):
    """A record that is in the copy is the project's no more."""


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
        self._version: Version | None = None
        self._total = 0
        self._renewed = self._counted = 0.0

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
        copied = self._version
        if (
            copied is not None
            and copied.tables == latest.tables
            and copied.transaction <= latest.transaction
        ):
            try:
                if copied != latest:
                    await self._copy(copied.transaction)
                await self._count()
            except _RemovedError:
                pass
            else:
                self._version = latest
                return
        async with self._turns:
            await before_removal()
            await self.remove()
            if not await self._following.has_records(self._name):
                raise NotFoundError("the team has no such project")
            await anyio.to_thread.run_sync(_make, self.project)
            await self._copy(0)
            await self._count()
            self._version = latest

    async def _copy(self, start: int) -> None:
        """Write what was written since a transaction; 0 is before all, into files that are new.

        Raises:
            _RemovedError: A record of the copy was purged.
        """
        self.copied = self._passed_over = 0
        self.waiting = await self._following.count(self._name, start)
        purged: dict[str, set[str]] = {}
        async with aclosing(self._following.rows(self._name, start)) as batches:
            async for batch in batches:
                for row in batch:
                    ids = purged.setdefault(row.purpose, set())
                    # One that went to another session is purged in that which it was in before.
                    (ids.add if row.content is None else ids.discard)(row.id)
                await self._write([row for row in batch if row.content is not None])
                self.copied += len(batch)
        if self._passed_over:
            _log.warning("records_passed_over", extra={"fields": {"records": self._passed_over}})
        for name, ids in purged.items():
            if start and ids and await self._delete(name, ids):
                raise _RemovedError

    async def _delete(self, name: str, ids: set[str]) -> int:
        """Delete records; return how many there were: their bytes may still be there."""
        purpose = _BUILT_IN.get(name) or await self._own_kind(name)
        return 0 if purpose is None else await self._writer(purpose).delete([*ids])

    async def _count(self) -> None:
        """Compare, once in a while, how many versions there are with how many there were.

        Raises:
            _RemovedError: They are fewer.
        """
        began = time.monotonic()
        if began > self._counted + _COUNT_SECONDS:
            earlier, self._total = self._total, await self._following.count(self._name, 0)
            self._counted = began
            if self._total < earlier:
                raise _RemovedError

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
        self._version, self._total, self._counted = None, 0, 0.0
        await self.close()
        self._own_kinds.clear()
        await anyio.to_thread.run_sync(
            partial(shutil.rmtree, ignore_errors=True), self.project.root
        )


def _make(project: Project) -> None:
    make_directory(project.root)
    # It gets no mark: it is none of this user's projects, which commands and agents are shown.
    make_directory(project.khive)
