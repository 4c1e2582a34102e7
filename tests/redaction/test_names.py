"""A value is judged by its name, then by its form; ids and paths stay."""

import json

import pytest

from khive_persist.redaction import Redactor
from tests.cases import for_each
from tests.redaction.examples import (
    BY_NAME,
    BY_SURROUNDINGS,
    HARMLESS,
    PATHS,
    PLACES,
)  # fmt: skip

REDACTOR = Redactor(b"the key of these tests")
TOKEN = "ghp" + "_" + "A1b2" * 9
EXAMPLES = [row[1:] for row in BY_NAME + BY_SURROUNDINGS]


def placeholder(redacted: str) -> str:
    start = redacted.index("[REDACTED:")
    return redacted[start : redacted.index("]", start) + 1]


@for_each(("text", "secret"), EXAMPLES)
def test_the_secret_goes_and_nothing_else(text: str, secret: str) -> None:
    before, after = text.format("\0").split("\0")
    redacted, counts = REDACTOR.redact_text(before + secret + after)
    assert sum(counts.values()) == 1
    assert redacted == before + placeholder(redacted) + after
    assert REDACTOR.redact_text(redacted)[0] is redacted


@for_each(("text", "secret"), EXAMPLES)
def test_it_goes_from_json_in_json_in_json(text: str, secret: str) -> None:
    document = json.dumps({"command": text.format(secret), "n": 1.50})
    for _ in range(3):
        redacted, counts = REDACTOR.redact_json(document)
        assert sum(counts.values()) == 1
        assert json.dumps(secret)[1:-1] not in redacted
        json.loads(redacted)
        document = json.dumps({"output": document, "é": "\n"})


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text: str) -> None:
    assert REDACTOR.redact_text(text) == (text, {})
    raw = json.dumps({"a": text, "b": json.dumps({"c": text})})
    assert REDACTOR.redact_json(raw) == (raw, {})


@pytest.mark.parametrize("key", PLACES)
@pytest.mark.parametrize("value", [TOKEN, f"run-{TOKEN}"])
def test_ids_stay(key: str, value: str) -> None:
    for document in ({key: value}, {"a": [{key: value, "b": None}]}, json.dumps({key: value})):
        raw = json.dumps(document)
        assert REDACTOR.redact_json(raw) == (raw, {})


@pytest.mark.parametrize("key", PATHS)
@pytest.mark.parametrize("value", [f"/home/{TOKEN}/a.py", "/srv/api_key=abc12345def/x"])
def test_paths_stay(key: str, value: str) -> None:
    for document in ({key: value}, {"a": [{key: value, "b": None}]}, json.dumps({key: value})):
        raw = json.dumps(document)
        assert REDACTOR.redact_json(raw) == (raw, {})


def test_lists_of_paths_stay_and_what_is_beside_them_goes() -> None:
    raw = json.dumps({"file_paths": ["/a/b", f"/home/{TOKEN}"], "content": TOKEN})
    redacted, counts = REDACTOR.redact_json(raw)
    assert counts == {"github_token": 1}
    assert json.loads(redacted)["file_paths"] == ["/a/b", f"/home/{TOKEN}"]
    assert TOKEN not in json.loads(redacted)["content"]


@pytest.mark.parametrize(
    "document",
    [
        {"id": TOKEN},
        {"path": f"https://bob:{TOKEN}@x.example/a"},
        {"path": f"/v1/x?access={TOKEN}"},
        {"access_key_id": "AKIA" + "A1B2" * 4},
        {"file_paths": [], "text": TOKEN},
        {"file_path": "/a", "text": f"/home/{TOKEN}"},
        {"cwd": {"text": TOKEN}},
    ],
)
def test_a_secret_beside_an_id_or_a_path_or_in_a_url_goes(document: object) -> None:
    redacted, counts = REDACTOR.redact_json(json.dumps(document))
    assert sum(counts.values()) == 1
    assert TOKEN not in redacted
    assert "AKIA" not in redacted
