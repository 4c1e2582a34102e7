"""Whatever a tool sends is stored: as it came, or marked with the reason why not."""

import base64
import hashlib
import json
import sqlite3
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khive_persist.capture.drain import drain
from khive_persist.capture.payload_to_row import normalise
from khive_persist.capture.spool import Event, Spool
from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.project import Project
from khive_persist.redaction import Redactor
from khive_persist.settings import Settings
from tests.hypotheses import examples

EVENT = Event("name", 1_763_716_516_123_456_789, "an-id", "claude-code", False, False)
REDACTOR = Redactor(b"k" * 32)
DEFAULTS = Settings()


def content_of(
    raw: bytes, tool: str = "claude-code", limits: Settings = DEFAULTS
) -> dict[str, Any]:
    row = normalise(EVENT._replace(tool=tool), raw, limits, REDACTOR)
    assert row[1] is not None
    content: dict[str, Any] = json.loads(row[1])
    return content


def document(value: str) -> bytes:
    return b'{"hook_event_name":"Stop","session_id":"s1","x":' + value.encode() + b"}"


VALID = {
    "1.0 stays 1.0": document("1.0"),
    "a huge integer": document("1" + "0" * 1000),
    "an integer of 9,000 digits": document("9" * 9_000),
    "a number beyond a double": document("1e1000"),
    "a lone surrogate": document('"\\ud800"'),
    "duplicate keys": document('1,"x":2,"session_id":"s1"'),
    "an escaped NUL": document('"\\u0000"'),
    "100,000 keys": document("{" + ",".join(f'"k{n}":{n}' for n in range(100_000)) + "}"),
    "900 levels": document("[" * 900 + "]" * 900),
    "white space": b'\r\n\t {"hook_event_name" : "Stop",\n "session_id":"s1"} \n\n',
    "not ASCII": document('"日本 é \U0001f680"'),
}


@pytest.mark.parametrize("raw", VALID.values(), ids=VALID.keys())
def test_valid_json_is_kept_to_the_letter(raw: bytes) -> None:
    row = normalise(EVENT, raw, Settings(), REDACTOR)
    assert row[1] is not None
    assert raw.decode().strip() in row[1]
    content = json.loads(row[1], parse_int=str)
    assert (content["event_type"], content["session_id"]) == ("stop", "s1")


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        (b"\xef\xbb\xbf" + document("1"), "utf-8-sig"),
        (document('"é"').decode().encode("utf-16"), "utf-16"),
        (document('"é"').decode().encode("utf-16-le"), "utf-16-le"),
        (document('"é"').decode().encode("utf-16-be"), "utf-16-be"),
        (document('"é"').decode().encode("utf-32"), "utf-32"),
    ],
)
def test_json_in_another_encoding_is_read_and_marked(raw: bytes, encoding: str) -> None:
    content = content_of(raw)
    assert content["event_type"] == "stop"
    assert content["metadata"]["encoding"] == encoding
    assert content["payload"]["session_id"] == "s1"


UNPARSED = {
    "empty": b"",
    "white space": b" \n",
    "not JSON": b"hello, world",
    "two documents": b'{"a":1}{"b":2}',
    "two lines": b'{"a":1}\n{"b":2}\n',
    "cut": b'{"hook_event_name":"Stop","se',
    "NaN": document("NaN"),
    "Infinity": document("-Infinity"),
    "a bare NUL": document('"\0"'),
    "10,000 levels": b"[" * 10_000 + b"]" * 10_000,
    "1,500 levels": document("[" * 1_500 + "]" * 1_500),
}
UNDECODABLE = {
    "cut UTF-8": '{"x":"é"}'.encode()[:7],
    "overlong UTF-8": b'{"x":"\xc0\xaf"}',
    "an encoded surrogate": b'{"x":"\xed\xa0\x80"}',
    "random bytes": bytes(range(256)) * 4,
    "a UTF-16 mark and half a character": b"\xff\xfe{",
}


@pytest.mark.parametrize("raw", UNPARSED.values(), ids=UNPARSED.keys())
def test_what_is_no_json_keeps_its_text(raw: bytes) -> None:
    content = content_of(raw)
    assert content["event_type"] == "unparsed"
    assert content["metadata"]["reason"]
    assert content["payload"] == {"encoding": "utf-8", "data": raw.decode()}


