"""A session that a request names: its id itself, in all files; else the beginning of ids."""

import httpx

from khive_persist.models.purposes import HOOK_EVENTS, OUTCOMES, PLANNER_SESSIONS, SCORES
from khive_persist.project import Project
from tests.factories import row, store_rows
from tests.server.filling import BEGIN
from tests.server.process import Server


def sessions(client: httpx.Client, path: str) -> list[str]:
    return sorted(one["content"]["session_id"] for one in client.get(path).json()["items"])


def test_an_exact_id_wins_over_those_that_begin_so(project: Project) -> None:
    project.make()
    ids = ("task-1", "task-10", "task-100")
    plans = [row({"session_id": id, "task_description": ""}, BEGIN) for id in ids]
    store_rows(project, PLANNER_SESSIONS, plans)
    stops = [row({"event_type": "stop", "session_id": id}, BEGIN) for id in ids[1:]]
    store_rows(project, HOOK_EVENTS["codex"], stops)
    with Server(project) as server, server.client() as client:
        assert sessions(client, "/v1/plans?session=task-1") == ["task-1"]
        assert sessions(client, "/v1/plans?session=task-") == [*ids]
        assert sessions(client, "/v1/events?session=task-1") == []
        assert sessions(client, "/v1/events?session=task-10") == ["task-10"]
        assert client.get("/v1/stats?session=task-1").json()["events"] == []
        outcomes = client.get("/v1/plans/outcomes?session=task-1").json()["items"]
        assert [one["session_id"] for one in outcomes] == ["task-1"]


def test_no_route_takes_another_session_for_one_that_is_known(project: Project) -> None:
    project.make()
    other = [row({"session_id": "task-10", "task_description": "", "event_type": "stop"}, BEGIN)]
    store_rows(project, PLANNER_SESSIONS, other)
    store_rows(project, HOOK_EVENTS["codex"], other)
    store_rows(project, SCORES, [row({"session_id": "task-1", "name": "exam", "value": 1}, BEGIN)])
    store_rows(project, OUTCOMES, [row({"session_id": "task-2", "verdict": "success"}, BEGIN)])
    store_rows(project, OUTCOMES, [row({"session_id": "task-20", "verdict": "success"}, BEGIN)])
    with Server(project) as server, server.client() as client:
        for path in ("", "/story", "/lineage", "/focus"):
            assert client.get(f"/v1/sessions/task-1{path}").status_code == 404, path
            assert client.get(f"/v1/sessions/task-10{path}").status_code in (200, 404), path
        assert client.get("/v1/sessions/task-10").json()["session_id"] == "task-10"
        assert sessions(client, "/v1/plans?session=task-1") == []
        assert sessions(client, "/v1/events?session=task-1") == []
        assert sessions(client, "/v1/scores?session=task-1") == ["task-1"]
        assert sessions(client, "/v1/outcomes?session=task-2") == ["task-2"]
        assert client.get("/v1/stats?session=task-1").json()["events"] == []
        assert client.get("/v1/plans/outcomes?session=task-1").json()["items"] == []
