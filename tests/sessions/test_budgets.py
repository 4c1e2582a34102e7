"""What is spent of limits, and the warning of each that is reached: once, and bounded."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist import settings as configuration
from khive_persist.cli.root import run
from khive_persist.maintenance.budget_warnings.delivery import post, run_command
from khive_persist.maintenance.budget_warnings.record import FILE, failed_warnings
from khive_persist.maintenance.budget_warnings.run import LOCK, warn_of_budgets
from khive_persist.project import Project
from khive_persist.sessions.budgets import BudgetState, budget_states, budgets_of
from khive_persist.store.sqlite import write_lock
from tests.factories import message, save_many
from tests.payloads import Hook
from tests.server.process import until

Answer = Callable[[BaseHTTPRequestHandler, int], None]
RUN = [sys.executable, "-m", "khive_persist.maintenance.budget_warnings.run"]
# 10 USD for each million tokens.
MILLION = {"input": 1_000_000}
PRICES = "[cost]\nprices = ['m input=10']\n"


@pytest.fixture
def home_config(home: Path) -> Path:
    (home / ".khive").mkdir(exist_ok=True)
    return home / ".khive" / "config.toml"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A program that notes what it is told, and its environment."""
    path = tmp_path / "a note"
    path.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        f"with open({str(tmp_path / 'notes')!r}, 'a') as file:\n"
        "    told = json.load(sys.stdin) | {'env': os.environ['KHIVE_BUDGET_SUBJECT']}\n"
        "    file.write(json.dumps(told | {'words': sys.argv[1:]}) + '\\n')\n"
    )
    path.chmod(0o700)
    return path


def notes(tmp_path: Path) -> list[Any]:
    path = tmp_path / "notes"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def fill(project: Project) -> None:
    """Two sessions of today, one of yesterday's begin and today, one of long ago."""
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    save_many(
        project,
        [
            message("a", midnight, model="m", tokens=MILLION),
            message("a", midnight - timedelta(days=3), model="m", tokens=MILLION),
            message("b", midnight, model="m", tokens={"input": 500_000}),
            message("b", midnight, model="nobody knows it", tokens=MILLION),
            message("c", midnight - timedelta(days=3), model="m", tokens=MILLION),
        ],
    )


def states(project: Project) -> dict[tuple[str, str], list[BudgetState]]:
    settings = configuration.load(project.config)
    result: dict[tuple[str, str], list[BudgetState]] = {}
    for state in anyio.run(budget_states, project, settings, budgets_of(project, settings)):
        result.setdefault((state.scope, state.unit), []).append(state)
    return result


