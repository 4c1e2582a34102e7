"""The team's server: what is pushed to it, who sees what of it, and what is written down of it."""

import gzip
import json
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import asyncpg
import httpx
import pytest

from benchmarks.postgres_server import new_database
from examples.team.postgres import postgres
from khive_persist.project import Project
from khive_persist.server.http.tokens import ROLES, Role, Tokens
from khive_persist.server.team.project_key import ProjectKey
from khive_persist.team.http_destination import HttpDestination
from khive_persist.team.team_record import TeamRecord
from tests.homes import known_projects
from tests.postgres.test_team_tables import team_record
from tests.server.process import Server

__all__ = ["known_projects"]

pytestmark = pytest.mark.postgres

PEOPLE = ("ann", "bob")
HOURS = 3
AT_ONCE = 8


class Team(NamedTuple):
    """A running server, a token for each, and its database."""

    server: Server
    tokens: dict[str, str]
    database: str

    def client(self, name: str) -> httpx.Client:
        return self.server.client(self.tokens[name])


def key_of(person: str) -> str:
    return ProjectKey(person, f"{person}s-laptop", "shop").text


def records_of(person: str) -> list[TeamRecord]:
    """A prompt, a call and an answer with its tokens, in each of some hours."""
    records = []
    for hour in range(HOURS):
        session, at = f"{person}-{hour}", f"2026-11-21 1{hour}:00:0"
        common = {"session_id": session, "tool": "claude-code"}
        event = {
            **common,
            "event_type": "prompt_submitted",
            "payload": {"prompt": f"{person} asks"},
        }
        call = {**common, "event_type": "post_command", "tool_name": "Bash", "success": hour != 1,
                "command": "make test"}  # fmt: skip
        answer = {**common, "role": "assistant", "text": f"{person} is answered", "model": "m-1",
                  "tokens": {"input": 100, "output": 10}}  # fmt: skip
        contents: list[tuple[str, dict[str, Any]]] = [
            ("claude_hooks", event),
            ("claude_hooks", call),
            ("conversations", answer),
        ]
        records += [
            team_record(
                f"{session}-{number}", 1, content, session=session, purpose=purpose,
                person=person, machine=f"{person}s-laptop", project="shop",
                created_at=f"{at}{number}.000000",
            )
            for number, (purpose, content) in enumerate(contents)
        ]  # fmt: skip
    return records


def pushed(client: httpx.Client, records: list[TeamRecord]) -> httpx.Response:
    body = "".join(record.to_json() + "\n" for record in records).encode()
    headers = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}
    return client.post("/v1/team/records", content=gzip.compress(body), headers=headers)


