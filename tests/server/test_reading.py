"""What is read over HTTP is what the files hold, page by page, in each form."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from khive_persist import clock
from khive_persist.cli.root import run
from khive_persist.models.purpose_registry import remember
from khive_persist.models.purposes import (
    CONVERSATIONS,
    FOCUS_CHAINS,
    HOOK_EVENTS,
    OUTCOMES,
    PLANNER_SESSIONS,
    purpose,
)
from khive_persist.project import Project
from khive_persist.server.http.tokens import Tokens
from tests.factories import make_project, row, store_rows
from tests.server.filling import BEGIN, delete, event, fill, message, pages
from tests.server.process import Server, until

CODEX = HOOK_EVENTS["codex"]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, list[str]]]:
    project = make_project(tmp_path_factory.mktemp("reading"))
    ids = fill(project, sessions=30)
    plans = [
        {"session_id": id, "task_description": f"Task {n}", "complexity": "complex" if n % 2 else
         "simple", "confidence": n / 10, "planning_cost": float(n), "agent_count": n}
        for n, id in enumerate(ids[:10])
    ]  # fmt: skip
    store_rows(
        project, PLANNER_SESSIONS, [row(p, BEGIN + timedelta(hours=n)) for n, p in enumerate(plans)]
    )
    verdicts = [{"session_id": id, "verdict": "success", "source": "person"} for id in ids[:5]]
    store_rows(project, OUTCOMES, [row(verdict, BEGIN) for verdict in verdicts])
    with Server(project) as server:
        yield server, ids


@pytest.fixture(scope="module")
def reader(filled: tuple[Server, list[str]]) -> Iterator[httpx.Client]:
    with filled[0].client() as client:
        yield client


def cli(server: Server, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """What a command prints as JSON."""
    assert run(["--dir", str(server.project.root), *words]) == 0
    return json.loads(capsys.readouterr().out)


def plain(items: list[dict[str, Any]], payload: bool = False) -> list[dict[str, Any]]:
    """Records of a command as an answer has them."""
    shown = []
    for one in items:
        content = dict(one["content"])
        if not payload:
            content.pop("payload", None)
        names = ("id", "created_at", "node_metadata")
        shown.append({name: one[name] for name in names} | {"content": content})
    return sorted(shown, key=lambda item: (item["created_at"], item["id"]), reverse=True)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, []),
        ({"tool": "codex"}, ["--tool", "codex"]),
        ({"type": "prompt_submitted"}, ["--type", "prompt_submitted"]),
        ({"since": "2026-11-03"}, ["--since", "2026-11-03"]),
        ({"until": "2026-11-03T10:00+01:00"}, ["--until", "2026-11-03T10:00+01:00"]),
        ({"session": "SESSION"}, ["--session", "SESSION"]),
    ],
)
@pytest.mark.parametrize("limit", [7, 1000])
def test_pages_of_events_together_are_what_the_command_lists(
    query: dict[str, str],
    words: list[str],
    limit: int,
    filled: tuple[Server, list[str]],
    reader: httpx.Client,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server, ids = filled
    query = {name: value.replace("SESSION", ids[4][:9]) for name, value in query.items()}
    words = [word.replace("SESSION", ids[4][:9]) for word in words]
    found = list(pages(reader, "/v1/events", limit=limit, **query))
    assert all(len(page) == limit for page in found[:-1])
    items = [item for page in found for item in page]
    assert items
    assert items == plain(cli(server, capsys, "events", *words, "--json"))


def test_events_that_failed_and_those_with_their_payload(
    filled: tuple[Server, list[str]], reader: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    every = plain(cli(filled[0], capsys, "events", "--json"), payload=True)
    found = {}
    for failed in ("true", "false"):
        query = {"failed": failed, "payload": "true", "limit": 1000}
        found[failed] = [i for page in pages(reader, "/v1/events", **query) for i in page]
    assert found["true"] == [one for one in every if one["content"].get("success") is False]
    assert found["false"] == [one for one in every if one["content"].get("success") is not False]
    one = reader.get(f"/v1/events/{every[0]['id']}")
    assert one.json() == every[0]
    assert reader.get("/v1/events/none").status_code == 404


def test_pages_stay_as_they_are_while_rows_are_stored_and_deleted(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [event("s", BEGIN + timedelta(seconds=n // 3), n=n) for n in range(60)]
    store_rows(project, HOOK_EVENTS["claude-code"], rows)
    with Server(project) as server, server.client() as client:
        seen = []
        for number, page in enumerate(pages(client, "/v1/events", limit=7)):
            seen += [item["content"]["n"] for item in page if "n" in item["content"]]
            later = BEGIN + timedelta(days=1, seconds=number)
            store_rows(project, CODEX, [event("later", later, "codex")])
            # The very row that the next page begins after.
            delete(project, HOOK_EVENTS["claude-code"], "id = ?", page[-1]["id"])
    assert sorted(seen) == list(range(60))
    assert len(set(seen)) == 60


def test_sessions_are_those_of_the_command(
    filled: tuple[Server, list[str]], reader: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    server, ids = filled
    listed = {one["session_id"]: one for one in cli(server, capsys, "sessions", "--json")}
    found = [item for page in pages(reader, "/v1/sessions", limit=4) for item in page]
    assert [one["session_id"] for one in found] == [*listed]
    for one in found:
        known = listed[one["session_id"]]
        assert {name: one[name] for name in known} == known
    assert found[-1]["title"] == "Write page 0"
    assert {one["project"] for one in found} == {f"/src/project{n}" for n in range(4)}
    query: dict[str, str | int] = {"sort": "events", "order": "asc", "limit": 1000}
    ascending = [one["events"] for one in reader.get("/v1/sessions", params=query).json()["items"]]
    assert ascending == sorted(one["events"] for one in found)
    wanted = {"complexity": "complex", "min_confidence": "0.3", "max_cost": "7"}
    words = ["--complexity", "complex", "--min-confidence", "0.3", "--max-cost", "7"]
    some = reader.get("/v1/sessions", params=wanted).json()["items"]
    assert {one["session_id"] for one in some} == {ids[3], ids[5], ids[7]}
    assert len(some) == len(cli(server, capsys, "sessions", *words, "--json"))
    judged = reader.get("/v1/sessions", params={"verdict": "success"}).json()["items"]
    assert {one["session_id"] for one in judged} == set(ids[:5])
    looked = reader.get("/v1/sessions", params={"q": f"TASK {ids[3][:12]}"}).json()["items"]
    assert [one["session_id"] for one in looked] == [ids[3]]
    planned = reader.get("/v1/sessions", params={"q": "page TASK"}).json()["items"]
    assert {one["session_id"] for one in planned} == set(ids[:10])


def test_one_session_is_named_by_the_beginning_of_its_id(
    filled: tuple[Server, list[str]], reader: httpx.Client
) -> None:
    _, ids = filled
    whole = reader.get(f"/v1/sessions/{ids[2]}").json()
    assert reader.get(f"/v1/sessions/{ids[2][:12]}").json() == whole
    assert whole["session_id"] == ids[2]
    missing = reader.get("/v1/sessions/nothing")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")


def test_a_story_has_the_prompts_and_what_was_used(
    filled: tuple[Server, list[str]], reader: httpx.Client
) -> None:
    _, ids = filled
    told = reader.get(f"/v1/sessions/{ids[0][:13]}/story").json()
    session = reader.get(f"/v1/sessions/{ids[0]}").json()
    assert (told["session_id"], told["tools"]) == (ids[0], ["claude-code"])
    assert told["entries"][-1]["tokens"] == session["tokens"] > 0
    assert told["entries"][-1]["cost"] == pytest.approx(session["cost"])
    assert [entry["at"] for entry in told["entries"]] == sorted(e["at"] for e in told["entries"])


@pytest.mark.parametrize("by", ["tool", "model", "project"])
@pytest.mark.parametrize("bucket", ["hour", "day"])
def test_an_overview_sums_up_what_the_events_and_messages_are(
    by: str, bucket: str, reader: httpx.Client
) -> None:
    events = [i for page in pages(reader, "/v1/events", limit=1000) for i in page]
    messages = [i for page in pages(reader, "/v1/messages", limit=1000) for i in page]
    field = {"project": "cwd"}.get(by, by)
    since, until = "2026-11-02 07:30", "2026-11-06 12:59"
    found = reader.get(
        "/v1/overview", params={"by": by, "bucket": bucket, "since": since, "until": until}
    ).json()
    # The sums know whole hours, and the answer says which.
    begin, end = "2026-11-02 07:00:00.000000", "2026-11-06 12:00:00.000000"
    assert (found["since"], found["until"], found["is_complete"]) == (begin, end, True)
    inside = [one for one in events if begin <= one["created_at"] < end]
    said = [one for one in messages if begin <= one["created_at"] < end]
    totals = found["totals"]
    assert totals["events"] == len(inside) > 50
    assert totals["messages"] == len(said)
    assert totals["failures"] == sum(one["content"].get("success") is False for one in inside)
    assert totals["sessions"] == len({one["content"]["session_id"] for one in inside + said})
    for name in ("input", "output"):
        assert totals[name] == sum(one["content"]["tokens"][name] for one in said)
    length = {"hour": 13, "day": 10}[bucket]
    expected = {(one["created_at"][:length], one["content"].get(field)) for one in inside + said}
    assert {(one["at"][:length], one["group"]) for one in found["series"]} == expected
    for one in found["series"]:
        at = [e for e in inside if e["created_at"][:length] == one["at"][:length]]
        own = [e for e in at if e["content"].get(field) == one["group"]]
        assert one["events"] == len(own)
    assert sum(one["events"] for one in found["groups"]) == len(inside)
    assert clock.from_column(found["series"][0]["at"]) is not None


def test_an_overview_has_what_was_sent_just_now(project: Project) -> None:
    with Server(project) as server, server.client() as client:
        before = client.get("/v1/overview").json()
        assert (before["totals"]["events"], before["is_complete"]) == (0, True)
        body = json.dumps({"session_id": "s1", "hook_event_name": "Stop"})
        sent = client.post(
            "/hooks/claude-code", content=body, headers={"content-type": "application/json"}
        )
        assert sent.status_code == 200
        while client.get("/v1/overview").json()["totals"]["events"] != 1:
            # It comes with the next look; the test's own timeout ends it.
            continue
        assert client.get("/v1/sessions/s1").json()["events"] == 1


@pytest.mark.parametrize("id", ["a/b", "/", "x/story", "%2F", "50%", "a%2fb/ü", "/v1/events"])
def test_an_id_with_slashes_is_found_on_every_route(
    id: str, server: Server, client: httpx.Client
) -> None:
    at = quote(id, safe="")
    payload = {"session_id": id, "hook_event_name": "Stop"}
    sent = client.post("/v1/events", json={"id": id, "tool": "claude-code", "payload": payload})
    assert sent.json()["counts"] == {"new": 1}
    assert client.get(f"/v1/events/{at}").json()["id"] == id
    # It comes with the next look.
    until(lambda: client.get(f"/v1/sessions/{at}").status_code == 200)
    assert client.get(f"/v1/sessions/{at}").json()["session_id"] == id
    for rest in ("story", "lineage"):
        assert client.get(f"/v1/sessions/{at}/{rest}").status_code == 200, rest
    # It has no list.
    assert client.get(f"/v1/sessions/{at}/focus").json()["error"]["code"] == "not_found"
    assert client.get(f"/v1/sessions/{at}x").status_code == 404


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (
            "/v1/calibration?bins=4&partial=0.25",
            ["outcomes", "--calibration", "--bins", "4", "--partial", "0.25"],
        ),
        ("/v1/stats?by=day&since=2026-11-02", ["stats", "--by", "day", "--since", "2026-11-02"]),
        ("/v1/stats?by=agent&tool=codex", ["stats", "--by", "agent", "--tool", "codex"]),
        ("/v1/backups", ["backup", "list"]),
        ("/v1/sessions/SESSION/lineage", ["lineage", "SESSION"]),
    ],
)  # fmt: skip
def test_answers_that_are_what_a_command_prints(
    path: str,
    words: list[str],
    filled: tuple[Server, list[str]],
    reader: httpx.Client,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server, ids = filled
    words = [word.replace("SESSION", ids[1]) for word in words]
    answer = reader.get(path.replace("SESSION", ids[1]))
    assert answer.status_code == 200, answer.text
    assert answer.json() == cli(server, capsys, *words, "--json")


def test_pages_of_outcomes_together_are_what_the_command_prints(
    filled: tuple[Server, list[str]], reader: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = cli(filled[0], capsys, "outcomes", "--json")
    found = [item for page in pages(reader, "/v1/plans/outcomes", limit=3) for item in page]
    assert found == listed
    assert len(found) == 10
    some = reader.get("/v1/plans/outcomes", params={"min_confidence": 0.5, "limit": 2}).json()
    assert [one["confidence"] for one in some["items"]] == [0.9, 0.8]


def test_the_doctor_says_what_the_command_says(
    filled: tuple[Server, list[str]], reader: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    server, ids = filled
    found = reader.get("/v1/doctor").json()
    run(["--dir", str(server.project.root), "doctor", "--json"])
    printed = json.loads(capsys.readouterr().out)
    assert found.keys() == printed.keys()
    assert found["databases"] == printed["databases"]
    assert found["unmatched_calls"] == printed["unmatched_calls"]
    of_session = reader.get("/v1/doctor", params={"session": ids[1]}).json()
    run(["--dir", str(server.project.root), "doctor", "--session", ids[1], "--json"])
    assert of_session == json.loads(capsys.readouterr().out)


def test_to_do_lists_and_own_records_are_read(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    items = [{"text": "one", "status": "in_progress"}]
    chain = {"session_id": "s1", "tool": "codex", "position": 1, "items": items, "added": ["one"]}
    store_rows(project, FOCUS_CHAINS, [row(chain, BEGIN)])
    store_rows(project, CODEX, [event("s1", BEGIN, "codex")])
    own = purpose("diets", indexes=(("session_id",),))
    remember(project, own)
    store_rows(
        project, own, [row({"session_id": "s1", "meal": n}, BEGIN, f"d{n}") for n in range(3)]
    )
    with Server(project) as server, server.client() as client:
        found = client.get("/v1/sessions/s1/focus").json()
        assert found == cli(server, capsys, "focus", "s1", "--json")
        assert [i["text"] for i in found["agents"][0]["current"]] == ["one"]
        meals = client.get("/v1/diets", params={"session": "s"}).json()["items"]
        assert [one["content"]["meal"] for one in meals] == [2, 1, 0]
        assert client.get("/v1/focus_chains").json()["items"][0]["content"] == chain
        assert client.get("/v1/nothing").status_code == 404
        project_told = client.get("/v1/project").json()
        assert project_told["name"] == project.root.name
        assert project_told["since"] == clock.to_text(BEGIN)
        assert client.get("/v1/place").json() == project_told


@pytest.mark.parametrize(
    "path", ["/v1/events", "/v1/sessions", "/v1/plans/outcomes", "/v1/messages"]
)
def test_csv_and_json_lines_have_all_of_a_list(path: str, reader: httpx.Client) -> None:
    every = [item for page in pages(reader, path, limit=1000) for item in page]
    lines = reader.get(path, headers={"accept": "application/x-ndjson"})
    assert lines.headers["content-type"].startswith("application/x-ndjson")
    assert [json.loads(line) for line in lines.text.splitlines()] == every
    table = reader.get(path, headers={"accept": "text/csv"})
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert len(rows) == len(every)
    id = {"/v1/sessions": "session_id", "/v1/plans/outcomes": "plan_id"}.get(path, "id")
    assert [one[id] for one in rows] == [one[id] for one in every]
    few = reader.get(path, params={"limit": 2}, headers={"accept": "text/csv"})
    assert len(few.text.splitlines()) == 3
    preferred = reader.get(path, headers={"accept": "text/csv;q=0.5, application/json"})
    assert preferred.headers["content-type"] == "application/json"


def test_csv_is_the_rows_that_export_makes(
    filled: tuple[Server, list[str]], reader: httpx.Client, capsysbinary: Any
) -> None:
    words = ["export", "--purpose", "planner_sessions", "--format", "csv"]
    assert run(["--dir", str(filled[0].project.root), *words]) == 0
    exported = capsysbinary.readouterr().out.splitlines()
    answered = reader.get("/v1/plans", headers={"accept": "text/csv"}).content.splitlines()
    assert answered[0] == exported[0]
    assert sorted(answered[1:]) == sorted(exported[1:])


def test_text_that_a_spreadsheet_would_run_is_neutralised(project: Project) -> None:
    prompt = {"event_type": "prompt_submitted", "payload": {"prompt": "=1+1"}}
    store_rows(project, CODEX, [event("@SUM(1)", BEGIN, "codex", cwd="+x", **prompt)])
    with Server(project) as server, server.client(accept="text/csv") as client:
        for path in ("/v1/sessions", "/v1/events"):
            cells = [c for line in csv.reader(io.StringIO(client.get(path).text)) for c in line]
            assert not [c for c in cells if c[:1] in ("=", "+", "-", "@")]


def test_who_has_an_answer_already_is_told_so(project: Project) -> None:
    fill(project, sessions=3)
    with Server(project) as server, server.client() as client:
        for path in ("/v1/overview", "/v1/sessions", "/v1/events", "/v1/project", "/v1/stats"):
            first = client.get(path)
            tag = first.headers["etag"]
            again = client.get(path, headers={"if-none-match": f'"x", W/{tag}'})
            assert (again.status_code, again.content) == (304, b""), path
            assert again.headers["etag"] == tag
        # A long answer is packed for who takes that, with a tag of its own, and is the same.
        packed = client.get("/v1/events")
        plain = client.get("/v1/events", headers={"accept-encoding": "gzip;q=0"})
        assert packed.headers["content-encoding"] == "gzip"
        assert int(packed.headers["content-length"]) < len(plain.content) / 4
        assert "content-encoding" not in plain.headers
        assert packed.content == plain.content
        assert packed.headers["etag"] != plain.headers["etag"]
        assert "accept-encoding" in plain.headers["vary"]
        store_rows(project, CODEX, [event("more", BEGIN, "codex")])
        tag = first.headers["etag"]
        assert client.get("/v1/stats", headers={"if-none-match": tag}).status_code == 200


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/events?limitt=1", "limitt"),
        ("/v1/events?limit=0", "limit"),
        ("/v1/events?limit=1001", "limit"),
        ("/v1/events?limit=1_0", "limit"),
        ("/v1/events?limit=%D9%A1", "limit"),
        ("/v1/events?limit=1&limit=2", "limit"),
        ("/v1/events?since=yesterday", "since"),
        ("/v1/events?since=0001-01-01T00:00%2B14:00", "since"),
        ("/v1/events?tool=vim", "tool"),
        ("/v1/events?failed=yes", "failed"),
        ("/v1/events?cursor=x", "cursor"),
        ("/v1/events?cursor=WzEsMl0", "cursor"),
        ("/v1/sessions?sort=cost&cursor=WyIyMDI2IiwiYSJd", "cursor"),
        ("/v1/sessions?min_confidence=nan", "min_confidence"),
        ("/v1/sessions?max_cost=1e999", "max_cost"),
        ("/v1/sessions?order=down", "order"),
        (f"/v1/sessions?q={'x' * 2001}", "q"),
        ("/v1/overview?by=day", "by"),
        ("/v1/project?x=", "x"),
        ("/v1/calibration?bins=0", "bins"),
    ],
)
def test_a_parameter_that_is_wrong_is_named(path: str, name: str, reader: httpx.Client) -> None:
    answer = reader.get(path)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["message"].startswith(name + " ")


def test_reading_needs_the_right_to_read(filled: tuple[Server, list[str]]) -> None:
    server, ids = filled
    token = Tokens(server.project).create("writer", ["ingest"])
    names = ("events", "sessions", f"sessions/{ids[0]}/story", "overview", "live", "openapi.json",
             "place", "doctor", "messages", "stats")  # fmt: skip
    paths = [f"/v1/{name}" for name in names]
    with server.client("") as client:
        assert {client.get(path).status_code for path in paths} == {401}
        assert client.get("/").status_code == 200
    with server.client(token) as client:
        assert {client.get(path).status_code for path in paths} == {403}


def test_rows_of_megabytes_make_short_pages_and_lose_none(project: Project) -> None:
    rows = [event("s", BEGIN + timedelta(seconds=n), payload={"x": "y" * 400_000, "n": n})
            for n in range(120)]  # fmt: skip
    store_rows(project, HOOK_EVENTS["gemini-cli"], rows)
    with Server(project) as server, server.client() as client:
        found = list(pages(client, "/v1/events", limit=1000, payload="true"))
        assert len(found) > 1
        numbers = [item["content"]["payload"]["n"] for page in found for item in page]
        assert numbers == list(reversed(range(120)))
        light = client.get("/v1/events", params={"limit": 1000}).json()["items"]
        assert len(light) == 120


def test_what_is_no_json_is_shown_as_it_is(project: Project) -> None:
    store_rows(project, CONVERSATIONS, [message("s", BEGIN)])
    broken = [("b", '{"half', "[", clock.to_text(BEGIN), None)]
    import sqlite3

    connection = sqlite3.connect(project.database(CONVERSATIONS.file))
    for name, *_ in connection.execute(
        "SELECT name FROM sqlite_schema WHERE sql LIKE '%json_extract%' AND type = 'index'"
    ).fetchall():
        connection.execute(f"DROP INDEX {name}")
    connection.executemany("INSERT INTO messages VALUES (?, ?, ?, ?, ?)", broken)
    connection.commit()
    connection.close()
    with Server(project) as server, server.client() as client:
        items = client.get("/v1/messages").json()["items"]
        assert {item["id"]: item["content"] for item in items}["b"] == '{"half'
        assert client.get("/v1/overview").json()["totals"]["messages"] == 2
