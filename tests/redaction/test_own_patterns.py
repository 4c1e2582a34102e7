"""A person's own expressions: what they take and leave, and what happens when time is up."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from khive_persist import settings
from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.errors import InvalidSettingsError
from khive_persist.maintenance.doctor.report import examine
from khive_persist.project import Project
from khive_persist.redaction import Redactor, own_patterns

KEY = b"the key of these tests"
# Each way to split the letters is tried, as no text that ends otherwise matches.
ENDLESS = "(?:a|aa)+[bc]"
LETTERS = "a" * 60 + "d"


@pytest.fixture(autouse=True)
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """As what has no end has none after a quarter of a second either."""
    monkeypatch.setattr(own_patterns, "MATCH_SECONDS", 0.05)
    monkeypatch.setattr(own_patterns, "DOCUMENT_SECONDS", 0.3)


@pytest.fixture
def usual_recursion() -> Iterator[None]:
    """The interpreter's own limit, which other tests' tools may have raised."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000)
    yield
    sys.setrecursionlimit(before)


def test_what_deny_matches_goes_from_each_string() -> None:
    raw = json.dumps(
        {"a": 'see ACME-12 and "ACME-3"', "session_id": "ACME-4", "n": 12, "ACME-5": 1}
    )
    redacted, counts = Redactor(KEY, deny=[r"ACME-\d+"]).redact_json(raw)
    assert counts == {"denied": 2}
    document = json.loads(redacted)
    assert document.pop("session_id") == "ACME-4"
    assert "ACME" not in document["a"]
    assert document["n"] == 12


@pytest.mark.parametrize("expression", [".*", r"(?s).*", '"', r"\W+", "[a-z ]+"])
@pytest.mark.parametrize("levels", [0, 1, 2])
def test_whatever_deny_matches_the_result_is_json_and_stays(expression: str, levels: int) -> None:
    raw = json.dumps({"a b": 'x "y"\n\\ é \ud83d\ude00', "n": [1.50, None], "cwd": "/home/a"})
    for _ in range(levels):
        raw = json.dumps({"output": raw})
    redactor = Redactor(KEY, deny=[expression])
    redacted, counts = redactor.redact_json(raw)
    assert counts.keys() == {"denied"}
    json.loads(redacted)
    assert redactor.redact_json(redacted) == (redacted, {})


def test_a_text_that_deny_has_no_time_for_goes_as_a_whole() -> None:
    redactor = Redactor(KEY, deny=["ACME", ENDLESS])
    raw = json.dumps(
        {"session_id": "s1", "tool_input": {"command": f"echo {LETTERS}"}, "b": "fine"}
    )
    redacted, counts = redactor.redact_json(raw)
    assert counts == {"out_of_time_deny_2": 1}
    document = json.loads(redacted)
    assert document["tool_input"]["command"].startswith("[REDACTED:out_of_time_deny_2:")
    assert (document["session_id"], document["b"]) == ("s1", "fine")
    assert redactor.redact_json(redacted) == (redacted, {})
    assert LETTERS not in redactor.redact_text(LETTERS)[0]
    assert LETTERS.encode() not in redactor.redact_bytes(LETTERS.encode())[0]


def test_a_document_of_many_such_texts_has_a_limit_and_none_is_let_through() -> None:
    raw = json.dumps({"lines": [LETTERS] * 200, "cwd": "/home/a", "é ü": LETTERS})
    begin = time.thread_time()
    redacted, counts = Redactor(KEY, deny=[ENDLESS]).redact_json(raw)
    assert time.thread_time() - begin < 5
    assert counts == {"out_of_time_deny_1": 202}
    assert LETTERS not in redacted
    assert json.loads(redacted)["cwd"] == "/home/a"


def test_what_allow_has_no_time_for_is_redacted_and_counted() -> None:
    secret = "a" * 60 + "1"
    redacted, counts = Redactor(KEY, allow=[ENDLESS]).redact_text(f"password={secret}")
    assert counts == {"password": 1, "out_of_time_allow_1": 1}
    assert secret not in redacted


@pytest.mark.parametrize("setting", ["allow", "deny"])
@pytest.mark.parametrize("expression", ["(", "(" * 5_000 + ")" * 5_000])
def test_a_wrong_expression_is_named(
    setting: str, expression: str, tmp_path: Path, usual_recursion: None
) -> None:
    with pytest.raises(InvalidSettingsError, match=f"redaction.{setting}: .*is not a regular"):
        Redactor(KEY, **{setting: [expression]})
    config = tmp_path / "config.toml"
    config.write_text(f"[redaction]\n{setting} = ['{expression}']\n")
    with pytest.raises(InvalidSettingsError, match=f"redaction.{setting}"):
        settings.load(config)


async def test_the_drain_goes_on_and_doctor_names_the_expression(project: Project) -> None:
    project.local_config.write_text(f"[redaction]\ndeny = ['x', '{ENDLESS}']\n")
    for command in (LETTERS, "echo hello"):
        payload: dict[str, object] = {
            "hook_event_name": "PreToolUse",
            "session_id": "s1",
            "tool_name": "Bash",
        }
        payload["tool_input"] = {"command": command}
        Spool(project).accept("claude-code", json.dumps(payload).encode())
    drained = drain(project)
    assert (drained.waiting_count, drained.errors) == (0, ())
    contents = project.database("claude_hooks.db").read_bytes()
    assert LETTERS.encode() not in contents
    problems = (await examine(project)).problems
    assert any("expression 2 of redaction.deny ran out of time on 1 rows" in p for p in problems)
