"""`ProjectCopy`: the records that one person's machine has pushed of a project, as a project here.

It is of the process that made it, and is written once: where a record was taken out, another one is
made in its place, so that neither the files nor their free pages have what was purged.
"""

import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from anyio.to_thread import run_sync

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.errors import InvalidRecordError, NotFoundError, ProjectError, StoreError
from khive_persist.models.purpose_registry import remember
from khive_persist.models.purposes import BUILT_IN
from khive_persist.models.purposes import purpose as described
from khive_persist.project import Project, make_directory
from khive_persist.store.codec import StoredRow
from khive_persist.store.equality import is_same
from khive_persist.store.postgres.team_following import FollowedRow, TeamFollowing, Version
from khive_persist.store.writer import Writer
from khive_persist.trust import marks

# Whoever looks again sooner is told what was there.
_FRESH_SECONDS: Final = 1.0
# Records that are of another name now left no version here: they are missed by their number.
_COUNT_SECONDS: Final = 10.0
# Each has a file, and a thread that writes it; a sender may name as many as it likes.
_MOST_KINDS: Final = 100
_BUILT_IN: Final = {purpose.name: purpose for purpose in BUILT_IN}


class ProjectCopy:
    """A copy of one person's project on one machine, brought up to date when it is asked for.

    One task uses it at a time.

    Attributes:
        project: The project here; its files are there once it was brought up to date.
        copied: The number of records that the present call of `renew` was given.
        waiting: The number of those that the first call is to be given; None until it is known.
    """

    def __init__(self, folder: Path, name: tuple[str, str, str], following: TeamFollowing) -> None:
        """Read nothing yet.

        Args:
            folder: The directory that is to hold `.khive`; what is in it goes.
            name: Person, machine and project.
            following: The reader of the team's records.
        """
        self.project = Project(folder)
        self.copied = 0
        self.waiting: int | None = None
        self._name = name
        self._following = following
        self._writers: dict[str, Writer] = {}
        self._version: Version | None = None
        self._renewed = self._counted = self._total = 0.0

    def is_fresh(self) -> bool:
        """Return whether it was brought up to date within the last second."""
        return self._version is not None and time.monotonic() - self._renewed < _FRESH_SECONDS

    async def renew(self) -> bool:
        """Bring it up to date; return False where it cannot be: another one is to be made.

        That is where a record of it was purged or is of another name now, or the tables were made
        anew. Cancelled, or after an error, it goes on with the next call.

        Raises:
            NotFoundError: The team has no record of the project; nothing was made.
            StoreError: The team's records cannot be read, or the copy cannot be written.
            ProjectError: The copy's directory cannot be made.
        """
        if self.is_fresh():
            return True
        began = time.monotonic()
        latest = await self._following.version()
        version = self._version
        if version is None:
            if not await self._following.has_records(self._name):
                raise NotFoundError("the team has no such project")
            self.waiting = await self._following.count(self._name)
            await run_sync(_make, self.project)
        elif version.tables != latest.tables or version.transaction > latest.transaction:
            return False
        if version != latest:
            since = 0 if version is None else version.transaction
            if await self._copy(since) and version is not None:
                return False
        if began > self._counted + _COUNT_SECONDS and await self._has_fewer():
            return False
        self._version, self._renewed = latest, began
        return True

    async def close(self) -> None:
        """Close its files."""
        writers, self._writers = self._writers, {}
        for writer in writers.values():
            await writer.close()

    async def remove(self) -> None:
        """Close it, and remove it from the disk."""
        await self.close()
        await run_sync(_remove, self.project)

    async def _copy(self, since: int) -> bool:
        """Write what was written since a transaction; return whether a record of it was purged."""
        purged: dict[str, set[str]] = {}
        self.copied = 0

        async def take(rows: Sequence[FollowedRow]) -> None:
            for row in rows:
                ids = purged.setdefault(row.purpose, set())
                # A record that was moved to another session is taken out of the one before.
                (ids.add if row.content is None else ids.discard)(row.id)
            await self._write([row for row in rows if row.content is not None])
            self.copied += len(rows)

        await self._following.read(self._name, since, take)
        count = 0
        for name, ids in purged.items():
            if ids and (writer := self._writers.get(name)) is not None:
                count += await writer.delete([*ids])
        return count > 0

    async def _has_fewer(self) -> bool:
        """Return whether the team has fewer versions of the project's records than it had."""
        began, total = time.monotonic(), await self._following.count(self._name)
        is_fewer, self._counted, self._total = total < self._total, began, total
        return is_fewer

    async def _write(self, rows: Sequence[FollowedRow]) -> None:
        by_purpose: dict[str, dict[str, StoredRow]] = {}
        for row in rows:
            stored_row = (row.id, row.content, None, clock.to_text(row.created_at), None)
            by_purpose.setdefault(row.purpose, {})[row.id] = stored_row
        for name, stored_rows in by_purpose.items():
            try:
                writer = self._writers.get(name) or await self._open(name)
            except InvalidRecordError:
                # A name that can be none of a table is in no project that pushes.
                continue
            await writer.merge([*stored_rows.values()], is_same=is_same, update=True)

    async def _open(self, name: str) -> Writer:
        purpose = _BUILT_IN.get(name)
        if purpose is None:
            # Of a kind of their own the team knows the name alone.
            purpose = described(name)
            if len(self._writers) >= _MOST_KINDS:
                raise StoreError(f"the project has records of more than {_MOST_KINDS} kinds")
            await run_sync(remember, self.project, purpose)
        timeout = configuration.load(self.project.config).store_busy_timeout_seconds
        writer = Writer(self.project.database(purpose.file), purpose, timeout, "off")
        self._writers[name] = writer
        return writer


def _make(project: Project) -> None:
    _remove(project)
    make_directory(project.root)
    project.make()


def _remove(project: Project) -> None:
    shutil.rmtree(project.root, ignore_errors=True)
    with suppress(OSError, ProjectError):
        # Whoever is asked for all projects of this user names no copy.
        marks.unmark(project.khive)
