"""Places with records to back up, and a local S3 server."""

import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from khive_persist.maintenance.backup.folder import Folder
from khive_persist.project import Project
from tests.backup.records import save_plans


@pytest.fixture
def folder(project: Project) -> Folder:
    """Where the project's backups go."""
    return Folder(project.khive / "backups")


@pytest.fixture
def saved(project: Project) -> Project:
    """The project with plans and events, and a mirror beside them."""
    save_plans(project, "first", 60)
    save_plans(project, "event", 20, file="claude_hooks.db")
    mirror = project.khive / "sessions"
    mirror.mkdir(0o700)
    for number in range(3):
        (mirror / f"planner_session_2026_11_21_{number:08}.json").write_text('{"a": 1}\n' * number)
    (mirror / "hook_events_2026_11_21_00000000.jsonl").write_bytes(b"{ }\n" * 100_000)
    return project


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """The address of an S3 server of our own, on the loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Path(sys.executable).with_name("moto_server")
    process = subprocess.Popen(
        [str(server), "-H", "127.0.0.1", "-p", str(port)], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        assert any("Running on" in line for line in process.stderr)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket, and the variables that lead to it."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3_server,
    }.items():
        monkeypatch.setenv(name, value)
    urllib.request.urlopen(urllib.request.Request(f"{s3_server}/plans", method="PUT")).close()
    yield "plans"
    urllib.request.urlopen(
        urllib.request.Request(f"{s3_server}/moto-api/reset", method="POST")
    ).close()
