"""A slow, a leaving, a lying and a huge client of every route beside ordinary ones.

Nobody's ordinary request fails, and of a hundred of them the slowest takes at most three times as
long as without odd clients: `make test-long` asks it of each kind beside a few ordinary clients,
and of all at once beside a server's whole load.
"""

import asyncio
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest

from khive_persist.project import Project
from tests.server.load import LISTENERS
from tests.server.odd_clients import KINDS
from tests.server.process import ROOT, Server, event, until
from tests.server.sessions import begin
from tests.server.test_held_load import Crowd

pytestmark = pytest.mark.crowd

CLIENTS = 16
WINDOW_SECONDS = 5
# Of each client, after an answer.
PAUSE_SECONDS = 0.05
BOUND = 3.0
# What a machine's own timers and disk do to a hundredth of requests that take a millisecond.
LEAST_SECONDS = 0.005


async def _send(server: Server, client: int, seconds: float) -> list[float]:
    """Send events for some time; how long each took."""
    reader, writer = await asyncio.open_connection(*server.address)
    head = (
        f"POST /hooks/claude-code HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {server.token}\r\nContent-Type: application/json\r\n"
    )
    latencies = []
    body = event(client)
    end = time.perf_counter() + seconds
    await asyncio.sleep(PAUSE_SECONDS * client / CLIENTS)
    while (began := time.perf_counter()) < end:
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        latencies.append(time.perf_counter() - began)
        await asyncio.sleep(PAUSE_SECONDS)
    writer.close()
    await writer.wait_closed()
    return latencies


def slowest(server: Server, seconds: float) -> float:
    """The latency that one of a hundred ordinary requests exceeds."""

    async def send() -> list[list[float]]:
        return await asyncio.gather(*(_send(server, at, seconds) for at in range(CLIENTS)))

    latencies = sorted(latency for each in asyncio.run(send()) for latency in each)
    return latencies[int(len(latencies) * 0.99)]


@contextmanager
def odd_clients(server: Server, session: str, kinds: Sequence[str]) -> Iterator[None]:
    """Odd clients of these kinds, in a process of their own."""
    command = [sys.executable, "-m", "tests.server.odd_clients", server.url, session, *kinds]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{server.token}\n")
        process.stdin.flush()
        assert process.stdout.readline() == "begun\n"
        try:
            yield
        finally:
            process.stdin.close()
            assert process.wait(timeout=30) == 0


def measure(
    project: Project, kinds: Sequence[str], rounds: int, seconds: float, bound: float
) -> None:
    with Server(project, is_fork=False) as server:
        with server.client() as client:
            session = begin(client)
        slowest(server, 1)
        alone, beside = [], []
        for _ in range(rounds):
            alone.append(slowest(server, seconds))
            with odd_clients(server, session, kinds):
                beside.append(slowest(server, seconds))
            with server.client() as client:
                until(lambda: "khive_waiting 0.0" in client.get("/metrics").text, seconds=60)
            time.sleep(0.5)
        assert server.process.poll() is None
        assert "Traceback" not in server.log
        assert "internal_error" not in server.log
    middle = [statistics.median(p99s) for p99s in (alone, beside)]
    times = middle[1] / max(middle[0], LEAST_SECONDS)
    print(f"{kinds[0]}…: p99 {middle[0] * 1e3:.1f} ms alone, {middle[1] * 1e3:.1f} ms beside")
    assert times <= bound, (alone, beside)


def test_nothing_fails_beside_all_kinds_at_once(project: Project) -> None:
    measure(project, KINDS, rounds=2, seconds=2, bound=math.inf)


@pytest.mark.long
def test_all_kinds_at_once_do_not_hold_up_a_whole_load(project: Project) -> None:
    windows: dict[str, list[tuple[float, float]]] = {"without": [], "beside": []}

    def look(name: str) -> None:
        began = time.monotonic()
        time.sleep(WINDOW_SECONDS)
        windows[name].append((began, time.monotonic()))

    with ExitStack() as stack:
        server = stack.enter_context(Server(project, is_fork=False))
        with server.client() as client:
            session = begin(client)
        listeners = stack.enter_context(Crowd("listeners", server))
        listeners.wait_for(LISTENERS)
        crowds = {
            role: stack.enter_context(Crowd(role, server))
            for role in ("writers", "spoolers", "users")
        }
        for crowd in crowds.values():
            crowd.wait_for(200)
        for _ in range(5):
            look("without")
            with odd_clients(server, session, KINDS):
                look("beside")
            for crowd in crowds.values():
                crowd.wait_for(50)
        told = {role: crowd.end() for role, crowd in crowds.items()}
        assert [one["wrong"] for one in told.values()] == [[]] * 3
        assert "internal_error" not in server.log
    for role in ("writers", "users"):
        without, beside = (
            statistics.median(_slowest_within(told[role]["latencies"], *one) for one in each)
            for each in windows.values()
        )
        print(f"{role}: p99 {without * 1e3:.0f} ms without, {beside * 1e3:.0f} ms beside")
        assert beside <= BOUND * without


def _slowest_within(latencies: Sequence[tuple[float, float]], began: float, ended: float) -> float:
    """What one of a hundred of the requests that began then exceeds."""
    found = sorted(took for at, took in latencies if began <= at < ended)
    return found[int(len(found) * 0.99)]


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_holds_up_the_others(kind: str, project: Project) -> None:
    measure(project, [kind], rounds=5, seconds=3, bound=BOUND)
