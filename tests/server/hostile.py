"""python -m tests.server.hostile URL COUNT: connections that do harm, until stdin ends.

The first line of stdin is a token: what harms most knows one.
"""

import os
import socket
import sys
import threading
import zlib
from collections.abc import Callable

from tests.server.process import read_answer


class Hostile:
    """Connections that do one kind of harm each, again and again until told to stop."""

    def __init__(self, address: tuple[str, int], token: str, count: int) -> None:
        self._address = address
        self._token = token
        self._stopping = threading.Event()
        self.began = threading.Semaphore(0)
        self._bomb = zlib.compress(bytes(200_000_000), wbits=31)
        kinds = [
            self._slowloris, self._slow_body, self._endless_chunks, self._bombs, self._large,
            self._both_lengths, self._silent, self._trailers,
        ]  # fmt: skip
        self._threads = [
            threading.Thread(target=self._harm, args=(kinds[number % len(kinds)],))
            for number in range(count)
        ]

    def begin(self) -> None:
        """On return each has been connected once."""
        for thread in self._threads:
            thread.start()
        for _ in self._threads:
            assert self.began.acquire(timeout=60)

    def end(self) -> None:
        """On return none is left."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _harm(self, kind: Callable[[socket.socket], None]) -> None:
        first = True
        while not self._stopping.is_set():
            try:
                with socket.create_connection(self._address, timeout=20) as connection:
                    if first:
                        self.began.release()
                        first = False
                    kind(connection)
            except OSError:
                # It was refused and closed, as it is to be.
                self._stopping.wait(0.05)

    def _drip(self, connection: socket.socket, piece: bytes, seconds: float) -> None:
        while not self._stopping.wait(seconds):
            connection.sendall(piece)

    def _head(self, *lines: str) -> bytes:
        first = ["POST /hooks/codex HTTP/1.1", "Host: 127.0.0.1"]
        first += [f"Authorization: Bearer {self._token}", "Content-Type: application/json"]
        return "\r\n".join([*first, *lines, "", ""]).encode()

    def _slowloris(self, connection: socket.socket) -> None:
        connection.sendall(b"POST /hooks/codex HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        self._drip(connection, b"X-Y: z\r\n", 0.2)

    def _silent(self, connection: socket.socket) -> None:
        self._stopping.wait(5)

    def _slow_body(self, connection: socket.socket) -> None:
        connection.sendall(self._head("Content-Length: 8000000") + b"x" * 100_000)
        self._drip(connection, b"x", 0.2)

    def _endless_chunks(self, connection: socket.socket) -> None:
        connection.sendall(self._head("Transfer-Encoding: chunked"))
        self._drip(connection, b"1000\r\n" + b"x" * 4_096 + b"\r\n", 0.02)

    def _trailers(self, connection: socket.socket) -> None:
        connection.sendall(self._head("Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n")
        self._drip(connection, b"X-Y: z\r\n" * 500, 0.02)

    def _bombs(self, connection: socket.socket) -> None:
        length = f"Content-Length: {len(self._bomb)}"
        connection.sendall(self._head(length, "Content-Encoding: gzip") + self._bomb)
        read_answer(connection)
        self._stopping.wait(0.5)

    def _large(self, connection: socket.socket) -> None:
        connection.sendall(self._head("Content-Length: 100000000"))
        for _ in range(100):
            connection.sendall(bytes(1_000_000))

    def _both_lengths(self, connection: socket.socket) -> None:
        lines = ["Content-Length: 5", "Transfer-Encoding: chunked"]
        connection.sendall(self._head(*lines) + b"0\r\n\r\n")
        read_answer(connection)
        self._stopping.wait(0.2)


def main() -> None:
    # They stand for other machines: of this one's time they are to take what is left.
    os.nice(19)
    host, _, port = sys.argv[1].rpartition("//")[2].rpartition(":")
    token = sys.stdin.readline().strip()
    harm = Hostile((host, int(port)), token, int(sys.argv[2]))
    harm.begin()
    print("begun", flush=True)
    sys.stdin.read()
    harm.end()


if __name__ == "__main__":
    main()
