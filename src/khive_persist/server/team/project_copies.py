"""`ProjectCopies`: each project of a team, served as by its own server, over a copy.

It is brought up to date before an answer, and every few seconds while somebody listens.
"""

import asyncio
import logging
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Final

import anyio
from starlette.types import ASGIApp

from khive_persist.errors import KhiveError, NotFoundError
from khive_persist.project import make_directory
from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.recorder.logs import LOGGER
from khive_persist.server.app import routed
from khive_persist.server.http.errors import HTTPError, where
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.request.access import Access
from khive_persist.server.routes import experiments
from khive_persist.server.routes.read.operations import routes_of
from khive_persist.server.routes.read.routes import operations_with
from khive_persist.server.team.project_key import ProjectKey
from khive_persist.store.postgres.team_following import TeamFollowing
from khive_persist.team.project_copy import ProjectCopy

_log = logging.getLogger(LOGGER)
_MOST_COPIES: Final = 50
# Each has a connection, of the eight that sums are read over, too.
_COPIED_AT_ONCE: Final = 3
# A request waits no longer for a copy: the next one finds more of it.
_PATIENCE_SECONDS: Final = 5.0
_RENEW_SECONDS: Final = 2.0
_IDLE_SECONDS: Final = 300.0


class _Serving:
    """A copy, and the app that answers over its files."""

    def __init__(
        self, key: ProjectKey, copy: ProjectCopy, access: Access, stopping: anyio.Event
    ) -> None:
        self._key = key
        self.copy = copy
        self.listeners = 0
        self.used = time.monotonic()
        self.app: ASGIApp | None = None
        self._answers: set[anyio.CancelScope] = set()
        self._access = access
        self._stopping = stopping
        self._readers: ReaderPool | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[ASGIApp] | None = None

    async def renewed(self) -> ASGIApp:
        """Return the app once the copy is up to date.

        Raises:
            HTTPError: 503; it takes longer. It goes on meanwhile.
        """
        self.used = time.monotonic()
        renewing = self._renewing
        if renewing is None or renewing.done():
            renewing = self._renewing = asyncio.create_task(self._renew())
        # Others wait for the same; who leaves does not end it.
        await asyncio.wait({renewing}, timeout=_PATIENCE_SECONDS)
        if not renewing.done():
            share = f"{self.copy.copied:,} of {self.copy.waiting:,} records"
            raise HTTPError(503, "copying", f"the project is being copied: {share}")
        return renewing.result()

    async def _renew(self) -> ASGIApp:
        if self.copy.is_fresh() and self.app is not None:
            return self.app
        await self.copy.renew(self._end_answers)
        return self.app or await self._open_app()

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """Let an answer read the files for the time of the `async with`.

        Raises:
            HTTPError: 503; the files are made anew: what was read of them may be a part.
        """
        scope = anyio.CancelScope()
        self._answers.add(scope)
        try:
            with scope:
                yield
        finally:
            self._answers.discard(scope)
        if scope.cancelled_caught:
            raise HTTPError(503, "copying", "the project is being copied anew")

    async def _end_answers(self) -> None:
        """End the answers that read the files, which are to be removed, and close these."""
        for scope in list(self._answers):
            scope.cancel()
        await self._close_app()

    async def _open_app(self) -> ASGIApp:
        project = self.copy.project
        live = await anyio.to_thread.run_sync(LiveSettings, project)
        self._readers = readers = ReaderPool(project, live, lambda: 0, "/".join(self._key))
        self._keeping = asyncio.create_task(readers.keep(self._stopping))
        # All but what is of the machine there: its hooks, its backups, its second copy.
        operations = operations_with(
            experiments.operations(readers), self._access, project, live, readers, self._stopping
        )
        self.app = routed(routes_of(self._access, operations))
        await readers.wait_until_read()
        return self.app

    async def _close_app(self) -> None:
        self.app = None
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})
            self._keeping = None
        if self._readers is not None:
            await self._readers.close()
            self._readers = None

    async def close(self) -> None:
        """Close its files."""
        if self._renewing is not None:
            self._renewing.cancel()
            # Whatever it failed with, the files are closed.
            await asyncio.wait({self._renewing})
        await self._close_app()
        await self.copy.close()

    async def remove(self) -> None:
        """Close it, and remove it from the disk."""
        await self.close()
        await self.copy.remove()


