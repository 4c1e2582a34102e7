"""The client of `preparing.py`, the process that reads large bodies."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final, Literal, TypeVar, TypeVarTuple

import anyio

from khive_persist.capture.spool import Event
from khive_persist.project import Project
from khive_persist.recorder.framing import Content, FrameDecoder, beside, from_parts, pack
from khive_persist.recorder.messages import Payload, Record
from khive_persist.server.http.errors import HTTPError
from khive_persist.trust.processes import environment_for, module_command

Prepared = TypeVar("Prepared")
Words = TypeVarTuple("Words")

PREPARING: Final = "khive_persist.server.preparing"
# What is made of a body; see `preparing.py`.
Kind = Literal["value", "pieces", "record"]
# Less is read sooner than it is sent there and back.
INLINE_BYTES: Final = 131_072
PATIENCE_SECONDS: Final = 10.0
LIMIT_SECONDS: Final = 20.0
KEPT_SECONDS: Final = 60.0
_READ_BYTES: Final = 1 << 18


class Preparer:
    """The client that has one large body read at a time, by a process that is kept for a while."""

    def __init__(self, project: Project) -> None:
        """Start nothing yet."""
        self._project = project
        self._turn = anyio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._leaving: asyncio.TimerHandle | None = None

    async def run(
        self, work: Callable[[bytes, *Words], Prepared], body: bytes, *words: *Words
    ) -> Prepared:
        """Return what a function of a module of ours makes of a body: here where it is small.

        Raises:
            HTTPError: 503 where another body is not read within `PATIENCE_SECONDS`, this one takes
                too long, or the process ends; or as the function does.
            KhiveError: As the function does.
        """
        if len(body) <= INLINE_BYTES:
            return work(body, *words)
        return await self._run("value", work, body, words)  # type: ignore[no-any-return]

    async def pieces(
        self, work: Callable[[bytes, *Words], list[Prepared]], body: bytes, *words: *Words
    ) -> Iterator[Prepared]:
        """Yield what a function makes of a body in pieces; of a large one with rows to be stored.

        Each is made of bytes at its turn: to make all of them at once would keep the others
        waiting.

        Args:
            work: A function of a module of ours, which returns each `Piece` of the body.
            body: The body that it reads.
            words: Its further arguments.

        Raises:
            HTTPError: As for `run`.
            KhiveError: As the function does.
        """
        if len(body) <= INLINE_BYTES:
            return iter(work(body, *words))
        return map(from_parts, await self._run("pieces", work, body, words))

    async def record(self, event: Event, raw: bytes) -> Record:
        """Return a large event as the record that is to be stored.

        Raises:
            HTTPError: As for `run`.
            KhiveError: The event has no row.
        """
        return await self._run("record", Payload, raw, (event,))  # type: ignore[no-any-return]

    async def _run(
        self, kind: Kind, work: Callable[..., Any], body: bytes, words: tuple[Any, ...]
    ) -> Any:
        with anyio.move_on_after(PATIENCE_SECONDS) as turn:
            await self._turn.acquire()
        if turn.cancelled_caught:
            raise HTTPError(503, "busy", "too many large bodies at once")
        is_done = False
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                prepared, error = await self._exchange(pack((kind, work, beside(body), words)))
            is_done = True
        except (OSError, EOFError, TimeoutError) as failure:
            raise HTTPError(503, "busy", "this body could not be read in time") from failure
        finally:
            if not is_done:
                # What it still says would be taken for the next answer.
                self._end()
            self._turn.release()
        if error is not None:
            raise error
        return prepared

    async def close(self) -> None:
        """End the process."""
        process = self._process
        self._end()
        if process is not None:
            await process.wait()

    async def _exchange(self, question: list[Content]) -> tuple[Any, Exception | None]:
        if self._leaving is not None:
            self._leaving.cancel()
        if self._streams is None:
            self._streams = await self._start()
        reader, writer = self._streams
        writer.writelines(question)
        await writer.drain()
        reply = await _read_reply(reader)
        self._leaving = asyncio.get_running_loop().call_later(KEPT_SECONDS, self._end)
        return reply

    async def _start(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *module_command(PREPARING, str(self._project.root)),
                env=environment_for(self._project.root),
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
                # A traceback there could quote a payload.
                stderr=asyncio.subprocess.DEVNULL,
            )
        return await asyncio.open_connection(sock=ours)

    def _end(self) -> None:
        """Begin anew with the next body."""
        if self._leaving is not None:
            self._leaving.cancel()
        if self._streams is not None:
            self._streams[1].close()
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
        self._streams = self._process = self._leaving = None


async def _read_reply(reader: asyncio.StreamReader) -> tuple[Any, Exception | None]:
    frames = FrameDecoder()
    while piece := await reader.read(_READ_BYTES):
        for reply in frames.feed(piece):
            return reply  # type: ignore[no-any-return]
    raise EOFError
