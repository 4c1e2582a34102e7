"""HTTP hooks against a running server: who is told of what, and what is recorded."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from khive_persist.capture.hook_config import install, settings_path, status
from khive_persist.capture.pauses import off_sessions
from khive_persist.project import Project
from khive_persist.server.http.tokens import Right, Tokens
from tests.cli.conftest import Khive, khive
from tests.server.process import Server

__all__ = ["khive"]

CLAUDE = "claude-code"


def problems(project: Project) -> list[str]:
    return [*status(CLAUDE, "project", project.root).problems]


def sent_as_the_tool_does(
    root: Path, event: str, payload: bytes, token: str, off: str = ""
) -> httpx.Response:
    settings = json.loads(settings_path(CLAUDE, "project", root).read_text())
    hook: dict[str, Any] = settings["hooks"][event][0]["hooks"][0]
    values = {"$KHIVE_TOKEN": token, "$KHIVE_OFF": off}
    assert {name[1:] for name in values} == {*hook["allowedEnvVars"]}
    headers = {
        key: re.sub(r"\$[A-Z_]+", lambda name: values[name[0]], of)
        for key, of in hook["headers"].items()
    }
    with httpx.Client(trust_env=False) as client:
        return client.post(
            hook["url"], content=payload, headers=headers | {"content-type": "application/json"}
        )


def token_of(project: Project, *rights: Right) -> str:
    return Tokens(project).create("hooks", rights)


def test_what_is_installed_records(server: Server, khive: Khive) -> None:
    project = server.project
    token = token_of(project, "ingest")
    assert khive("hooks", "install", CLAUDE, "--transport", "http").code == 0
    payload = b'{"hook_event_name":"Stop","session_id":"over-http"}'
    assert sent_as_the_tool_does(project.root, "Stop", payload, token).status_code == 200
    (event,) = khive("events", "--jsonl").lines
    assert event["content"]["session_id"] == "over-http"
    assert token not in settings_path(CLAUDE, "project", project.root).read_text()
    # As a command hook, by the variable of the tool's own environment.
    unrecorded = b'{"hook_event_name":"Stop","session_id":"unrecorded"}'
    for off in ("1", "0"):
        sent = sent_as_the_tool_does(project.root, "Stop", unrecorded, token, off)
        assert (sent.status_code, sent.content) == (200, b"")
    assert len(khive("events", "--jsonl").lines) == 2
    assert khive("doctor", "--json").json["pause"]["unrecorded_off"] == 1
    assert [span.subject for span in off_sessions()] == ["unrecorded"]


def test_nothing_is_recorded_in_a_pause(server: Server, khive: Khive) -> None:
    with server.client() as client:

        def sent(session: str) -> None:
            payload = {"hook_event_name": "Stop", "session_id": session}
            assert client.post(f"/hooks/{CLAUDE}", json=payload).status_code == 200

        khive("pause", "--session", "s1")
        sent("s1")
        sent("s2")
        khive("pause", "--here")
        sent("s3")
        body = [{"tool": CLAUDE, "payload": {"session_id": "s4"}}]
        (result,) = client.post("/v1/events", json=body).json()["results"]
        assert (result["result"], result["reason"]) == ("refused", "recording was paused")
        status = client.get("/v1/project").json()["pause"]
        scopes = [(pause["scope"], pause["unrecorded"]) for pause in status["pauses"]]
        assert (status["is_paused"], scopes) == (True, [("session", 1), ("project", 2)])
        assert client.get("/v1/doctor").json()["pause"] == status
        khive("resume")
        sent("s5")
    sessions = [event["content"]["session_id"] for event in khive("events", "--jsonl").lines]
    assert sorted(sessions) == ["s2", "s5"]


def test_a_server_that_takes_events_is_no_problem(
    server: Server, khive: Khive, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = server.project
    install(CLAUDE, "project", project.root, server=server.url)
    monkeypatch.setenv("KHIVE_TOKEN", token_of(project, "ingest"))
    assert problems(project) == []
    done = khive("hooks", "status")
    assert done.code == 0
    assert "http" in next(line for line in done.out.splitlines() if "claude-code  project" in line)
    assert khive("doctor").code == 0
    # To ask is to record nothing.
    assert khive("events", "--jsonl").lines == []


def test_a_wrong_token_is_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    project = server.project
    install(CLAUDE, "project", project.root, server=server.url)
    (problem,) = problems(project)
    assert "KHIVE_TOKEN is not set here" in problem
    monkeypatch.setenv("KHIVE_TOKEN", "khive_nobody")
    (problem,) = problems(project)
    assert "does not know the token" in problem
    monkeypatch.setenv("KHIVE_TOKEN", token_of(project, "read"))
    (problem,) = problems(project)
    assert "no right to record" in problem


def test_a_server_that_is_down_is_told(
    server: Server, khive: Khive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KHIVE_TOKEN", server.token)
    assert khive("hooks", "install", CLAUDE, "--transport", "http").code == 0
    assert khive("hooks", "status").code == 0
    server.kill()
    for command in ("hooks", "status"), ("doctor",):
        done = khive(*command)
        assert done.code == 1
        assert f"problem: {server.url}/hooks/claude-code does not answer" in done.out


def test_the_server_does_not_ask_itself(server: Server, client: httpx.Client) -> None:
    install(CLAUDE, "project", server.project.root, server=server.url)
    found = client.get("/v1/doctor").json()
    assert found["problems"] == []
    assert {"http"} == {one["transport"] for one in found["hooks"] if one["state"] == "installed"}


def test_the_url_is_the_servers_or_that_of_the_settings(project: Project, khive: Khive) -> None:
    def url() -> str:
        settings = json.loads(settings_path(CLAUDE, "project", project.root).read_text())
        found: str = settings["hooks"]["Stop"][0]["hooks"][0]["url"]
        return found

    khive("hooks", "install", CLAUDE, "--transport", "http")
    assert url() == "http://127.0.0.1:8423/hooks/claude-code"
    project.local_config.write_text('[server]\naddress = "::1"\nport = 8500\n')
    khive("hooks", "install", CLAUDE, "--transport", "http")
    assert url() == "http://[::1]:8500/hooks/claude-code"
    khive("hooks", "install", CLAUDE, "--transport", "http", "--url", "http://localhost:1")
    assert url() == "http://localhost:1/hooks/claude-code"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("codex", "--transport", "http"), 2, "Codex can send no events over HTTP"),
        (
            (CLAUDE, "gemini-cli", "codex", "--transport", "http"),
            2,
            "Gemini CLI and Codex can send no events over HTTP",
        ),
        ((CLAUDE, "--url", "http://127.0.0.1:1"), 2, "--url goes with --transport http"),
        ((CLAUDE, "--transport", "http", "--url", "http://example.test:1"), 1, "no server of this"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_written(
    project: Project, khive: Khive, words: tuple[str, ...], code: int, said: str
) -> None:
    done = khive("hooks", "install", *words)
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1)
    assert said in done.err
    assert not [*project.root.glob(".*/*.json")]
