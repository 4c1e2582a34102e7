"""python -m tests.server.odd_clients URL SESSION KIND...: clients that nobody wishes for.

A kind is what they do and where: `slow hooks`, `huge export`. They go on until stdin ends; its
first line is a token.
"""

import asyncio
import itertools
import os
import socket
import struct
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

# The limit of a body, and about that of a payload that is kept whole.
SIZES = (8_388_600, 4_194_000)
VALUE = b'{"a":[1,20]},'
BATCHES = (10_000, 16_000)
HEAD_BYTES = 65_536
PAUSE_SECONDS = 0.2
PATIENCE_SECONDS = 60.0
LIE_SECONDS = 2.0
DEPTH = 100_000


class Route(NamedTuple):
    """A route, an ordinary document for it, and whether it takes many at once."""

    method: str
    path: str
    document: str = ""
    takes_many: bool = False
    accept: str = "*/*"


_FILL = b'"HERE"'
ROUTES = {
    "hooks": Route(
        "POST",
        "/hooks/claude-code",
        '{"session_id":"odd","hook_event_name":"PreToolUse","tool_input":"HERE"}',
    ),
    "events": Route(
        "POST",
        "/v1/events",
        '{"tool":"claude-code","payload":{"session_id":"odd","tool_input":"HERE"}}',
        takes_many=True,
    ),
    "session": Route("POST", "/v1/application_sessions", '{"group":"odd","notes":"HERE"}'),
    "messages": Route(
        "POST",
        "/v1/application_sessions/SESSION/messages",
        '{"role":"user","text":"odd","notes":"HERE"}',
        takes_many=True,
    ),
    "records": Route(
        "POST",
        "/v1/outcomes",
        '{"content":{"session_id":"odd","verdict":"success","notes":"HERE"}}',
        takes_many=True,
    ),
    "login": Route("POST", "/login", '{"token":"HERE"}'),
    "live": Route("GET", "/v1/live"),
    "sessions": Route("GET", "/v1/sessions"),
    "export": Route("GET", "/v1/events?payload=true", accept="application/x-ndjson"),
}


class Connection:
    """A bare connection to one route, with what a request for it is made of."""

    def __init__(self, address: tuple[str, int], token: str, session: str, route: Route) -> None:
        self._address = address
        self._token = token
        self._session = session
        self.route = route
        self.body = route.document.encode()
        self._socket = socket.socket()

    async def __aenter__(self) -> "Connection":
        self._socket = socket.socket()
        self._socket.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(self._socket, self._address)
        except BaseException:
            self._socket.close()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        self._socket.close()

    def head(self, *lines: str, token: str | None = None) -> bytes:
        """The head of a request; the lines say how its body comes."""
        route = self.route
        first = [
            f"{route.method} {route.path.replace('SESSION', self._session)} HTTP/1.1",
            "Host: 127.0.0.1",
            f"Authorization: Bearer {self._token if token is None else token}",
            "Content-Type: application/json",
            f"Accept: {route.accept}",
        ]
        return "\r\n".join([*first, *lines, "", ""]).encode()

    def request(self, body: bytes | None = None) -> bytes:
        """A whole request that there is nothing odd about."""
        body = self.body if body is None else body
        return self.head(*([f"Content-Length: {len(body)}"] if body else ())) + body

    async def send(self, content: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, content)

    async def drip(self, content: bytes) -> None:
        """Send a byte a second."""
        for byte in content:
            await self.send(bytes([byte]))
            await asyncio.sleep(1)

    async def receive(self, size: int = 65_536) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self._socket, size)

    async def answer(self) -> None:
        """Read all of an answer that has an end which can be told."""
        received = b""
        while b"\r\n\r\n" not in received:
            if not (piece := await self.receive()):
                return
            received += piece
        head, _, rest = received.partition(b"\r\n\r\n")
        _, _, length = head.lower().partition(b"content-length:")
        left = int(length.partition(b"\r\n")[0] or 0) - len(rest)
        while left > 0 and (piece := await self.receive()):
            left -= len(piece)

    def fill_soon(self) -> None:
        """Let what is not read fill the server's buffers, and not the system's."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)

    def reset(self) -> None:
        """Let the close be an RST."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


Way = Callable[[Connection], Awaitable[None]]


async def _slow_head(connection: Connection) -> None:
    await connection.drip(connection.request())


async def _slow_body(connection: Connection) -> None:
    await connection.send(connection.head(f"Content-Length: {len(connection.body)}"))
    await connection.drip(connection.body)
    await connection.answer()


async def _slow_reader(connection: Connection) -> None:
    connection.fill_soon()
    # Many at once, so that there is something to read.
    await connection.send(connection.request() * 50)
    while await connection.receive(1):
        await asyncio.sleep(1)


async def _leaves_in_head(connection: Connection) -> None:
    await connection.send(connection.request()[:40])


async def _leaves_in_body(connection: Connection) -> None:
    await connection.send(connection.head("Content-Length: 5000000") + b"[" * 500_000)


