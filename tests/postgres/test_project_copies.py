"""Copies of a team's projects: one of each, whole or none, that answer every route that reads."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import anyio
import httpx
import pytest
from starlette.routing import Route
from starlette.types import ASGIApp

from benchmarks.postgres_server import new_database
from khive_persist.errors import NotFoundError
from khive_persist.project import Project
from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.server.app import routed
from khive_persist.server.http.errors import ErrorMiddleware, HTTPError
from khive_persist.server.http.limits import Limits
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.request.access import Access
from khive_persist.server.routes import experiments
from khive_persist.server.routes.read.operations import routes_of
from khive_persist.server.routes.read.routes import operations_with
from khive_persist.server.team.context import TeamContext
from khive_persist.server.team.project_key import ProjectKey
from khive_persist.server.team.team_parts import make_context
from khive_persist.store.postgres.team_following import TeamFollowing
from khive_persist.team.push import rehearse
from khive_persist.team.team_record import TeamRecord
from khive_persist.team.team_store import TeamStore
from tests.dashboard.conftest import new_project
from tests.dashboard.records import fill
from tests.homes import known_projects
from tests.postgres.test_team_server import HOURS, records_of
from tests.postgres.test_team_tables import team_record

__all__ = ["known_projects"]

pytestmark = pytest.mark.postgres

ANN = ProjectKey("ann", "anns-laptop", "shop")
FORMS = ("all", "redacted", "metrics")
TEAM: Final = """
[team]
url = "https://khive.example"
form = "{form}"
person = "{form}"
machine = "{form}s-laptop"
project = "shop"
every_minutes = 0.0
"""


@asynccontextmanager
async def opened(database: str, root: Path) -> AsyncIterator[TeamContext]:
    project = Project(root)
    project.make()
    context = make_context(project, LiveSettings(project), Limits(), database)
    await context.store.open()
    await context.reading.database.open()
    context.copies.open()
    try:
        yield context
    finally:
        await context.copies.close()
        await context.reading.database.close()
        await context.store.close()


async def answer(app: ASGIApp, access: Access, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(ErrorMiddleware(app, Limits()))
    headers = {"authorization": f"Bearer {access.tokens.local()}"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://localhost", headers=headers
    ) as client:
        return await client.get(path)


async def answer_of_copy(context: TeamContext, path: str) -> httpx.Response:
    async with context.copies.app(ANN) as app:
        return await answer(app, context.access, path)


async def until_newer(context: TeamContext, path: str, part: str, *, is_there: bool) -> str:
    """Ask until a part is in the answer, or is not: a copy of the last second is not renewed."""
    while True:
        text = (await answer_of_copy(context, path)).text
        if (part in text) is is_there:
            return text
        await anyio.sleep(0.1)


def prompt(id: str, **fields: Any) -> TeamRecord:
    return records_of("ann")[0]._replace(id=id, session="odd", **fields)


async def test_requests_that_come_first_together_share_a_copy(
    database: str, tmp_path: Path
) -> None:
    async with opened(database, tmp_path) as context:
        await context.store.store(records_of("ann"))

        async def one() -> ASGIApp:
            async with context.copies.app(ANN) as app:
                return app

        apps = await asyncio.gather(*(one() for _ in range(12)))
        assert len({id(app) for app in apps}) == 1
        assert len(os.listdir(tmp_path / ".khive" / "team-copies")) == 1
        page = (await answer_of_copy(context, "/v1/sessions")).json()
        assert {item["session_id"] for item in page["items"]} == {f"ann-{n}" for n in range(HOURS)}


async def test_what_no_database_can_hold_hides_nothing_else(database: str, tmp_path: Path) -> None:
    odd = [
        prompt("text", content="no JSON"),
        prompt("deep", content="[" * 5000 + "]" * 5000),
        prompt("path", purpose="../../up"),
        prompt("ours", purpose="search"),
        prompt("case", purpose="CLAUDE_HOOKS"),
        prompt("list", content="[1]"),
        prompt("undated", created_at=None),
        *(prompt(f"kind-{n}", purpose=f"kind_{n}") for n in range(3)),
    ]
    async with opened(database, tmp_path) as context:
        await context.store.store([*records_of("ann"), *odd])
        events = await answer_of_copy(context, "/v1/events?limit=100")
        assert events.status_code == 200, events.text
        ids = {item["id"] for item in events.json()["items"]}
        assert {"list", "undated", "ann-0-0"} <= ids
        assert not {"text", "deep", "path", "ours", "case"} & ids
        (item,) = (await answer_of_copy(context, "/v1/kind_2")).json()["items"]
        assert item["id"] == "kind-2"
        names = {path.name for path in (tmp_path / ".khive").rglob("*.db")}
        assert not {"search.db", "up.db", "CLAUDE_HOOKS.db"} & names


async def test_an_answer_over_files_that_are_made_anew_is_none(
    database: str, tmp_path: Path
) -> None:
    async with opened(database, tmp_path) as context:
        await context.store.store([*records_of("ann"), prompt("gone")])
        reading = anyio.Event()
        refused: list[HTTPError] = []

        async def read_slowly() -> None:
            try:
                async with context.copies.app(ANN):
                    reading.set()
                    await anyio.sleep_forever()
            except HTTPError as error:
                refused.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read_slowly)
            await reading.wait()
            await context.store.store([prompt("gone", content=None, version=9)])
            text = await until_newer(context, "/v1/events?limit=100", "gone", is_there=False)
            # Never fewer than are there: it is whole again.
            assert all(f"ann-{n}-0" in text for n in range(HOURS))
        assert (refused[0].status, refused[0].code) == (503, "copying")
        held = [
            path
            for path in (tmp_path / ".khive" / "team-copies").rglob("*")
            if path.is_file() and b'"odd"' in path.read_bytes()
        ]
        assert held == []


async def test_a_project_without_records_leaves_nothing(database: str, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as context:
        records = records_of("ann")
        await context.store.store(records)
        await answer_of_copy(context, "/v1/sessions")
        purged = [record._replace(content=None, version=9) for record in records]
        await context.store.store(purged)
        with pytest.raises(NotFoundError):
            await until_newer(context, "/v1/sessions", "nothing", is_there=True)
        assert os.listdir(tmp_path / ".khive" / "team-copies") == []
        await context.store.store([record._replace(version=10) for record in records])
        page = (await answer_of_copy(context, "/v1/sessions")).json()
        assert len(page["items"]) == HOURS


async def test_large_records_come_few_at_a_time(database: str, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as context:
        large = {"session_id": "s1", "text": "x" * (3 << 20)}
        await context.store.store([team_record(f"r{n}", 1, large) for n in range(7)])
        following = TeamFollowing(context.reading.database)
        sizes = [len(batch) async for batch in following.rows(("p", "m", "j"), 0)]
        assert sizes == [3, 3, 1]


class Pushed(NamedTuple):
    """A database to which a project was pushed, in each form by a person of its name."""

    database: str
    source: Project


@pytest.fixture(scope="module")
def pushed(server: str, first_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Pushed:
    database = anyio.run(new_database, server)
    source = new_project(tmp_path_factory.mktemp("source"))
    fill(source)
    records: list[TeamRecord] = []
    for form in FORMS:
        source.local_config.write_text(TEAM.format(form=form))
        assert anyio.run(rehearse, source, records.append).records > 1
    assert {record.form for record in records} == set(FORMS)

    async def store() -> None:
        team = TeamStore(database)
        await team.open()
        await team.store(records)
        await team.close()

    anyio.run(store)
    return Pushed(database, source)


# What depends on when it was asked or when it was written here, and what does not leave.
APART = {"updated_at", "at", "since", "root", "node_metadata", "rank"}
QUERIES = {
    "/v1/search": "?q=importer",
    "/v1/search/file": "?path=src",
    "/v1/search/fixes": "?error=broke",
    "/v1/facets": "?of=events",
    "/v1/compare": "?by=tool",
    "/v1/compare/page": "?by=tool",
}
# What goes on without an end; and pages of what is asked for as JSON, which take seconds each.
STREAMS = ("/stream", "/live")
PASSED_OVER = {"redacted": STREAMS, "all": (*STREAMS, "/page"), "metrics": (*STREAMS, "/page")}
# An experiment has no metrics, so that none leaves.
ABSENT = {("metrics", "/v1/experiments/prompt")}


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        document = value.get("document")
        if isinstance(document, dict) and set(document) == {"text", "characters"}:
            # A record as text, and how long that is.
            value = {**value, "document": json.loads(document["text"])}
        return {name: plain(item) for name, item in value.items() if name not in APART}
    return [plain(item) for item in value] if isinstance(value, list) else value


async def paths_of(app: ASGIApp, access: Access, templates: list[str]) -> list[str]:
    """Return each route's path, with ids that are there: of a session with a list of to-dos."""

    async def read(path: str) -> Any:
        response = await answer(app, access, path)
        assert response.status_code == 200, (path, response.text)
        return response.json()

    (to_dos, *_) = (await read("/v1/focus_chains"))["items"]
    session = to_dos["content"]["session_id"]
    (entry, *_) = (await read(f"/v1/sessions/{session}/story"))["entries"]
    (event, *_) = (await read("/v1/events"))["items"]
    (plan, *_) = (await read("/v1/plans"))["items"]
    ids = {"/v1/events/": event["id"], "/v1/plans/": plan["id"]}
    words = {"{entry}": entry["id"], "{name}": "prompt", "{purpose}": "planner_sessions"}
    queries = QUERIES | {
        f"/v1/sessions/{session}/{name}": f"?record={entry['records'][0]}"
        for name in ("records", f"entries/{entry['id']}")
    }
    paths = []
    for path in templates:
        id = next((ids[start] for start in ids if path.startswith(start)), session)
        for word, value in (words | {"{id}": id}).items():
            path = path.replace(word, value)
        paths.append(path + queries.get(path, ""))
    return paths


