"""Events over HTTP, durable before the answer, against the same server without storing."""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from benchmarks.samples import payload
from benchmarks.table import Line, median_ratio

CONNECTIONS: Final = 32
PAYLOAD_BYTES: Final = 2_000
ROUND_SECONDS: Final = 2.0
ROUNDS: Final = 7

_SERVE: Final = """
import sys
from khive_persist.place import Place
from khive_persist.server import hooks, recorder
from khive_persist.server.running import Options, serve
from khive_persist.settings import Settings

async def nothing(serving, event, raw):
    pass

if sys.argv[2] == "answering":
    hooks.record = nothing
if sys.argv[2] == "one commit a request":
    recorder.RECORDING = "benchmarks.one_commit"
serve(Place(sys.argv[1]), Settings(), Options(port=0), lambda url: print(url, flush=True))
"""


def measure() -> list[Line]:
    """Ingest with group commits, against no storing and against one commit a request."""
    names = ("storing", "answering", "one commit a request")
    rates: dict[str, list[float]] = {name: [] for name in names}
    bodies = [payload(PAYLOAD_BYTES, n, post=n % 2 == 1) for n in range(400)]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        servers = {name: stack.enter_context(_serving(Path(folder) / name, name)) for name in names}
        for _ in range(ROUNDS + 1):
            for name, (port, token) in servers.items():
                rates[name].append(asyncio.run(_load(port, token, bodies)))
    ours, answering, alone = (rates[name][1:] for name in names)
    what = f"events of 2 KB over HTTP, {CONNECTIONS} connections, durable before the answer"
    return [
        Line(
            f"{what}, against answering without storing",
            _rate(ours),
            _rate(answering),
            median_ratio(ours, answering),
            0.45,
        ),
        Line(
            f"{what}, against one commit a request",
            _rate(ours),
            _rate(alone),
            median_ratio(ours, alone),
            1.5,
        ),
    ]


@contextmanager
def _serving(folder: Path, name: str) -> Iterator[tuple[int, str]]:
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(folder), name], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline().rpartition(":")[2])
        yield port, (folder / ".khive" / "server.token").read_text().strip()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


async def _load(port: int, token: str, bodies: list[bytes]) -> float:
    head = (
        f"POST /hooks/claude-code HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
        f"authorization: Bearer {token}\r\ncontent-type: application/json\r\n"
    )
    requests = [f"{head}content-length: {len(body)}\r\n\r\n".encode() + body for body in bodies]
    began = time.perf_counter()
    end = began + ROUND_SECONDS
    sent = await asyncio.gather(*(_connection(port, requests, end) for _ in range(CONNECTIONS)))
    return sum(sent) / (time.perf_counter() - began)


async def _connection(port: int, requests: list[bytes], end: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count = 0
    while time.perf_counter() < end:
        writer.write(requests[count % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        count += 1
    writer.close()
    await writer.wait_closed()
    return count


def _rate(rates: list[float]) -> str:
    return f"{statistics.median(rates):,.0f} events/s"
