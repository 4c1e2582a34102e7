"""The process: one a project, stopped gracefully, with its settings, spool and backups in hand."""

import asyncio
import itertools
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import httpx
import pytest

from khive_persist.capture.spool import Spool
from khive_persist.cli.root import run
from khive_persist.errors import InvalidSettingsError
from khive_persist.mirror.packing import MARKER
from khive_persist.models.purposes import HOOK_EVENTS, OUTCOMES
from khive_persist.project import Project
from khive_persist.recorder import client as recorder_client
from khive_persist.server.http.listening import check_exposure
from khive_persist.store.sqlite import write_lock
from tests.mirror.records import committed_only, copies_of
from tests.server.process import Server, event, recorder_of, until

JSON = {"content-type": "application/json"}
DISK_BYTES = 4_000_000


def stored(project: Project) -> set[int]:
    """The numbers of the stored events; each is there once."""
    path = project.database("claude_hooks.db")
    if not path.exists():
        return set()
    connection = sqlite3.connect(path)
    try:
        sql = "SELECT json_extract(content, '$.payload.number') FROM hook_events"
        numbers = [number for (number,) in connection.execute(sql)]
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        # It is just being made.
        return set()
    finally:
        connection.close()
    assert len(numbers) == len(set(numbers))
    return set(numbers)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_graceful_stop_answers_what_it_has_begun(project: Project, number: int) -> None:
    answered: set[int] = set()
    wrong: list[object] = []
    going = threading.Semaphore(0)

    def load(first: int) -> None:
        with server.client() as client:
            for number in range(first, first + 100_000):
                try:
                    answer = client.post(
                        "/hooks/claude-code", content=event(number, 1_500), headers=JSON
                    )
                except httpx.ConnectError:
                    return
                except httpx.TransportError as error:
                    # A connection that waits for its next request may be closed as that is sent.
                    if not isinstance(error, httpx.ReadError | httpx.RemoteProtocolError):
                        wrong.append(error)
                    return
                if answer.status_code != 200:
                    wrong.append(answer.text)
                answered.add(number)
                going.release()

    server = Server(project, is_fork=False)
    threads = [threading.Thread(target=load, args=(at * 1_000_000,)) for at in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(80):
        assert going.acquire(timeout=30)
    # A terminal and systemd send it to all processes.
    os.kill(recorder_of(server.process.pid), number)
    assert server.stop(number) == 0
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(answered) >= 80
    assert answered <= stored(project)
    assert not (project.khive / "server.url").exists()
    assert Spool(project).is_empty()
    events = [json.loads(line)["event"] for line in server.log.splitlines()]
    assert (events[0], events[-1]) == ("started", "stopped")
    assert "recorder_ended" not in events


def test_a_stop_does_not_wait_for_who_is_slow(project: Project) -> None:
    with Server(project) as server, ExitStack() as stack:
        head = (
            "POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {server.token}\r\n"
            "Content-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
        )
        for _ in range(20):
            slow = stack.enter_context(server.connect())
            slow.sendall(head.encode())
            assert slow.recv(100).startswith(b"HTTP/1.1 100 ")
        client = stack.enter_context(server.client())
        listening = stack.enter_context(client.stream("GET", "/v1/live"))
        assert listening.status_code == 200
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 10


def test_a_second_server_of_a_project_says_so(server: Server) -> None:
    command = [sys.executable, "-m", "khive_persist.cli", "--dir", str(server.project.root)]
    done = subprocess.run(
        [*command, "serve", "--port", "0"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert server.url in line


def test_a_killed_server_leaves_nothing_that_holds_up_the_next(project: Project) -> None:
    first = Server(project)
    recorder = recorder_of(first.process.pid)
    first.kill()
    with Server(project) as second, second.client() as client:
        assert client.post("/hooks/claude-code", json={"number": 1}).status_code == 200
        # The old recorder leaves once its server is gone.
        until(lambda: not Path(f"/proc/{recorder}").exists())
    assert stored(project) == {1}


def test_a_port_that_is_taken_is_one_line(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        command = [sys.executable, "-m", "khive_persist.cli", "--dir", str(project.root)]
        done = subprocess.run(
            [*command, "serve", "--port", port], capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert port in line


@pytest.mark.parametrize(
    ("address", "tls", "token", "insecure", "allowed"),
    [
        ("127.0.0.1", False, False, False, True),
        ("127.9.9.9", False, False, False, True),
        ("::1", False, True, False, True),
        ("localhost", False, False, False, True),
        ("0.0.0.0", False, True, False, False),
        ("::", False, True, False, False),
        ("192.0.2.1", False, True, False, False),
        ("localhost.evil.test", False, True, False, False),
        ("192.0.2.1", True, True, False, True),
        ("192.0.2.1", False, True, True, True),
        ("192.0.2.1", True, False, False, False),
        ("192.0.2.1", False, False, True, False),
    ],
)
def test_others_are_let_in_only_with_a_token_and_tls(
    address: str, tls: bool, token: bool, insecure: bool, allowed: bool
) -> None:
    def check() -> None:
        check_exposure(address, has_tls=tls, needs_token=token, is_insecure=insecure)

    if allowed:
        check()
    else:
        with pytest.raises(InvalidSettingsError):
            check()


def test_the_command_refuses_to_be_open(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(project.root)
    assert run(["--dir", root, "serve", "--address", "0.0.0.0", "--port", "0"]) == 1
    assert "--insecure" in capsys.readouterr().err
    assert run(["--dir", root, "serve", "--tls-cert", str(project.config)]) == 2


def test_over_tls(project: Project) -> None:
    cert, key = project.root / "cert.pem", project.root / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-keyout", str(key), "-out", str(cert), *subject],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("no openssl here")
    words = ("--port", "0", "--tls-cert", str(cert), "--tls-key", str(key))
    with Server(project, words=words, is_fork=False) as server:
        assert server.url.startswith("https://127.0.0.1:")
        trusted = ssl.create_default_context(cafile=str(cert))
        with httpx.Client(base_url=server.url, verify=trusted, trust_env=False) as client:
            assert client.get("/healthz").status_code == 200
            answer = client.post("/login", json={"token": server.token})
            assert "Secure" in answer.headers["set-cookie"]


def test_config_toml_is_followed_and_a_wrong_one_changes_nothing(project: Project) -> None:
    def takes(count: int) -> bool:
        return client.post("/hooks/codex", json="x" * count).status_code == 200

    with Server(project, intervals={"settings": 0.05}) as server, server.client() as client:
        project.config.unlink()
        until(lambda: "settings_changed" in server.log)
        assert takes(100_000)
        project.local_config.write_text("server.max_body_bytes = 70_000\n")
        until(lambda: not takes(100_000))
        project.local_config.write_text("server.max_body_bytes = 'many'\n")
        until(lambda: "settings_wrong" in server.log)
        assert not takes(100_000)
        assert takes(60_000)
        project.local_config.unlink()
        until(lambda: takes(100_000))
    events = [json.loads(line) for line in server.log.splitlines()]
    assert [one["names"] for one in events if one["event"] == "settings_changed"] == [
        "capture_linger_seconds", "server_max_body_bytes", "server_max_body_bytes"
    ]  # fmt: skip


def test_what_is_redacted_follows_config_toml_too(project: Project) -> None:
    secret = "ghp" + "_" + "A1b2" * 9

    sent = itertools.count()

    def texts(number: int) -> list[str]:
        if not project.database("codex_hooks.db").exists():
            return []
        sql = (
            "SELECT json_extract(content, '$.payload.text') FROM hook_events"
            " WHERE json_extract(content, '$.payload.number') = ?"
        )
        with closing(sqlite3.connect(project.database("codex_hooks.db"))) as found:
            # It may be just being made.
            with suppress(sqlite3.OperationalError):
                return [text for (text,) in found.execute(sql, [number])]
        return []

    def kept() -> bool:
        number = next(sent)
        client.post("/hooks/codex", json={"text": secret, "number": number})
        # On a slow machine it comes by the spool.
        until(lambda: bool(texts(number)))
        return texts(number) == [secret]

    with (
        Server(project, intervals={"settings": 3600, "spool": 0.1}) as server,
        server.client() as client,
    ):
        assert not kept()
        project.local_config.write_text(f"redaction.allow = ['{secret}']\n")
        assert not kept()
        server.process.send_signal(signal.SIGHUP)
        until(kept)


def test_what_lies_in_the_spool_is_drained_while_it_runs(project: Project) -> None:
    Spool(project).accept("claude-code", event(1))
    with Server(project, intervals={"spool": 0.05}):
        until(lambda: stored(project) == {1})
        Spool(project).accept("claude-code", event(2))
        until(lambda: stored(project) == {1, 2})


def test_backups_are_made_by_the_schedule(project: Project) -> None:
    project.local_config.write_text("backup.every_hours = 1\n")
    with Server(project, intervals={"backup": 0.1}) as server, server.client() as client:
        client.post("/hooks/claude-code", content=event(1), headers=JSON)
        until(lambda: "backup_made" in server.log, 60)
    assert server.log.count("backup_made") == 1
    assert any(project.backups.iterdir())


def test_a_backup_that_fails_is_in_the_log(project: Project) -> None:
    project.local_config.write_text("backup.every_hours = 1\nbackup.recipients = ['nonsense']\n")
    with Server(project, intervals={"backup": 0.1}) as server:
        until(lambda: "backup_failed" in server.log, 60)


def test_a_locked_database_sends_events_to_the_spool_and_records_back(server: Server) -> None:
    project = server.project
    with server.client() as client:
        client.post("/hooks/claude-code", content=event(0), headers=JSON)
        client.post("/v1/outcomes", json={"content": {"session_id": "s", "verdict": "success"}})
        with (
            write_lock.held(write_lock.lock_path(project.database("claude_hooks.db")), 10),
            write_lock.held(write_lock.lock_path(project.database("outcomes.db")), 10),
        ):
            for number in (1, 2, 3):
                began = time.monotonic()
                answer = client.post("/hooks/claude-code", content=event(number), headers=JSON)
                assert answer.status_code == 200
                assert time.monotonic() - began < 5
            assert client.get("/readyz").status_code == 503
            assert client.post("/hooks/codex", json={"number": 4}).status_code == 200
            answer = client.post(
                "/v1/outcomes",
                json={"id": "o", "content": {"session_id": "s", "verdict": "failure"}},
            )
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
            assert answer.json()["error"]["code"] == "store_busy"
        until(lambda: client.get("/readyz").status_code == 200)
        metrics = client.get("/metrics").text
        counted = re.search(
            r'khive_records_total\{purpose="claude_hooks",result="spooled"\} (\d)', metrics
        )
        # The first one too, where the machine was slow.
        assert counted is not None
        assert int(counted[1]) >= 3
    server.stop()
    assert run(["--dir", str(project.root), "events", "--jsonl"]) == 0
    assert stored(project) == {0, 1, 2, 3}
    assert run(["--dir", str(project.root), "verify"]) == 0


def test_a_commit_that_comes_after_the_spool_has_the_event_stores_it_once(server: Server) -> None:
    project = server.project
    with server.client() as client:
        client.post("/hooks/claude-code", content=event(0), headers=JSON)
        with write_lock.held(write_lock.lock_path(project.database("claude_hooks.db")), 10):
            assert client.post("/hooks/claude-code", content=event(1), headers=JSON).is_success
        # It was not answered by a commit, and the recorder goes on with it now.
        until(lambda: stored(project) == {0, 1})
        until(lambda: client.get("/readyz").status_code == 200)
    assert run(["--dir", str(project.root), "events", "--jsonl"]) == 0
    assert stored(project) == {0, 1}
    assert Spool(project).is_empty()
    assert run(["--dir", str(project.root), "verify"]) == 0


def test_a_damaged_database_loses_no_event(project: Project) -> None:
    path = project.database("claude_hooks.db")
    path.write_bytes(b"no database at all" * 1_000)
    with Server(project) as server, server.client() as client:
        answer = client.post("/hooks/claude-code", content=event(1), headers=JSON)
        assert answer.status_code == 200
        batch = {"id": "own", "tool": "claude-code", "payload": {}}
        answer = client.post("/v1/events", json=batch)
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "store_damaged"
        batch["id"] = "00000000-0000-4000-8000-000000000007"
        (told,) = client.post("/v1/events", json=batch).json()["results"]
        assert told == {"id": batch["id"], "result": "spooled"}
    assert len(Spool(project).events()) == 2
    assert path.read_bytes() == b"no database at all" * 1_000


def test_a_killed_recorders_last_commit_gets_its_second_copy(project: Project) -> None:
    with Server(project) as server, server.client() as client:
        for number in range(3):
            client.post("/hooks/claude-code", content=event(number), headers=JSON)
        client.post("/v1/outcomes", json={"content": {"session_id": "s", "verdict": "success"}})
        os.kill(recorder_of(server.process.pid), signal.SIGKILL)
        server.kill()
    # Killed between a commit and its copy.
    committed_only(project, HOOK_EVENTS["claude-code"], "an-event")
    committed_only(project, OUTCOMES, "a-verdict")
    with Server(project) as again, again.client() as client:
        until(lambda: client.get("/readyz").status_code == 200)
        until(lambda: copies_of(project, "an-event") == copies_of(project, "a-verdict") == 1)
    with Server(project) as again, again.client() as client:
        assert client.post("/hooks/claude-code", content=event(3), headers=JSON).is_success
        until(lambda: client.get("/readyz").status_code == 200)
    assert not (project.khive / "server.recording").exists()
    assert run(["--dir", str(project.root), "events", "--jsonl"]) == 0
    assert stored(project) == {*range(4), None}
    assert run(["--dir", str(project.root), "verify"]) == 0


async def test_a_recorder_that_cannot_stay_is_started_less_and_less_often(
    project: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recorder_client, "_RESTART_SECONDS", 0.01)
    recorder = recorder_client.Recorder(project, lambda _: None)
    await recorder.start()
    shutil.rmtree(project.root)
    assert recorder.pid is not None
    os.kill(recorder.pid, signal.SIGKILL)

    def delays() -> list[float]:
        records = [r for r in caplog.records if r.getMessage() == "recorder_ended"]
        return [record.__dict__["fields"]["restart_seconds"] for record in records]

    async with asyncio.timeout(60):
        while len(delays()) < 3:
            await asyncio.sleep(0.01)
    assert delays()[:3] == [0.01, 0.02, 0.04]
    assert max(recorder._next_delay() for _ in range(20)) == 60
    await recorder.close()


def test_a_recorder_that_ends_is_started_anew(project: Project) -> None:
    with Server(project) as server, server.client() as client:
        client.post("/hooks/claude-code", content=event(0), headers=JSON)
        for number in (1, 2):
            recorder = recorder_of(server.process.pid)
            os.kill(recorder, signal.SIGKILL)
            answer = client.post("/hooks/claude-code", content=event(number), headers=JSON)
            assert answer.status_code == 200
            # Until it is reaped, the server may not know yet that it has ended.
            until(lambda pid=recorder: not Path(f"/proc/{pid}").exists())  # type: ignore[misc]
            until(lambda: client.get("/readyz").status_code == 200)
        assert client.post("/hooks/claude-code", content=event(3), headers=JSON).status_code == 200
    assert run(["--dir", str(project.root), "events", "--jsonl"]) == 0
    assert stored(project) == {0, 1, 2, 3}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=700", "khive", str(mounted)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a file system may not be mounted here")
    yield mounted
    if subprocess.run(["umount", str(mounted)], check=False).returncode != 0:
        subprocess.run(["umount", "--lazy", str(mounted)], check=True)


def fill_up(disk: Path) -> Path:
    """Leave no block free."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(65_536))
            except OSError:
                return ballast


def test_on_a_full_disk_the_home_directory_takes_events(disk: Path, home: Path) -> None:
    project = Project(disk / "project")
    project.root.mkdir()
    with Server(project) as server, server.client() as client:
        client.post("/hooks/claude-code", content=event(0), headers=JSON)
        ballast = fill_up(disk)
        for number in range(1, 6):
            answer = client.post("/hooks/claude-code", content=event(number, 50_000), headers=JSON)
            assert answer.status_code == 200
        answer = client.post(
            "/v1/outcomes", json={"content": {"session_id": "s", "verdict": "failure"}}
        )
        assert answer.status_code == 503
        assert any(one.is_away for one in Spool(Project(home)).events())
        ballast.unlink()
    assert run(["--dir", str(project.root), "events", "--jsonl"]) == 0
    assert stored(project) == set(range(6))


def test_where_nothing_can_take_an_event_the_answer_says_so(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(disk))
    project = Project(disk / "project")
    project.root.mkdir()
    with Server(project) as server, server.client() as client:
        client.post("/hooks/claude-code", content=event(0), headers=JSON)
        fill_up(disk)
        for number in range(1, 60):
            answer = client.post("/hooks/claude-code", content=event(number, 60_000), headers=JSON)
            if answer.status_code != 200:
                break
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        error = answer.json()["error"]
        assert error["code"] == "capture"
        assert "\n" not in error["message"]
        assert client.get("/healthz").status_code == 200


def test_the_log_holds_nothing_of_what_was_sent(project: Project) -> None:
    project.config.write_text("server.colour = 'a\\u001b[31m\\nb'\n")
    for words in (("--port", "0", "--log-json"), ("--port", "0")):
        with Server(project, words=words) as server, server.client() as client:
            client.post("/hooks/claude-code", json={"text": "payload\n\x1b[31mtext"})
            client.get("/%1bpayload", headers={"x": "payload"})
            client.post("/v1/payload", json={})
        assert "\x1b" not in server.log
        assert "payload" not in server.log
    assert " error settings_wrong " in server.log


def test_without_its_packages_the_command_says_what_to_install(project: Project) -> None:
    program = """
import sys
sys.modules["uvicorn"] = None
from khive_persist.cli.root import run
sys.exit(run(["--dir", sys.argv[1], "serve"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(project.root)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "pip install 'khive-persist[server]'" in line


def test_health_asks_for_no_token_and_tells_nothing(server: Server) -> None:
    with server.client("") as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/readyz").json() == {"status": "ready"}
        assert client.get("/metrics").status_code == 401


def test_metrics_count_by_route_and_not_by_path(server: Server, client: httpx.Client) -> None:
    client.post("/hooks/claude-code", json={})
    client.post("/hooks/codex", json={})
    client.get("/some/<path>")
    client.post("/v1/events", json=[{"id": "a", "tool": "codex", "payload": 1}] * 2)
    text = client.get("/metrics").text
    for line in (
        'khive_http_requests_total{method="POST",route="/hooks/{tool}",status="200"} 2.0',
        'khive_http_requests_total{method="-",route="none",status="404"} 1.0',
        'khive_records_total{purpose="codex_hooks",result="new"} 2.0',
        'khive_records_total{purpose="codex_hooks",result="same"} 1.0',
        "khive_waiting 0.0",
    ):
        assert line in text
    assert "<path>" not in text


def test_old_streams_are_packed_while_a_server_runs(project: Project) -> None:
    with (
        Server(project, intervals={"packing": 1.0, "spool": 0.1}) as server,
        server.client() as client,
    ):
        # Each wake makes a drainer stay for so long: it has to be less than the time between them.
        project.config.write_text("[capture]\nlinger_seconds = 0.05\n")
        answer = client.post("/hooks/claude-code", content=event(1, 100), headers=JSON)
        assert answer.status_code == 200
        # On a slow machine it comes by the spool.
        until(lambda: any(project.sessions.glob("hook_events_*.jsonl")))
        (stream,) = project.sessions.glob("hook_events_*.jsonl")
        yesterday = time.time() - 2 * 86_400
        os.utime(stream, (yesterday, yesterday))
        # It may have looked before there was anything to pack.
        (project.sessions / MARKER).unlink(missing_ok=True)
        until(lambda: not stream.exists())
        assert stream.with_name(stream.name + ".gz").exists()
