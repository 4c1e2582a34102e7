"""Server-sent events: each event once, in order, from any project on, and an end that is said."""

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import httpx
import pytest

from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.project import Project
from khive_persist.server.http.tokens import Tokens
from khive_persist.server.routes.read import live_events
from tests.factories import store_rows
from tests.server import process
from tests.server.filling import BEGIN, delete, event
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


def test_what_is_stored_by_whoever_is_told_once_and_without_its_payload(project: Project) -> None:
    store_rows(project, CLAUDE, events(0, 5))
    with Server(project) as server, server.client() as client:
        with client.stream("GET", "/v1/live") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            stream = told(response)
            begin(stream)
            store_rows(project, CLAUDE, events(5, 700))
            store_rows(project, CODEX, events(705, 3, "codex"))
            found = take(stream, 703)
            assert sorted(numbers(found)) == list(range(5, 708))
            item = json.loads(found[0]["data"])
            assert item.keys() == {"id", "created_at", "content", "node_metadata"}
            assert "payload" not in item["content"]
            assert {one["event"] for one in found} == {"hook_event"}


def test_who_comes_back_with_its_last_id_misses_and_repeats_nothing(project: Project) -> None:
    with Server(project) as server, server.client() as client:
        seen: list[int] = []
        last = ""
        stop = threading.Event()

        def write() -> None:
            first = 0
            while not stop.is_set():
                store_rows(project, CLAUDE, events(first, 20))
                store_rows(project, CODEX, events(first + 20, 5, "codex"))
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


def test_a_server_that_was_killed_goes_on_after_the_last_id(project: Project) -> None:
    with Server(project) as server, server.client() as client:
        with client.stream("GET", "/v1/live") as response:
            stream = told(response)
            begin(stream)
            store_rows(project, CLAUDE, events(0, 10))
            found = take(stream, 4)
        server.kill()
    store_rows(project, CLAUDE, events(10, 5))
    with Server(project) as server:
        headers = {"last-event-id": found[-1]["id"]}
        with server.client() as client, client.stream("GET", "/v1/live", headers=headers) as again:
            assert numbers(take(told(again), 11)) == list(range(4, 15))


def test_who_is_cut_off_before_the_first_event_misses_nothing(project: Project) -> None:
    store_rows(project, CLAUDE, events(0, 3))
    with Server(project) as server, server.client() as client:
        with client.stream("GET", "/v1/live") as response:
            first = next(told(response))
        server.kill()
    store_rows(project, CLAUDE, events(3, 5))
    with Server(project) as server, server.client() as client:
        headers = {"last-event-id": first["id"]}
        with client.stream("GET", "/v1/live", headers=headers) as again:
            assert numbers(take(told(again), 5)) == list(range(3, 8))


def test_only_what_was_asked_for_is_told(project: Project) -> None:
    with Server(project) as server, server.client() as client:
        query = {"tool": "claude-code", "session": "s1", "type": "stop"}
        with client.stream("GET", "/v1/live", params=query) as response:
            stream = told(response)
            begin(stream)
            store_rows(project, CODEX, events(0, 9, "codex", event_type="stop"))
            store_rows(project, CLAUDE, events(9, 9))
            store_rows(project, CLAUDE, events(18, 9, event_type="stop"))
            assert numbers(take(stream, 3)) == [19, 22, 25]


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_an_id_that_is_not_known_any_more_is_said_to_be_a_gap(how: str, project: Project) -> None:
    with Server(project) as server, server.client() as client:
        with client.stream("GET", "/v1/live") as response:
            stream = told(response)
            begin(stream)
            store_rows(project, CLAUDE, events(0, 3))
            last = take(stream, 3)[-1]["id"]
        delete(project, CLAUDE, "1")
        if how == "replaced":
            store_rows(project, CLAUDE, events(50, 9))
        headers = {"last-event-id": last}
        with client.stream("GET", "/v1/live", headers=headers) as response:
            stream = told(response)
            begin(stream)
            (gap,) = take(stream, 1)
            assert gap["event"] == "gap"
            assert json.loads(gap["data"])["reason"]
            store_rows(project, CLAUDE, events(100, 2))
            assert numbers(take(stream, 2)) == [100, 101]
        wrong = client.get("/v1/live", headers={"last-event-id": "WzEsMl0"})
        assert wrong.status_code == 400