async def _leaves_before_the_answer(connection: Connection) -> None:
    await connection.send(connection.request())


async def _leaves_in_the_answer(connection: Connection) -> None:
    await connection.send(connection.request())
    await connection.receive(100)


def _by_reset(leave: Way) -> Way:
    async def leave_by_reset(connection: Connection) -> None:
        await leave(connection)
        connection.reset()

    return leave_by_reset


def _lies_about_its_length(length: str) -> Way:
    async def lie(connection: Connection) -> None:
        await connection.send(connection.head(f"Content-Length: {length}") + connection.body)
        await connection.answer()

    return lie


async def _endless_chunks(connection: Connection) -> None:
    await connection.send(connection.head("Transfer-Encoding: chunked"))
    while True:
        await connection.send(b"1000\r\n" + b"[" * 4_096 + b"\r\n")
        await asyncio.sleep(0.01)


async def _wrong_token(connection: Connection) -> None:
    length = f"Content-Length: {len(connection.body)}"
    await connection.send(connection.head(length, token="x" * 43) + connection.body)
    await connection.answer()


async def _sends(connection: Connection, body: bytes) -> None:
    await connection.send(connection.request(body))
    await connection.answer()


async def _huge_head(connection: Connection) -> None:
    await connection.send(connection.head("X-Odd: " + "x" * HEAD_BYTES))
    await connection.answer()


async def _huge_path(connection: Connection) -> None:
    await connection.send(
        connection.head().replace(b" HTTP", b"?q=" + b"x" * HEAD_BYTES + b" HTTP")
    )
    await connection.answer()


async def _reads_all(connection: Connection) -> None:
    await connection.send(connection.head("Connection: close"))
    while await connection.receive(1 << 20):
        pass


def huge_bodies(route: Route) -> list[bytes]:
    """Bodies up to the limit: one long text, many small values, and as many documents as fit."""
    document = route.document.encode()
    bodies = []
    for size in SIZES:
        left = size - len(document)
        for filling in (b'"%b"' % (b"x" * left), b"[%b0]" % (VALUE * (left // len(VALUE)))):
            bodies.append(document.replace(_FILL, filling))
    if route.takes_many:
        bodies += [b"[%b]" % b",".join([document] * count) for count in BATCHES]
    return bodies


def ways(kind: str) -> list[Way]:
    """The ways of doing what a kind says."""
    what, _, where = kind.partition(" ")
    route = ROUTES[where]
    writes = route.method == "POST"
    match what:
        case "slow":
            return [_slow_head, _slow_reader, *([_slow_body] if writes else [])]
        case "leaving":
            leaving = [_leaves_in_head, _leaves_before_the_answer, _leaves_in_the_answer]
            leaving += [_leaves_in_body] if writes else []
            return [*leaving, *map(_by_reset, leaving)]
        case "lying":
            lengths = ("3", "1000000", "1000000000000", "-5", "nonsense")
            deep = b'{"a":' + b"[" * DEPTH
            documents = [deep, deep + b"]" * DEPTH + b"}"] if writes else []
            return [
                *map(_lies_about_its_length, lengths),
                *(partial(_sends, body=document) for document in documents),
                _endless_chunks,
                _wrong_token,
            ]
        case "huge":
            bodies = huge_bodies(route) if writes else []
            reading = [] if writes else [_reads_all]
            sending = [partial(_sends, body=body) for body in bodies]
            return [*sending, *reading, _huge_head, _huge_path]
    raise ValueError(kind)


KINDS = tuple(
    f"{what} {where}" for what in ("slow", "leaving", "lying", "huge") for where in ROUTES
)


async def _go_on(connection: Connection, ways: Sequence[Way], seconds: float) -> None:
    for way in itertools.cycle(ways):
        # It is refused and cut off, as it is to be.
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(seconds), connection:
                await way(connection)
        await asyncio.sleep(PAUSE_SECONDS)


def _clients(kind: str, made: Callable[[Route], Connection]) -> list[Coroutine[Any, Any, None]]:
    """Those of one kind: a slow one for each way, else one that goes through the ways."""
    what, _, where = kind.partition(" ")
    route = ROUTES[where]
    seconds = PATIENCE_SECONDS if what in ("slow", "huge") else LIE_SECONDS
    turns = [[way] for way in ways(kind)] if what == "slow" else [ways(kind)]
    return [_go_on(made(route), turn, seconds) for turn in turns]


async def main() -> None:
    # They stand for other machines: of this one's time they are to take what is left.
    os.nice(19)
    url, session, *kinds = sys.argv[1:]
    host, _, port = url.rpartition("//")[2].rpartition(":")
    token = sys.stdin.readline().strip()
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def wait() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait, daemon=True).start()
    made = partial(Connection, (host, int(port)), token, session)
    tasks = [asyncio.ensure_future(each) for kind in kinds for each in _clients(kind, made)]
    print("begun", flush=True)
    await ended.wait()
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes), outcomes


if __name__ == "__main__":
    asyncio.run(main())
