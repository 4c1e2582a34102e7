"""The OpenAPI document is one, has every route, and what it says is so."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import checks
from starlette.routing import Route

from khive_persist.project import Project
from khive_persist.server.app import routes
from khive_persist.server.context import close_context, open_context
from khive_persist.server.http.limits import Limits
from khive_persist.server.openapi.document import openapi
from tests.factories import make_project
from tests.server.filling import fill
from tests.server.process import Server

EXAMPLES = 4
# A process of its own for each question that is not refused at once; a page takes what its document
# takes.
SLOW = ("/v1/compare", "/v1/report")
PAGES = tuple(f"{path}/page" for path in SLOW)
SLOW_EXAMPLES = 1
# They have no end; test_live.py and test_application_series.py are of them.
ENDLESS = ("/v1/live", "/v1/application_sessions/{id}/live")
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    project = make_project(tmp_path_factory.mktemp("openapi"))
    fill(project)
    with Server(project) as running:
        yield running


@pytest.fixture(scope="module")
def document(server: Server) -> Any:
    with server.client() as client:
        return client.get("/v1/openapi.json").json()


async def test_every_route_is_described(project: Project) -> None:
    serving = await open_context(project, "127.0.0.1", Limits())
    try:
        every = [route for route in routes(serving) if isinstance(route, Route)]
        paths = openapi(serving.access, every)["paths"]
    finally:
        await close_context(serving)
    described = sum(len(methods) for methods in paths.values())
    assert described == sum(len((route.methods or set()) - {"HEAD"}) for route in every)


def test_the_old_path_of_the_project_alone_is_deprecated(document: Any) -> None:
    deprecated = [
        path
        for path, methods in document["paths"].items()
        for operation in methods.values()
        if operation.get("deprecated")
    ]
    assert deprecated == ["/v1/place"]
    assert "/v1/project" in document["paths"]


def operations(schema: Any) -> list[Any]:
    return [found.ok() for found in schema.get_all_operations()]


def test_the_document_is_openapi(document: Any) -> None:
    schema = schemathesis.openapi.from_dict(document)
    schema.validate()
    assert document["openapi"] == "3.1.0"
    ids = [one["operationId"] for methods in document["paths"].values() for one in methods.values()]
    assert len(set(ids)) == len(ids) == len(operations(schema))


def test_the_answers_are_as_the_document_says(server: Server, document: Any) -> None:
    """Requests that are as they should be and such that are not, to every route."""
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=server.url)
    headers = {"authorization": f"Bearer {server.token}"}
    asked = 0
    failed = []
    for operation in operations(schema):
        if operation.path in (*ENDLESS, *PAGES):
            continue

        examples = SLOW_EXAMPLES if operation.path in SLOW else EXAMPLES

        @settings(max_examples=examples, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            nonlocal asked
            asked += 1
            case.call_and_validate(checks=CHECKS, headers=headers, timeout=50)

        try:
            ask()
        except BaseExceptionGroup as error:
            failed.append(f"{operation.label}: {error.exceptions}")
    assert not failed, "\n\n".join(failed)
    assert asked > EXAMPLES * 20


def test_answers_with_something_in_them_are_as_the_document_says(
    server: Server, document: Any
) -> None:
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=server.url)
    headers = {"authorization": f"Bearer {server.token}"}
    with server.client() as client:
        session = client.get("/v1/sessions").json()["items"][0]["session_id"]
        event = client.get("/v1/events").json()["items"][0]["id"]
        entry = client.get(f"/v1/sessions/{session}/story").json()["entries"][0]
        client.post("/v1/application_sessions", json={"session_id": "own", "group": "a"})
        halves = {"name": "own", "variants": [{"name": "a"}, {"name": "b"}], "note": "halves"}
        assert client.post("/v1/experiments", json=halves).status_code == 201
        plan = {"id": "own", "content": {"session_id": "own", "task_description": "own"}}
        answer = client.post("/v1/planner_sessions", json=plan)
        assert answer.json()["counts"] == {"new": 1}
        own = client.post("/v1/experiments/own/assignments", json={"session_id": "own"})
        assert own.status_code == 201
    paths = {
        "/v1/events/{id}": {"id": event},
        "/v1/application_sessions/{id}": {"id": "own"},
        "/v1/application_sessions/{id}/check": {"id": "own"},
        "/v1/experiments/{name}": {"name": "own"},
        "/v1/plans/{id}": {"id": "own"},
        "/v1/plans/{id}/calibration": {"id": "own"},
        "/v1/plans/{id}/similar": {"id": "own"},
        "/v1/sessions/{id}/entries/{entry}": {"id": session, "entry": entry["id"]},
    }
    records = {"record": entry["records"]}
    queries = {
        "/v1/search": {"q": "own"},
        "/v1/sessions/{id}/entries/{entry}": records,
        "/v1/sessions/{id}/records": records,
        "/v1/search/fixes": {"error": "Error: it failed"},
        "/v1/search/file": {"path": "src/app.py"},
    }
    asked = []
    for operation in operations(schema):
        if operation.method.upper() != "GET" or operation.path in ENDLESS:
            continue
        known = {"id": session, "kind": "messages", "purpose": "messages"}
        names = [one.name for one in operation.path_parameters]
        values = paths.get(operation.path, {name: known[name] for name in names if name in known})
        if len(values) == len(names):
            case = operation.Case(path_parameters=values, query=queries.get(operation.path, {}))
            found = case.call_and_validate(checks=CHECKS[:-1], headers=headers, timeout=50)
            asked.append((operation.path, found.status_code))
    assert {path for path, status in asked if status != 200} <= {"/v1/sessions/{id}/focus"} | {
        path for path, _ in asked if path.startswith("/v1/application_sessions/{id}/")
    }
    assert len(asked) > 18


def test_without_a_token_nothing_that_asks_for_one_answers(server: Server, document: Any) -> None:
    with server.client("") as client:
        for path, methods in document["paths"].items():
            for method, told in methods.items():
                answer = client.request(method, path.replace("{", "").replace("}", ""), json={})
                assert (answer.status_code == 401) == bool(told["security"]) or "/login" in path


def test_a_method_that_is_not_there_is_refused_as_such(server: Server, document: Any) -> None:
    with server.client() as client:
        for path, methods in document["paths"].items():
            answer = client.request("DELETE", path.replace("{", "").replace("}", ""))
            assert answer.status_code == 405, path
            assert {one.upper() for one in methods} <= set(answer.headers["allow"].split(", "))
