"""Large bodies are read beside the server: it answers the others meanwhile."""

import json
import os
import signal
from pathlib import Path

import httpx
import pytest

from khive_persist.server.preparer import INLINE_BYTES, PREPARING
from tests.server.process import Server, children
from tests.server.sessions import begin, one_of

VALUES = 400_000


def preparers(server: Server) -> list[int]:
    found = []
    for pid in children(server.process.pid):
        if PREPARING.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            found.append(pid)
    return found


def used(pid: int) -> int:
    """The processor time of a process, in ticks."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(words[11]) + int(words[12])


def batches(session: str) -> dict[str, list[object]]:
    large = ["x" * INLINE_BYTES]
    outcome = {"session_id": "s", "verdict": "success", "large": large}
    return {
        "/v1/events": [
            {"id": "a", "tool": "codex", "payload": {"session_id": "s", "large": large}},
            {"id": "b", "tool": "vim", "payload": 1},
        ],
        "/v1/outcomes": [{"id": "a", "content": outcome}, {"content": {}}],
        f"/v1/application_sessions/{session}/messages": [
            {**one_of("messages"), "id": "a", "large": large}, {"role": 7},
        ],
    }  # fmt: skip


def test_a_large_batch_is_answered_as_a_small_one_is(server: Server, client: httpx.Client) -> None:
    for path, batch in batches(begin(client)).items():
        for word in ("new", "same"):
            answer = client.post(path, json=batch)
            assert answer.status_code == 200, answer.text
            assert [one["result"] for one in answer.json()["results"]] == [word, "refused"]
        for content, status in ((b"[" * INLINE_BYTES * 2, 400), (b"[7," * 50_000 + b"7]", 400)):
            headers = {"content-type": "application/json"}
            refused = client.post(path, content=content, headers=headers)
            assert (refused.status_code, refused.json()["error"]["code"]) == (status, "not_json")
        many = client.post(path, content=json.dumps([7] * 100_000), headers=headers)
        assert (many.status_code, many.json()["error"]["code"]) == (413, "too_many")
    assert len(preparers(server)) == 1
    assert "internal_error" not in server.log


def test_who_reads_large_bodies_is_replaced_where_it_ends(
    server: Server, client: httpx.Client
) -> None:
    ((path, batch), *_) = batches(begin(client)).items()
    assert client.post(path, json=batch).json()["counts"] == {"new": 1, "refused": 1}
    (first,) = preparers(server)
    os.kill(first, signal.SIGKILL)
    answers = [client.post(path, json=batch) for _ in range(3)]
    assert {one.status_code for one in answers[:-1]} <= {200, 503}
    assert answers[-1].json()["counts"] == {"same": 1, "refused": 1}
    (second,) = preparers(server)
    assert second != first


@pytest.mark.parametrize("path", ["/v1/events", "/v1/outcomes"])
def test_the_server_itself_does_not_make_the_values_of_a_large_body(
    path: str, server: Server, client: httpx.Client
) -> None:
    headers = {"content-type": "application/json"}
    content = b'{"odd":[' + b'{"a":[1,2]},' * VALUES + b"0]}"
    client.post(path, content=b"[" + b" " * INLINE_BYTES + b"]", headers=headers)
    (preparer,) = preparers(server)
    before = used(server.process.pid), used(preparer)
    assert client.post(path, content=content, headers=headers).json()["counts"] == {"refused": 1}
    assert used(server.process.pid) - before[0] < used(preparer) - before[1]
