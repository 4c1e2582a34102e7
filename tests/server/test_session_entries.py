"""An entry over HTTP: its details, records, a search; and a verdict, as the command gives it."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from khive_persist.cli.root import run
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.message import Message
from khive_persist.models.score import Score
from khive_persist.server.http.tokens import Right, Tokens
from tests import stored
from tests.factories import make_project, record, save_many
from tests.server.process import Server

LONG = "line of the output\n" * 5_000 + "and its last words"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    project = make_project(tmp_path_factory.mktemp("entries"))
    about = {"session_id": "s1", "tool": "codex", "kind": "message"}
    use = {"tool_use_id": "t1", "name": "shell", "input": {"command": "make"}}
    answer = {"tool_use_id": "t1", "output": LONG, "is_error": True}
    save_many(
        project,
        [
            record(Message, 0, role="user", text="do it", **about),
            record(Message, 1, role="assistant", tool_calls=[use], **about),
            record(Message, 2, role="tool", tool_results=[answer], **about),
            record(HookEvent, 3, event_type="session_end", session_id="s1", tool="codex"),
            record(Score, 4, session_id="s1", name="quality", value=3),
            record(Message, 0, role="user", text="another", **(about | {"session_id": "s2"})),
        ],
    )
    with Server(project) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def story(client: httpx.Client, session: str = "s1") -> list[Any]:
    entries: list[Any] = client.get(f"/v1/sessions/{session}/story").json()["entries"]
    return entries


def test_an_entry_is_read_by_its_id_and_records(client: httpx.Client) -> None:
    entries = story(client)
    assert [entry["kind"] for entry in entries] == ["prompt", "tool", "event", "event"]
    for entry in entries:
        query = {"record": entry["records"]}
        details = client.get(f"/v1/sessions/s1/entries/{entry['id']}", params=query)
        assert details.json()["id"] == entry["id"]
    call = entries[1]
    path, query = f"/v1/sessions/s1/entries/{call['id']}", {"record": call["records"]}
    output = client.get(path, params=query).json()["output"]
    assert (output["text"], output["characters"]) == (LONG[:20_000], len(LONG))
    details = client.get(path, params=query | {"whole": "true"}).json()
    assert details["output"] == {"text": LONG, "characters": len(LONG)}
    assert details["arguments"] == [{"name": "command", "value": {"text": "make", "characters": 4}}]


def test_what_is_no_entry_of_the_session_is_refused(client: httpx.Client) -> None:
    call, (other,) = story(client)[1], story(client, "s2")
    path = "/v1/sessions/s1/entries"
    refused = [
        (f"{path}/{call['id']}", {}, 400),
        (f"{path}/{call['id']}", {"record": ["x"] * 9}, 400),
        (f"{path}/{call['id']}", {"record": other["records"]}, 404),
        (f"{path}/{other['id']}", {"record": call["records"]}, 404),
        (f"/v1/sessions/none/entries/{call['id']}", {"record": call["records"]}, 404),
        ("/v1/sessions/s1/records", {"record": other["records"]}, 404),
    ]
    for address, query, status in refused:
        assert client.get(address, params=query).status_code == status, (address, query)


def test_records_are_the_json_of_show(
    client: httpx.Client, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = story(client)
    ids = [id for entry in entries for id in entry["records"]]
    bounded = client.get("/v1/sessions/s1/records", params={"record": ids}).json()["items"]
    assert [item["id"] for item in bounded] == ids
    assert max(len(item["document"]["text"]) for item in bounded) == 20_000
    query = {"record": ids, "whole": "true"}
    for item in client.get("/v1/sessions/s1/records", params=query).json()["items"]:
        assert len(item["document"]["text"]) == item["document"]["characters"]
        capsys.readouterr()
        assert run(["--dir", str(server.project.root), "show", item["id"], "--json"]) == 0
        printed = json.loads(capsys.readouterr().out)
        assert json.loads(item["document"]["text"]) == {
            name: printed[name] for name in ("id", "created_at", "content", "node_metadata")
        }


def test_a_search_sees_the_whole_of_an_output(client: httpx.Client) -> None:
    prompt, call, *_ = story(client)
    for text, ids in [("LAST words", [call["id"]]), ("do it", [prompt["id"]]), ("nowhere", [])]:
        found = client.get("/v1/sessions/s1/entries", params={"q": text}).json()
        assert found == {"session_id": "s1", "entries": ids}


def test_the_entries_of_a_record_are_found(client: httpx.Client) -> None:
    path = "/v1/sessions/s1/entries"
    for entry in story(client):
        for id in entry["records"]:
            entries = client.get(path, params={"record": id, "kind": entry["kind"]}).json()[
                "entries"
            ]
            assert entries == [entry["id"]]
    assert client.get(path, params={"record": "nowhere"}).json()["entries"] == []
    assert client.get(path, params={"kind": "beauty"}).status_code == 400


def test_a_verdict_is_that_of_the_command(
    client: httpx.Client, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    path, project = "/v1/sessions/s2/verdicts", server.project
    answer = client.post(path, json={"verdict": "partial", "note": "the tests are missing"})
    assert answer.status_code == 201
    command = ["outcome", "set", "s2", "partial", "--note", "the tests are missing"]
    assert run(["--dir", str(project.root), *command]) == 0
    by_command = capsys.readouterr().out.strip()
    contents = stored.contents(project, "outcomes.db")
    assert contents[answer.json()["id"]] == contents[by_command]
    assert answer.json()["note"] == "the tests are missing"
    listed = client.get("/v1/outcomes", params={"session": "s2"}).json()["items"]
    assert {item["id"] for item in listed} == {answer.json()["id"], by_command}


def test_a_verdict_needs_the_right_and_comes_from_no_other_page(
    client: httpx.Client, server: Server
) -> None:
    path, good = "/v1/sessions/s1/verdicts", {"verdict": "success"}
    statuses: dict[Right, int] = {"read": 403, "ingest": 201}
    for right, status in statuses.items():
        token = Tokens(server.project).create(f"only-{right}", [right])
        with server.client(token) as limited:
            assert limited.post(path, json=good).status_code == status
    with server.client("") as stranger:
        assert stranger.post(path, json=good).status_code == 401
    refused: list[tuple[dict[str, Any], int]] = [
        ({"json": good, "headers": {"origin": "http://evil.test"}}, 403),
        ({"json": good, "headers": {"sec-fetch-site": "cross-site"}}, 403),
        ({"data": good}, 415),
        ({"json": {"verdict": "good"}}, 422),
        ({"json": {"verdict": "success", "note": 7}}, 422),
        ({"json": {"verdict": "success", "session_id": "s2"}}, 422),
        ({"json": [good]}, 422),
    ]
    for request, status in refused:
        assert client.post(path, **request).status_code == status, request
    assert client.post("/v1/sessions/none/verdicts", json=good).status_code == 404
    assert len(client.get("/v1/outcomes", params={"session": "s1"}).json()["items"]) == 1
