"""The session API: what an application keeps of its sessions, over HTTP."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from khive_persist.cli.root import run
from khive_persist.project import Project
from khive_persist.server.http.tokens import Tokens
from tests.server.process import Server
from tests.server.sessions import KINDS, PATH, begin, contents, one_of

LINES = {"content-type": "application/x-ndjson"}


def without_times(session: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in session.items() if not name.endswith("_at")}


def error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_session_from_its_start_to_its_end(client: httpx.Client, project: Project) -> None:
    fields = {"participant": "ann", "scenario": "fire", "group": "a", "own": {"x": [1, None]}}
    made = client.post(PATH, json=fields)
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    id = made.json()["session_id"]
    assert made.headers["location"] == f"{PATH}/{id}"
    found = client.get(made.headers["location"])
    assert (found.status_code, found.headers["etag"]) == (200, '"1"')
    assert without_times(found.json()) == {
        "session_id": id, "status": "active", "version": 1, **fields
    }  # fmt: skip
    assert found.json()["started_at"] == made.json()["started_at"]
    assert client.get(found.url, headers={"if-none-match": '"1"'}).status_code == 304
    patched = client.patch(found.url, json={"own": {"x": 2}}, headers={"if-match": '"1"'})
    assert (patched.status_code, patched.headers["etag"]) == (200, '"2"')
    assert client.get(found.url, headers={"if-none-match": '"1"'}).json()["own"] == {"x": 2}
    merge = {"content-type": "application/merge-patch+json"}
    body = json.dumps({"own": None, "version": 2})
    assert client.patch(found.url, content=body, headers=merge).json()["version"] == 3
    for name in KINDS:
        answer = client.post(f"{PATH}/{id}/{name}", json=one_of(name))
        assert answer.json()["counts"] == {"new": 1}
    done = client.post(f"{PATH}/{id}/complete", json={"outcome": "passed", "summary": "well done"})
    assert (done.status_code, done.headers["etag"]) == (200, '"4"')
    assert done.json()["status"] == "completed"
    last = client.get(found.url).json()
    assert (last["outcome"], last["summary"]) == ("passed", "well done")
    assert "own" not in last
    assert contents(project, "sessions") == {id: last}
    for name in KINDS:
        (stored,) = contents(project, name).values()
        assert stored.items() >= {**one_of(name), "session_id": id}.items()
    assert run(["--dir", str(project.root), "verify"]) == 0


def test_a_session_begun_twice_is_one(client: httpx.Client, project: Project) -> None:
    fields = {"session_id": "..", "group": "a"}
    assert error(client.post(PATH, json=fields)) == (422, "invalid_record")
    fields["session_id"] = "case 7/ä"
    first, second = client.post(PATH, json=fields), client.post(PATH, json=fields)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert first.headers["location"] == second.headers["location"] == f"{PATH}/case%207%2F%C3%A4"
    at = first.headers["location"]
    assert client.get(at).json()["group"] == "a"
    assert client.get(f"{at}/check").status_code == 200
    assert client.patch(at, json={"version": 1, "x": 1}).json()["version"] == 2
    assert client.post(f"{at}/messages", json=one_of("messages")).json()["counts"] == {"new": 1}
    other = client.post(PATH, json=fields | {"group": "b"})
    assert error(other) == (409, "conflict")
    assert (other.json()["error"]["version"], other.headers["etag"]) == (2, '"2"')
    assert len(contents(project, "sessions")) == 1


def test_a_session_begun_again_after_its_updates_is_the_same(client: httpx.Client) -> None:
    fields = {"session_id": "case 8", "group": "a", "own": {"x": 1, "y": 2}}
    at = client.post(PATH, json=fields).headers["location"]
    client.patch(at, json={"group": None, "own": {"x": 3}}, headers={"if-match": '"1"'})
    again = client.post(PATH, json=dict(reversed(fields.items())))
    assert (again.status_code, again.headers["etag"]) == (200, '"2"')
    assert again.json()["version"] == 2
    assert client.get(at).json()["own"] == {"x": 3, "y": 2}
    assert error(client.post(PATH, json={"session_id": "case 8", "own": {"x": 3}})) == (
        409, "conflict"
    )  # fmt: skip
    client.post(f"{at}/complete", json={"outcome": "passed"})
    assert client.post(PATH, json=fields).json()["status"] == "completed"


NO_SESSIONS: list[Any] = [
    [{"group": "a"}],
    "a",
    None,
    {"session_id": ""},
    {"session_id": "x" * 201},
    {"session_id": 7},
    {"session_id": ".."},
    {"session_id": "a\nb"},
    {"version": 2},
    {"status": "completed"},
    {"group": ["a"]},
]


def test_what_is_no_session_is_refused(client: httpx.Client, project: Project) -> None:
    for fields in NO_SESSIONS:
        body = json.dumps(fields)
        answer = client.post(PATH, content=body, headers={"content-type": "application/json"})
        assert error(answer) == (422, "invalid_record"), fields
        assert contents(project, "sessions") == {}, fields


def test_bodies_that_are_no_json_are_refused(client: httpx.Client) -> None:
    id = begin(client)
    json_type = {"content-type": "application/json"}
    for method, path in (
        ("POST", PATH),
        ("PATCH", f"{PATH}/{id}"),
        ("POST", f"{PATH}/{id}/scores"),
    ):
        answer = client.request(method, path, content=b"{", headers=json_type)
        assert error(answer) == (400, "not_json")
        answer = client.request(method, path, content=b"{}", headers={"content-type": "text/plain"})
        assert error(answer) == (415, "content_type")
    assert client.post(PATH, content=b"{}", headers=LINES).status_code == 415


def test_an_update_names_the_version_that_it_is_for(client: httpx.Client) -> None:
    id = begin(client)
    url = f"{PATH}/{id}"
    assert error(client.patch(url, json={"step": 1})) == (428, "version_needed")
    for tag in ("1", '"x"', 'W/"1"', '"1", "2"', "*", ""):
        answer = client.patch(url, json={"step": 1}, headers={"if-match": tag})
        assert error(answer) == (400, "bad_version"), tag
    for body in ({"version": "1"}, {"version": True}, {"version": 1.0}):
        assert error(client.patch(url, json=body)) == (400, "bad_version")
    both = client.patch(url, json={"version": 2}, headers={"if-match": '"1"'})
    assert error(both) == (400, "bad_version")
    twice = [("if-match", '"1"'), ("if-match", '"1"')]
    assert error(client.patch(url, json={}, headers=twice)) == (400, "bad_version")
    assert client.patch(url, json={"version": 1}, headers={"if-match": '"1"'}).status_code == 200
    late = client.patch(url, json={"step": 1}, headers={"if-match": '"1"'})
    assert error(late) == (409, "version")
    assert (late.json()["error"]["version"], late.headers["etag"]) == (2, '"2"')
    assert error(client.patch(url, json={"version": 2, "completed_at": "2026"})) == (
        422,
        "invalid_record",
    )
    assert client.get(url).json()["version"] == 2
    unknown = client.patch(f"{PATH}/none", json={"version": 1})
    assert error(unknown) == (404, "not_found")


def test_a_completed_session_takes_no_more_until_it_is_active(
    client: httpx.Client, project: Project
) -> None:
    id = begin(client)
    url = f"{PATH}/{id}"
    late = client.post(f"{url}/complete", json={}, headers={"if-match": '"3"'})
    assert error(late) == (409, "version")
    for _ in range(2):
        done = client.post(f"{url}/complete", json={"outcome": 1}, headers={"if-match": '"1"'})
        assert (done.status_code, done.json()["version"]) == (200, 2)
    assert error(client.post(f"{url}/complete", json={"outcome": 2})) == (409, "completed")
    assert error(client.patch(url, json={"version": 2, "step": 1})) == (409, "completed")
    for name in KINDS:
        answer = client.post(f"{url}/{name}", json=one_of(name))
        assert error(answer) == (409, "completed")
        assert answer.json()["error"]["version"] == 2
        assert contents(project, name) == {}
    assert client.patch(url, json={"version": 2, "status": "active"}).status_code == 200
    for name in KINDS:
        assert client.post(f"{url}/{name}", json=one_of(name)).json()["counts"] == {"new": 1}
    assert error(client.post(f"{PATH}/none/complete", json={})) == (404, "not_found")


@pytest.mark.parametrize("name", KINDS)
def test_what_is_added_is_stored_once_with_a_result_for_each(
    name: str, client: httpx.Client, project: Project
) -> None:
    url = f"{PATH}/{begin(client)}/{name}"
    good = [{**one_of(name), "id": f"{name}-{n}", "own": n} for n in range(3)]
    bad = [7, {}, {**one_of(name), "session_id": "other"}, {**one_of(name), "id": ""}]
    answer = client.post(url, json=[*good, *bad])
    words = [one["result"] for one in answer.json()["results"]]
    assert (answer.status_code, words) == (200, ["new"] * 3 + ["refused"] * 4)
    assert all(one["reason"] for one in answer.json()["results"][3:])
    again = "\n".join(json.dumps(one) for one in [*good, good[0] | {"own": 9}]) + "\n{"
    results = client.post(url, content=again, headers=LINES).json()["results"]
    assert [one["result"] for one in results] == ["same"] * 3 + ["changed", "refused"]
    single = client.post(url, json=one_of(name)).json()["results"]
    assert [one["result"] for one in single] == ["new"]
    stored = contents(project, name)
    assert {id: one.get("own") for id, one in stored.items()} == {
        **{f"{name}-{n}": n for n in range(3)},
        single[0]["id"]: None,
    }
    assert error(client.post(f"{PATH}/none/{name}", json=one_of(name))) == (404, "not_found")


def test_the_time_of_what_is_added_is_its_sender_s_where_he_says_so(
    client: httpx.Client, project: Project
) -> None:
    url = f"{PATH}/{begin(client)}"
    fields = {"messages": "sent_at", "measurements": "measured_at", "scores": "scored_at"}
    for name, time in fields.items():
        late = {**one_of(name), "id": "late", time: "2026-11-01T10:00:00+01:00"}
        wrong = {**one_of(name), time: "noon"}
        untimed = {**one_of(name), "id": "now"}
        words = [
            one["result"]
            for _ in range(2)
            for one in client.post(f"{url}/{name}", json=[late, wrong, untimed]).json()["results"]
        ]
        assert words == ["new", "refused", "new", "same", "refused", "same"]
        stored = contents(project, name)
        assert stored["late"][time] == "2026-11-01 09:00:00.000000"
        assert time not in stored["now"]
        found = client.get(f"{url}/{name}").json()["items"]
        assert [one["id"] for one in found] == ["now", "late"]
        assert found[1]["created_at"] == "2026-11-01 09:00:00.000000"


def test_messages_of_an_application_are_messages(client: httpx.Client, project: Project) -> None:
    url = f"{PATH}/{begin(client, session_id='training-1')}/messages"
    message = {"role": "user", "text": "hello", "model": "m", "tokens": {"input": 7, "output": 2}}
    call = {"role": "assistant", "tool_calls": [{"tool_use_id": "t1", "name": "Order", "input": 1}]}
    other = {"role": "user", "tool": "codex"}
    answer = client.post(url, json=[message, call, other]).json()
    assert answer["counts"] == {"new": 2, "refused": 1}
    assert {one["tool"] for one in contents(project, "messages").values()} == {"application"}
    base = ["--dir", str(project.root)]
    for words in (
        ["stats"],
        ["sessions"],
        ["show", "training-1"],
        ["show", "training-1", "--json"],
        ["sync"],
        ["sync", "--backfill"],
        ["doctor", "--session", "training-1"],
        ["export", "--purpose", "conversations"],
        ["doctor"],
    ):
        assert run([*base, *words]) in (0, 1), words
    assert run([*base, "purge", "--session", "training-1", "--yes"]) == 0
    for name in ("sessions", *KINDS):
        assert contents(project, name) == {}


def test_who_may_write_is_told_nothing_that_he_has_not_sent(
    server: Server, client: httpx.Client
) -> None:
    tokens = Tokens(server.project)
    with (
        server.client(tokens.create("writer", ["ingest"])) as writer,
        server.client(tokens.create("reader", ["read"])) as reader,
    ):
        id = begin(client, secret_plan="nobody's business")
        url = f"{PATH}/{id}"
        told = [
            writer.post(PATH, json={"session_id": id, "secret_plan": "nobody's business"}),
            writer.post(PATH, json={"session_id": id}),
            writer.patch(url, json={"version": 1, "step": 1}),
            writer.patch(url, json={"version": 1, "step": 1}),
            writer.post(f"{url}/messages", json=one_of("messages")),
            writer.post(f"{url}/complete", json={}),
        ]
        assert [one.status_code for one in told] == [200, 409, 200, 409, 200, 200]
        assert not any("nobody" in one.text for one in told)
        for path in (PATH, url, f"{url}/check", f"{url}/messages"):
            assert writer.get(path).status_code == 403
            assert reader.get(path).status_code == 200
        assert "nobody" in reader.get(url).text
        for method, path in (("POST", PATH), ("PATCH", url), ("POST", f"{url}/scores")):
            assert reader.request(method, path, json={}).status_code == 403


def test_lists_are_filtered_and_paged(client: httpx.Client) -> None:
    for number in range(30):
        begin(
            client,
            session_id=f"s{number:02}",
            participant=f"p{number % 3}",
            scenario="fire" if number % 2 else "flood",
            group="ab"[number % 2],
            started_at=f"2026-11-{number % 10 + 1:02}",
        )
    client.post(f"{PATH}/s07/complete", json={})
    pages: list[list[str]] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get(PATH, params={"group": "a", "limit": 4, **cursor}).json()
        pages.append([one["session_id"] for one in page["items"]])
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert [len(page) for page in pages] == [4, 4, 4, 3]
    listed = [id for page in pages for id in page]
    # The newest first, and of one moment the largest id.
    assert listed == sorted(listed, key=lambda one: (int(one[1:]) % 10, one), reverse=True)
    assert set(listed) == {f"s{number:02}" for number in range(0, 30, 2)}

    def ids(**filters: str) -> list[str]:
        items = client.get(PATH, params=filters).json()["items"]
        return sorted(one["session_id"] for one in items)

    assert ids(participant="p1", scenario="fire") == ["s01", "s07", "s13", "s19", "s25"]
    assert ids(status="completed") == ["s07"]
    assert ids(since="2026-11-10") == ["s09", "s19", "s29"]
    assert ids(until="2026-11-02", group="a") == ["s00", "s10", "s20"]
    assert ids(application="none") == []
    wrong = client.get(PATH, params={"colour": "red"})
    assert wrong.status_code == 400
    assert "colour" in wrong.text
    csv = client.get(PATH, params={"group": "b"}, headers={"accept": "text/csv"}).text
    assert len(csv.splitlines()) == 16
    assert "participant" in csv.splitlines()[0]


def test_a_series_can_be_read_by_its_name(client: httpx.Client) -> None:
    url = f"{PATH}/{begin(client)}"
    other = begin(client)
    for name in ("measurements", "scores"):
        sent = [{"name": "ab"[n % 2], "value": n, "id": f"{name}{n}"} for n in range(6)]
        client.post(f"{url}/{name}", json=sent)
        client.post(f"{PATH}/{other}/{name}", json={"name": "a", "value": -1})
        found = client.get(f"{url}/{name}", params={"name": "a"}).json()["items"]
        assert sorted(one["value"] for one in found) == [0, 2, 4]
        assert len(client.get(f"{url}/{name}").json()["items"]) == 6
        lines = client.get(f"{url}/{name}", headers={"accept": "application/x-ndjson"}).text
        assert len(lines.splitlines()) == 6
        assert client.get(f"{PATH}/none/{name}").status_code == 404


def test_the_check_says_what_is_there_and_what_is_not(
    client: httpx.Client, project: Project
) -> None:
    id = begin(client)
    url = f"{PATH}/{id}/check"
    sent = [{"name": "pulse", "value": n, "id": f"m{n}"} for n in range(5)]
    client.post(f"{PATH}/{id}/measurements", json=sent)
    client.post(f"{PATH}/{id}/messages", json={**one_of("messages"), "id": "last"})
    found = client.get(url).json()
    assert (found["exists"], found["is_restorable"], found["differences"]) == (True, True, [])
    assert found["counts"] == {"messages": 1, "measurements": 5, "scores": 0}
    assert (found["last_saved"]["kind"], found["last_saved"]["id"]) == ("messages", "last")
    assert (found["status"], found["version"]) == ("active", 1)
    (stream,) = (project.khive / "sessions").glob("measurements_*.jsonl")
    lines = stream.read_bytes().splitlines(keepends=True)
    stream.write_bytes(b"".join(lines[:2] + lines[3:]).replace(b'"value":4', b'"value":5'))
    found = client.get(url).json()
    assert (found["exists"], found["is_restorable"]) == (True, False)
    assert found["differences"] == [
        {"kind": "differs", "purpose": "measurements", "id": "m4"},
        {"kind": "missing_in_mirror", "purpose": "measurements", "id": "m2"},
    ]
    assert client.get(f"{PATH}/none/check").status_code == 404


def test_the_check_finds_what_only_the_mirror_has(client: httpx.Client, project: Project) -> None:
    id = begin(client)
    url = f"{PATH}/{id}/check"
    (document,) = (project.khive / "sessions").glob("application_session_*.json")
    kept = document.read_bytes()
    document.unlink()
    assert client.get(url).json()["is_restorable"] is False
    document.write_bytes(kept)
    assert client.get(url).json()["is_restorable"] is True
    lost = Path(project.database("application_sessions.db"))
    lost.rename(project.root / "lost.db")
    found = client.get(url).json()
    assert (found["exists"], found["version"]) == (False, None)
    assert [one["kind"] for one in found["differences"]] == ["missing_in_database"]
