"""`Recorder`: a server's end of its recorder, the process of `process.py`."""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from khive_persist.errors import StoreBusyError, StoreClosedError, StoreUnavailableError
from khive_persist.models.purposes import Purpose
from khive_persist.project import Project
from khive_persist.recorder.framing import Frames, pack
from khive_persist.recorder.logs import LOGGER
from khive_persist.recorder.messages import Ask, Commit, Incoming, Reload, Result
from khive_persist.trust.processes import environment_for, module_command

# As `recording.AGAIN`.
AGAIN = "again"
RECORDING = "khive_persist.recorder.process"
STALLED_SECONDS: Final = 1.0
# Of what was sent and not answered: what comes while a file is locked must not fill the memory.
WAITING_BYTES: Final = 64 << 20
LONGEST_SECONDS: Final = 30.0
_WATCH_SECONDS: Final = 0.1
_SENT_AT_ONCE: Final = 8
_STOP_SECONDS: Final = 4.0
_RESTART_SECONDS: Final = 1.0

_log = logging.getLogger(LOGGER)


class _Waiting:
    """Somebody who waits for an answer."""

    def __init__(
        self,
        purpose: Purpose,
        size: int,
        within_seconds: float,
        answer: "asyncio.Future[Sequence[Result]]",
    ) -> None:
        self.purpose = purpose
        self.size = size
        self.answer = answer
        self.since = time.monotonic()
        self.until = self.since + within_seconds


