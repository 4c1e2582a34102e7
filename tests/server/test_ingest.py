"""What is sent is stored before the answer, once, with a result for each."""

import base64
import gzip
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from backports import zstd

from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.cli.root import run
from khive_persist.models.purpose_registry import remember
from khive_persist.models.purposes import purpose
from khive_persist.project import Project
from khive_persist.server.http.tokens import Tokens
from tests.factories import make_project
from tests.payloads import sample_payloads
from tests.server.process import Server, event, recorder_of, until
from tests.stored import contents

JSON = {"content-type": "application/json"}


def hook_rows(project: Project, tool: str = "claude") -> dict[str, Any]:
    # On a slow machine the spool has some: each is durable, and they are told apart by nothing.
    assert not drain(project).waiting_count
    return contents(project, f"{tool}_hooks.db")


@pytest.mark.parametrize("tool", ["claude-code", "codex", "gemini-cli"])
def test_what_a_tool_sends_is_stored_as_the_command_hook_stores_it(
    tool: str, server: Server, client: httpx.Client, tmp_path: Path
) -> None:
    other = make_project(tmp_path / "other")
    # The tags of placeholders are made with the key.
    (other.khive / "redaction.key").write_bytes(
        (server.project.khive / "redaction.key").read_bytes()
    )
    payloads = sample_payloads(tool)
    for payload in payloads:
        answer = client.post(f"/hooks/{tool}", content=payload.rstrip(b"\n"), headers=JSON)
        assert (answer.status_code, answer.content) == (200, b"")
        Spool(other).accept(tool, payload.rstrip(b"\n"))
    drain(other)
    name = tool.partition("-")[0]
    stored, by_hook = hook_rows(server.project, name), hook_rows(other, name)
    assert list(stored.values()) == list(by_hook.values())
    assert len(stored) == len(payloads)


@pytest.mark.parametrize(
    "body",
    [b"", b"no json", b"\xff\xfe\x00", b"[" * 3_000, b'{"a":' * 5_000, b'"\\ud800"'],
)
def test_a_tool_loses_no_event_whatever_its_bytes_are(
    body: bytes, server: Server, client: httpx.Client
) -> None:
    assert client.post("/hooks/codex", content=body, headers=JSON).status_code == 200
    (content,) = hook_rows(server.project, "codex").values()
    if content["event_type"] == "unparsed":
        kept = content["payload"]
        data = kept["data"].encode()
        assert (base64.b64decode(data) if kept["encoding"] == "base64" else data) == body
    else:
        assert json.dumps(content["payload"]) == body.decode()


def test_secrets_are_taken_out_and_large_payloads_cut(server: Server, client: httpx.Client) -> None:
    secret = "ghp" + "_" + "A1b2" * 9
    sent = {"hook_event_name": "Stop", "session_id": "s", "text": secret}
    client.post("/hooks/claude-code", json=sent)
    client.post("/hooks/claude-code", content=event(1, size=5_000_000), headers=JSON)
    small, large = hook_rows(server.project).values()
    assert small["payload"]["text"].startswith("[REDACTED:github_token:")
    assert large["payload"]["truncated"]["bytes"] > 5_000_000
    assert secret not in server.log


def test_payload_text_is_never_html(server: Server, client: httpx.Client) -> None:
    text = "<script>alert(1)</script>{{7*7}}%s{0}"
    for answer in (
        client.post("/hooks/claude-code", json={"session_id": text, "tool_name": text}),
        client.post("/v1/events", json={"id": text, "tool": text, "payload": 1}),
        client.post("/v1/outcomes", json={"id": text, "content": {"session_id": text}}),
        client.post(f"/v1/{text}", json={}),
        client.get(f"/{text}"),
        client.get("/v1/whoami", params={"q": text}),
    ):
        kind = answer.headers.get("content-type")
        assert kind == ("application/json" if answer.content else None)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "49" not in answer.text


