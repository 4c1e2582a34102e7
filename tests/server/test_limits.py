"""Clients that are slow, large or hostile: refused early, at no cost to the others."""

import gzip
import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager

import httpx
import pytest
from backports import zstd

from khive_persist.project import Project
from khive_persist.server.http import protocol
from tests.server.process import ROOT, Server, children, event, memory_bytes, read_answer

SHORT = {
    "head_seconds": 0.5,
    "body_seconds": 0.5,
    "write_seconds": 0.5,
    "idle_seconds": 1,
    "linger_seconds": 0.2,
}
MOST_BYTES = 100_000
JSON = {"content-type": "application/json"}


@pytest.fixture
def server(project: Project) -> Iterator[Server]:
    project.local_config.write_text(f"server.max_body_bytes = {MOST_BYTES}\n")
    with Server(project, limits=SHORT) as running:
        yield running


def head(server: Server, *lines: str, path: str = "/v1/events") -> bytes:
    first = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {server.token}"]
    return "\r\n".join([*first, "Content-Type: application/json", *lines, "", ""]).encode()


def sent(server: Server, *pieces: bytes) -> tuple[int, bytes]:
    """What a bare connection is answered that sends this; (0, b"") where it is just closed."""
    with server.connect() as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            # It was refused before all was sent; the answer may be there.
            pass
        return read_answer(connection)


def test_a_body_that_is_too_large_is_refused_declared_or_not(server: Server) -> None:
    with server.client() as client:
        for content in (b"x" * (MOST_BYTES + 1), iter([b"x" * 60_000, b"x" * 60_000])):
            answer = client.post("/hooks/codex", content=content, headers=JSON)
            assert answer.status_code == 413
            assert answer.json()["error"]["code"] == "too_large"
        fits = json.dumps("x" * (MOST_BYTES - 2)).encode()
        assert client.post("/hooks/codex", content=fits, headers=JSON).status_code == 200
    began = time.monotonic()
    assert sent(server, head(server, "Content-Length: 100000000000"))[0] == 413
    assert time.monotonic() - began < 10


def by_http_client(server: Server, headers: dict[str, str], content: bytes) -> int:
    """As a plain client sends: all of the body, and then it looks at the answer."""
    connection = http.client.HTTPConnection(*server.address, timeout=60)
    with closing(connection):
        connection.request("POST", "/v1/events", content, headers)
        return connection.getresponse().status


def by_httpx(server: Server, headers: dict[str, str], content: bytes) -> int:
    answer = httpx.post(f"{server.url}/v1/events", content=content, headers=headers, timeout=60)
    return answer.status_code


@pytest.mark.parametrize("send", [by_http_client, by_httpx])
def test_who_sends_too_much_is_told_so(
    send: Callable[[Server, dict[str, str], bytes], int], project: Project
) -> None:
    with Server(project) as server:
        headers = JSON | {"authorization": f"Bearer {server.token}"}
        for size in (8_388_609, 9_000_000, 50_000_000):
            content = b"[" + b" " * size + b"]"
            assert send(server, headers, content) == 413, size
        content = b"[" + b" " * 9_000_000 + b"]"
        assert send(server, JSON | {"authorization": "Bearer nonsense"}, content) == 401
        assert send(server, headers | {"content-type": "text/plain"}, content) == 415


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress], ids=["gzip", "zstd"])
def test_a_body_counts_as_large_as_it_unpacks(
    pack: Callable[[bytes], bytes], server: Server
) -> None:
    kind = "gzip" if pack is gzip.compress else "zstd"
    headers = JSON | {"content-encoding": kind}
    bomb = pack(bytes(50_000_000))
    assert len(bomb) < MOST_BYTES
    with server.client() as client:
        assert client.post("/hooks/codex", content=bomb, headers=headers).status_code == 413
        fits = pack(json.dumps("x" * 90_000).encode())
        assert client.post("/hooks/codex", content=fits, headers=headers).status_code == 200
        for damaged in (fits[:-5], b"nonsense", fits + b"more", fits[:20] + b"\0" * 9 + fits[29:]):
            answer = client.post("/hooks/codex", content=damaged, headers=headers)
            assert answer.status_code == 400, damaged[:30]
        for other in ("br", "deflate", "gzip, gzip", "x"):
            answer = client.post(
                "/hooks/codex", content=b"{}", headers=JSON | {"content-encoding": other}
            )
            assert answer.status_code == 415


def test_a_bomb_is_refused_long_before_the_limit(project: Project) -> None:
    project.local_config.write_text("server.max_body_bytes = 100_000_000\n")
    bomb = gzip.compress(bytes(90_000_000))
    with Server(project) as server, server.client() as client:
        headers = JSON | {"content-encoding": "gzip"}
        answer = client.post("/hooks/codex", content=bomb, headers=headers)
        assert answer.status_code == 413
        text = json.dumps([["text", at, {"a": None}] for at in range(100_000)]).encode()
        answer = client.post("/hooks/codex", content=gzip.compress(text), headers=headers)
        assert answer.status_code == 200


