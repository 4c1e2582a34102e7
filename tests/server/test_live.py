"""Server-sent events: each event once, in order, from any place on, and an end that is said."""

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from khive_persist.place import Place
from khive_persist.purposes import HOOK_EVENTS
from khive_persist.server.reading import live_events
from khive_persist.server.tokens import Tokens
from tests.server import process
from tests.server.filling import BEGIN, delete, event, store
from tests.server.process import Server

CLAUDE, CODEX = HOOK_EVENTS["claude-code"], HOOK_EVENTS["codex"]


def told(response: httpx.Response) -> Iterator[dict[str, str]]:
    """The events of a stream; one with no more than an id is a comment's."""
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if line:
            name, _, value = line.partition(":")
            if name:
                fields[name] = value.removeprefix(" ")
        elif fields:
            yield fields
            fields = {}


def numbers(some: list[dict[str, str]]) -> list[int]:
    return [json.loads(one["data"])["content"]["number"] for one in some if "event" in one]


def take(stream: Iterator[dict[str, str]], count: int) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    while len(found) < count:
        one = next(stream)
        if one.get("event"):
            found.append(one)
    return found


def begin(stream: Iterator[dict[str, str]]) -> None:
    """Read the first line: from then on nothing is missed."""
    assert next(stream)["retry"] == "2000"


def events(first: int, count: int, tool: str = "claude-code", **fields: Any) -> list[Any]:
    return [
        event(f"s{n % 3}", BEGIN + timedelta(seconds=n), tool, number=n, **fields)
        for n in range(first, first + count)
    ]


def test_what_is_stored_by_whoever_is_told_once_and_without_its_payload(place: Place) -> None:
    store(place, CLAUDE, events(0, 5))
    with Server(place) as server, server.client() as client:
        with client.stream("GET", "/v1/live") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            stream = told(response)
            begin(stream)
            store(place, CLAUDE, events(5, 700))
            store(place, CODEX, events(705, 3, "codex"))
            found = take(stream, 703)
            assert sorted(numbers(found)) == list(range(5, 708))
            item = json.loads(found[0]["data"])
            assert item.keys() == {"id", "created_at", "content", "node_metadata"}
            assert "payload" not in item["content"]
            assert {one["event"] for one in found} == {"hook_event"}


def test_who_comes_back_with_its_last_id_misses_and_repeats_nothing(place: Place) -> None:
    with Server(place) as server, server.client() as client:
        seen: list[int] = []
        last = ""
        stop = threading.Event()

        def write() -> None:
            first = 0
            while not stop.is_set():
                store(place, CLAUDE, events(first, 20))
                store(place, CODEX, events(first + 20, 5, "codex"))
                first += 25

        headers: dict[str, str] = {}
        writer = threading.Thread(target=write)
        with client.stream("GET", "/v1/live") as response:
            stream = told(response)
            begin(stream)
            writer.start()
            some = take(stream, 30)
        try:
            for cut in (1, 17, 200, 3, 64):
                seen += numbers(some)
                last = some[-1]["id"]
                headers = {"last-event-id": last}
                with client.stream("GET", "/v1/live", headers=headers) as response:
                    some = take(told(response), cut)
        finally:
            stop.set()
            writer.join()
        seen += numbers(some)
        of_claude = [n for n in seen if n % 25 < 20]
        of_codex = [n for n in seen if n % 25 >= 20]
        # Within each tool's file in the order of storing, without a gap.
        assert of_claude == [n for n in range(max(of_claude) + 1) if n % 25 < 20]
        assert of_codex == [n for n in range(max(of_codex, default=-1) + 1) if n % 25 >= 20]


def test_a_server_that_was_killed_goes_on_after_the_last_id(place: Place) -> None:
    with Server(place) as server, server.client() as client:
        with client.stream("GET", "/v1/live") as response:
            stream = told(response)
            begin(stream)
            store(place, CLAUDE, events(0, 10))
            found = take(stream, 4)
        server.kill()
    store(place, CLAUDE, events(10, 5))
    with Server(place) as server:
        headers = {"last-event-id": found[-1]["id"]}
        with server.client() as client, client.stream("GET", "/v1/live", headers=headers) as again:
            assert numbers(take(told(again), 11)) == list(range(4, 15))


