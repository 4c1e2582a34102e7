"""Answers that any reader of JSON reads, whatever numbers the records have."""

import json
from collections.abc import Iterator
from typing import Any

import anyio
import orjson
import pytest

from khive_persist import PlannerSession, open_store
from khive_persist.place import Place
from tests.server.process import Server

BIG = 340282366920938463463374607431768211455
PAYLOAD = (
    '{"session_id":"s1","hook_event_name":"PostToolUse","tool_name":"mcp__db__q",'
    f'"tool_input":{{"id":{BIG}}},"tool_response":{{"v":1e400}}}}'
)


def refuse(word: str) -> Any:
    raise AssertionError(f"{word} is no JSON")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = Place(tmp_path_factory.mktemp("odd"))
    place.make()

    async def save() -> None:
        async with open_store(PlannerSession, dir=place.root) as plans:
            plan: Any = {"session_id": "s1", "task_description": "t", "execution_plan": [BIG],
                         "planning_cost": "n/a", "confidence": float("inf")}  # fmt: skip
            await plans.save(PlannerSession(content=plan))
            plan = {"session_id": "s2", "task_description": "t", "confidence": 0.9}
            await plans.save(PlannerSession(content=plan))

    anyio.run(save)
    with Server(place) as server:
        yield server


def test_every_answer_is_json_to_any_reader(server: Server) -> None:
    with server.client() as client:
        as_json = {"content-type": "application/json"}
        sent = client.post("/hooks/claude-code", content=PAYLOAD, headers=as_json)
        assert sent.status_code == 200
        for path in (
            "/v1/events?payload=true",
            "/v1/events",
            "/v1/plans",
            "/v1/sessions",
            "/v1/sessions/s1",
            "/v1/stats",
            "/v1/outcomes",
        ):
            answer = client.get(path)
            assert answer.status_code == 200, path
            orjson.loads(answer.text)
            json.loads(answer.text, parse_constant=refuse)


def test_an_odd_plan_passes_no_threshold_and_is_in_the_list(server: Server) -> None:
    with server.client() as client:
        sessions = {one["session_id"]: one for one in client.get("/v1/sessions").json()["items"]}
        assert (sessions["s1"]["confidence"], sessions["s1"]["planning_cost"]) == (None, None)
        for path in ("/v1/sessions?min_confidence=0.5", "/v1/plans?min_confidence=0.5"):
            found = client.get(path).json()["items"]
            ids = [one.get("session_id") or one["content"]["session_id"] for one in found]
            assert ids == ["s2"]
        (odd,) = [one for one in client.get("/v1/plans").json()["items"]
                  if one["content"]["session_id"] == "s1"]  # fmt: skip
        assert odd["content"]["execution_plan"] == [BIG]
        assert odd["node_metadata"]["odd_numbers"]["planning_cost"] == "is no number"