def test_a_window_that_would_fill_the_memory_is_refused(server: Server) -> None:
    options: dict[int, int] = {zstd.CompressionParameter.window_log: 27}
    wide = zstd.ZstdCompressor(options=options)
    content = wide.compress(b"{}") + wide.flush()
    with server.client() as client:
        headers = JSON | {"content-encoding": "zstd"}
        answer = client.post("/hooks/codex", content=content, headers=headers)
    assert answer.status_code == 400


HEADS = [
    (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 60_000 + b"\r\n\r\n", {431}),
    (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", {431}),
    (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", {414}),
    (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 200_000, {431, 0}),
    (b"GET /" + b"x" * 200_000, {431, 0}),
    (b"nonsense\r\n\r\n", {400}),
    (b"GET / HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n", {400}),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", {400}),
    (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX : y\r\n\r\n", {400}),
]


def test_a_head_that_is_too_large_or_none_is_refused(server: Server) -> None:
    for content, statuses in HEADS:
        status, answer = sent(server, content)
        assert status in statuses, (content[:60], answer)
        if status:
            assert b'{"error":' in answer, content[:60]


BOTH = [
    ["Content-Length: 2", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding: chunked", "Content-Length: 2"],
    ["Content-Length: 2", "Content-Length: 3"],
    ["Content-Length: 2", "Content-Length: 2"],
    ["Transfer-Encoding: gzip, chunked"],
    ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding: xchunked"],
    ["Content-Length: +2"],
    ["Content-Length: -1"],
    ["Content-Length: 0x2"],
    ["Content-Encoding: gzip", "Content-Encoding: gzip"],
    ["Content-Type: application/json"],
]


def test_what_two_programs_could_read_in_two_ways_is_refused(server: Server) -> None:
    smuggled = b"2\r\n{}\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    for lines in BOTH:
        status, answer = sent(server, head(server, *lines), smuggled)
        assert status in {400, 501, 415}, (lines, answer)
        assert b'"status":"ok"' not in answer, lines


def closed_within(connection: socket.socket, seconds: float) -> bool:
    began = time.monotonic()
    try:
        while connection.recv(65_536):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic() - began < seconds


def test_a_head_or_a_body_that_does_not_come_ends_the_connection(server: Server) -> None:
    for content in (
        b"",
        b"POST /v1/events HT",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: y\r\n",
        head(server, "Content-Length: 10") + b"{",
        head(server, "Transfer-Encoding: chunked") + b'5\r\n{"a',
    ):
        with server.connect() as connection:
            connection.sendall(content)
            assert closed_within(connection, 15), content
    with server.connect() as connection:
        connection.sendall(head(server, "Content-Length: 2") + b"[]")
        assert read_answer(connection)[0] == 200
        # Nothing comes after: it is kept for a while, and no longer.
        assert closed_within(connection, 15)


def drip(server: Server, content: bytes, piece: bytes) -> float:
    """Send a piece again and again; the seconds until the connection is closed."""
    began = time.monotonic()
    with server.connect() as connection:
        connection.settimeout(0.02)
        connection.sendall(content)
        while time.monotonic() - began < 20:
            try:
                connection.sendall(piece)
                if not connection.recv(65_536):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
    return time.monotonic() - began


def test_a_drop_at_a_time_is_too_slow_too(server: Server) -> None:
    assert drip(server, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"X: y\r\n") < 15
    assert drip(server, head(server, "Content-Length: 90000"), b"x") < 15
    assert drip(server, head(server, "Transfer-Encoding: chunked"), b"1\r\nx\r\n") < 15
    trailers = head(server, "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n"
    assert drip(server, trailers, b"X: y\r\n") < 15


def test_one_connection_too_many_closes_the_one_that_waits_longest(project: Project) -> None:
    with Server(project, limits={"connections": 8}) as server, server.client() as client:
        assert client.get("/healthz").status_code == 200
        idle = [server.connect() for _ in range(20)]
        try:
            for _ in range(5):
                with server.client() as other:
                    assert other.get("/healthz").status_code == 200
            assert sum(closed_within(one, 5) for one in idle[:5]) == 5
        finally:
            for one in idle:
                one.close()


def test_strangers_with_slow_bodies_give_way_and_do_not_last(project: Project) -> None:
    slow = b"\r\n".join([
        b"POST /login HTTP/1.1", b"Host: 127.0.0.1", b"Content-Type: application/json",
        b"Content-Length: 100", b"", b"{",
    ])  # fmt: skip
    limits = {"connections": 8, "stranger_body_seconds": 1000}
    with Server(project, limits=limits) as server, ExitStack() as stack:
        strangers = [stack.enter_context(server.connect()) for _ in range(20)]
        for one in strangers:
            one.sendall(slow)
        for _ in range(5):
            with server.client() as client:
                assert client.get("/v1/whoami").status_code == 200
        assert all(closed_within(one, 5) for one in strangers[:5])
    with Server(project, limits={"stranger_body_seconds": 0.2}) as server:
        assert sent(server, slow)[0] == 408
        large = slow.replace(b"100", b"100000") + b"x" * 99_999
        assert sent(server, large)[0] == 413


def test_who_may_send_does_not_give_way_to_strangers(project: Project) -> None:
    with Server(project, limits={"connections": 4}) as server, ExitStack() as stack:
        sending = stack.enter_context(server.connect())
        sending.sendall(head(server, "Content-Length: 2", "Expect: 100-continue"))
        assert sending.recv(100).startswith(b"HTTP/1.1 100 ")
        idle = [stack.enter_context(server.connect()) for _ in range(8)]
        assert closed_within(idle[0], 5)
        sending.sendall(b"[]")
        assert read_answer(sending)[0] == 200


@contextmanager
def hostile(server: Server, count: int) -> Iterator[None]:
    """So many connections that do harm, from a process of their own; all have begun."""
    command = [sys.executable, "-m", "tests.server.hostile", server.url, str(count)]
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


def latencies(server: Server, each: int, clients: int = 4) -> list[float]:
    """The seconds of each request of some ordinary clients, sorted."""

    def ask(number: int) -> list[float]:
        found = []
        with server.client() as client:
            for at in range(each):
                content = event(number * each + at)
                began = time.perf_counter()
                answer = client.post("/hooks/claude-code", content=content, headers=JSON)
                found.append(time.perf_counter() - began)
                assert answer.status_code == 200
        return found

    with ThreadPoolExecutor(clients) as pool:
        return sorted(one for some in pool.map(ask, range(clients)) for one in some)


def crowds() -> list[object]:
    return [
        pytest.param(50, 40, 8.0, id="50"),
        # The bound of the issue; fewer and shorter runs beside other tests are too coarse for it.
        pytest.param(200, 300, 3.0, id="200", marks=pytest.mark.long),
    ]


@pytest.mark.parametrize(("count", "each", "bound"), crowds())
@pytest.mark.timeout(600)
def test_hostile_connections_do_not_starve_the_others(
    count: int, each: int, bound: float, project: Project
) -> None:
    with Server(project, is_fork=False) as server:
        latencies(server, each=10)
        alone = latencies(server, each)
        with hostile(server, count):
            beside = latencies(server, each)
            pids = [server.process.pid, *children(server.process.pid)]
            memory = sum(map(memory_bytes, pids))
        p99 = [some[int(len(some) * 0.99)] for some in (alone, beside)]
        print(f"{count} hostile: p99 {p99[0] * 1e3:.1f} ms alone, {p99[1] * 1e3:.1f} ms beside;")
        print(f"memory {memory >> 20} MB in {len(pids)} processes")
        assert p99[1] <= bound * max(p99[0], 0.005), p99
        assert memory <= 300 << 20
        with server.client() as client:
            assert client.get("/healthz").status_code == 200


def test_a_client_that_leaves_in_the_midst_harms_nobody(server: Server) -> None:
    for _ in range(20):
        with server.connect() as connection:
            connection.sendall(head(server, "Content-Length: 1000") + b"{")
    with server.client() as client:
        assert client.get("/healthz").status_code == 200
        assert isinstance(client, httpx.Client)
    assert "Traceback" not in server.log
    assert "internal_error" not in server.log


def test_who_leaves_with_many_requests_unanswered_is_no_error(project: Project) -> None:
    body = event(1)
    with Server(project) as server:
        request = head(server, f"Content-Length: {len(body)}", path="/hooks/codex") + body
        for number in range(20):
            with server.connect() as connection:
                connection.sendall(request * 50)
                time.sleep(0.01 * (number % 4))
        with server.client() as client:
            assert client.get("/healthz").status_code == 200
    assert "internal_error" not in server.log


def test_who_sends_ahead_is_answered_in_order_and_leaves_the_others_their_time(
    server: Server,
) -> None:
    paths = ["/healthz", "/v1/whoami", "/v1/nothing", "/healthz", "/v1/nothing"]
    lines = f"Host: 127.0.0.1\r\nAuthorization: Bearer {server.token}\r\n"
    requests = [f"GET {path} HTTP/1.1\r\n{lines}" for path in paths]
    requests[-1] += "Connection: close\r\n"
    received = b""
    with server.connect() as connection:
        began = time.monotonic()
        connection.sendall("\r\n".join([*requests, ""]).encode())
        while piece := connection.recv(65_536):
            received += piece
    seconds = time.monotonic() - began
    answers = [int(answer[:3]) for answer in received.split(b"HTTP/1.1 ")[1:]]
    assert answers == [200, 200, 404, 200, 404]
    assert seconds >= protocol._AHEAD_SECONDS * (len(paths) - 1)
