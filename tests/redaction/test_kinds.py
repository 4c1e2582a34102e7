"""Each kind of token is found, stands in docs/redaction.md with its source, and costs little."""

import json
import re
import time
from pathlib import Path

import pytest

from khive_persist.redaction import Redactor, search
from khive_persist.redaction.patterns import PATTERNS
from khive_persist.redaction.tokens import INFIXES, TOKENS, Infix, Token
from tests.cases import for_each
from tests.redaction.examples import BY_FORM
from tests.redaction.samples import example

REDACTOR = Redactor(b"the key of these tests")
DOCUMENT = (Path(__file__).parents[2] / "docs" / "redaction.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| `(\w+)` \| (.+) \| <https://\S+> \|$", DOCUMENT, re.MULTILINE))
# Those that names give are in a table of their own.
OTHERS = {"private_key", "cli_password", "cookie"}
BY_NAME = {"password"}
# A form of more than one kind, of which the first is told.
ALIKE = {"github_token", "jwt"}


def kinds() -> set[str]:
    of_patterns = {kind for pattern in PATTERNS for kind in pattern.kinds.split()}
    return {row.kind for row in (*TOKENS, *INFIXES)} | (of_patterns - BY_NAME) | OTHERS


def test_the_document_names_every_kind_with_its_source() -> None:
    assert set(ROWS) == kinds()
    assert len(ROWS) >= 120
    heads: dict[str, set[str]] = {}
    for token in TOKENS:
        heads.setdefault(token.kind, set()).update(token.heads.split())
    for kind, words in heads.items():
        assert set(re.findall(r"`([^`]+)`", ROWS[kind])) == words


@for_each("token", TOKENS)
def test_every_token_goes_whole(token: Token) -> None:
    for head in token.heads.split():
        secret = head + example(token.tail)
        assert_goes(secret, token.kind)


@pytest.mark.parametrize("infix", INFIXES, ids=lambda infix: infix.kind)
def test_every_token_with_a_literal_within_goes_whole(infix: Infix) -> None:
    assert_goes(example(infix.pattern), infix.kind)


@pytest.mark.parametrize(("kind", "head", "rest"), BY_FORM, ids=[row[0] for row in BY_FORM])
def test_tokens_as_long_as_vendors_make_them_go(kind: str, head: str, rest: str) -> None:
    assert_goes(head + rest, kind)


def assert_goes(secret: str, kind: str) -> None:
    text = f"it is {secret} here"
    for raw in (text, json.dumps({"a": text}), json.dumps(json.dumps([f"one\n{secret}\n"]))):
        redacted, counts = REDACTOR.redact_text(raw)
        assert sum(counts.values()) == 1
        assert counts.keys() <= {kind, *ALIKE}
        assert secret not in redacted
        assert REDACTOR.redact_text(redacted)[0] is redacted


def seconds(text: str) -> float:
    begin = time.thread_time()
    REDACTOR.redact_text(text)
    return time.thread_time() - begin


def is_linear(unit: str) -> bool:
    """Whether eight times the text takes far less than 64 times as long."""
    short, long = ((unit * (size // len(unit) + 1))[:size] for size in (1_500, 12_000))
    return seconds(long) < 24 * max(seconds(short), 0.002)


@pytest.mark.parametrize("number", range(len(search.rules())))
def test_no_rule_is_slower_than_linear(number: int) -> None:
    # The word alone, with what tails are made of, with what is between a name and a value, and in
    # a command.
    for word in search.rules()[number].words[:2]:
        for unit in (word, f"{word.upper()}aB1-", f'{word}":"', f"{word}=a -p "):
            # Others are at work, too: only what is slow again and again is slow.
            assert any(is_linear(unit) for _ in range(4)), unit
