"""`/v1/experiments`: an application asks at each session's start."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from khive_persist.cli.root import run
from khive_persist.project import Project
from khive_persist.server.http.tokens import Right, Tokens
from tests.experiments.records import rows
from tests.server.process import Server

PATH = "/v1/experiments"
HALVES = {"name": "prompt", "variants": [{"name": "control"}, {"name": "new"}]}
ASSIGN = f"{PATH}/prompt/assignments"


@pytest.fixture
def server(project: Project) -> Iterator[Server]:
    with Server(project) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as made:
        assert made.post(PATH, json=HALVES).status_code == 201
        yield made


def error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_an_experiment_is_created_once(client: httpx.Client, project: Project) -> None:
    weighed = [{"name": "control", "weight": 1}, {"name": "new", "weight": 1.0}]
    again = client.post(PATH, json=HALVES | {"variants": weighed})
    assert (again.status_code, again.headers["location"]) == (200, f"{PATH}/prompt")
    assert again.json()["variants"][1] == {"name": "new", "weight": 1}
    changed = HALVES | {"variants": [{"name": "control"}, {"name": "new", "weight": 2}]}
    assert error(client.post(PATH, json=changed)) == (409, "conflict")
    wrong: list[Any] = [
        [], {}, {"name": "x"}, {"name": "x", "variants": ["a", "b"]}, HALVES | {"weights": [1]},
        {"name": "x", "variants": [{"name": "a"}, {"name": "b", "wieght": 2}]},
        {"name": "x", "variants": [{"name": "a"}] * 101}, HALVES | {"name": "../x"},
        {"name": "x", "variants": [{"name": "a"}, {"name": "b", "weight": True}]},
    ]  # fmt: skip
    for body in wrong:
        assert error(client.post(PATH, json=body)) == (422, "invalid_record"), body
    json_type = {"content-type": "application/json"}
    assert error(client.post(PATH, content=b"{", headers=json_type)) == (400, "not_json")
    assert list(rows(project, "experiments")) == ["prompt"]
    (listed,) = client.get(PATH).json()["items"]
    assert (listed["name"], listed["variants"]) == ("prompt", again.json()["variants"])


def test_a_session_is_assigned_once(client: httpx.Client, project: Project) -> None:
    first = client.post(ASSIGN, json={"session_id": "s1"})
    found = first.json()
    assert first.status_code == 201
    assert found == {
        "session_id": "s1", "experiment": "prompt", "variant": found["variant"],
        "method": "random", "is_late": False,
    }  # fmt: skip
    again = client.post(ASSIGN, json={"session_id": "s1", "variant": None})
    assert (again.status_code, again.json()) == (200, found)
    (other,) = {"control", "new"} - {found["variant"]}
    assert error(client.post(ASSIGN, json={"session_id": "s1", "variant": other})) == (
        409, "conflict"
    )  # fmt: skip
    prompt = {"hook_event_name": "UserPromptSubmit", "session_id": "s2"}
    assert client.post("/hooks/claude-code", json=prompt).status_code == 200
    late = client.post(ASSIGN, json={"session_id": "s2", "variant": "new"})
    assert (late.status_code, late.json()["method"], late.json()["is_late"]) == (201, "named", True)
    assert error(client.post(f"{PATH}/none/assignments", json={"session_id": "s"})) == (
        404, "not_found"
    )  # fmt: skip
    wrong: list[Any] = [
        {}, [], {"session_id": ""}, {"session_id": 7}, {"session_id": "x" * 201},
        {"session_id": "s", "variant": "old"}, {"session_id": "s", "variant": 7},
        {"session_id": "s", "method": "named"},
    ]  # fmt: skip
    for body in wrong:
        assert error(client.post(ASSIGN, json=body)) == (422, "invalid_record"), body
    counted = client.get(f"{PATH}/prompt").json()
    drawn = {one["name"]: one["random"] for one in counted["variants"]}
    assert drawn == {found["variant"]: 1, other: 0}
    named = {one["name"]: (one["named"], one["late_named"]) for one in counted["variants"]}
    assert named == {"control": (0, 0), "new": (1, 1)}
    assert client.get(f"{PATH}/none").status_code == 404
    assert len(rows(project, "assignments")) == 2
    # It is read as any record, and cannot be written past what assigns.
    (read,) = client.get("/v1/assignments", params={"session": "s2"}).json()["items"]
    assert read["content"]["variant"] == "new"
    content = {"content": {**read["content"], "session_id": "s3"}}
    assert client.post("/v1/assignments", json=content).status_code == 404
    assert run(["--dir", str(project.root), "verify"]) == 0


def test_of_many_at_once_one_wins_and_all_are_told(server: Server, client: httpx.Client) -> None:
    count = 24
    barrier = threading.Barrier(count)

    def ask(number: int) -> tuple[int, str]:
        with server.client() as own:
            own.get("/healthz")
            barrier.wait(30)
            variant = ("control", "new", None)[number % 3]
            answer = own.post(ASSIGN, json={"session_id": "s1", "variant": variant})
            if answer.status_code == 409:
                answer = own.post(ASSIGN, json={"session_id": "s1"})
            return answer.status_code, answer.json()["variant"]

    with ThreadPoolExecutor(count) as pool:
        got = list(pool.map(ask, range(count)))
    assert Counter(status for status, _ in got) == {201: 1, 200: count - 1}
    assert len({variant for _, variant in got}) == 1
    (stored,) = rows(server.project, "assignments").values()
    assert stored["variant"] == got[0][1]


def test_each_token_may_do_what_it_is_for(server: Server, client: httpx.Client) -> None:
    tokens = Tokens(server.project)
    may: list[tuple[Right, int, int]] = [("ingest", 200, 403), ("read", 403, 200)]
    for right, create, read in may:
        with server.client(tokens.create(right, [right])) as own:
            assert own.post(PATH, json=HALVES).status_code == create
            answer = own.post(ASSIGN, json={"session_id": "s1"})
            assert answer.status_code in ((200, 201) if create == 200 else (403,))
            assert own.get(PATH).status_code == read
            assert own.get(f"{PATH}/prompt").status_code == read


def test_a_kill_takes_no_assignment_that_was_answered(project: Project) -> None:
    answered: dict[str, str] = {}
    server = Server(project)
    with server.client() as client:
        client.post(PATH, json=HALVES)
        for number in range(10):
            answer = client.post(ASSIGN, json={"session_id": f"s{number}"})
            answered[f"s{number}"] = answer.json()["variant"]
        server.kill()
    stored = rows(project, "assignments").values()
    assert {one["session_id"]: one["variant"] for one in stored} == answered
    with Server(project) as again, again.client() as client:
        for id, variant in answered.items():
            answer = client.post(ASSIGN, json={"session_id": id})
            assert (answer.status_code, answer.json()["variant"]) == (200, variant)
    assert run(["--dir", str(project.root), "verify"]) == 0
