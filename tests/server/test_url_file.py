"""`server.url` is believed of this machine, and of the address that the settings have."""

import json
import os

import pytest

from khive_persist.cli.root import run
from khive_persist.project import Project
from khive_persist.server.url_file import server_url
from khive_persist.settings import Settings


@pytest.mark.parametrize(
    ("written", "url"),
    [
        (b"http://127.0.0.1:1234\n", "http://127.0.0.1:1234"),
        (b"http://[::1]:1234\n", "http://[::1]:1234"),
        (b"https://10.0.0.7:1234\n", "https://10.0.0.7:1234"),
        (b"http://evil.example:8787\n", "http://10.0.0.7:9000"),
        (b"http://127.0.0.1@evil.example/\n", "http://10.0.0.7:9000"),
        (b"\xff\n", "http://10.0.0.7:9000"),
        (b"", "http://10.0.0.7:9000"),
        (b"http://127.0.0.1/" + b"a" * 5_000, "http://10.0.0.7:9000"),
    ],
)
def test_where_it_listens(project: Project, written: bytes, url: str) -> None:
    project.server_url.write_bytes(written)
    settings = Settings(server_address="10.0.0.7", server_port=9000)
    assert server_url(project, settings) == url


def test_a_pipe_or_a_link_says_nothing(project: Project) -> None:
    os.mkfifo(project.server_url)
    assert server_url(project, Settings()).startswith("http://127.0.0.1:")
    project.server_url.unlink()
    (project.root / "other").write_text("http://127.0.0.1:1\n")
    project.server_url.symlink_to(project.root / "other")
    assert server_url(project, Settings()) != "http://127.0.0.1:1"


def test_events_are_not_sent_where_a_pull_says(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.server_url.write_text("http://evil.example:8787\n")
    monkeypatch.chdir(project.root)
    assert run(["hooks", "install", "claude-code", "--transport", "http"]) == 0
    settings = (project.root / ".claude" / "settings.json").read_text()
    assert "http://127.0.0.1:" in json.dumps(json.loads(settings))
    assert "evil.example" not in settings
