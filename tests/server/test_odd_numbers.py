"""Answers that any reader of JSON reads, whatever numbers the records have."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import anyio
import orjson
import pytest

from khive_persist import PlannerSession, open_store
from tests.factories import make_project
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
    project = make_project(tmp_path_factory.mktemp("odd"))

    async def save() -> None:
        async with open_store(PlannerSession, dir=project.root) as plans:
            plan: Any = {"session_id": "s1", "task_description": "t", "execution_plan": [BIG],
                         "planning_cost": "n/a", "confidence": float("inf")}  # fmt: skip
            await plans.save(PlannerSession(content=plan))
            plan = {"session_id": "s2", "task_description": "t", "confidence": 0.9}
            await plans.save(PlannerSession(content=plan))

    anyio.run(save)
    with closing(sqlite3.connect(project.database("planner_sessions.db"))) as connection:
        # SQLite makes `Inf` of it, which it does not read itself.
        content = '{"session_id":"s3","confidence":1e400,"planning_cost":-1e400}'
        connection.execute("INSERT INTO planner_sessions (id, content, created_at) VALUES"
                           " ('old', ?, '2026-11-01 10:00:00.000000')", (content,))  # fmt: skip
        connection.commit()
    with Server(project) as server:
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
        for odd in ("s1", "s3"):
            assert (sessions[odd]["confidence"], sessions[odd]["planning_cost"]) == (None, None)
        for path, passing in (
            ("/v1/sessions?min_confidence=0.5", ["s2"]),
            # A number without end is larger than any other.
            ("/v1/plans?min_confidence=0.5", ["s2", "s3"]),
        ):
            found = client.get(path).json()["items"]
            ids = [one.get("session_id") or one["content"]["session_id"] for one in found]
            assert sorted(ids) == passing
        (plan,) = [one for one in client.get("/v1/plans").json()["items"]
                  if one["content"]["session_id"] == "s1"]  # fmt: skip
        assert plan["content"]["execution_plan"] == [BIG]
        assert plan["node_metadata"]["odd_numbers"]["planning_cost"] == "is no number"
