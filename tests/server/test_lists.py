"""Lists are sorted, downloaded and limited to columns, and say by what they are filtered."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from khive_persist.cli.root import run
from khive_persist.models.purposes import (
    APPLICATION_SESSIONS,
    HOOK_EVENTS,
    OUTCOMES,
    PLANNER_SESSIONS,
)
from khive_persist.project import Project
from khive_persist.sessions.listing import SessionSummary
from tests.factories import make_project, row, store_rows
from tests.server.filling import BEGIN, fill, pages
from tests.server.process import Server

SUMMARY = ",".join(SessionSummary._fields)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    project = make_project(tmp_path_factory.mktemp("lists"))
    ids = fill(project, sessions=24)
    plan = {"session_id": ids[1], "task_description": "Task", "complexity": "simple"}
    store_rows(project, PLANNER_SESSIONS, [row(plan, BEGIN)])
    verdicts = [{"session_id": id, "verdict": "success"} for id in ids[:5]]
    store_rows(project, OUTCOMES, [row(verdict, BEGIN) for verdict in verdicts])
    application = {"session_id": ids[0], "participant": "ann", "scenario": "chest_pain"}
    store_rows(project, APPLICATION_SESSIONS, [row(application, BEGIN, ids[0])])
    with Server(project) as running:
        yield running


@pytest.fixture(scope="module")
def reader(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def printed(project: Project, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert run(["--dir", str(project.root), *words]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, []),
        ({"failed": "true", "tool": "codex"}, ["--failed", "--tool", "codex"]),
        ({"failed": "false"}, ["--no-failed"]),
        ({"verdict": "success"}, ["--verdict", "success"]),
        ({"verdict": "nobody's"}, ["--verdict", "nobody's"]),
    ],
)
def test_a_download_of_sessions_is_what_the_command_prints(
    query: dict[str, str],
    words: list[str],
    server: Server,
    reader: httpx.Client,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for form in ("json", "jsonl"):
        answer = reader.get("/v1/sessions", params={**query, "columns": SUMMARY, "download": form})
        assert answer.text == printed(server.project, capsys, "sessions", *words, f"--{form}")
        assert answer.headers["content-disposition"] == f'attachment; filename="sessions.{form}"'


def test_a_download_has_the_shown_columns_in_their_order(reader: httpx.Client) -> None:
    query = {"sort": "failures", "order": "asc", "columns": "cost,title,session_id"}
    items = [item for page in pages(reader, "/v1/sessions", **query, limit=7) for item in page]
    assert [list(item) for item in items] == [["cost", "title", "session_id"]] * 24
    table = reader.get("/v1/sessions", params={**query, "download": "csv"})
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [[*row] for row in rows] == [["cost", "title", "session_id"]] * 24
    assert [row["session_id"] for row in rows] == [item["session_id"] for item in items]
    assert "ann · chest_pain" in [item["title"] for item in items]
    few = reader.get("/v1/sessions", params={"download": "json", "limit": 2})
    assert len(few.json()) == 2
    assert len(reader.get("/v1/sessions", params={"download": "json"}).json()) == 24


def test_events_have_their_subject_and_their_fields_as_columns(
    server: Server, reader: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = "id,subject,tool,success,content"
    query = {"type": "prompt_submitted", "columns": columns}
    items = [item for page in pages(reader, "/v1/events", **query, limit=5) for item in page]
    words = ("events", "--type", "prompt_submitted", "--json")
    listed = json.loads(printed(server.project, capsys, *words))
    prompts = {one["id"]: one["content"]["payload"]["prompt"] for one in listed}
    assert {item["id"]: item["subject"] for item in items} == prompts
    assert [*items[0]] == columns.split(",")
    assert items[0]["content"]["event_type"] == "prompt_submitted"
    plain = reader.get("/v1/events", params={"columns": "success,payload", "failed": "true"})
    assert plain.status_code == 400
    assert plain.json()["error"]["message"] == "columns has 'payload'"
    assert "subject" in plain.json()["error"]["hint"]
    failed = reader.get("/v1/events", params={"columns": "success", "failed": "true"}).json()
    assert {item["success"] for item in failed["items"]} == {False}


def test_each_facet_counts_the_rows_that_its_filter_lists(reader: httpx.Client) -> None:
    for kind, uncounted in (("sessions", set[str]()), ("events", {"tool_name"})):
        facets = reader.get("/v1/facets", params={"of": kind}).json()["facets"]
        counted: dict[str, Any] = {n: v for n, v in facets.items() if n not in uncounted}
        for name, values in counted.items():
            assert values, name
            for value in values:
                query = {name: value["value"], "limit": 1000}
                rows = reader.get(f"/v1/{kind}", params=query).json()["items"]
                assert len(rows) == value["rows"], (name, value)


def test_tool_names_are_those_of_the_latest_events_and_filter_them(project: Project) -> None:
    events = [
        row({"event_type": "post_command", "tool_name": name}, BEGIN + timedelta(seconds=n))
        for n, name in enumerate(["Bash", "Bash", "Edit"])
    ]
    store_rows(project, HOOK_EVENTS["codex"], events)
    with Server(project) as running, running.client() as client:
        facets = client.get("/v1/facets?of=events").json()["facets"]
        assert [one["value"] for one in facets["tool_name"]] == ["Bash", "Edit"]
        assert len(client.get("/v1/events?tool_name=Bash").json()["items"]) == 2
