"""Clients that leave before their answer do not end the server, as `serve` runs it."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from khive_persist.project import Project

PIPELINED = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 30


@pytest.fixture
def address(project: Project) -> Iterator[tuple[str, int]]:
    words = ["--dir", str(project.root), "serve", "--port", "0"]
    command = [sys.executable, "-m", "khive_persist.cli", *words]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=project.root
    ) as server:
        assert server.stdout is not None
        host, _, port = server.stdout.readline().strip().rpartition("//")[2].rpartition(":")
        yield host, int(port)
        assert server.poll() is None
        server.terminate()
        assert server.wait(timeout=60) == 0


def test_a_client_that_leaves_ends_nothing(address: tuple[str, int]) -> None:
    for _ in range(300):
        with socket.create_connection(address, timeout=20) as leaving:
            leaving.sendall(PIPELINED)
    host, port = address
    answer = httpx.get(f"http://{host}:{port}/healthz", trust_env=False, timeout=20)
    assert answer.status_code < 500