@pytest.mark.parametrize("raw", UNDECODABLE.values(), ids=UNDECODABLE.keys())
def test_what_is_no_text_keeps_its_bytes(raw: bytes) -> None:
    payload = content_of(raw)["payload"]
    assert payload["encoding"] == "base64"
    assert base64.b64decode(payload["data"]) == raw


BASH = {"hook_event_name": "PreToolUse", "session_id": "s1", "tool_name": "Bash",
        "tool_input": {"command": "cat é.txt"}}  # fmt: skip


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(0, 200), st.binary(min_size=1, max_size=4))
def test_bad_bytes_cost_no_field(at: int, bad: bytes) -> None:
    """Inside of a text of the payload: all else is read, and the bytes are kept exactly."""
    text = json.dumps(BASH | {"note": "x" * 200}, ensure_ascii=False).encode()
    begin = text.index(b"x" * 200)
    raw = (
        text[: begin + at]
        + b"\xff"
        + bad.replace(b'"', b"").replace(b"\\", b"")
        + text[begin + at :]
    )
    if any(byte < 32 for byte in bad):
        return
    content = content_of(raw)
    assert content["event_type"] == "pre_command"
    assert (content["session_id"], content["command"]) == ("s1", "cat é.txt")
    assert content["metadata"]["bad_bytes"].startswith("not utf-8: invalid start byte at byte ")
    assert content["payload"]["encoding"] == "base64"
    assert base64.b64decode(content["payload"]["data"]) == raw


def test_bad_bytes_do_not_keep_a_secret_nor_pass_the_limit() -> None:
    secret = "ghp_" + "A1b2" * 9
    command = json.dumps(BASH | {"tool_input": {"command": f"echo {secret}"}}).encode()
    raw = command.replace(b"echo", b"echo \xff")
    row = normalise(EVENT, raw, Settings(), REDACTOR)
    content = json.loads(row[1] or "")
    assert content["command"].startswith("echo \ufffd [REDACTED:")
    assert secret.encode() not in base64.b64decode(content["payload"]["data"])
    assert list(json.loads(row[2] or "")["redacted"].values()) == [1]
    long = json.dumps(BASH | {"note": "x" * 50_000}).encode().replace(b"xx", b"x\xff", 1)
    content = content_of(long, limits=Settings(capture_max_payload_bytes=8_192))
    assert (content["command"], content["metadata"]["truncated"]) == ("cat é.txt", True)
    assert content["payload"]["truncated"]["sha256"] == hashlib.sha256(long).hexdigest()


@pytest.mark.parametrize("raw", [b"[1,2]", b"null", b'"text"', b"17", b"true"])
def test_json_that_is_no_object_is_kept_and_marked(raw: bytes) -> None:
    content = content_of(raw)
    assert content["event_type"] == "unknown"
    assert content["metadata"]["reason"]
    assert content["payload"] == json.loads(raw)


@pytest.mark.parametrize("id", ["../..", "/etc/passwd", "x" * 5_000, "a\nb", "a\0b", ""])
@pytest.mark.parametrize("tool", list(HOOK_EVENTS))
def test_odd_session_ids_are_data(id: str, tool: str) -> None:
    raw = json.dumps({"hook_event_name": "Stop", "session_id": id}).encode()
    content = content_of(raw, tool)
    assert content["payload"]["session_id"] == id
    assert content.get("session_id", "") == id


@pytest.mark.parametrize("id", [None, 17, ["s"], {"s": 1}, True])
def test_a_session_id_that_is_no_text_stays_in_the_payload(id: object) -> None:
    content = content_of(json.dumps({"hook_event_name": "Stop", "session_id": id}).encode())
    assert content["payload"]["session_id"] == id
    assert "session_id" not in content


