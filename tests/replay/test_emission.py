"""A session that is sent again: another recorder ends with the same rows."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist.capture import hook_path
from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.cli.root import run
from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.models.query import field
from khive_persist.project import Project
from khive_persist.replay.emission import emit, target_of
from khive_persist.replay.originals import RECONSTRUCTED, Original
from khive_persist.replay.originals import originals as stored
from tests.compiled_hook import compiled
from tests.factories import make_project, save_many
from tests.payloads import sample_payloads
from tests.replay.sessions import SESSION, event
from tests.stored import select

HOOK = f"{sys.executable} -I -S {hook_path()} --tool {{tool}} --dir"


def quickest_hook() -> str:
    """The compiled hook, or where nothing compiles it the same in Python, which starts slower."""
    try:
        return f"{compiled()} --tool {{tool}} --dir"
    except pytest.skip.Exception:
        return HOOK


def rows(project: Project, tool: str) -> list[tuple[Any, Any]]:
    """What is in the database but for ids and times, in order of arrival, as plain SQL has it."""
    sql = "SELECT content, node_metadata FROM hook_events ORDER BY created_at, id"
    return select(project, HOOK_EVENTS[tool].file, sql)


def sessions(project: Project, tool: str) -> set[str]:
    return {json.loads(content)["session_id"] for content, _ in rows(project, tool)}


@pytest.fixture
def other(tmp_path: Path, hold_off: Callable[[Project], None]) -> Project:
    """An empty project beside the test's own, which we drain."""
    made = make_project(tmp_path / "other")
    hold_off(made)
    return made


def replay(project: Project, *words: str) -> int:
    return run(["--dir", str(project.root), "replay", *words])


@pytest.mark.parametrize("tool", list(HOOK_EVENTS))
def test_what_is_emitted_into_an_empty_project_gives_the_same_rows(
    tool: str, project: Project, other: Project
) -> None:
    spool = Spool(project)
    for payload in sample_payloads(tool):
        spool.accept(tool, payload)
    drain(project)
    sent = rows(project, tool)
    assert len(sent) > 5
    command = f"{quickest_hook()} {other.root}"
    for session in sorted(sessions(project, tool)):
        assert replay(project, session, "--speed", "max", "--emit", command) == 0
    drain(other)
    # Sessions overlap in time, and are sent one after the other.
    assert sorted(rows(other, tool)) == sorted(sent)


ODD = [
    '{"session_id":"played","hook_event_name":"Stop","n":1.0,"n":1e5,"big":123456789012345678901234}',
    '{"session_id": "played", "hook_event_name": "Stop", "text": "\\u00e9\\ud800 \\/ é"}',
    '{"session_id":"played","hook_event_name":"PreToolUse","tool_name":"Bash",'
    '"tool_input":{"command":"export KEY=AKIAIOSFODNN7EXAMPLE"}}',
]


def test_odd_payloads_are_sent_as_they_came(project: Project, other: Project) -> None:
    spool = Spool(project)
    for payload in ODD:
        spool.accept("claude-code", payload.encode())
    spool.accept("claude-code", ODD[1].encode("utf-16"))
    drain(project)
    assert replay(project, SESSION, "--speed", "max", "--emit", f"{HOOK} {other.root}") == 0
    drain(other)
    sent, again = rows(project, "claude-code"), rows(other, "claude-code")
    assert len(sent) == 4
    assert [content for content, _ in again] == [content for content, _ in sent]


