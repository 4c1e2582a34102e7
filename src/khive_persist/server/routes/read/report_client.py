"""The client of `report_process.py`, the process that computes comparisons and reports."""

from collections.abc import Awaitable, Callable, Mapping
from subprocess import DEVNULL, PIPE
from typing import Any, Final

import anyio
import anyio.abc
from starlette.requests import ClientDisconnect, Request

from khive_persist import errors
from khive_persist.errors import InvalidQueryError, KhiveError
from khive_persist.project import Project
from khive_persist.server.http.errors import HTTPError
from khive_persist.server.routes.read.report_process import REFUSED
from khive_persist.store import codec
from khive_persist.trust.processes import environment_for, module_command

REPORTING: Final = "khive_persist.server.routes.read.report_process"
LIMIT_SECONDS: Final = 60.0
PATIENCE_SECONDS: Final = 10.0
MOST_BYTES: Final = 16 << 20
# A pool of threads for sums of a few thousand numbers costs more than it gives.
_ENVIRONMENT: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


class Reporter:
    """The client that has one question answered at a time, by a process that ends with it."""

    def __init__(self, project: Project, stopping: anyio.Event) -> None:
        """Start nothing yet; once `stopping` is set, nothing is waited for."""
        self._project = project
        self._stopping = stopping
        self._turn = anyio.Lock()

    async def ask(self, request: Request, question: Mapping[str, Any]) -> bytes:
        """Return the answer to a question as `report_process.py` takes it: JSON, or a page.

        When the client leaves, or the server stops, the process is killed; so it is after
        `LIMIT_SECONDS`.

        Raises:
            HTTPError: 503 where another question is not answered within `PATIENCE_SECONDS`, or the
                server stops; 504 where this one takes too long; 500 where the process ends.
            ClientDisconnect: The client has left.
            KhiveError: What went wrong in it, as its subclasses say.
        """
        answers: list[bytes] = []
        errors: list[Exception] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_cancel_after, tasks, lambda: _gone(request))
            tasks.start_soon(_cancel_after, tasks, self._stopping.wait)
            try:
                answers.append(await self._in_turn(question))
            except (KhiveError, HTTPError) as error:
                # Raised below: the group would put it into a group of errors.
                errors.append(error)
            tasks.cancel_scope.cancel()
        if errors:
            raise errors[0]
        if not answers:
            if self._stopping.is_set():
                raise HTTPError(503, "stopping", "the server stops")
            raise ClientDisconnect
        return answers[0]

    async def _in_turn(self, question: Mapping[str, Any]) -> bytes:
        with anyio.move_on_after(PATIENCE_SECONDS) as turn:
            await self._turn.acquire()
        if turn.cancelled_caught:
            raise HTTPError(503, "busy", "another comparison or report is computed just now")
        try:
            with anyio.move_on_after(LIMIT_SECONDS):
                return await self._computed(question)
            raise HTTPError(
                504,
                "too_long",
                f"it takes longer than {LIMIT_SECONDS:.0f} s",
                hint="ask for a shorter time, or run the command of khive-persist",
            )
        finally:
            self._turn.release()

    async def _computed(self, question: Mapping[str, Any]) -> bytes:
        try:
            process = await anyio.open_process(
                module_command(REPORTING, str(self._project.root)),
                stdin=PIPE,
                stdout=PIPE,
                # A traceback there could quote a payload.
                stderr=DEVNULL,
                env=environment_for(self._project.root, **_ENVIRONMENT),
            )
        except OSError as error:
            raise HTTPError(
                503, "busy", f"no process can be started to compute it: {error.strerror}"
            ) from error
        try:
            answer = await _exchange(process, codec.dump_lossy(dict(question)).encode() + b"\n")
            code = await process.wait()
        finally:
            with anyio.CancelScope(shield=True):
                if process.returncode is None:
                    process.kill()
                await process.aclose()
        if code == REFUSED:
            raise _error(answer)
        if code != 0:
            raise HTTPError(500, "ended", "the process that computes it ended")
        return answer


async def _exchange(process: anyio.abc.Process, question: bytes) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        # It stays open: its end tells the process that the server is gone.
        await process.stdin.send(question)
    except anyio.BrokenResourceError:
        # It ended already, and its exit code says so.
        return b""
    answer = bytearray()
    async for piece in process.stdout:
        answer += piece
        if len(answer) > MOST_BYTES:
            raise InvalidQueryError(
                f"the answer has more than {MOST_BYTES >> 20} MB", hint="name the groups you mean"
            )
    return bytes(answer)


def _error(answer: bytes) -> KhiveError:
    document = codec.load(answer.decode())
    error: KhiveError = getattr(errors, document["class"])(
        document["message"], hint=document["hint"]
    )
    return error


async def _gone(request: Request) -> None:
    """Wait until the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _cancel_after(
    tasks: anyio.abc.TaskGroup, happens: Callable[[], Awaitable[object]]
) -> None:
    await happens()
    tasks.cancel_scope.cancel()
