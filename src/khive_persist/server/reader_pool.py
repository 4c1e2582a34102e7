"""`ReaderPool`: what the routes that read have together."""

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import anyio
from anyio import to_thread

from khive_persist.errors import InvalidSettingsError
from khive_persist.models.purposes import Purpose
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.recorder.logs import LOGGER
from khive_persist.server.event_feed import FILES, Feed
from khive_persist.server.session_watch import SessionWatch
from khive_persist.sessions.application_series import PURPOSES
from khive_persist.sessions.rollup.follower import Follower
from khive_persist.sessions.rollup.hours import Hours
from khive_persist.sessions.rollup.rollup import Rollup
from khive_persist.sessions.searcher import Searcher
from khive_persist.store.reader import Reader

Result = TypeVar("Result")

READERS: Final = 4
PATIENCE_SECONDS: Final = 1.0
HEAVY_AT_ONCE: Final = 2
LOOK_SECONDS: Final = 0.25
BUSY_LOOK_SECONDS: Final = 2.0
# More asks than this in LOOK_SECONDS are many.
BUSY_ASKS: Final = 50
_RENEW_SECONDS: Final = 1.0
_log = logging.getLogger(LOGGER)


class ReaderPool:
    """The pool of readers of a project's files, and the sums over all of them.

    Nothing waits in the spool to be read: the drainer brings that in, which the hooks wake.

    Attributes:
        rollup: The sums by session.
        hours: The sums by hour.
        follower: The follower that keeps both.
        feed: The feed of events for the listeners.
        place: The place of the project, as answers name it.
        session_watch: The watch over the application sessions that are looked at.
    """

    def __init__(
        self,
        project: Project,
        live: LiveSettings,
        request_count: Callable[[], int],
        place: str | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            project: The project.
            live: The settings in force.
            request_count: A function that returns the number of requests to store so far.
            place: The place of the project in answers, where that is not its directory.
        """
        self.place = str(project.root) if place is None else place
        self._searched_place = place
        self._asked = request_count
        self._project = project
        self._live = live
        self._idle: dict[tuple[Purpose, ...], list[Reader]] = {}
        # A long question must not keep the short ones waiting: each file is open several times.
        self._turns = anyio.CapacityLimiter(READERS)
        self._heavy = anyio.CapacityLimiter(HEAVY_AT_ONCE)
        self._searchers: list[Searcher] = []
        self._is_closed = False
        self._was_read = anyio.Event()
        self._settings = live.settings
        self.rollup = Rollup(live.settings.verdict_rule)
        self.hours = Hours(self.rollup)
        self.follower = Follower(self.new_reader, self.rollup, self.prices())
        self.feed = Feed([self.new_reader(file) for file in FILES], self.new_reader(*FILES))
        readers = [self.new_reader(purpose) for purpose in PURPOSES]
        self.session_watch = SessionWatch(readers, self.new_reader(*PURPOSES))

    @asynccontextmanager
    async def reader(self, *purposes: Purpose) -> AsyncIterator[Reader]:
        """Yield a reader of these purposes, for the time of the `async with`.

        Raises:
            StoreError: As its subclasses say.
        """
        async with self._turns:
            idle = self._idle.setdefault(purposes, [])
            reader = idle.pop() if idle else self.new_reader(*purposes)
            try:
                yield reader
            finally:
                if self._is_closed:
                    await reader.close()
                else:
                    idle.append(reader)

    def new_reader(self, *purposes: Purpose) -> Reader:
        """Return a reader of the caller's own."""
        return Reader([(self._project.database(purpose.file), purpose) for purpose in purposes])

    def prices(self) -> PriceTable:
        """Return what tokens cost, by the settings in force."""
        try:
            return PriceTable(self._live.settings.cost_prices)
        except InvalidSettingsError as error:
            _log.error("settings_wrong", extra={"fields": {"reason": str(error)}})
            return PriceTable()

    @asynccontextmanager
    async def searcher(self) -> AsyncIterator[Searcher]:
        """Yield what searches, for the time of the `async with`; a few do at once."""
        async with self._heavy:
            searcher = self._searchers.pop() if self._searchers else self._new_searcher()
            try:
                yield searcher
            finally:
                if self._is_closed:
                    await searcher.close()
                else:
                    self._searchers.append(searcher)

    def _new_searcher(self) -> Searcher:
        return Searcher(project=self._project, place=self._searched_place)

    async def run_heavy(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Run long work in a thread with an event loop of its own, a few at a time.

        Cancelled, it is done to its end, and nobody is told.
        """
        return await to_thread.run_sync(anyio.run, work, limiter=self._heavy)

    async def wait_until_read(self) -> None:
        """Wait a moment for the first reading of all files: most places are read in less."""
        with anyio.move_on_after(PATIENCE_SECONDS):
            await self._was_read.wait()

    async def keep(self, stopping: anyio.Event) -> None:
        """Keep the sums, and follow events and sessions for who listens, until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.feed.keep, stopping)
            tasks.start_soon(self.session_watch.keep, stopping)
            tasks.start_soon(self._keep_sums)

    async def _keep_sums(self) -> None:
        renewed = 0.0
        problems: list[str] = []
        while True:
            began = time.monotonic()
            if self._live.settings is not self._settings:
                if self._live.settings.cost_prices != self._settings.cost_prices:
                    self.follower.set_prices(self.prices())
                if self._live.settings.verdict_rule != self._settings.verdict_rule:
                    await to_thread.run_sync(self.rollup.set_rule, self._live.settings.verdict_rule)
                self._settings = self._live.settings
            has_more = await self.follower.look()
            if began > renewed + _RENEW_SECONDS or not has_more:
                await to_thread.run_sync(self.hours.renew)
                renewed = time.monotonic()
            if self.follower.problems != problems:
                problems = self.follower.problems
                for problem in problems:
                    _log.error("unreadable", extra={"fields": {"reason": problem}})
            if self.follower.progress.is_complete or (not has_more and problems):
                self._was_read.set()
            if not has_more:
                await self._pause(LOOK_SECONDS)
            elif self.follower.progress.is_complete:
                # Counting anew what is counted already can wait for whoever asks.
                await self._pause(time.monotonic() - began)

    async def _pause(self, seconds: float) -> None:
        """Wait; while much comes in, longer: what counts it must not keep it waiting."""
        previous = self._asked()
        await anyio.sleep(seconds)
        until = time.monotonic() + BUSY_LOOK_SECONDS
        while self._asked() - previous > BUSY_ASKS and time.monotonic() < until:
            previous = self._asked()
            await anyio.sleep(LOOK_SECONDS)

    async def close(self) -> None:
        """Close the files."""
        self._is_closed = True
        for idle in self._idle.values():
            while idle:
                await idle.pop().close()
        while self._searchers:
            await self._searchers.pop().close()
        await self.feed.close()
        await self.session_watch.close()
        await self.follower.close()
        self.rollup.close()