class Recorder:
    """Stores what it is given, through its process, which is started anew where it ends."""

    def __init__(self, project: Project, committed: Callable[[Commit], None]) -> None:
        """Prepare it; `start` starts the process.

        Args:
            project: The project.
            committed: Called after each commit.
        """
        self._project = project
        self._committed = committed
        self._number = 0
        # In the order in which they were asked: the first of a purpose has waited longest.
        self._waiting: dict[int, _Waiting] = {}
        self._waiting_bytes = 0
        self._outgoing: list[Ask] = []
        self._watch: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._starting: asyncio.Future[None] | None = None
        self._is_closed = False

    @property
    def pid(self) -> int | None:
        """The process, or None while there is none."""
        return None if self._process is None else self._process.pid

    @property
    def asked(self) -> int:
        """Return how often it was asked to store something."""
        return self._number

    @property
    def waiting(self) -> int:
        """Return how many asks are not answered yet."""
        return len(self._waiting)

    @property
    def is_ready(self) -> bool:
        """Return whether it runs, and no commit takes too long."""
        longest = next(iter(self._waiting.values()), None)
        return self._transport is not None and (longest is None or not _is_late(longest))

    def is_stalled(self, purpose: Purpose) -> bool:
        """Return whether a commit to this file takes too long, as where it is locked, or it
        cannot run.
        """
        if self._transport is None:
            return True
        first = next((one for one in self._waiting.values() if one.purpose == purpose), None)
        return first is not None and _is_late(first)

    async def start(self, *words: str) -> None:
        """Start the process.

        Args:
            words: Said to it; see `recording`.

        Raises:
            OSError: It cannot be started, as where too many run.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *module_command(RECORDING, str(self._project.root), *words),
                env=environment_for(self._project.root),
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
                # A traceback there could quote a payload.
                stderr=asyncio.subprocess.DEVNULL,
            )
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: _Answers(self), sock=ours)

    async def store(
        self,
        purpose: Purpose,
        incoming: Sequence[Incoming],
        within_seconds: float = LONGEST_SECONDS,
    ) -> Sequence[Result]:
        """Store records: committed, synced and mirrored on return, but for those refused.

        Cancelled or too late, they may be stored or not.

        Raises:
            MirrorError: They are in the database, and not in the mirror: store them again.
            StoreBusyError: There was no answer `within_seconds`, or too much waits.
            StoreError: As its other subclasses say; none is stored, unless the process ended: then
                they may be. Store them again.
        """
        if self._is_closed:
            raise StoreClosedError(f"{self._project.khive}: the server stops")
        if self._transport is None:
            raise StoreUnavailableError(f"{self._project.khive}: the recorder does not run")
        if self._waiting_bytes > WAITING_BYTES:
            raise StoreBusyError(f"{self._project.khive}: too much waits to be written")
        self._number += 1
        loop = asyncio.get_running_loop()
        size = sum(one.size for one in incoming)
        waiting = _Waiting(purpose, size, within_seconds, loop.create_future())
        self._waiting[self._number] = waiting
        self._waiting_bytes += size
        if not self._outgoing:
            # With what the requests bring that are ready now.
            loop.call_soon(self._send)
        self._outgoing.append(Ask(self._number, purpose, tuple(incoming)))
        if len(self._outgoing) == _SENT_AT_ONCE:
            # It makes rows of these while the others are read here.
            self._send()
        if self._watch is None:
            self._watch = loop.call_later(_WATCH_SECONDS, self._end_late)
        return await waiting.answer

    def _send(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if outgoing and self._transport is not None:
            self._transport.write(pack(outgoing))

    def _end_late(self) -> None:
        """One timer for all: to set one for each would cost more than to store it."""
        now = time.monotonic()
        for one in self._waiting.values():
            if one.until < now and not one.answer.done():
                one.answer.set_exception(
                    StoreBusyError(f"{self._project.database(one.purpose.file)} takes too long")
                )
        self._watch = None
        if self._waiting:
            loop = asyncio.get_running_loop()
            self._watch = loop.call_later(_WATCH_SECONDS, self._end_late)

    def reload(self) -> None:
        """Let it read config.toml anew."""
        if self._transport is not None:
            self._transport.write(pack([Reload()]))

    async def close(self) -> None:
        """Wait for what was asked, and for the end of the process."""
        self._is_closed = True
        pending = [one.answer for one in self._waiting.values()]
        if pending:
            await asyncio.wait(pending, timeout=_STOP_SECONDS)
        if self._watch is not None:
            self._watch.cancel()
        if self._transport is not None:
            self._transport.close()
        if self._process is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_SECONDS):
                    await self._process.wait()

    def _connected(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def _told(self, commit: Commit) -> None:
        for told in commit.told:
            waiting = self._waiting.pop(told.number)
            self._waiting_bytes -= waiting.size
            if waiting.answer.done():
                # Whoever asked has left.
                continue
            if told.error is not None:
                waiting.answer.set_exception(told.error)
            else:
                waiting.answer.set_result(told.results)
        self._committed(commit)

    def _lost(self) -> None:
        self._transport = None
        waiting, self._waiting = self._waiting, {}
        self._waiting_bytes, self._outgoing = 0, []
        for one in waiting.values():
            if not one.answer.done():
                one.answer.set_exception(
                    StoreUnavailableError(f"{self._project.khive}: the recorder ended")
                )
        if not self._is_closed:
            _log.error("recorder_ended", extra={"fields": {"pid": self.pid}})
            asyncio.get_running_loop().call_later(_RESTART_SECONDS, self._restart)

    def _restart(self) -> None:
        self._starting = asyncio.ensure_future(self._start_again())

    async def _start_again(self) -> None:
        while not self._is_closed:
            try:
                await self.start(AGAIN)
            except OSError as error:
                _log.error("recorder_not_started", extra={"fields": {"reason": error.strerror}})
                await asyncio.sleep(_RESTART_SECONDS)
            else:
                return


class _Answers(asyncio.Protocol):
    """The recorder's answers."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._frames = Frames()

    def connection_made(self, transport: Any) -> None:
        self._recorder._connected(transport)

    def data_received(self, data: bytes) -> None:
        for commit in self._frames.feed(data):
            self._recorder._told(commit)

    def connection_lost(self, exc: Exception | None) -> None:
        self._recorder._lost()


def _is_late(waiting: _Waiting) -> bool:
    return time.monotonic() - waiting.since > STALLED_SECONDS
