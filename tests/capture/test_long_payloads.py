"""Payloads longer than is kept: read at little cost, with the same ends and fields."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khive_persist.capture import long_payloads
from khive_persist.capture.payload_to_row import normalise
from khive_persist.capture.spool import Event
from khive_persist.redaction import Redactor
from khive_persist.settings import Settings
from tests.hypotheses import examples

EVENT = Event("name", 1_763_716_516_123_456_789, "an-id", "claude-code", False, False)
REACH = 24
CHARACTERS = st.sampled_from(list('ab"\\/\n\0é日🚀'))
TEXTS = st.text(CHARACTERS, max_size=200)
DOCUMENTS = st.recursive(
    TEXTS | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)
)


@pytest.fixture
def short_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_payloads, "REACH_BYTES", REACH)


def is_text(document: Any) -> bool:
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def same(whole: Any, shortened: Any) -> bool:
    """Tell whether a document is another, but for the middles of its strings."""
    if isinstance(whole, str):
        return bool(whole[:1] == shortened[:1] and whole[-1:] == shortened[-1:])
    if isinstance(whole, list):
        return len(whole) == len(shortened) and all(map(same, whole, shortened))
    if isinstance(whole, dict):
        # Long keys may become alike.
        return len(whole) != len(shortened) or same([*whole.values()], [*shortened.values()])
    return bool(whole == shortened)


@pytest.mark.usefixtures("short_reach")
@settings(max_examples=examples(100), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=DOCUMENTS, is_ascii=st.booleans())
def test_a_shortened_document_is_one(document: Any, is_ascii: bool) -> None:
    text = json.dumps(document, ensure_ascii=is_ascii)
    raw = text.encode("utf-8", "replace")
    shortened = long_payloads.shorten(raw)
    assert same(json.loads(raw), json.loads(shortened))
    # No pair of escapes is torn: orjson would refuse the halves.
    assert is_text(json.loads(shortened)) or not is_text(document)


@settings(max_examples=examples(200))
@given(raw=st.binary(max_size=300) | st.text('"\\u[]{},a', max_size=300).map(str.encode))
def test_any_bytes_are_shortened(raw: bytes) -> None:
    assert len(long_payloads.shorten(raw)) <= len(raw)
    assert isinstance(long_payloads.is_heavy(raw), bool)


@pytest.mark.parametrize("filling", [b'"' * 3, b"\\", b'\\"', b"[", b'",'])
def test_the_time_is_linear(filling: bytes) -> None:
    """A cut string of quotes that are escaped has no end to be looked for again and again."""
    raw = b'{"x":"' + filling * 700_000
    long_payloads.is_heavy(raw)


@pytest.mark.usefixtures("short_reach")
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_another_encoding_stays_as_it_is(encoding: str) -> None:
    raw = json.dumps({"x": "é" * 500}, ensure_ascii=False).encode(encoding)
    assert long_payloads.shorten(raw) is raw


SECRET = "ghp_" + "A1b2" * 9
LINE = "🚀 a line of output, as key = value\n"


def content_of(raw: bytes, limits: Settings) -> dict[str, Any]:
    row = normalise(EVENT, raw, limits, Redactor(b"k" * 32))
    assert row[1] is not None
    content: dict[str, Any] = json.loads(row[1])
    return content


@pytest.mark.parametrize("is_ascii", [True, False])
def test_the_row_of_a_long_payload_is_that_of_the_whole(
    is_ascii: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = f"{SECRET}\n" + LINE * 40_000 + f"\n{SECRET}"
    payload = {"hook_event_name": "PostToolUse", "session_id": "s1", "tool_name": "Bash",
               "tool_input": {"command": "make"}, "tool_response": {"stdout": output},
               "tool_use_id": "t1"}  # fmt: skip
    raw = json.dumps(payload, ensure_ascii=is_ascii).encode()
    limits = Settings(capture_max_payload_bytes=300_000)
    content = content_of(raw, limits)
    assert len(long_payloads.shorten(raw)) < len(raw) / 2
    monkeypatch.setattr(long_payloads, "shorten", lambda raw: raw)
    assert content == content_of(raw, limits)
    assert content["payload"]["truncated"]["sha256"] == hashlib.sha256(raw).hexdigest()
    assert (content["session_id"], content["tool_use_id"]) == ("s1", "t1")
    assert SECRET not in json.dumps(content)


@pytest.mark.parametrize("begin", [b"", b"\xff"])
def test_the_ends_of_what_is_no_json_hold_no_secret(begin: bytes) -> None:
    raw = begin + f"{SECRET}\n{LINE * 40_000}\n{SECRET}".encode()
    content = content_of(raw, Settings(capture_max_payload_bytes=300_000))
    kept = content["payload"]["truncated"]
    assert content["payload"]["encoding"] == ("base64" if begin else "utf-8")
    assert kept["bytes"] == len(raw)
    assert len(kept["head"]) == len(kept["tail"]) == 65_536
    if not begin:
        assert kept["head"].startswith("[REDACTED:")
        assert kept["tail"].endswith("]")
    assert SECRET not in json.dumps(content)