def test_only_what_was_asked_for_is_told(place: Place) -> None:
    with Server(place) as server, server.client() as client:
        query = {"tool": "claude-code", "session": "s1", "type": "stop"}
        with client.stream("GET", "/v1/live", params=query) as response:
            stream = told(response)
            begin(stream)
            store(place, CODEX, events(0, 9, "codex", event_type="stop"))
            store(place, CLAUDE, events(9, 9))
            store(place, CLAUDE, events(18, 9, event_type="stop"))
            assert numbers(take(stream, 3)) == [19, 22, 25]


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_an_id_that_is_not_known_any_more_is_said_to_be_a_gap(how: str, place: Place) -> None:
    with Server(place) as server, server.client() as client:
        with client.stream("GET", "/v1/live") as response:
            stream = told(response)
            begin(stream)
            store(place, CLAUDE, events(0, 3))
            last = take(stream, 3)[-1]["id"]
        delete(place, CLAUDE, "1")
        if how == "replaced":
            store(place, CLAUDE, events(50, 9))
        headers = {"last-event-id": last}
        with client.stream("GET", "/v1/live", headers=headers) as response:
            stream = told(response)
            begin(stream)
            gap = next(stream)
            assert gap["event"] == "gap"
            assert json.loads(gap["data"])["reason"]
            store(place, CLAUDE, events(100, 2))
            assert numbers(take(stream, 2)) == [100, 101]
        wrong = client.get("/v1/live", headers={"last-event-id": "WzEsMl0"})
        assert wrong.status_code == 400


def test_a_graceful_stop_ends_the_streams(place: Place) -> None:
    with Server(place) as server, server.client() as client:
        with client.stream("GET", "/v1/live") as response:
            stream = told(response)
            begin(stream)
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            assert list(stream) == []
        assert server.end() == 0
        assert time.monotonic() - began < 10


@pytest.fixture
def quick(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server whose heart beats fast, and that takes a client for slow soon."""
    settings = (
        "from khive_persist.server.reading import live_events\n"
        "live_events.HEARTBEAT_SECONDS = 0.2\nlive_events.SLOW_SECONDS = 0.5\n"
    )
    monkeypatch.setattr(process, "PROGRAM", settings + process.PROGRAM)
    with Server(place, rhythm=process.QUICK) as running:
        yield running


def test_a_token_that_is_revoked_ends_its_streams(quick: Server, place: Place) -> None:
    tokens = Tokens(place)
    token = tokens.create("reader", ["read"])
    with quick.client(token) as client:
        with client.stream("GET", "/v1/live") as response:
            stream = told(response)
            begin(stream)
            tokens.revoke("reader")
            # Beats until then bear the place that is reached, and no event.
            assert {one.keys() == {"id"} for one in stream} <= {True}


def test_a_client_that_reads_too_slowly_is_cut_off_and_told_so(quick: Server, place: Place) -> None:
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        slow.connect(quick.address)
        slow.settimeout(30)
        head = (
            f"GET /v1/live HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {quick.token}\r\n"
        )
        slow.sendall(head.encode() + b"\r\n")
        received = b""
        while b"retry: " not in received:
            received += slow.recv(1_000)
        # More than the buffers between the two can hold.
        large = "x" * 20_000
        for first in range(0, 900, 100):
            store(place, CLAUDE, events(first, 100, output=large))
        with quick.client() as client, client.stream("GET", "/v1/live") as response:
            other = told(response)
            begin(other)
            until = time.monotonic() + 1.5
            store(place, CLAUDE, events(2_000, 5))
            # Another is told all the same, while that one does not read.
            assert numbers(take(other, 5)) == list(range(2_000, 2_005))
            while time.monotonic() < until:
                next(other)
        while not received.endswith(b"\r\n0\r\n\r\n"):
            received += slow.recv(1 << 20)
    assert received.count(b"event: gap") == 1
    assert received.rindex(b"event: gap") > received.rindex(b"event: hook_event")
    assert received.count(b"event: hook_event") < 905


def test_more_streams_than_there_may_be_are_refused(place: Place) -> None:
    with Server(place) as server:
        clients = [server.client() for _ in range(live_events.AT_ONCE)]
        streams = [client.stream("GET", "/v1/live") for client in clients]
        told_by = []
        try:
            for stream in streams:
                told_by.append(told(stream.__enter__()))
                begin(told_by[-1])
            with server.client() as client:
                assert client.get("/v1/live").status_code == 503
                assert client.head("/v1/live").status_code in (200, 503)
                assert client.get("/healthz").status_code == 200
        finally:
            for stream in streams:
                stream.__exit__(None, None, None)
            for one in clients:
                one.close()