@pytest.mark.parametrize(
    "form", ["all", pytest.param("redacted", marks=pytest.mark.long), "metrics"]
)
async def test_every_route_answers_over_a_copy(pushed: Pushed, form: str, tmp_path: Path) -> None:
    async with opened(pushed.database, tmp_path) as context:
        access, key = context.access, ProjectKey(form, f"{form}s-laptop", "shop")
        live = LiveSettings(pushed.source)
        readers = ReaderPool(pushed.source, live, lambda: 0, "/".join(key))
        stopping = anyio.Event()
        of_writes = experiments.operations(readers)
        operations = operations_with(of_writes, access, pushed.source, live, readers, stopping)
        routes = routes_of(access, operations)
        templates = [
            route.path for route in routes
            if isinstance(route, Route) and not route.path.endswith(PASSED_OVER[form])
        ]  # fmt: skip
        assert len(templates) > 30
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(readers.keep, stopping)
            await readers.wait_until_read()
            async with context.copies.app(key) as copy:
                source = routed(routes)
                for path in await paths_of(copy, access, templates):
                    expected = 404 if (form, path) in ABSENT else 200
                    if form != "all":
                        here = await answer(copy, access, path)
                        assert here.status_code == expected, (path, here.text)
                        continue
                    here, there = await asyncio.gather(
                        answer(copy, access, path), answer(source, access, path)
                    )
                    assert (here.status_code, there.status_code) == (200, 200), (path, here.text)
                    if here.headers["content-type"] == "application/json":
                        assert plain(here.json()) == plain(there.json()), path
            tasks.cancel_scope.cancel()
        await readers.close()
