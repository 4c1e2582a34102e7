"""`ProjectCopy`: the records that one person's machine has pushed of a project, as a project here.

It is derived: its records are written, and then how far they were followed, so that what is killed
in between is written again. Where a record was purged, all of it is made anew.
"""

import os
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import anyio

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.errors import InvalidRecordError, NotFoundError
from khive_persist.models.purpose_registry import remember
from khive_persist.models.purposes import BUILT_IN
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
_BUILT_IN: Final = {purpose.name: purpose for purpose in BUILT_IN}


class _PurgedError(Exception):
    """A record that may be in the copy was purged."""


class ProjectCopy:
    """A copy of one person's project on one machine, brought up to date when it is asked for.

    Attributes:
        project: The project here; its files are there once it was brought up to date.
        copied: The number of records that the present call of `renew` has written.
        waiting: The number of those that it is to write.
    """

    def __init__(self, folder: Path, name: tuple[str, str, str], following: TeamFollowing) -> None:
        """Read nothing yet.

        Args:
            folder: The directory that is to hold `.khive`; whoever else is in it is removed.
            name: Person, machine and project.
            following: The reader of the team's records.
        """
        self.project = Project(folder)
        self.copied = self.waiting = 0
        self._name = name
        self._following = following
        self._writers: dict[str, Writer] = {}
        self._turn = anyio.Lock()
        self._renewed = 0.0

    def is_fresh(self) -> bool:
        """Return whether it was brought up to date within the last second."""
        return time.monotonic() - self._renewed < _FRESH_SECONDS

    async def renew(self) -> bool:
        """Bring it up to date; return whether it was made anew, so that files open before are gone.

        Raises:
            NotFoundError: The team has no record of the project; the copy is removed.
            StoreError: The team's records cannot be read, or the copy cannot be written.
        """
        async with self._turn:
            if self.is_fresh():
                return False
            began = time.monotonic()
            is_anew = await self._follow()
            self._renewed = began
            return is_anew

    async def close(self) -> None:
        """Close its files."""
        writers, self._writers = self._writers, {}
        for writer in writers.values():
            await writer.close()

    async def _follow(self) -> bool:
        latest = await self._following.version()
        copied = await anyio.to_thread.run_sync(self._version)
        is_anew = False
        if (
            copied is None
            or copied.tables != latest.tables
            or copied.transaction > latest.transaction
        ):
            copied, is_anew = None, True
        try:
            await self._copy(copied, latest)
        except _PurgedError:
            is_anew = True
            await self._copy(None, latest)
        return is_anew

    async def _copy(self, copied: Version | None, latest: Version) -> None:
        """Write what lies between two versions, and then that it was."""
        if copied is None:
            await self.remove()
            if not await self._following.has_records(self._name):
                raise NotFoundError("the team has no such project")
            await anyio.to_thread.run_sync(_make, self.project)
        start = 0 if copied is None else copied.transaction
        if start == latest.transaction:
            return
        self.copied = 0
        self.waiting = await self._following.count(self._name, start, latest.transaction)
        async for batch in self._following.rows(self._name, start, latest.transaction):
            present = [row for row in batch if row.content is not None]
            if copied is not None and len(present) < len(batch):
                raise _PurgedError
            await self._write(present)
            self.copied += len(batch)
        await anyio.to_thread.run_sync(self._set_version, latest)

    async def _write(self, batch: Sequence[FollowedRow]) -> None:
        by_purpose: dict[str, dict[str, StoredRow]] = {}
        for row in batch:
            stored_row = (row.id, row.content, None, clock.to_text(row.created_at), None)
            by_purpose.setdefault(row.purpose, {})[row.id] = stored_row
        for name, rows in by_purpose.items():
            try:
                writer = self._writers.get(name) or await self._open(name)
            except InvalidRecordError:
                # A name that can be none of a table is in no project that pushes.
                continue
            await writer.merge([*rows.values()], is_same=is_same, update=True)

    async def _open(self, name: str) -> Writer:
        purpose = _BUILT_IN.get(name)
        if purpose is None:
            # Of a kind of their own the team knows the name alone.
            purpose = described(name)
            await anyio.to_thread.run_sync(remember, self.project, purpose)
        timeout = configuration.load(self.project.config).store_busy_timeout_seconds
        writer = Writer(self.project.database(purpose.file), purpose, timeout, "off")
        self._writers[name] = writer
        return writer

    async def remove(self) -> None:
        """Remove it from the disk."""
        await self.close()
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