def test_what_was_not_kept_whole_is_not_sent_and_said(
    project: Project, other: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    payload = {"session_id": SESSION, "hook_event_name": "Stop"}
    made = event(3, "stop", payload=payload, metadata={"reconstructed": True})
    save_many(project, [event(0, "stop", payload=payload), made])
    assert replay(project, SESSION, "--speed", "max", "--emit", f"{HOOK} {other.root}") == 0
    said = capsys.readouterr().err
    assert "1 of 2 payloads sent" in said
    assert f"1 not sent: {RECONSTRUCTED}" in said
    drain(other)
    assert len(rows(other, "claude-code")) == 1
    save_many(project, [event(5, "stop", payload={"truncated": {}}, metadata={"truncated": True})])
    assert replay(project, SESSION, "--speed", "max", "--emit", f"{HOOK} {other.root}") == 1
    assert "1 not sent: longer than the limit" in capsys.readouterr().err


def test_bytes_that_are_no_json_are_sent_as_they_are(project: Project) -> None:
    # They name no session: one is given to them by hand, as `import` may have.
    texts = {"encoding": "utf-8", "data": "no json é"}
    raw = {"encoding": "base64", "data": "/wA="}
    save_many(project, [event(n, "unparsed", payload=one) for n, one in enumerate((texts, raw))])
    found = anyio.run(stored, project, field("session_id") == SESSION)
    assert [one.payload for one in found] == ["no json é".encode(), b"\xff\x00"]


def originals(*payloads: bytes, seconds: int = 0) -> list[Original]:
    return [
        Original(str(number), "codex", event(number * seconds, "stop").created_at, payload)
        for number, payload in enumerate(payloads)
    ]


class Received(HTTPServer):
    """A server that keeps what it gets, and refuses what says so."""

    got: list[tuple[str, dict[str, str], bytes]]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server = self.server
            assert isinstance(server, Received)
            server.got.append((self.path, dict(self.headers), body))
            self.send_response(422 if body == b"bad" else 200)
            self.end_headers()
            self.wfile.write(b"not\nthis" if body == b"bad" else b"{}")

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is said on stderr."""


@contextmanager
def receiving() -> Iterator[Received]:
    with Received(("127.0.0.1", 0), Received.Handler) as server:
        server.got = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_a_server_gets_each_in_order_with_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHIVE_TOKEN", "t-1")
    with receiving() as server:
        target = target_of(f"http://127.0.0.1:{server.server_port}/hooks/{{tool}}?x=1")
        done = emit(originals(b"{}", b"bad", b'{"a":1}'), target, speed=float("inf"))
        assert (done.accepted, done.refused, done.left_out) == (2, {"status 422: not this": 1}, {})
        assert [(path, body) for path, _, body in server.got] == [
            ("/hooks/codex?x=1", b"{}"), ("/hooks/codex?x=1", b"bad"),
            ("/hooks/codex?x=1", b'{"a":1}'),
        ]  # fmt: skip
        headers = server.got[0][1]
        assert headers["Content-Type"] == "application/json"
        assert headers["Authorization"] == "Bearer t-1"


def test_the_pace_is_that_of_the_session() -> None:
    import time

    start = time.monotonic()
    emit(originals(b"{}", b"{}", b"{}", seconds=1), target_of("true"), speed=4)
    assert time.monotonic() - start >= 0.5
    start = time.monotonic()
    emit(originals(b"{}", b"{}", seconds=50), target_of("true"), max_gap_seconds=0)
    assert time.monotonic() - start < 45


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("no-such-program --x", "cannot be started"),
        ("", "the command is empty"),
        ("'", "cannot be read"),
        ("http://", "has no host"),
        ("http://a:99999/", "cannot be read"),
        ("http://me:secret@127.0.0.1/", "no password"),
        ("http://127.0.0.1:1/", "gave no answer"),
    ],
)
def test_a_target_that_takes_nothing_is_one_line(
    project: Project, where: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    save_many(project, [event(0, "stop", payload={"a": 1})])
    assert replay(project, SESSION, "--emit", where) in (1, 2)
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert "secret" not in error


def test_a_command_that_fails_is_counted_and_the_rest_goes_on(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_many(project, [event(n, "stop", payload={"n": n}) for n in range(3)])
    script = tmp_path / "hook"
    script.write_text("#!/bin/sh\nread line\ncase $line in *1*) echo bad luck >&2; exit 3;; esac\n")
    script.chmod(0o700)
    assert replay(project, SESSION, "--speed", "max", "--emit", str(script)) == 1
    error = capsys.readouterr().err
    assert "2 of 3 payloads sent" in error
    assert "khive-persist: 1 not taken: exit 3: bad luck" in error


def test_no_shell_reads_the_command(project: Project, tmp_path: Path) -> None:
    save_many(project, [event(0, "stop", payload={"n": 1})])
    assert shutil.which("cat")
    replay(project, SESSION, "--emit", f"cat; touch {tmp_path}/made")
    assert not os.path.exists(tmp_path / "made")
    done = subprocess.run(
        [sys.executable, "-m", "khive_persist.cli", "--dir", str(project.root), "replay", SESSION,
         "--emit", "cat"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, b"")
