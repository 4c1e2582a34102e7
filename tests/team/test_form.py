"""The forms of a record: of `metrics` no text but words of lists and hashes, whatever it has."""

import json
import re
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_persist.errors import InvalidSettingsError
from khive_persist.models.purposes import BUILT_IN, CONVERSATIONS, PLANNER_SESSIONS, SCORES
from khive_persist.prices import PriceTable
from khive_persist.redaction import Redactor
from khive_persist.settings import Settings
from khive_persist.team import form, kinds, known_words
from khive_persist.team.form import Forms, has_metrics
from khive_persist.trust.macs import KeyedHashes

# Every field that a rule names, and some that none does.
FIELDS = sorted(
    {name for rules in form._RULES.values() for name in rules}
    | {"name", "is_error", "exit_code", "ended_at", "input", "output", "text", "payload", "cwd"}
)
LETTERS = string.ascii_letters + "äß漢/._- \0\x9b"
TEXTS = st.text(LETTERS, min_size=4, max_size=20)
VALUES = st.recursive(
    TEXTS | st.integers() | st.floats() | st.booleans() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4)
    ),
    max_leaves=12,
)
CONTENTS = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=12)
HASH = re.compile(r"[0-9a-f]{32}|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}")


@pytest.fixture(scope="module")
def forms(first_home: Any) -> Forms:
    return Forms(KeyedHashes(), PriceTable(), Redactor(b"key"))


def metrics(forms: Forms, purpose: Any, content: Any) -> Any:
    return json.loads(forms.content("metrics", purpose, json.dumps(content), None))


@given(content=CONTENTS)
def test_no_text_leaves_whatever_the_fields_have(forms: Forms, content: dict[str, Any]) -> None:
    for purpose in BUILT_IN:
        for text in texts(metrics(forms, purpose, content)):
            assert HASH.fullmatch(text) or is_listed(text)


def is_listed(text: str) -> bool:
    return any(
        text in words
        for words in (
            known_words.CLIENTS, known_words.ROLES, known_words.MESSAGE_KINDS,
            known_words.AGENT_TYPES, known_words.COMPLEXITIES, known_words.TOOL_NAMES,
            known_words.event_types(),
        )
    )  # fmt: skip


def texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in items for text in texts(item)]


@pytest.mark.parametrize("content", ["no JSON", "[1, 2]", '"text"', "1e400", None])
def test_what_is_no_object_has_no_metrics(forms: Forms, content: str | None) -> None:
    assert forms.content("metrics", CONVERSATIONS, content, None) == "{}"
    json.loads(forms.content("all", CONVERSATIONS, content, None))


def test_the_metrics_of_a_message(forms: Forms) -> None:
    content = {
        "tool": "claude-code", "role": "assistant", "text": "a secret", "cwd": "/home/ann",
        "model": "us.anthropic.claude-opus-4-8-v1:0", "tokens": {"input": 1_000_000, "mine": 3},
        "tool_calls": [
            {"name": "Bash", "input": {"command": "ls"}}, {"name": "mcp__acme__pay", "input": {}},
        ],
    }  # fmt: skip
    found = metrics(forms, CONVERSATIONS, content)
    bash, other = found.pop("tool_calls")
    assert bash == {"name": "Bash"}
    assert HASH.fullmatch(other["name"])
    assert found == {
        "tool": "claude-code", "role": "assistant", "model": "claude-opus-4-8",
        "tokens": {"input": 1_000_000}, "cost_usd": 5.0,
    }  # fmt: skip


def test_the_numbers_of_a_plan(forms: Forms) -> None:
    content = {
        "session_id": "s1", "task_description": "x", "complexity": "simple", "confidence": 0.5,
        "planning_cost": "much", "agent_count": 3, "phases": [{"name": "build"}, "review"],
        "evaluations": [{"config": {"name": "opus"}, "cost": 0.2, "response_time_ms": 9}],
    }  # fmt: skip
    found = metrics(forms, PLANNER_SESSIONS, content)
    assert HASH.fullmatch(found.pop("session_id"))
    assert found == {
        "complexity": "simple", "confidence": 0.5, "agent_count": 3, "phases": [{}, {}],
        "evaluations": [{"cost": 0.2, "response_time_ms": 9}],
    }  # fmt: skip


@pytest.mark.parametrize(
    "model", ["ft:gpt-4o:acme", "/home/ann/llama.gguf", "gpt-4o-acme", "acme.anthropic.claude-x"]
)
def test_a_model_of_a_persons_own_is_a_name(model: str) -> None:
    assert known_words.model_name(model) is None


def test_a_hash_hangs_on_the_key_and_the_kind(forms: Forms) -> None:
    hashes = KeyedHashes()
    assert hashes.of("session", "a") == hashes.of("session", "a")
    assert len({hashes.of("session", "a"), hashes.of("agent", "a"), hashes.of("session", "b")}) == 3


def test_kinds_are_told_by_the_first_rule_that_fits() -> None:
    settings = Settings(team_url="https://a.test", team_form="metrics",
                        team_kinds=("messages form=all", "* form=redacted"))  # fmt: skip
    found = kinds.forms_of(settings, [CONVERSATIONS, SCORES])
    assert found == {"conversations": "all", "scores": "redacted"}
    # Of scores nothing is in the list of what leaves.
    assert not has_metrics(SCORES)
    assert kinds.forms_of(settings._replace(team_kinds=()), [SCORES]) == {"scores": "off"}
    assert kinds.forms_of(settings._replace(team_url=""), [CONVERSATIONS]) == {
        "conversations": "off"
    }
    assert not kinds.sends(Settings(team_url="https://a.test"))


@pytest.mark.parametrize("rule", ["", "messages", "messages form=some", "messages a=b", "a b c"])
def test_a_rule_that_is_none_is_refused(rule: str) -> None:
    with pytest.raises(InvalidSettingsError, match=r"team\.kinds"):
        kinds.parse(rule)