def asked(database: str, sql: str) -> list[Any]:
    async def ask() -> list[Any]:
        connection = await asyncpg.connect(database)
        try:
            return [tuple(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    return anyio.run(ask)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder with a short path, for the socket of a database."""
    with tempfile.TemporaryDirectory(prefix="khive-away-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def team(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    database = anyio.run(new_database, server)
    project = Project(tmp_path_factory.mktemp("team"))
    project.make()
    tokens = Tokens(project)
    roles: list[tuple[str, Role, str | None]] = [
        ("ann", "member", "ann"), ("bob", "member", "bob"), ("lea", "lead", None),
        ("ada", "admin", None),
    ]  # fmt: skip
    made = {name: tokens.create(name, ROLES[role], person) for name, role, person in roles}
    made["collector"] = tokens.create("collector", ["ingest"])
    words = ("--port", "0", "--log-json", "--store", database)
    with Server(project, words=words) as running:
        team = Team(running, made, database)
        for person in PEOPLE:
            with team.client(person) as client:
                answer = pushed(client, records_of(person))
                assert answer.json() == {"stored": 3 * HOURS}, answer.text
        yield team


def test_sums_are_those_of_the_records(team: Team) -> None:
    with team.client("lea") as client:
        overview = client.get("/v1/team").json()
        assert (overview["role"], overview["person"]) == ("lead", None)
        totals = overview["totals"]
        assert (totals["records"], totals["sessions"]) == (18, 6)
        assert (totals["calls"], totals["failures"], totals["messages"]) == (6, 2, 6)
        assert (totals["input_tokens"], totals["output_tokens"]) == (600, 60)
        assert (overview["people"], overview["machines"], overview["projects"]) == (2, 2, 2)
        by_hour = client.get("/v1/team/sums", params={"by": "hour"}).json()
        assert [group["name"][:16] for group in by_hour["groups"]] == [
            f"2026-11-21 1{hour}:00" for hour in range(HOURS)
        ]
        by_person = client.get("/v1/team/sums", params={"by": "person"}).json()["groups"]
        assert {group["name"]: group["totals"]["records"] for group in by_person} == {
            "ann": 9, "bob": 9,
        }  # fmt: skip
        of_one = client.get("/v1/team", params={"person": "bob", "since": "2026-11-21T11:00"})
        assert of_one.json()["totals"]["records"] == 6
        assert not client.get("/v1/team", params={"person": "nobody"}).json()["totals"]["records"]


def test_sessions_come_page_by_page(team: Team) -> None:
    with team.client("lea") as client:
        names: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = client.get("/v1/team/sessions", params={"limit": "2", **cursor}).json()
            names += [session["session"] for session in page["sessions"]]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
    assert names == ["bob-2", "ann-2", "bob-1", "ann-1", "bob-0", "ann-0"]


ALL_SEE = ["/v1/team", "/v1/team/sums", "/v1/team/sums?by=project", "/v1/team/sums?by=model"]
OF_BOB = [
    "/v1/team?person=bob", "/v1/team?machine=bobs-laptop&person=bob",
    "/v1/team/sums?by=day&person=bob", "/v1/team/sessions?person=bob",
    f"/team/{key_of('bob')}/v1/sessions",
    f"/team/{key_of('bob')}/v1/search?q=asks",
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "path", "status"),
    [
        *((name, path, 200) for name in ("ann", "lea", "ada") for path in ALL_SEE),
        *(("ann", path, 403) for path in OF_BOB),
        *((name, path, 200) for name in ("bob", "lea", "ada") for path in OF_BOB),
        *(("ann", f"/v1/team?machine={name}s-laptop", 403) for name in PEOPLE),
        ("bob", "/v1/team?machine=bobs-laptop", 403),
        ("ann", "/v1/team/sums?by=person", 403),
        ("ann", "/v1/team/sums?by=machine&person=ann", 200),
        ("lea", "/v1/team/sums?by=person", 200),
        *((name, "/v1/team/reads", 403) for name in ("ann", "lea", "collector")),
        ("ada", "/v1/team/reads", 200),
        *(("collector", path, 403) for path in (*ALL_SEE, *OF_BOB)),
        ("lea", "/team/bm8/v1/sessions", 404),
        ("lea", f"/team/{ProjectKey('ann', 'x', 'y').text}/v1/sessions", 404),
        ("lea", f"/team/{key_of('ann')}/v1/doctor", 404),
    ],
)  # fmt: skip
def test_each_role_sees_what_is_theirs(team: Team, name: str, path: str, status: int) -> None:
    with team.client(name) as client:
        answer = client.get(path)
    assert answer.status_code == status, answer.text
    if status == 403:
        assert "bob" not in answer.text.replace("person=bob", "")


def test_a_member_is_shown_no_name_of_others(team: Team) -> None:
    with team.client("ann") as client:
        names = client.get("/v1/team/names")
        sessions = client.get("/v1/team/sessions")
    assert "bob" not in names.text + sessions.text
    assert names.json()["people"] == ["ann"]
    assert {row["person"] for row in sessions.json()["sessions"]} == {"ann"}


def test_nothing_of_a_batch_with_another_persons_record_is_stored(team: Team) -> None:
    mine, other = records_of("ann")[0], records_of("bob")[0]
    batch = [mine._replace(id="new", version=9), other._replace(id="new", version=9)]
    with team.client("ann") as client:
        answer = pushed(client, batch)
        assert answer.status_code == 403
        assert 'team.person = "ann"' in answer.json()["error"]["hint"]
        assert client.post("/v1/team/records", content=b"{}").status_code == 415
        bad = {"content-type": "application/x-ndjson"}
        answer = client.post("/v1/team/records", content=b'{"no": "record"}\n', headers=bad)
        assert answer.status_code == 422
        assert "line 1" in answer.json()["error"]["message"]
    with team.client("lea") as client:
        assert pushed(client, [mine]).status_code == 403
    assert asked(team.database, "SELECT count(*) FROM khive.team_records WHERE id = 'new'") == [
        (0,)
    ]


@pytest.mark.parametrize("content", ["{}", None])
def test_no_member_takes_a_record_of_another(team: Team, content: str | None) -> None:
    taken = records_of("bob")[0]._replace(person="ann", version=9, content=content)
    with team.client("ann") as client:
        answer = pushed(client, [taken])
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "person")
    row = "SELECT person, version, records FROM khive.team_records WHERE id = 'bob-0-0'"
    assert asked(team.database, row) == [("bob", 1, 1)]


def test_a_project_is_served_over_its_copy(team: Team) -> None:
    with team.client("ann") as client:
        base = f"/team/{key_of('ann')}"
        assert client.get(base).headers["location"] == f"{key_of('ann')}/"
        assert "<!doctype html" in client.get(f"{base}/").text.lower()
        page = client.get(f"{base}/v1/sessions").json()
        assert {item["session_id"] for item in page["items"]} == {f"ann-{n}" for n in range(HOURS)}
        hits = client.get(f"{base}/v1/search", params={"q": "answered"}).json()
        assert hits["matched"] == HOURS
        assert client.post(f"{base}/v1/events", json=[]).status_code in (404, 405)
        # What is pushed now is in the next answer that is asked for a second later or more.
        late = records_of("ann")[0]._replace(id="late", session="ann-late", version=2)
        content = json.dumps({**json.loads(late.content or ""), "session_id": "ann-late"})
        assert pushed(client, [late._replace(content=content)]).is_success
        while "ann-late" not in client.get(f"{base}/v1/sessions").text:
            pass
        assert pushed(client, [late._replace(content=None, version=3)]).is_success
        while "ann-late" in client.get(f"{base}/v1/sessions").text:
            pass
    copies = team.server.project.khive / "team-copies"
    held = [
        path for path in copies.rglob("*") if path.is_file() and b"ann-late" in path.read_bytes()
    ]
    assert held == []


def test_reads_of_texts_are_written_down_first(team: Team) -> None:
    path = f"/team/{key_of('bob')}/v1/sessions/bob-1/entries"
    with team.client("lea") as lead, team.client("ada") as admin:
        assert lead.get(path).status_code == 200
        assert lead.get(path).status_code == 200
        reads = admin.get("/v1/team/reads").json()["reads"]
        of_session = [read for read in reads if read["session"] == "bob-1"]
        assert (of_session[0]["reader"], of_session[0]["person"]) == ("lea", "bob")
        assert of_session[0]["route"] == "/v1/sessions/{id}/entries"
        minutes = [read["read_at"] for read in of_session]
        assert len(minutes) == len(set(minutes))
        asked(team.database, "ALTER TABLE khive.team_reads RENAME TO team_reads_away")
        try:
            answer = lead.get(path)
            assert answer.json()["error"]["code"] == "audit"
            assert answer.status_code == 503
            assert "bob-1" not in answer.text
        finally:
            asked(team.database, "ALTER TABLE khive.team_reads_away RENAME TO team_reads")
        assert lead.get(path).status_code == 200


def test_a_revoked_token_opens_nothing(team: Team) -> None:
    tokens = Tokens(team.server.project)
    token = tokens.create("gone", ROLES["lead"])
    with team.server.client(token) as client:
        assert client.get("/v1/team").status_code == 200
        tokens.revoke("gone")
        assert client.get("/v1/team").status_code == 401
    with team.server.client("") as client:
        assert client.get("/v1/team").status_code == 401
        assert client.get("/").status_code == 200


def test_copies_are_private_and_end_with_the_server(server: str, tmp_path: Path) -> None:
    database = anyio.run(new_database, server)
    project = Project(tmp_path)
    project.make()
    token = Tokens(project).create("ada", ROLES["admin"])
    with Server(project, words=("--port", "0", "--store", database)) as running:
        with running.client(token) as client:
            assert pushed(client, records_of("ann")).is_success
            # As a page asks for what is on it: all at once, of a project that has no copy yet.
            paths = [f"/team/{key_of('ann')}/v1/sessions?limit={n + 1}" for n in range(AT_ONCE)]
            with ThreadPoolExecutor(AT_ONCE) as threads:
                answers = [*threads.map(client.get, paths)]
            assert {answer.status_code for answer in answers} == {200}, answers[0].text
            copies = project.khive / "team-copies"
            assert len([*copies.iterdir()]) == 1
            assert all(path.stat().st_mode & 0o077 == 0 for path in copies.rglob("*"))
            assert any(copies.rglob("conversations.db"))
        assert running.stop() == 0
    assert not any(copies.rglob("*.db"))


def test_two_servers_over_a_database_that_is_killed(tmp_path: Path, short_folder: Path) -> None:
    with ExitStack() as opened:
        database = opened.enter_context(postgres(short_folder))
        servers, tokens = [], []
        for name in ("first", "second"):
            project = Project(tmp_path / name)
            project.root.mkdir()
            project.make()
            tokens.append(Tokens(project).create("ada", ROLES["admin"]))
            words = ("--port", "0", "--store", database.url)
            servers.append(opened.enter_context(Server(project, words=words)))
        ways = [
            HttpDestination(running.url, token)
            for running, token in zip(servers, tokens, strict=True)
        ]
        clients = [
            opened.enter_context(running.client(token))
            for running, token in zip(servers, tokens, strict=True)
        ]

        async def push_all(records: list[TeamRecord]) -> None:
            # The same to both at once.
            async with anyio.create_task_group() as tasks:
                for way in ways:
                    tasks.start_soon(way.send, records)

        anyio.run(push_all, records_of("ann"))
        database.kill()
        for client in clients:
            answer = client.get("/v1/team")
            assert (answer.status_code, answer.json()["error"]["code"]) == (
                503, "store_unavailable",
            )  # fmt: skip
            assert "\n" not in answer.json()["error"]["message"]
            assert client.get("/readyz").status_code == 503
            assert client.get("/healthz").status_code == 200
        database.start()
        for client in clients:
            while client.get("/readyz").status_code != 200:
                pass
        anyio.run(push_all, records_of("bob"))
        answers = [client.get("/v1/team").json()["totals"] for client in clients]
        assert answers[0] == answers[1]
        columns = "records, events, calls, failures, messages, input_tokens, output_tokens"
        sums = ", ".join(f"sum({name})::bigint" for name in columns.split(", "))
        (row,) = asked(database.url, f"SELECT {sums} FROM khive.team_records")
        assert tuple(answers[0][name] for name in columns.split(", ")) == row
        assert row[0] == 2 * 3 * HOURS
        assert [running.stop() for running in servers] == [0, 0]


def test_a_stream_of_a_copy_ends_when_its_server_stops(server: str, tmp_path: Path) -> None:
    database = anyio.run(new_database, server)
    project = Project(tmp_path)
    project.make()
    token = Tokens(project).create("ada", ROLES["admin"])
    with (
        Server(project, words=("--port", "0", "--log-json", "--store", database)) as running,
        running.client(token) as client,
    ):
        assert pushed(client, records_of("ann")).is_success
        with client.stream("GET", f"/team/{key_of('ann')}/v1/live") as stream:
            assert stream.status_code == 200
            chunks = stream.iter_raw()
            next(chunks)
            assert running.stop() == 0
            # It is ended, and not cut.
            assert all(isinstance(chunk, bytes) for chunk in chunks)
        assert "error" not in running.log
