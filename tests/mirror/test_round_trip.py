"""From a database into the mirror and back into a database: every column as it was, to the byte."""

import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khive_persist.copies import mirrored
from khive_persist.mirror.rebuild import rebuild_databases, rebuild_mirror
from khive_persist.models.purposes import EVENT_FILES, PLANNER_SESSIONS, Purpose
from khive_persist.project import Project
from khive_persist.store.sqlite.connection import open_writer
from tests.exchange.test_round_trip import ODD
from tests.factories import make_project
from tests.hypotheses import examples
from tests.mirror.records import CLAUDE, CODEX, comparing, everything, rows, tree
from tests.store.old_files import ROWS

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def spelled(draw: st.DrawFn, value: Any) -> str:
    """JSON text as other programs lay it out: white space, escapes, other spellings of numbers."""
    text = json.dumps(
        value,
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, None, 2])),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,", ":\t")])),
    )
    begin, end = draw(st.sampled_from([("", ""), (" ", "\n"), ("\r\n", "")]))
    return f"{begin}{text}{end}"


SAMPLES = [
    "1e5", "1E+2", "-0.0", "-0", "1e400", "-1e400", "123456789012345678901234567890", "0.1e1",
    '{"a":1,"a":2}', '"\\ud800"', '{"\\udc00":"\\u00e9\\/"}', "[" * 253 + "]" * 253, "[]", "{}",
    "[" * 254 + "]" * 254, "[" * 900 + "]" * 900, "null", " null", "true", '""', '"\\u0000"',
    '{"session_id":"a","session_id":"b"}', '{"deleted":true}', '{"text":{"content":"x"}}',
    '{"dataModelVersion":1,"id":"x","purpose":"planner_sessions","deleted":true}', "5", "5.0",
    '"' + "x" * 300_000 + '"', '{"session_id":"' + "y" * 5_000 + '"}', '{"session_id":{}}',
]  # fmt: skip

COLUMN = st.none() | st.sampled_from(SAMPLES) | VALUES.flatmap(spelled)
# A session of its own now and then: each is a file.
SESSIONS = st.sampled_from(["s1", "s1", "s2", "", "../x", "2026_11_01_x"]) | TEXT
CONTENT = COLUMN | st.tuples(SESSIONS, VALUES).flatmap(
    lambda pair: spelled({"session_id": pair[0], "event_type": "stop", "value": pair[1]})
)
INSTANTS = (
    st.none()
    | st.datetimes().map(str)
    | st.datetimes().map(lambda instant: instant.isoformat() + "+02:00")
    | st.floats(allow_nan=False)
    | st.integers(-(2**63), 2**63 - 1)
    | TEXT
    | st.just("2026-11-01 12:00:00.000000")
)
IDS = st.sampled_from(["abcdefgh-1", "abcdefgh-2", "abcdefgh"]) | TEXT.filter(bool)
ROWS_OF_A_FILE = st.lists(
    st.tuples(IDS, CONTENT, COLUMN, INSTANTS, COLUMN), max_size=6, unique_by=lambda row: row[0]
)


def put(project: Project, purpose: Purpose, some: list[tuple[Any, ...]]) -> None:
    """As another program left them: without our indexes, which not all of them can have."""
    path = project.database(purpose.file)
    with closing(open_writer(path, purpose._replace(indexes=(), view=""))) as connection:
        connection.execute("BEGIN")
        connection.executemany(f"INSERT INTO {purpose.table} VALUES (?, ?, ?, ?, ?)", some)
        connection.execute("COMMIT")


def comes_back(project: Project) -> None:
    before = everything(project)
    assert rebuild_mirror(project, mirrored(project)).is_equal
    mirror = tree(project.sessions) if project.sessions.exists() else {}
    assert rebuild_mirror(project, mirrored(project)).rebuilt == ()
    assert mirror == (tree(project.sessions) if project.sessions.exists() else {})
    for purpose in (PLANNER_SESSIONS, *EVENT_FILES.values()):
        # What has no record has nothing to come back from.
        if before[purpose.name]:
            project.database(purpose.file).unlink()
    if any(before.values()):
        assert rebuild_databases(project, mirrored(project)).is_equal
    assert everything(project) == before
    with comparing(project) as comparison:
        assert list(comparison.differences()) == []


@settings(max_examples=examples(100))
@given(ROWS_OF_A_FILE, ROWS_OF_A_FILE, ROWS_OF_A_FILE)
def test_whatever_the_rows_are(
    plans: list[tuple[Any, ...]], claude: list[tuple[Any, ...]], codex: list[tuple[Any, ...]]
) -> None:
    with tempfile.TemporaryDirectory() as root:
        project = make_project(Path(root))
        for purpose, some in ((PLANNER_SESSIONS, plans), (CLAUDE, claude), (CODEX, codex)):
            put(project, purpose, some)
        comes_back(project)


@pytest.mark.parametrize("purpose", [PLANNER_SESSIONS, CLAUDE], ids=["documents", "streams"])
def test_odd_and_old_rows(project: Project, purpose: Purpose) -> None:
    old = [(r.id, r.content, r.node_metadata, r.created_at, r.embedding) for r in ROWS]
    odd = [(f"sample{n}", text, text, None, text) for n, text in enumerate(SAMPLES)]
    put(project, purpose, [*old, *odd, *((f"odd {r[0]}", *r[1:]) for r in ODD)])
    assert len(rows(project, purpose)) == len(old) + len(odd) + len(ODD)
    comes_back(project)


@pytest.mark.parametrize("purpose", [PLANNER_SESSIONS, CLAUDE], ids=["documents", "streams"])
def test_what_is_no_text_to_json_becomes_text(project: Project, purpose: Purpose) -> None:
    """The one thing that JSON has no spelling for: the text of a blob is kept, and its type not."""
    put(project, purpose, [("a", b'{"a":1}', b"\xff", None, b"")])
    assert rebuild_mirror(project, mirrored(project)).is_equal
    project.database(purpose.file).unlink()
    assert rebuild_databases(project, mirrored(project)).is_equal
    with closing(sqlite3.connect(project.database(purpose.file))) as connection:
        found = connection.execute(f"SELECT * FROM {purpose.table}").fetchall()
    assert found == [("a", '{"a":1}', "/w==", None, "")]
    assert Path(project.sessions).is_dir()