class ProjectCopies:
    """The copies of a server."""

    def __init__(
        self, folder: Path, following: TeamFollowing, access: Access, stopping: anyio.Event
    ) -> None:
        """Use a folder that nobody else uses: a server holds the lock of its `.khive`.

        Args:
            folder: The folder of the copies.
            following: The reader of the team's records.
            access: The access that the server gives.
            stopping: Set when the server begins to stop: answers without an end end then.
        """
        self._stopping = stopping
        self._folder = folder
        self._following = following
        self._access = access
        self._serving: dict[ProjectKey, _Serving] = {}
        self._numbers = count(1)
        self._turns = anyio.CapacityLimiter(_COPIED_AT_ONCE)

    def open(self) -> None:
        """Make the folder; copies that another run has left are removed.

        Raises:
            ProjectError: It cannot be made.
        """
        shutil.rmtree(self._folder, ignore_errors=True)
        make_directory(self._folder)

    @asynccontextmanager
    async def app(self, key: ProjectKey) -> AsyncIterator[ASGIApp]:
        """Yield the app of a project, whose copy is up to date, for the time of an answer.

        Raises:
            NotFoundError: The team has no record of it.
            HTTPError: 503; it is being copied, or too many others are looked at.
            StoreError: The team's records cannot be read.
        """
        serving = self._serving.pop(key, None)
        if serving is None:
            if not await self._following.has_records(key):
                raise NotFoundError("the team has no such project")
            # Another request may have begun the copy meanwhile.
            serving = self._serving.pop(key, None) or self._new_serving(key)
        # The last one is that which was used last.
        self._serving[key] = serving
        serving.listeners += 1
        try:
            await self._remove_surplus()
            try:
                app = await serving.renewed()
            except NotFoundError:
                if self._serving.get(key) is serving:
                    await self._remove(key)
                raise
            async with serving.answering():
                yield app
        finally:
            serving.listeners -= 1

    def _new_serving(self, key: ProjectKey) -> _Serving:
        if sum(serving.listeners > 0 for serving in self._serving.values()) >= _MOST_COPIES:
            raise HTTPError(503, "many_projects", f"{_MOST_COPIES} projects are looked at already")
        # A folder of its own: that of a copy which is being removed may have files yet.
        folder = self._folder / str(next(self._numbers))
        copy = ProjectCopy(folder, key, self._following, self._turns)
        return _Serving(key, copy, self._access, self._stopping)

    async def _remove_surplus(self) -> None:
        """Remove copies that were used least recently, where there are too many."""
        idle = [key for key, serving in self._serving.items() if not serving.listeners]
        for key in idle[: max(0, len(self._serving) - _MOST_COPIES)]:
            await self._remove(key)

    async def keep(self) -> None:
        """Bring copies that are listened to up to date, and remove idle ones, until cancelled."""
        while True:
            await anyio.sleep(_RENEW_SECONDS)
            for key, serving in list(self._serving.items()):
                try:
                    if serving.listeners:
                        await serving.renewed()
                    elif time.monotonic() - serving.used > _IDLE_SECONDS:
                        await self._remove(key)
                except (KhiveError, HTTPError) as error:
                    # Whoever asks next is told why it cannot be.
                    _log.warning("copy_failed", extra={"fields": {"reason": str(error)}})
                except Exception as error:  # It would end the server, with what it is pushed.
                    _log.error("copy_failed", extra={"fields": where(error)})

    async def close(self) -> None:
        """Close and remove all copies."""
        for key in list(self._serving):
            await self._remove(key)

    async def _remove(self, key: ProjectKey) -> None:
        serving = self._serving.pop(key, None)
        if serving is not None:
            await serving.remove()
