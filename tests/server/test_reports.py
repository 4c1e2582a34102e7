"""Comparisons and reports over HTTP: the documents of the commands, computed in a process apart."""

import html
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from khive_persist import clock
from khive_persist.cli.root import run
from khive_persist.project import Project
from khive_persist.server.http.errors import HTTPError
from khive_persist.server.routes.read import report_client
from khive_persist.server.routes.read.compare_and_report import POLICY
from khive_persist.server.routes.read.report_client import REPORTING, Reporter
from tests.factories import make_project
from tests.periodic.records import MONDAY, call, day, events, plan, plans
from tests.server.process import Server, children, memory_bytes, until

QUESTION = {"what": "report", "as_page": False, "period": "day", "at": clock.to_text(MONDAY),
            "current_time": clock.to_text(MONDAY)}  # fmt: skip


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = make_project(tmp_path_factory.mktemp("reports"))
    rows = []
    for number in range(12):
        pattern = "parallel" if number % 2 else "<b>serial</b>"
        at = day(number / 2 - 3)
        rows += call(f"s{number}", at, success=number % 3 > 0, duration_ms=5)
        plans(project, plan(f"s{number}", at, workflow_pattern=pattern, planning_cost=number))
    events(project, rows)
    return project


@pytest.fixture(scope="module")
def server(filled: Project, request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(filled, is_fork=getattr(request, "param", True)) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as made:
        made.timeout = httpx.Timeout(90)
        yield made


def computing(pid: int) -> list[int]:
    """The processes that compute for a server."""
    found = []
    for child in children(pid):
        try:
            if REPORTING.encode() in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
        except OSError:
            continue
    return found


def told(project: Project, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    assert run(["--dir", str(project.root), *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_comparison_is_that_of_the_command(
    filled: Project, client: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    query = {
        "by": "workflow_pattern",
        "group": ["parallel", "<b>serial</b>"],
        "metric": ["planning_cost", "failures"],
        "since": "2026-11-01",
    }
    answer = client.get("/v1/compare", params=query)
    assert answer.status_code == 200
    words = ["compare", "parallel", "<b>serial</b>", "--by", "workflow_pattern", "--metric",
             "planning_cost", "--metric", "failures", "--since", "2026-11-01"]  # fmt: skip
    assert answer.json() == told(filled, capsys, *words)
    assert answer.json()["groups"] == {"parallel": 6, "<b>serial</b>": 6}
    tags = [answer.headers["etag"]]

    def is_unchanged() -> bool:
        # A server that has just begun opens each file once.
        again = client.get("/v1/compare", params=query, headers={"if-none-match": tags[-1]})
        tags.append(again.headers["etag"])
        return (again.status_code, again.content) == (304, b"")

    until(is_unchanged)


def test_a_report_is_that_of_the_command_until_more_is_recorded(
    filled: Project, client: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    query = {"period": "week", "at": "2026-11-18"}
    answer = client.get("/v1/report", params=query)
    assert answer.status_code == 200
    found = answer.json()
    shown = told(filled, capsys, "report", "--at", "2026-11-18")
    assert found == shown
    assert found["tools"][0]["calls"] == 6
    tag = {"if-none-match": answer.headers["etag"]}
    assert client.get("/v1/report", params=query, headers=tag).status_code == 304
    events(filled, call("more", MONDAY, duration_ms=5))
    answer = client.get("/v1/report", params=query, headers=tag)
    assert answer.json()["tools"][0]["calls"] == 7


@pytest.mark.parametrize(
    "path",
    ["/v1/compare/page?by=workflow_pattern&metric=planning_cost", "/v1/report/page?at=2026-11-18"],
)
# A fork shares its parent's memory, which then tells nothing.
@pytest.mark.parametrize("server", [False], indirect=True, ids=["a process of its own"])
def test_a_page_has_a_policy_of_its_own_and_costs_the_server_no_memory(
    server: Server, client: httpx.Client, path: str
) -> None:
    assert client.get("/v1/report?at=never").status_code == 400
    before = memory_bytes(server.process.pid)
    answer = client.get(path)
    assert memory_bytes(server.process.pid) < before + (4 << 20)
    assert not computing(server.process.pid)
    maps = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert "scipy" not in maps
    assert "matplotlib" not in maps
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-disposition"] == "inline"
    assert answer.headers.get_list("content-security-policy") == [POLICY]
    meta = html.unescape(answer.text.partition('http-equiv="Content-Security-Policy"')[2])
    assert meta.startswith(f' content="{POLICY.partition("; frame")[0]}"')
    assert "frame-ancestors 'none'" in POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    kept = client.get(path, headers={"if-none-match": answer.headers["etag"]})
    assert kept.status_code == 304
    assert kept.headers.get_list("content-security-policy") == [POLICY]
    head = client.head(path)
    assert (head.status_code, head.headers["etag"]) == (200, answer.headers["etag"])
    assert "<script" not in answer.text
    assert "<b>serial" not in answer.text


def test_the_names_of_what_can_be_compared(client: httpx.Client) -> None:
    found = client.get("/v1/compare/names").json()
    assert {"model", "workflow_pattern"} <= {*found["by"]}
    assert {"cost", "success"} <= {*found["metrics"]}
    assert "experiment:NAME" in found["patterns"]
    assert found["experiments"] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/compare?by=nothing", 400), ("/v1/compare?metric=nothing", 400),
        ("/v1/compare?paired_by=nothing", 400), ("/v1/compare?min_n=1", 400),
        ("/v1/compare?" + "&".join(["group=a"] * 51), 400), ("/v1/compare?by=model&by=tool", 400),
        ("/v1/report?period=month", 400), ("/v1/report?at=never", 400),
        ("/v1/report?at=0001-01-01", 400), ("/v1/compare/page?by=experiment:none", 404),
    ],
)  # fmt: skip
def test_a_wrong_question_is_refused(client: httpx.Client, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_without_the_right_nothing_is_computed(server: Server) -> None:
    with server.client("") as client:
        for path in ("/v1/compare", "/v1/compare/page", "/v1/compare/names", "/v1/report"):
            assert client.get(path).status_code == 401


def test_who_leaves_ends_what_is_computed(server: Server, client: httpx.Client) -> None:
    """One at a time: while one is held, another waits, and the next gets its turn when it ends."""
    pid = server.process.pid
    with _asking(server, "/v1/compare?by=tool") as first:
        until(lambda: bool(computing(pid)))
        (held,) = computing(pid)
        os.kill(held, signal.SIGSTOP)
        with _asking(server, "/v1/compare?by=project") as second:
            # It waits, and starts no other.
            assert client.get("/v1/compare/names").status_code == 200
            assert computing(pid) == [held]
            first.close()
            until(lambda: held not in computing(pid))
            assert second.recv(64).startswith(b"HTTP/1.1 200 ")
    assert not Path(f"/proc/{held}").exists()


def test_it_ends_with_the_server(filled: Project) -> None:
    """The server's end of its stdin closes when the server is gone, however it went."""
    command = [sys.executable, "-m", REPORTING, str(filled.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        answer, _ = child.communicate(json.dumps(QUESTION).encode() + b"\n", timeout=60)
    assert (child.returncode, answer) == (1, b"")


class _Here:
    """A request whose client stays."""

    async def receive(self) -> dict[str, Any]:
        await anyio.sleep_forever()
        raise AssertionError


async def test_what_takes_too_long_is_ended(
    filled: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_client, "LIMIT_SECONDS", 0.05)
    monkeypatch.setattr(report_client, "PATIENCE_SECONDS", 0.01)
    one = Reporter(filled, anyio.Event())
    codes = []

    async def ask() -> None:
        try:
            await one.ask(_Here(), QUESTION)  # type: ignore[arg-type]
        except HTTPError as refused:
            codes.append((refused.status, refused.code))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        tasks.start_soon(ask)
    assert codes == [(503, "busy"), (504, "too_long")]
    assert not computing(os.getpid())


async def test_a_server_that_stops_waits_for_nothing(filled: Project) -> None:
    stopping = anyio.Event()
    one = Reporter(filled, stopping)
    stopping.set()
    with pytest.raises(HTTPError, match="the server stops"):
        await one.ask(_Here(), {"what": "report"})  # type: ignore[arg-type]
    assert not computing(os.getpid())


def test_without_scipy_a_comparison_says_what_to_install(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server needs none: its processes find no scipy, as where the extra is missing."""
    hiding = tmp_path / "hiding" / "scipy"
    hiding.mkdir(parents=True)
    (hiding / "__init__.py").write_text("raise ModuleNotFoundError('no scipy', name='scipy')\n")
    monkeypatch.setenv("PYTHONPATH", str(hiding.parent))
    events(project, call("a", MONDAY))
    with Server(project) as own, own.client() as client:
        answer = client.get("/v1/compare")
        found = client.get("/v1/report?at=2026-11-18").json()
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "missing_extra")
    assert "khive-persist[analysis]" in answer.json()["error"]["hint"]
    assert found["comparison"] is None
    assert "scipy" in found["comparison_missing"]
    assert found["totals"][1]["now"] == 2


def _asking(server: Server, path: str) -> socket.socket:
    connection = server.connect()
    connection.settimeout(60)
    connection.sendall(
        f"GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {server.token}\r\n\r\n"
        .encode()
    )  # fmt: skip
    return connection