def test_each_limit_counts_what_it_is_of(
    project: Project, home_config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home_config.write_text(
        f"{PRICES}[budget]\nday_usd = 15\nday_tokens = 3_000_000\nsession_usd = 20\n"
        "session_tokens = 400_000\nproject_usd = 36\nproject_tokens = 9_000_000\n"
    )
    fill(project)
    spent = {
        name: [(state.subject, state.spent, state.is_reached, state.unpriced) for state in found]
        for name, found in states(project).items()
    }
    today = str(datetime.now(UTC).date())
    assert spent == {
        ("day", "usd"): [(today, 15.0, True, 1)],
        ("day", "tokens"): [(today, 2_500_000, False, 0)],
        ("session", "usd"): [("a", 20.0, True, 0)],
        ("session", "tokens"): [("a", 2_000_000, True, 0), ("b", 1_500_000, True, 0)],
        ("project", "usd"): [(str(project.root), 35.0, False, 1)],
        ("project", "tokens"): [(str(project.root), 4_500_000, False, 0)],
    }
    assert run(["--dir", str(project.root), "stats", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [b["spent"] for b in listed["budgets"]][:2] == [15.0, 2_500_000]
    assert sum(group["cost"] or 0 for group in listed["tokens"]) == 35.0
    assert run(["--dir", str(project.root), "stats"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        f"budget reached: the day {today} (UTC) has spent $15.00 of its limit of $15.00 (100%),"
        " and 1 messages have no price"
    ) in lines


def test_a_projects_file_proposes_a_limit_and_starts_nothing(
    project: Project, home_config: Path, script: Path, tmp_path: Path
) -> None:
    home_config.write_text(f"{PRICES}[budget]\ncommand = [{str(script)!r}]\nday_usd = 100\n")
    project.config.write_text(
        "[budget]\nday_usd = 1\ncommand = ['/bin/false']\nwebhook = 'https://evil.test'\n"
    )
    fill(project)
    settings = configuration.load(project.config)
    assert (settings.budget_command, settings.budget_webhook) == ((str(script),), "")
    assert [(s.limit, s.is_reached, s.warns) for s in states(project)["day", "usd"]] == [
        (100.0, False, True),
        (1.0, True, False),
    ]
    assert warn_of_budgets(project) == []
    assert notes(tmp_path) == []
    project.local_config.write_text("[budget]\nday_usd = 2\ncommand = ['/bin/false']\n")
    assert len(warn_of_budgets(project)) == 1
    assert [note["limit"] for note in notes(tmp_path)] == [2.0]


def test_two_processes_at_once_and_later_ones_warn_once(
    project: Project, home_config: Path, script: Path, tmp_path: Path
) -> None:
    home_config.write_text(
        f"{PRICES}[budget]\nday_usd = 10\nsession_usd = 19\ncommand = [{str(script)!r}, '$(x) ;']\n"
    )
    fill(project)
    lock = project.khive / LOCK
    with write_lock.held(lock, 5):
        processes = [subprocess.Popen([*RUN, str(project.root)]) for _ in range(2)]
        while not write_lock.is_awaited(lock):
            assert [process.poll() for process in processes] == [None, None]
    assert [process.wait() for process in processes] == [0, 0]
    told = notes(tmp_path)
    assert sorted(note["scope"] for note in told) == ["day", "session"]
    assert all(note["words"] == ["$(x) ;"] for note in told)
    assert {note["env"] for note in told} == {str(datetime.now(UTC).date()), "a"}
    assert {note["project"] for note in told} == {str(project.root)}
    assert warn_of_budgets(project) == []
    # What others put in the place of the record keeps no warning back.
    record = project.khive / FILE
    document = json.loads(record.read_text())
    record.write_text(json.dumps(document | {"mac": "0" * 64}))
    assert len(warn_of_budgets(project)) == 2
    # Another limit is another crossing.
    home_config.write_text(home_config.read_text().replace("day_usd = 10", "day_usd = 11"))
    assert len(warn_of_budgets(project)) == 1
    assert len(notes(tmp_path)) == 5


def test_a_hook_in_the_midst_of_a_turn_leads_to_a_warning_without_a_server(
    project: Project, home_config: Path, script: Path, tmp_path: Path, hook: Hook
) -> None:
    home_config.write_text(f"{PRICES}[budget]\nsession_usd = 9\ncommand = [{str(script)!r}]\n")
    transcript = tmp_path / "s1.jsonl"
    usage = {"input_tokens": 1_000_000, "output_tokens": 0}
    answer = {"id": "m1", "role": "assistant", "model": "m", "content": [], "usage": usage}
    line = {"type": "assistant", "uuid": "u1", "sessionId": "s1", "message": answer}
    at = datetime.now(UTC).isoformat()
    transcript.write_text(json.dumps(line | {"timestamp": at, "cwd": str(project.root)}) + "\n")
    payload = {"hook_event_name": "PostToolUse", "session_id": "s1", "tool_name": "Read"}
    payload["transcript_path"] = str(transcript)
    assert hook(json.dumps(payload).encode()).returncode == 0
    until(lambda: bool(notes(tmp_path)))
    assert [(note["subject"], note["spent"]) for note in notes(tmp_path)] == [("s1", 10.0)]


def test_what_failed_is_tried_thrice_and_the_doctor_says_so(
    project: Project, home_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home_config.write_text(f"{PRICES}[budget]\nday_usd = 10\ncommand = ['/bin/false']\n")
    fill(project)
    assert [len(warn_of_budgets(project)) for _ in range(4)] == [1, 1, 1, 0]
    (line,) = failed_warnings(project)
    assert line.endswith("was not delivered (budget.command: /bin/false ended with code 1)")
    assert run(["--dir", str(project.root), "doctor", "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert line in [finding["text"] for finding in findings]


def test_a_killed_process_has_warned(project: Project, home_config: Path, tmp_path: Path) -> None:
    started = tmp_path / "started"
    home_config.write_text(
        f"{PRICES}[budget]\nday_usd = 10\n"
        f"command = ['/bin/sh', '-c', 'echo $$ > {started}; exec sleep 60']\n"
    )
    fill(project)
    process = subprocess.Popen([*RUN, str(project.root)], start_new_session=True)
    while not (started.exists() and started.read_text().endswith("\n")):
        assert process.poll() is None
    process.kill()
    process.wait()
    os.kill(int(started.read_text()), signal.SIGKILL)
    started.unlink()
    assert warn_of_budgets(project) == []
    assert not started.exists()
    assert "it is not sent again" in failed_warnings(project)[0]


def test_a_command_is_bounded(tmp_path: Path) -> None:
    child = tmp_path / "child"
    hanging = ["/bin/sh", "-c", f"sleep 60 & echo $! > {child}; yes"]
    began = time.monotonic()
    assert run_command(hanging, {}, seconds=0.4) == "/bin/sh took more than 0.4 s and was ended"
    assert time.monotonic() - began < 5
    # The child went with it; it may be a zombie until its new parent looks.
    state = Path(f"/proc/{child.read_text().strip()}/stat")
    while state.exists() and state.read_text().split()[2] != "Z":
        assert time.monotonic() - began < 5
    assert run_command(["/no/such"], {}) == "/no/such cannot be started (No such file or directory)"
    assert run_command(["/bin/true"], {"text": "x" * 1_000_000, "subject": "a\0b"}) == ""
    assert run_command(["/bin/sh", "-c", "kill -9 $$"], {}) == "/bin/sh ended with signal 9"
    # No relative name is one of the working directory.
    script = tmp_path / "evil"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o700)
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        assert "cannot be started" in run_command(["./evil"], {})
    finally:
        os.chdir(before)


@contextmanager
def webhook(answer: Answer) -> Iterator[tuple[str, list[Any]]]:
    """A server that notes what is posted; `answer` gets the number of the request."""
    bodies: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            answer(self, len(bodies))

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/secret-path", bodies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def respond(handler: BaseHTTPRequestHandler, code: int, **headers: str) -> None:
    handler.send_response(code)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("content-length", "0")
    handler.end_headers()


def test_a_webhook_gets_the_amounts_with_bounded_tries(project: Project, home_config: Path) -> None:
    with webhook(lambda handler, _: respond(handler, 204)) as (url, bodies):
        home_config.write_text(f"{PRICES}[budget]\nproject_usd = 30\nwebhook = '{url}'\n")
        fill(project)
        assert len(warn_of_budgets(project)) == 1
        assert [(b["scope"], b["spent"], b["limit"]) for b in bodies] == [("project", 35.0, 30.0)]
        assert failed_warnings(project) == []
    with webhook(lambda handler, number: respond(handler, 503 if number < 3 else 200)) as (
        url,
        bodies,
    ):
        assert post(url, {"a": 1}, first_pause=0.01) == ""
        assert bodies == [{"a": 1}] * 3
    with webhook(lambda handler, _: respond(handler, 500)) as (url, bodies):
        assert post(url, {}, first_pause=0.01) == "127.0.0.1 answered 500"
        assert len(bodies) == 3
    with webhook(lambda handler, _: respond(handler, 302, location="/elsewhere")) as (url, bodies):
        assert post(url, {}, first_pause=0.01) == "127.0.0.1 answered 302"
        assert len(bodies) == 1
    assert post(url, {}, first_pause=0.01) == "127.0.0.1 does not answer (Connection refused)"


def test_a_webhook_that_never_ends_its_answer_is_left() -> None:
    left = threading.Event()

    def drip(handler: BaseHTTPRequestHandler, _: int) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nx: ")
        while not left.wait(0.02):
            handler.wfile.write(b"x")
            handler.wfile.flush()
        handler.close_connection = True

    with webhook(drip) as (url, _):
        assert post(url, {}, seconds=0.3) == "127.0.0.1 took more than 0.3 s"
        left.set()
