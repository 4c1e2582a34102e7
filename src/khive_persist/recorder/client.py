"""The client of the recorder process, which `process.py` is."""

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
from khive_persist.recorder.framing import FrameDecoder, pack
from khive_persist.recorder.logs import LOGGER
from khive_persist.recorder.messages import Commit, Incoming, RecorderRequest, Reload, Result
from khive_persist.trust.processes import environment_for, module_command

# As `process.AGAIN` and `process.LARGE`.
AGAIN = "again"
LARGE = "large"
RECORDER_MODULE = "khive_persist.recorder.process"
STALLED_SECONDS: Final = 1.0
# Of what was sent and not answered: what comes while a file is locked must not fill the memory.
PENDING_BYTES: Final = 64 << 20
LONGEST_SECONDS: Final = 30.0
_WATCH_SECONDS: Final = 0.1
_SENT_AT_ONCE: Final = 8
_STOP_SECONDS: Final = 4.0
_RESTART_SECONDS: Final = 1.0
# Where it ends again and again, as in a project that is gone, twice as long each time up to this.
_LONGEST_RESTART_SECONDS: Final = 60.0

_log = logging.getLogger(LOGGER)


class _PendingReply:
    """A reply that a caller waits for."""

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
    """The client of the recorder process, which it starts again where that ends."""

    def __init__(self, project: Project, on_commit: Callable[[Commit], None], *words: str) -> None:
        """Prepare it; `start` starts the process.

        Args:
            project: The project.
            on_commit: Called after each commit.
            words: Further arguments of the process; see `process.py`.
        """
        self._project = project
        self._on_commit = on_commit
        self._words = words
        self._turn = asyncio.Lock()
        self._number = 0
        # In the order in which they were asked: the first of a purpose has waited longest.
        self._pending: dict[int, _PendingReply] = {}
        self._pending_bytes = 0
        self._outgoing: list[RecorderRequest] = []
        self._watch: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._starting: asyncio.Future[None] | None = None
        self._restart_seconds = _RESTART_SECONDS
        self._started = 0.0
        self._is_closed = False

    @property
    def pid(self) -> int | None:
        """Return the id of the process; None while there is none."""
        return None if self._process is None else self._process.pid

    @property
    def request_count(self) -> int:
        """Return how often it was asked to store something."""
        return self._number

    @property
    def pending_count(self) -> int:
        """Return how many asks are not answered yet."""
        return len(self._pending)

    @property
    def is_ready(self) -> bool:
        """Return whether it runs, and no commit takes too long."""
        longest = next(iter(self._pending.values()), None)
        return self._transport is not None and (longest is None or not _is_late(longest))

    def is_stalled(self, purpose: Purpose) -> bool:
        """Return whether a commit to this file takes too long, as where it is locked, or it
        cannot run.
        """
        if self._transport is None:
            return True
        oldest = next((reply for reply in self._pending.values() if reply.purpose == purpose), None)
        return oldest is not None and _is_late(oldest)

    async def start(self, *words: str) -> None:
        """Start the process.

        Args:
            words: Further arguments; see `process.py`.

        Raises:
            OSError: It cannot be started, as where too many run.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *module_command(RECORDER_MODULE, str(self._project.root), *self._words, *words),
                env=environment_for(self._project.root),
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
                # A traceback there could quote a payload.
                stderr=asyncio.subprocess.DEVNULL,
            )
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: _ReplyProtocol(self), sock=ours)

    async def start_once(self) -> None:
        """Start the process, unless it was started before.

        Raises:
            OSError: As for `start`.
        """
        async with self._turn:
            if self._process is None:
                await self.start()

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
        if self._pending_bytes > PENDING_BYTES:
            raise StoreBusyError(f"{self._project.khive}: too much waits to be written")
        self._number += 1
        loop = asyncio.get_running_loop()
        size = sum(item.size for item in incoming)
        pending = _PendingReply(purpose, size, within_seconds, loop.create_future())
        self._pending[self._number] = pending
        self._pending_bytes += size
        if not self._outgoing:
            # With what the requests bring that are ready now.
            loop.call_soon(self._send)
        self._outgoing.append(RecorderRequest(self._number, purpose, tuple(incoming)))
        if len(self._outgoing) == _SENT_AT_ONCE:
            # It makes rows of these while the others are read here.
            self._send()
        if self._watch is None:
            self._watch = loop.call_later(_WATCH_SECONDS, self._expire_requests)
        return await pending.answer

    def _send(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if outgoing and self._transport is not None:
            self._transport.writelines(pack(outgoing))

    def _expire_requests(self) -> None:
        """Fail the requests that are past their time.

        One timer serves all: to set one for each would cost more than to store it.
        """
        current_time = time.monotonic()
        for pending in self._pending.values():
            if pending.until < current_time and not pending.answer.done():
                pending.answer.set_exception(
                    StoreBusyError(f"{self._project.database(pending.purpose.file)} takes too long")
                )
        self._watch = None
        if self._pending:
            loop = asyncio.get_running_loop()
            self._watch = loop.call_later(_WATCH_SECONDS, self._expire_requests)

    def reload(self) -> None:
        """Let it read config.toml anew."""
        if self._transport is not None:
            self._transport.writelines(pack([Reload()]))

    async def close(self) -> None:
        """Wait for the pending requests, and for the end of the process."""
        self._is_closed = True
        pending = [reply.answer for reply in self._pending.values()]
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
        self._started = time.monotonic()

    def _handle_commit(self, commit: Commit) -> None:
        self._restart_seconds = _RESTART_SECONDS
        for reply in commit.replies:
            pending = self._pending.pop(reply.number)
            self._pending_bytes -= pending.size
            if pending.answer.done():
                # The caller has left.
                continue
            if reply.error is not None:
                pending.answer.set_exception(reply.error)
            else:
                pending.answer.set_result(reply.results)
        self._on_commit(commit)

    def _handle_disconnect(self) -> None:
        self._transport = None
        lost_replies, self._pending = self._pending, {}
        self._pending_bytes, self._outgoing = 0, []
        for pending in lost_replies.values():
            if not pending.answer.done():
                pending.answer.set_exception(
                    StoreUnavailableError(f"{self._project.khive}: the recorder ended")
                )
        if not self._is_closed:
            if time.monotonic() - self._started > _LONGEST_RESTART_SECONDS:
                self._restart_seconds = _RESTART_SECONDS
            delay = self._next_delay()
            fields = {"pid": self.pid, "restart_seconds": delay}
            _log.error("recorder_ended", extra={"fields": fields})
            asyncio.get_running_loop().call_later(delay, self._restart)

    def _next_delay(self) -> float:
        """Return the seconds until the next start, which grow until it commits, or stays."""
        delay = self._restart_seconds
        self._restart_seconds = min(2 * delay, _LONGEST_RESTART_SECONDS)
        return delay

    def _restart(self) -> None:
        self._starting = asyncio.ensure_future(self._start_again())

    async def _start_again(self) -> None:
        while not self._is_closed:
            try:
                await self.start(AGAIN)
            except OSError as error:
                _log.error("recorder_not_started", extra={"fields": {"reason": error.strerror}})
                await asyncio.sleep(self._next_delay())
            else:
                return


class _ReplyProtocol(asyncio.Protocol):
    """The connection on which the recorder replies."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._frames = FrameDecoder()

    def connection_made(self, transport: Any) -> None:
        self._recorder._connected(transport)

    def data_received(self, data: bytes) -> None:
        for commit in self._frames.feed(data):
            self._recorder._handle_commit(commit)

    def connection_lost(self, exc: Exception | None) -> None:
        self._recorder._handle_disconnect()


def _is_late(pending: _PendingReply) -> bool:
    return time.monotonic() - pending.since > STALLED_SECONDS
