"""A server in a process of its own, and events that are sent to it over many connections."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import one_commit

CONNECTIONS: Final = 32
ROUND_SECONDS: Final = 2.0
_READ_BYTES: Final = 1 << 20

_SERVE: Final = """
import sys
from khive_persist.project import Project
from khive_persist.server.routes import hooks
from khive_persist.recorder import client
from khive_persist.server.run import Options, serve
from khive_persist.settings import Settings

async def nothing(intake, event, raw):
    pass

if sys.argv[2] == "answering":
    hooks.record = nothing
if sys.argv[2] == "one commit a request":
    client.module_command = lambda module, *words: [sys.executable, sys.argv[3], *words]
serve(Project(sys.argv[1]), Settings(), Options(port=0), lambda url: print(url, flush=True))
"""


class Server(NamedTuple):
    """Where a server listens, and the token of its project."""

    port: int
    token: str


@contextmanager
def serving(folder: Path, kind: str = "storing") -> Iterator[Server]:
    """Run a server.

    Args:
        folder: Its project, which is made.
        kind: "storing", "answering" without storing, or "one commit a request".
    """
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(folder), kind, one_commit.__file__],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline().rpartition(":")[2])
        yield Server(port, (folder / ".khive" / "server.token").read_text().strip())
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@contextmanager
def listeners(server: Server, count: int) -> Iterator[None]:
    """Listen to `/v1/live` over so many connections, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.http_load", *map(str, (*server, count))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"all listen\n"
        yield
    finally:
        process.terminate()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def rate(server: Server, bodies: list[bytes]) -> float:
    """Send events for some time; how many a second were answered."""
    return asyncio.run(_send(server, bodies))


async def _send(server: Server, bodies: list[bytes]) -> float:
    head = (
        f"POST /hooks/claude-code HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\n"
        f"authorization: Bearer {server.token}\r\ncontent-type: application/json\r\n"
    )
    requests = [f"{head}content-length: {len(body)}\r\n\r\n".encode() + body for body in bodies]
    began = time.perf_counter()
    end = began + ROUND_SECONDS
    # Each begins elsewhere, so that all bodies are under way at once.
    step = max(1, len(requests) // CONNECTIONS)
    starts = [number * step for number in range(CONNECTIONS)]
    sent = await asyncio.gather(*(_connection(server, requests, at, end) for at in starts))
    return sum(sent) / (time.perf_counter() - began)


async def _connection(server: Server, requests: list[bytes], start: int, end: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    count = 0
    while time.perf_counter() < end:
        writer.write(requests[(start + count) % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        count += 1
    writer.close()
    await writer.wait_closed()
    return count


async def _listen(server: Server, count: int) -> None:
    request = (
        f"GET /v1/live HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\n"
        f"authorization: Bearer {server.token}\r\n\r\n"
    ).encode()
    readers = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        # What comes next is live.
        await reader.readuntil(b"\n\n")
        # Without its writer a connection is closed.
        readers.append((reader, writer))
    print("all listen", flush=True)

    async def take(reader: asyncio.StreamReader) -> None:
        while await reader.read(_READ_BYTES):
            pass

    await asyncio.gather(*(take(reader) for reader, _ in readers))


if __name__ == "__main__":
    asyncio.run(_listen(Server(int(sys.argv[1]), sys.argv[2]), int(sys.argv[3])))