@pytest.mark.parametrize("form", ["array", "lines", "gzip", "zstd"])
def test_a_batch_has_a_result_for_each_and_may_be_sent_again(
    form: str, server: Server, client: httpx.Client
) -> None:
    batch: list[Any] = [
        {"id": "a", "tool": "codex", "payload": {"session_id": "s", "n": 1}},
        {"id": "b", "tool": "claude-code", "payload": {"session_id": "s", "n": 2}},
        {"id": "a", "tool": "codex", "payload": {"session_id": "s", "n": 3}},
        {"id": "c", "tool": "vim", "payload": {}},
        {"id": "x" * 201, "tool": "codex", "payload": {}},
        {"id": "d", "tool": "codex"},
        {"id": "e", "tool": "codex", "payload": 1, "colour": "red"},
        {"id": "f", "tool": "codex", "payload": 2**70, "created_at": "2026-11-01T10:00:00+01:00"},
        7,
    ]
    expected = ["new", "new", "changed", *["refused"] * 4, "new", "refused"]

    def send() -> list[str]:
        body, headers = json.dumps(batch).encode(), dict(JSON)
        if form == "lines":
            body = b"\n".join(json.dumps(one).encode() for one in batch) + b"\n\n"
            headers = {"content-type": "application/x-ndjson"}
        elif form == "gzip":
            body, headers["content-encoding"] = gzip.compress(body), "gzip"
        elif form == "zstd":
            body, headers["content-encoding"] = zstd.compress(body), "zstd"
        answer = client.post("/v1/events", content=body, headers=headers)
        assert answer.status_code == 200
        told = answer.json()
        assert [one["id"] for one in told["results"]] == [
            one["id"] if isinstance(one, dict) else None for one in batch
        ]
        for one in told["results"]:
            assert bool(one.get("reason")) == (one["result"] == "refused")
        assert sum(told["counts"].values()) == len(batch)
        return [one["result"] for one in told["results"]]

    assert send() == expected
    assert send() == [{"new": "same"}.get(word, word) for word in expected]
    stored = hook_rows(server.project, "codex")
    assert stored["a"]["payload"]["n"] == 1
    assert stored["f"]["payload"] == 2**70
    assert set(stored) == {"a", "f"}
    connection = sqlite3.connect(server.project.database("codex_hooks.db"))
    (created,) = connection.execute("SELECT created_at FROM hook_events WHERE id = 'f'").fetchone()
    connection.close()
    assert created == "2026-11-01 09:00:00.000000"


def test_a_line_that_is_no_json_refuses_itself_alone(client: httpx.Client) -> None:
    lines = b'{"id":"a","tool":"codex","payload":1}\n{"id":\n{"id":"b","tool":"codex","payload":2}'
    headers = {"content-type": "application/jsonl"}
    told = client.post("/v1/events", content=lines, headers=headers).json()
    assert [one["result"] for one in told["results"]] == ["new", "refused", "new"]


KINDS: list[tuple[str, dict[str, Any], str, str]] = [
    ("planner_sessions", {"session_id": "s", "task_description": "t"}, "planner_sessions.db",
     "planner_sessions"),
    ("messages", {"tool": "codex", "role": "user", "text": "hi"}, "conversations.db", "messages"),
    ("focus_chains", {"session_id": "s", "items": [{"text": "t", "status": "pending"}]},
     "focus_chains.db", "focus_chains"),
    ("outcomes", {"session_id": "s", "verdict": "success"}, "outcomes.db", "outcomes"),
    ("sailings", {"port": "Kiel"}, "sailings.db", "sailings"),
    ("order", {"by": "ada"}, "order.db", '"select"'),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "content", "file", "table"), KINDS, ids=[k[0] for k in KINDS])
