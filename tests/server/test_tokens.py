"""Tokens: who is answered, what each may, and where a token never stands."""

import json
import stat
import time
from pathlib import Path

import anyio
import httpx
import pytest
from starlette.routing import Route

from khive_persist.cli.root import run
from khive_persist.errors import InvalidFileError, InvalidRecordError, NotFoundError
from khive_persist.project import Project
from khive_persist.server.app import routes
from khive_persist.server.context import close_context, open_context
from khive_persist.server.http.limits import Limits
from khive_persist.server.http.tokens import RIGHTS, Right, Tokens
from khive_persist.server.request.auth import GuardedEndpoint
from khive_persist.trust import signed
from tests.server.process import Server

# The dashboard's own files hold no record, and have the form for the token.
OPEN = {"/healthz", "/readyz", "/login", "/login/x", "/logout", "/", "/assets/x"}


async def _guarded(root: Path) -> list[tuple[str, str, Right | None]]:
    serving = await open_context(Project(root), "127.0.0.1", Limits())
    try:
        found: list[tuple[str, str, Right | None]] = []
        for route in routes(serving):
            if isinstance(route, Route) and isinstance(route.app, GuardedEndpoint):
                path = route.path
                for name in route.param_convertors:
                    path = path.replace("{" + name + "}", "x").replace("{" + name + ":path}", "x")
                found += [(m, path, route.app.right) for m in sorted(route.methods or ())]
        return found
    finally:
        await close_context(serving)


def test_each_route_asks_for_its_right(server: Server, tmp_path: Path) -> None:
    tokens = Tokens(server.project)
    made = {right: tokens.create(f"only-{right}", [right]) for right in RIGHTS}
    listed = anyio.run(_guarded, tmp_path)
    assert {path for _, path, right in listed if right is None} == OPEN
    assert len(listed) > 8
    with server.client("") as client:
        for method, path, right in listed:
            if right is None:
                continue
            for token in ("", "nonsense", made["admin"][:-1], made["admin"] + "x"):
                headers = {"authorization": f"Bearer {token}"} if token else {}
                answer = client.request(method, path, headers=headers, json={})
                assert answer.status_code == 401, (method, path)
                assert answer.headers["www-authenticate"] == "Bearer"
            for given, token in made.items():
                # Who has the answer already is told so, and no report is computed.
                headers = {"authorization": f"Bearer {token}", "if-none-match": "*"}
                # Not read to its end: that of live events never comes.
                with client.stream(method, path, headers=headers, json={}) as answer:
                    refused = answer.status_code == 403
                assert refused is (given not in {right, "admin"}), (method, path, given)


def test_other_ways_to_say_a_token_are_none(server: Server) -> None:
    with server.client("") as client:
        ask = "/v1/whoami"
        assert client.get(ask, params={"token": server.token}).status_code == 401
        assert client.get(ask, headers={"authorization": server.token}).status_code == 401
        assert (
            client.get(ask, headers={"authorization": f"Basic {server.token}"}).status_code == 401
        )
        assert client.get(ask, headers={"x-api-key": server.token}).status_code == 401
        assert client.get(ask, headers={"cookie": f"token={server.token}"}).status_code == 401
        assert client.get(ask, headers={"authorization": f"bEaRer {server.token}"}).is_success


def test_a_revoked_token_opens_nothing_at_once(server: Server, capsys: object) -> None:
    root = str(server.project.root)
    tokens = Tokens(server.project)
    token = tokens.create("ci", ["read"])
    with server.client(token) as client:
        assert client.get("/v1/whoami").json() == {
            "name": "ci",
            "rights": ["read"],
            "role": None,
            "person": None,
        }
        assert run(["--dir", root, "serve", "token", "revoke", "ci"]) == 0
        assert client.get("/v1/whoami").status_code == 401


def test_the_login_changes_a_token_for_a_cookie(server: Server) -> None:
    with server.client("") as client:
        assert client.post("/login", json={"token": "nonsense"}).status_code == 401
        assert client.post("/login", json=[1]).status_code == 401
        answer = client.post("/login", json={"token": server.token})
        assert answer.json() == {"name": "local", "rights": ["admin"], "role": None, "person": None}
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert server.token not in cookie
        assert client.get("/v1/whoami").status_code == 200
        name, value = next(iter(client.cookies.items()))
        for wrong in (
            value[:-1] + ("0" if value[-1] != "0" else "1"),
            value.replace("local", "other"),
            ".".join(["local", str(int(time.time()) + 10**6), *value.split(".")[2:]]),
            ".".join([*value.split(".")[:2], "0" * 32, value.split(".")[3]]),
            "local",
            "local..",
            "..",
            "local.9e9.x",
            "",
        ):
            headers = {"cookie": f"{name}={wrong}"}
            client.cookies.clear()
            assert client.get("/v1/whoami", headers=headers).status_code == 401, wrong
        Tokens(server.project).revoke("local")
        assert client.get("/v1/whoami", headers={"cookie": f"{name}={value}"}).status_code == 401


