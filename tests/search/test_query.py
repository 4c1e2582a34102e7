"""The language of searches: its tree, its expression of FTS5 and SQL, what is refused."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_persist.errors import InvalidQueryError
from khive_persist.search_index.expression import compiled
from khive_persist.search_index.query import All, AnyOf, Criterion, Not, Term, parse


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("deadlock", Term("deadlock")),
        ("database locked", All((Term("database"), Term("locked")))),
        ("a AND b", All((Term("a"), Term("b")))),
        ("a and b", All((Term("a"), Term("and"), Term("b")))),
        ("a OR b c", AnyOf((Term("a"), All((Term("b"), Term("c")))))),
        ("(a OR b) c", All((AnyOf((Term("a"), Term("b"))), Term("c")))),
        ("a NOT b", All((Term("a"), Not(Term("b"))))),
        ("a NOT (b OR c)", All((Term("a"), Not(AnyOf((Term("b"), Term("c"))))))),
        ('"database is locked"', Term("database is locked")),
        ("lock*", Term("lock", True)),
        ('"is lock"*', Term("is lock", True)),
        ("tool:Bash", Criterion("tool", "Bash")),
        ('path:"a file.py" x', All((Criterion("path", "a file.py"), Term("x")))),
        ("failed:yes", Criterion("failed", True)),
        ("since:2026-11-01", Criterion("since", datetime(2026, 11, 1, tzinfo=UTC))),
        ("(tool:Bash OR kind:error)", AnyOf((
            Criterion("tool", "Bash"), Criterion("kind", "error")))),
        # What is copied out of a log is words.
        ("TypeError: f(x) at C:\\x", All((
            Term("TypeError:"), Term("f(x)"), Term("at"), Term("C:\\x")))),
        ("(parse(x) OR y)", AnyOf((Term("parse(x)"), Term("y")))),
        ("path: is missing", All((Term("path"), Term("is"), Term("missing")))),
        ("a)", Term("a)")),
        ("http://localhost:80/", Term("http://localhost:80/")),
        ("a -- ++ b", All((Term("a"), Term("b")))),
        ("a\0b", All((Term("a"), Term("b")))),
        ("NOTE ANDROID ORDER", All((Term("NOTE"), Term("ANDROID"), Term("ORDER")))),
    ],
)  # fmt: skip
def test_a_text_has_one_tree(text: str, part: object) -> None:
    assert parse(text).part == part


@pytest.mark.parametrize(
    "text",
    [
        "", "  ", "++ --", '"open', "(a", ") a", "a OR", "OR a", "AND a", "a AND", "NOT", "a NOT",
        "failed:maybe", "since:yesterday", "kind:letters", "path:a", "()", "((((", "a " * 100,
        "x" * 10_000_001, "(" * 100 + "a" + ")" * 100, "NOT " * 1_000 + "a",
    ],
)  # fmt: skip
def test_what_cannot_be_searched_for_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InvalidQueryError) as refusal:
        parse(text)
    assert len(str(refusal.value).splitlines()) == 1
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("deadlock", '"deadlock"'),
        ("database-lock", '"database lock"'),
        ("parseConfig", '("parseConfig" OR "parse Config")'),
        ("a b NOT c", '("a" AND "b") NOT ("c")'),
        ("a OR b*", '("a" OR "b" *)'),
        ("検索", '"検索"'),
        ("検索語", '("検索語" OR "検索 索語")'),
        ("検", '"検" *'),
        ('a"b', None),
    ],
)
def test_words_become_an_expression(text: str, match: str | None) -> None:
    if match is None:
        with pytest.raises(InvalidQueryError):
            parse(text)
        return
    assert compiled(parse(text)).match == match


EMPTY_INDEX = """
CREATE TABLE sessions (number INTEGER PRIMARY KEY, session_id TEXT UNIQUE);
CREATE TABLE records (number INTEGER PRIMARY KEY, purpose TEXT, record_id TEXT, digest BLOB);
CREATE TABLE passages (number INTEGER PRIMARY KEY, record INTEGER, session INTEGER, kind TEXT,
    role TEXT, client TEXT, tool_name TEXT, agent_id TEXT, created_at TEXT, failed INTEGER,
    text BLOB);
CREATE VIRTUAL TABLE words USING fts5(text, parts, content='',
    tokenize='unicode61 remove_diacritics 2');
CREATE VIRTUAL TABLE substrings USING fts5(text, content='', tokenize='trigram');
"""
ATOMS = st.sampled_from(
    ["a", '"', "(", ")", "AND", "OR", "NOT", "*", "tool:", "path:abc", "failed:no", "fooBar",
     "検索", "x*", "-", "NEAR", "{", "text:", ":", "^", "'", "\0", "\ud800", "agent:main",
     "session:1"]
)  # fmt: skip


@given(st.one_of(st.lists(ATOMS, max_size=12).map(" ".join), st.text(max_size=60)))
def test_nothing_that_is_typed_is_an_error_of_sqlite(text: str) -> None:
    with closing(sqlite3.connect(":memory:")) as index:
        index.executescript(EMPTY_INDEX)
        try:
            query = compiled(parse(text))
        except InvalidQueryError:
            return
        assert index.execute(*query.best(1)).fetchall() == []
        assert index.execute(*query.counting()).fetchone() == (0,)