def test_a_graceful_stop_ends_the_streams(project: Project) -> None:
    with Server(project) as server, server.client() as client:
        with client.stream("GET", "/v1/live") as response:
            stream = told(response)
            begin(stream)
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            assert list(stream) == []
        assert server.end() == 0
        assert time.monotonic() - began < 10


@pytest.fixture
def quick(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server whose heart beats fast, and that takes a client for slow soon."""
    settings = (
        "from khive_persist.server.routes.read import live_events\n"
        "live_events.HEARTBEAT_SECONDS = 0.2\nlive_events.SLOW_SECONDS = 0.5\n"
    )
    monkeypatch.setattr(process, "PROGRAM", settings + process.PROGRAM)
    with Server(project, intervals=process.QUICK) as running:
        yield running


def test_a_token_that_is_revoked_ends_its_streams(quick: Server, project: Project) -> None:
    tokens = Tokens(project)
    token = tokens.create("reader", ["read"])
    with quick.client(token) as client:
        with client.stream("GET", "/v1/live") as response:
            stream = told(response)
            begin(stream)
            tokens.revoke("reader")
            # Beats until then bear the project that is reached, and no event.
            assert {one.keys() == {"id"} for one in stream} <= {True}


def test_a_token_that_is_revoked_ends_a_stream_that_is_never_silent(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than the machine keeps the writer waiting.
    settings = (
        "from khive_persist.server.routes.read import live_events\n"
        "live_events.HEARTBEAT_SECONDS = 2.0\n"
    )
    monkeypatch.setattr(process, "PROGRAM", settings + process.PROGRAM)
    tokens = Tokens(project)
    token = tokens.create("reader", ["read"])
    stop = threading.Event()

    def write() -> None:
        first = 0
        while not stop.wait(0.02):
            store_rows(project, CLAUDE, events(first, 1))
            first += 1

    writer = threading.Thread(target=write)
    with (
        Server(project, intervals=process.QUICK) as server,
        server.client(token) as client,
        client.stream("GET", "/v1/live") as response,
    ):
        stream = told(response)
        begin(stream)
        writer.start()
        try:
            take(stream, 1)
            tokens.revoke("reader")
            ends = time.monotonic() + 20
            for _ in stream:
                assert time.monotonic() < ends
        finally:
            stop.set()
            writer.join()


def test_who_listens_to_different_things_is_told_of_those(project: Project) -> None:
    queries = [
        {},
        {"tool": "codex"},
        {"session": "s1"},
        {"session": "s"},
        {"type": "stop"},
        {"tool": "claude-code", "session": "s2", "type": "stop"},
        {"session": "none"},
    ]
    # One session is known when they come: what is asked for is it alone, not s10.
    store_rows(project, CLAUDE, [event("s1", BEGIN), event("s2", BEGIN)])
    some = [
        event(f"s{n % 11}", BEGIN + timedelta(seconds=n), number=n,
              event_type="stop" if n % 2 else "post_command")
        for n in range(700)
    ]  # fmt: skip
    others = events(1_000, 9, "codex")
    with Server(project) as server, ExitStack() as stack:
        streams = []
        for query in queries:
            client = stack.enter_context(server.client())
            response = stack.enter_context(client.stream("GET", "/v1/live", params=query))
            streams.append(told(response))
            begin(streams[-1])
        store_rows(project, CLAUDE, some)
        store_rows(project, CODEX, others)
        stops = [n for n in range(700) if n % 2]
        wanted = [
            {*range(700), *range(1_000, 1_009)},
            {*range(1_000, 1_009)},
            {n for n in range(700) if n % 11 == 1} | {1_000 + n for n in (0, 3, 6)},
            {*range(700), *range(1_000, 1_009)},
            {*stops},
            {n for n in stops if n % 11 == 2},
        ]
        for stream, numbered in zip(streams, wanted, strict=False):
            found = numbers(take(stream, len(numbered)))
            assert sorted(found) == sorted(numbered)
        last = event("none", BEGIN + timedelta(days=1), number=5_000)
        store_rows(project, CLAUDE, [last])
        assert numbers(take(streams[-1], 1)) == [5_000]
        assert numbers(take(streams[0], 1)) == [5_000]


def test_all_who_have_caught_up_share_one_reading(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = project.root / "nobody reads for itself"
    fault = f"""
from pathlib import Path
from khive_persist.server.routes.read import live_events
own = live_events.following

async def following(*words):
    assert not Path({str(marker)!r}).exists()
    return await own(*words)

live_events.following = following
"""
    monkeypatch.setattr(process, "PROGRAM", fault + process.PROGRAM)
    with Server(project, intervals=process.QUICK) as server, ExitStack() as stack:
        streams = []
        for number in range(6):
            client = stack.enter_context(server.client())
            query = {"session": "s1"} if number > 3 else {}
            response = stack.enter_context(client.stream("GET", "/v1/live", params=query))
            streams.append(told(response))
            begin(streams[-1])
        store_rows(project, CLAUDE, events(0, 30))
        for stream in streams[:4]:
            assert len(take(stream, 30)) == 30
        for stream in streams[4:]:
            assert len(take(stream, 10)) == 10
        marker.touch()
        store_rows(project, CLAUDE, events(30, 600))
        for stream in streams[:4]:
            assert numbers(take(stream, 600)) == list(range(30, 630))
        for stream in streams[4:]:
            assert numbers(take(stream, 200)) == list(range(31, 630, 3))


def test_who_is_behind_what_is_kept_reads_on_for_itself(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of a thousand characters at most: the newest batch alone.
    settings = (
        "from khive_persist.server import event_feed\nevent_feed.KEPT_CHARACTERS = 1_000\n"
        "event_feed.BEAT_SECONDS = 0.005\n"
    )
    monkeypatch.setattr(process, "PROGRAM", settings + process.PROGRAM)
    large = "x" * 2_000
    with Server(project, intervals=process.QUICK) as server, ExitStack() as stack:
        streams = []
        for _ in range(2):
            client = stack.enter_context(server.client())
            response = stack.enter_context(client.stream("GET", "/v1/live"))
            streams.append(told(response))
            begin(streams[-1])
        for first in range(0, 9_000, 300):
            store_rows(project, CLAUDE, events(first, 300, output=large))
        # 18 MB: the second has not read any of it while the first is told.
        for stream in streams:
            assert numbers(take(stream, 9_000)) == list(range(9_000))


def test_a_project_that_goes_while_one_listens_is_said_to_be_a_gap(project: Project) -> None:
    with Server(project) as server, server.client() as client:
        with client.stream("GET", "/v1/live") as response:
            stream = told(response)
            begin(stream)
            store_rows(project, CLAUDE, events(0, 3))
            take(stream, 3)
            delete(project, CLAUDE, "1")
            # They get the numbers of those that are gone.
            store_rows(project, CLAUDE, events(50, 3))
            # A heartbeat may come first: it is what looks, where the reading has not noticed.
            (gap,) = take(stream, 1)
            assert gap["event"] == "gap"
            assert json.loads(gap["data"])["reason"]
            store_rows(project, CLAUDE, events(100, 2))
            found: list[int] = []
            while found[-1:] != [101]:
                found += numbers(take(stream, 1))
            assert found[-2:] == [100, 101]


def test_those_who_listen_are_counted_when_they_are_accepted(project: Project) -> None:
    store_rows(project, CLAUDE, events(0, 3))
    with Server(project) as server, ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(100)]
        head = (
            "GET /v1/live?session=s1 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {server.token}\r\n\r\n"
        ).encode()
        for connection in connections:
            connection.sendall(head)
        statuses = [connection.recv(12)[-3:] for connection in connections]
        assert statuses.count(b"200") == live_events.AT_ONCE
        assert statuses.count(b"503") == 100 - live_events.AT_ONCE
        for connection in connections:
            connection.close()
        with server.client() as client:

            def is_accepted() -> bool:
                with client.stream("GET", "/v1/live") as response:
                    return response.status_code == 200

            process.until(is_accepted)


def test_a_client_that_reads_too_slowly_is_cut_off_and_told_so(
    quick: Server, project: Project
) -> None:
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
            store_rows(project, CLAUDE, events(first, 100, output=large))
        with quick.client() as client, client.stream("GET", "/v1/live") as response:
            other = told(response)
            begin(other)
            until = time.monotonic() + 1.5
            store_rows(project, CLAUDE, events(2_000, 5))
            # Another is told all the same, while that one does not read.
            assert numbers(take(other, 5)) == list(range(2_000, 2_005))
            while time.monotonic() < until:
                next(other)
        while not received.endswith(b"\r\n0\r\n\r\n"):
            received += slow.recv(1 << 20)
    assert received.count(b"event: gap") == 1
    assert received.rindex(b"event: gap") > received.rindex(b"event: hook_event")
    assert received.count(b"event: hook_event") < 905


def test_more_streams_than_there_may_be_are_refused(project: Project) -> None:
    with Server(project) as server:
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
