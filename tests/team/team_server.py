"""A team's server on loopback: it keeps every byte that comes, and can be a bad one."""

import gzip
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from khive_persist.team.team_record import TeamRecord

Behaviour = Literal[
    "store",
    "fail",
    "cut",
    "cut after storing",
    "redirect",
    "say nothing",
    "say less",
    "hang",
    "store late",
]
Key = tuple[str, str, str, str, str]


class TeamServer:
    """What a server got, and how it behaves.

    `raw` are all bytes of all connections, headers included; `bodies` the unpacked bodies that were
    stored; `records` the largest version of each record.
    """

    def __init__(self) -> None:
        self.url = ""
        self.forget()

    def forget(self) -> None:
        self.behaviour: Behaviour = "store"
        self.redirected_to = ""
        self.raw: list[bytes] = []
        self.bodies: list[bytes] = []
        self.tokens: list[str] = []
        self.arrivals = 0
        self.arrived = threading.Event()
        self.released = threading.Event()

    @property
    def versions(self) -> list[TeamRecord]:
        return [
            TeamRecord.from_json(line)
            for body in list(self.bodies)
            for line in body.decode().splitlines()
        ]

    @property
    def records(self) -> dict[Key, TeamRecord]:
        newest: dict[Key, TeamRecord] = {}
        for record in self.versions:
            key = (record.machine, record.project, record.purpose, record.session, record.id)
            if key not in newest or newest[key].version < record.version:
                newest[key] = record
        return newest

    @property
    def contents(self) -> list[Any]:
        """The contents of the records that are there."""
        return [json.loads(r.content) for r in self.records.values() if r.content is not None]


@contextmanager
def team_server() -> Iterator[TeamServer]:
    got = TeamServer()

    class Recorded(socket.socket):
        """A connection that keeps what comes."""

        def recv_into(self, buffer: Any, *arguments: Any) -> int:
            count = super().recv_into(buffer, *arguments)
            got.raw.append(bytes(buffer[:count]))
            return count

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self) -> tuple[socket.socket, Any]:
            accepted, address = super().get_request()
            return Recorded(fileno=accepted.detach()), address

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            got.arrivals += 1
            self._answer(b'{"stored": 3}')

        def do_POST(self) -> None:
            body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
            got.tokens.append(self.headers.get("Authorization", ""))
            got.arrivals += 1
            got.arrived.set()
            match got.behaviour:
                case "fail":
                    self.send_error(500)
                case "cut":
                    self.connection.shutdown(socket.SHUT_RDWR)
                case "cut after storing":
                    got.bodies.append(body)
                    self.connection.shutdown(socket.SHUT_RDWR)
                case "redirect":
                    self.send_response(302)
                    self.send_header("Location", got.redirected_to)
                    self.end_headers()
                case "say nothing":
                    self._answer(b"")
                case "say less":
                    self._answer(b'{"stored": 0}')
                case "hang":
                    got.released.wait(60)
                case "store" | "store late":
                    if got.behaviour == "store late":
                        got.released.wait(60)
                    assert self.path == "/v1/team/records"
                    got.bodies.append(body)
                    count = body.count(b"\n")
                    self._answer(json.dumps({"stored": count}).encode())

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    got.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield got
    finally:
        got.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
