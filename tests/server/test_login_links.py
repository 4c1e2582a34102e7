"""A link that logs a browser in: once, soon, and without a token anywhere."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest

from khive_persist.cli.root import run
from khive_persist.models.hook_event import HookEvent
from khive_persist.project import Project
from khive_persist.server.http.tokens import Token, Tokens
from khive_persist.server.request import login_links
from khive_persist.server.request.login_links import LoginLinks
from tests.factories import make_project, record, save_many
from tests.server.process import Server


def test_a_link_is_good_for_one_visit_and_a_browser_is_given_a_file_that_has_it(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = str(server.project.root)
    capsys.readouterr()
    assert run(["--dir", root, "open", "--print", "applications"]) == 0
    url, _, fragment = capsys.readouterr().out.strip().partition("#")
    assert fragment == "/application_sessions"
    assert url.startswith(f"{server.url}/login/")
    assert server.token not in url
    with server.client("") as client:
        ahead = client.head(url)
        assert (ahead.status_code, "set-cookie" in ahead.headers) == (303, False)
        answer = client.get(url)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert answer.headers["cache-control"] == "no-store"
        assert client.get("/v1/whoami").json() == {
            "name": "local",
            "rights": ["admin"],
            "role": None,
            "person": None,
        }
    for wrong in (url, url + "x", f"{server.url}/login/x"):
        with server.client("") as client:
            answer = client.get(wrong)
            assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
            assert answer.json()["error"]["code"] == "link"
    tokens = Tokens(server.project)
    with server.client(tokens.create("reader", ["read"])) as client:
        path = client.post("/login/link", json={}).json()["path"]
    tokens.revoke("reader")
    tokens.create("reader", ["read"])
    with server.client("") as client:
        assert client.get(path).status_code == 401
    assert url.rpartition("/")[2] not in server.log

    link = "khive-persist://session/a%2Fb%20c?record=r%26x"
    assert run(["--dir", root, "open", "--print", link]) == 1
    assert "names a session that is not recorded" in capsys.readouterr().err
    save_many(server.project, [record(HookEvent, 0, event_type="stop", session_id="a/b c")])
    assert run(["--dir", root, "open", "--print", link]) == 0
    fragment = capsys.readouterr().out.strip().partition("#")[2]
    assert parse_qs(fragment.partition("?")[2]) == {"link": [link]}
    assert run(["--dir", root, "open", "--print", "khive-persist://plan/x"]) == 2
    assert "is no link to a record" in capsys.readouterr().err

    seen = tmp_path / "seen"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{seen}"\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    assert run(["--dir", str(server.project.root), "open"]) == 0
    page = server.project.khive / "open.html"
    assert seen.read_text() == f"{page.as_uri()}\n"
    assert page.stat().st_mode & 0o777 == 0o600
    text = page.read_text()
    assert server.token not in text
    (url,) = set(re.findall(r'(http://[^"]*)"', text))
    with server.client("") as client:
        assert client.get(url).status_code == 303
        assert client.get("/v1/whoami").status_code == 200


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[Project, "subprocess.Popen[str]"]]:
    project = make_project(tmp_path / "alone", "[server]\nport = 0\n")
    words = ["--dir", str(project.root), "open", "--print"]
    process = subprocess.Popen(
        [sys.executable, "-m", "khive_persist.cli", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ),
    )  # fmt: skip
    yield project, process
    process.kill()
    process.communicate()


def test_where_no_server_runs_the_command_is_one(
    opened: tuple[Project, "subprocess.Popen[str]"],
) -> None:
    project, process = opened
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    with httpx.Client(trust_env=False, timeout=30) as client:
        assert client.get(url).status_code == 303
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert f"no server ran: {url.partition('/login/')[0]} serves {project.khive}" in errors


def test_links_end_with_their_time_and_do_not_gather(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = Tokens(project)
    tokens.create("one", ["read"])
    token = tokens.named("one")
    assert isinstance(token, Token)
    links = LoginLinks(tokens)
    first = links.create(token)
    codes = [links.create(token) for _ in range(100)]
    assert links.take(first) is None
    assert links.take(codes[0]) == token
    monkeypatch.setattr(login_links, "SECONDS", 0)
    assert links.take(links.create(token)) is None