def test_a_payload_above_the_limit_keeps_its_ends_its_size_and_its_digest() -> None:
    text = "head" + "x" * 200_000 + "tail"
    raw = json.dumps({"hook_event_name": "PreToolUse", "tool_name": "Bash", "session_id": "s1",
                      "tool_input": {"command": text}}).encode()  # fmt: skip
    content = content_of(raw, limits=Settings(capture_max_payload_bytes=8_192))
    assert content["event_type"] == "pre_command"
    assert content["session_id"] == "s1"
    assert content["metadata"]["truncated"] is True
    assert content["metadata"]["cut_fields"] == ["command"]
    kept = content["payload"]["truncated"]
    assert kept["bytes"] == len(raw)
    assert kept["sha256"] == hashlib.sha256(raw).hexdigest()
    assert raw.decode().startswith(kept["head"])
    assert raw.decode().endswith(kept["tail"])
    assert len(kept["head"]) + len(kept["tail"]) <= 8_192
    assert len(json.dumps(content)) < 50_000


def test_secrets_do_not_pass_by_way_of_what_is_no_json() -> None:
    secret = "ghp_" + "A1b2" * 9
    for raw in (
        f"no json {secret}".encode(),
        f'{{"x":"{secret}"'.encode(),
        f"no json {secret}".encode("utf-16"),
        b"\xff" + secret.encode(),
    ):
        row = normalise(EVENT, raw, Settings(), REDACTOR)
        assert row[1] is not None
        kept = json.loads(row[1])["payload"]
        data = kept["data"].encode()
        data = base64.b64decode(data) if kept["encoding"] == "base64" else data
        assert secret.encode() not in data.replace(b"\0", b"")
        assert json.loads(row[2] or "")["redacted"]


def test_all_of_it_goes_into_the_database_and_can_be_asked(project: Project) -> None:
    spool = Spool(project)
    raws = [*VALID.values(), *UNPARSED.values(), *UNDECODABLE.values(), b"x" * 30_000_000]
    ids = {spool.accept("claude-code", raw).id for raw in raws}
    result = drain(project)
    assert (result.stored_count, result.waiting_count, result.errors) == (len(raws), 0, ())
    connection = sqlite3.connect(project.database("claude_hooks.db"))
    found = {
        row[0] for row in connection.execute("SELECT id FROM hook_events WHERE json_valid(content)")
    }
    types = dict(connection.execute("SELECT event_type, count(*) FROM events GROUP BY 1"))
    check = connection.execute("PRAGMA integrity_check").fetchone()[0]
    connection.close()
    assert found == ids
    assert types["stop"] == len(VALID)
    assert check == "ok"


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FLOATS | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)
NAMES = st.sampled_from(
    [
        "PreToolUse",
        "PostToolUse",
        "Stop",
        "BeforeTool",
        "AfterTool",
        "BeforeModel",
        "AfterModel",
        "?",
    ]
)
KEYS = st.sampled_from(
    ["session_id", "tool_name", "tool_input", "tool_response", "cwd", "error", "duration_ms",
     "llm_request", "llm_response", "agent_id", "model", "prompt_id", "transcript_path"]
)  # fmt: skip


@settings(max_examples=examples(300), deadline=None)
@given(
    tool=st.sampled_from(list(HOOK_EVENTS)),
    payload=st.dictionaries(KEYS | st.text(max_size=5), JSON),
    name=NAMES | JSON,
)
def test_any_object_becomes_a_row_with_its_payload_unchanged(
    tool: str, payload: dict[str, Any], name: Any
) -> None:
    raw = json.dumps(payload | {"hook_event_name": name}).encode()
    row = normalise(EVENT._replace(tool=tool), raw, Settings(gemini_model_events="full"), None)
    assert row[1] is not None
    content = json.loads(row[1])
    assert content["payload"] == json.loads(raw)
    assert isinstance(content["event_type"], str)
    connection = sqlite3.connect(":memory:")
    assert connection.execute("SELECT json_valid(?)", (row[1],)).fetchone()[0] == 1
    connection.close()


@settings(max_examples=examples(300), deadline=None)
@given(raw=st.binary(max_size=200))
def test_any_bytes_become_a_row(raw: bytes) -> None:
    content = content_of(raw)
    if content["event_type"] == "unparsed" or "bad_bytes" in content.get("metadata", {}):
        kept = content["payload"]
        data = kept["data"].encode()
        assert (base64.b64decode(data) if kept["encoding"] == "base64" else data) == raw