def test_the_logout_ends_one_login_on_the_server(server: Server) -> None:
    def cookie_of() -> dict[str, str]:
        with server.client("") as client:
            assert client.post("/login", json={"token": server.token}).status_code == 200
            name, value = next(iter(client.cookies.items()))
        return {"cookie": f"{name}={value}"}

    ended, other = cookie_of(), cookie_of()
    with server.client("") as client:
        given_back = client.post("/logout", json={}, headers=ended).headers["set-cookie"]
        assert '=""; expires=' in given_back
        assert client.get("/v1/whoami", headers=ended).status_code == 401
        assert client.get("/v1/whoami", headers=other).status_code == 200
        for wrong in ("", "a.b.c.d", other["cookie"] + "x"):
            assert client.post("/logout", json={}, headers={"cookie": wrong}).status_code == 200
        assert client.get("/v1/whoami", headers=other).status_code == 200


def test_refused_tokens_are_in_the_log_by_address_and_not_each_of_them(server: Server) -> None:
    with server.client("khive_nonsense") as client:
        for _ in range(50):
            assert client.get("/v1/whoami").status_code == 401
            assert client.post("/login", json={"token": "guess"}).status_code == 401
    server.stop()
    told = [line for line in map(json.loads, server.log.splitlines()) if "token" in line["event"]]
    assert [(one["event"], one["address"], one["times"]) for one in told] == [
        ("token_refused", "127.0.0.1", 1)
    ]


def test_no_type_of_a_body_but_json_is_taken(server: Server, client: httpx.Client) -> None:
    for kind in (
        "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "",
        "text/plain; application/json", "application/xml",
    ):  # fmt: skip
        for path in ("/hooks/codex", "/v1/events", "/v1/outcomes", "/login", "/logout"):
            headers = {"content-type": kind} if kind else {}
            answer = client.post(path, content=b"{}", headers=headers)
            assert answer.status_code == 415, (kind, path)
    headers = {"content-type": "application/json; charset=utf-8"}
    assert client.post("/hooks/codex", content=b"{}", headers=headers).status_code == 200


def test_without_the_need_of_a_token_everybody_of_this_machine_is_answered(
    project: Project,
) -> None:
    project.local_config.write_text("server.require_token = false\n")
    with Server(project) as server, server.client("") as client:
        assert client.post("/hooks/codex", json={}).status_code == 200
        assert client.get("/v1/whoami").json()["rights"] == ["admin"]
        assert client.get("/healthz", headers={"host": "evil.test"}).status_code == 421
        assert client.post("/hooks/codex", content=b"{}").status_code == 415


def test_a_token_stands_in_no_log_answer_or_error(server: Server) -> None:
    token = server.token
    with server.client() as client:
        answers = [
            client.post("/v1/events", content=b"{", headers={"content-type": "application/json"}),
            client.post("/v1/x", json={}),
            client.get("/metrics"),
            client.get(f"/v1/{token}"),
            client.post(f"/v1/{token}", json={}),
            client.post(f"/hooks/{token}", json={}),
            client.get("/v1/whoami", params={"token": token}),
            client.post("/login", json={"token": token + "x"}),
        ]
        for answer in answers:
            assert token not in answer.text
            assert token not in str(answer.headers)
    server.stop()
    assert token not in server.log


def test_the_files_are_private_and_hold_digests(project: Project) -> None:
    tokens = Tokens(project)
    local = tokens.local()
    made = tokens.create("ci", ["ingest", "read"])
    assert tokens.local() == local
    for path in (project.khive / "server.token", project.khive / "server.tokens"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = (project.khive / "server.tokens").read_text()
    assert local not in text
    assert made not in text
    found = Tokens(project).find(made)
    assert found is not None
    assert (found.name, found.rights) == ("ci", ("ingest", "read"))
    assert Tokens(project).find("") is None
    assert Tokens(project).find("\ud800") is None


def test_a_lost_local_token_is_made_anew_and_the_old_one_is_none(project: Project) -> None:
    tokens = Tokens(project)
    old = tokens.local()
    (project.khive / "server.token").unlink()
    new = tokens.local()
    assert new != old
    assert tokens.find(old) is None
    tokens.revoke("local")
    assert tokens.find(new) is None
    assert not (project.khive / "server.token").exists()


def test_what_is_no_name_right_or_file_is_refused(project: Project) -> None:
    tokens = Tokens(project)
    tokens.create("ci", ["read"])
    for name in ("ci", "", "a b", "../x", "A", "x" * 64, "a.b"):
        with pytest.raises(InvalidRecordError):
            tokens.create(name, ["read"])
    with pytest.raises(InvalidRecordError):
        tokens.create("none", [])
    with pytest.raises(NotFoundError):
        tokens.revoke("nobody")
    content = signed.dump(project.khive, "server.tokens", {"tokens": [{"name": 1}]})
    (project.khive / "server.tokens").write_bytes(content)
    with pytest.raises(InvalidFileError):
        Tokens(project).list()


def test_the_commands(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    root = str(project.root)
    assert run(["--dir", root, "serve", "token", "create", "ci", "--rights", "ingest"]) == 0
    token = capsys.readouterr().out.strip()
    assert Tokens(project).find(token) is not None
    assert run(["serve", "token", "list", "--dir", root, "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["name"], listed["rights"]) == ("ci", ["ingest"])
    assert run(["serve", "token", "list", "--dir", root]) == 0
    assert "ci" in capsys.readouterr().out
    assert run(["serve", "--dir", root, "token", "revoke", "ci"]) == 0
    assert run(["serve", "token", "revoke", "ci", "--dir", root]) == 1
    assert run(["serve", "token", "create", "x", "--rights", "all", "--dir", root]) == 2