def test_records_of_each_kind_are_stored_once_and_replaced_when_asked(
    kind: str, content: dict[str, Any], file: str, table: str, server: Server, client: httpx.Client
) -> None:
    remember(server.project, purpose("sailings"))
    remember(server.project, purpose("order", "select", indexes=(("by",),)))
    record = {"id": "r1", "content": content}

    def send(one: Any, **params: str) -> str:
        answer = client.post(f"/v1/{kind}", json=one, params=params)
        assert answer.status_code == 200, answer.text
        (told,) = answer.json()["results"]
        return str(told["result"])

    assert send(record) == "new"
    assert send(record) == "same"
    other = {"id": "r1", "content": content | {"metadata": {"more": 1}}}
    assert send(other) == "changed"
    assert "more" not in contents(server.project, file, table)["r1"].get("metadata", {})
    adding = Tokens(server.project).create("adding", ["ingest"])
    with server.client(adding) as adds:
        refused = adds.post(f"/v1/{kind}", json=other, params={"update": "true"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "right")
        assert adds.post(f"/v1/{kind}", json=other).json()["counts"] == {"changed": 1}
    assert "more" not in contents(server.project, file, table)["r1"].get("metadata", {})
    assert send(other, update="true") == "changed"
    assert contents(server.project, file, table)["r1"]["metadata"] == {"more": 1}
    assert send({"id": "r1"}) == "refused"
    assert send({"id": "", "content": content}) == "refused"
    (listed,) = client.get(f"/v1/{kind}").json()["items"]
    assert (listed["id"], listed["content"]["metadata"]) == ("r1", {"more": 1})
    server.stop()
    assert run(["--dir", str(server.project.root), "verify"]) == 0


def test_what_breaks_a_records_contract_is_refused_with_its_field(client: httpx.Client) -> None:
    batch = [{"id": "a", "content": {"session_id": "s"}}, {"id": "b", "content": {"session_id": 1}}]
    told = client.post("/v1/planner_sessions", json=batch).json()["results"]
    assert [one["result"] for one in told] == ["refused", "refused"]
    assert "task_description" in told[0]["reason"]
    assert "session_id" in told[1]["reason"]


def test_a_kind_that_is_not_known_is_not_found(client: httpx.Client) -> None:
    for kind in ("nonsense", "claude_hooks", "..%2f..", "planner_sessions.db"):
        answer = client.post(f"/v1/{kind}", json={"content": {}})
        assert answer.status_code == 404
        assert answer.json()["error"]["message"]
    assert client.post("/hooks/vim", json={}).status_code == 404
    assert client.post("/v1/outcomes?update=maybe", json=[]).status_code == 400


def test_a_stopped_session_has_its_transcript_read(project: Project, tmp_path: Path) -> None:
    transcript = tmp_path / "t.jsonl"
    line = {
        "type": "user", "uuid": "u1", "sessionId": "s9", "timestamp": "2026-11-21T10:00:00Z",
        "message": {"role": "user", "content": "hello"},
    }  # fmt: skip
    transcript.write_text(json.dumps(line) + "\n")
    stop = {"hook_event_name": "Stop", "session_id": "s9", "transcript_path": str(transcript)}
    with Server(project, intervals={"sync": 0.05}) as server, server.client() as client:
        client.post("/hooks/claude-code", json=stop)
        command = [sys.executable, "-m", "khive_persist.cli", "--dir", str(project.root)]
        for _ in range(200):
            done = subprocess.run(
                [*command, "query", "SELECT text FROM conversation", "--jsonl"],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if "hello" in done.stdout:
                break
        else:
            pytest.fail(server.log)


def rounds() -> list[object]:
    return [
        pytest.param(3, id="a few"),
        pytest.param(100, id="many", marks=pytest.mark.long),
    ]


@pytest.mark.parametrize("kills", rounds())
@pytest.mark.timeout(3600)
def test_killed_in_the_midst_of_load_nothing_acknowledged_is_lost(
    project: Project, kills: int
) -> None:
    acknowledged: set[str] = set()
    sent: dict[str, dict[str, Any]] = {}
    hooked: set[int] = set()
    counter = iter(range(10_000_000))
    turn = threading.Lock()

    def load(server: Server, answered: threading.Semaphore) -> None:
        with server.client() as client:
            try:
                while True:
                    with turn:
                        number = next(counter)
                    document = json.loads(event(number, size=1_500))
                    if number % 3:
                        answer = client.post("/hooks/claude-code", json=document)
                        assert answer.status_code == 200
                        hooked.add(number)
                    else:
                        id = f"00000000-0000-4000-8000-{number:012d}"
                        one = {"id": id, "tool": "claude-code", "payload": document}
                        sent[id] = one
                        answer = client.post("/v1/events", json=one)
                        (told,) = answer.json()["results"]
                        assert told["result"] in {"new", "spooled"}
                        if told["result"] == "new":
                            acknowledged.add(id)
                    answered.release()
            except httpx.TransportError:
                return

    some = random.Random(4)
    recorders = set()
    for number in range(kills):
        server = Server(project)
        recorders.add(recorder_of(server.process.pid))
        answered = threading.Semaphore(0)
        threads = [threading.Thread(target=load, args=(server, answered)) for _ in range(8)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(some.randint(40, 160)):
                assert answered.acquire(timeout=60), server.log
            if number % 3 == 2:
                # Not only the server: what it has handed over must not hang on its recorder either.
                os.kill(recorder_of(server.process.pid), signal.SIGKILL)
        finally:
            server.kill()
            for thread in threads:
                thread.join()
    # Each leaves when its server is gone, whatever was on its way between them.
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in recorders))
    with Server(project) as server, server.client() as client:
        told = [
            client.post("/v1/events", json=[sent[id] for id in list(sent)[at : at + 500]]).json()
            for at in range(0, len(sent), 500)
        ]
    words = {one["id"]: one["result"] for batch in told for one in batch["results"]}
    assert set(words.values()) <= {"new", "same"}
    drain(project)
    stored = hook_rows(project)
    numbers = [content["payload"]["number"] for content in stored.values()]
    assert len(acknowledged) > 5 * kills
    assert {words[id] for id in acknowledged} == {"same"}
    assert set(sent) <= set(stored)
    assert hooked <= set(numbers)
    assert len(numbers) == len(set(numbers))
    assert run(["--dir", str(project.root), "verify"]) == 0
