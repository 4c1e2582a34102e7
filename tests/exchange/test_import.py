"""What comes in, from where, and what is refused."""

import gzip
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from khive_persist.capture.spool import Spool
from khive_persist.errors import InvalidFileError, StoreBusyError
from khive_persist.mirror.document import to_document
from khive_persist.models.purposes import HOOK_EVENTS, PLANNER_SESSIONS, purpose
from khive_persist.project import Project
from tests.exchange.documents import write_document
from tests.exchange.rows import (
    CLAUDE,
    METADATA,
    PLANS,
    everything,
    made,
    put,
    read,
    row,
    stored,
    write,
)
from tests.store import old_files
from tests.store.old_files import MALFORMED, ROWS

SECRET = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2
SECRET = SECRET[:40]
IMPORT = """
import sys, anyio
from pathlib import Path
from khive_persist.transfer.import_ import import_rows
from khive_persist.project import Project

def wait(count):
    print(count, flush=True)
    sys.stdin.read()

async def run(root, source):
    await import_rows(Project(root), Path(source), advance=wait)

anyio.run(run, *sys.argv[1:])
"""


def lines(path: Path, *documents: object) -> Path:
    texts = [one if isinstance(one, str) else json.dumps(one) for one in documents]
    path.write_text("\n".join(texts) + "\n", errors="surrogateescape")
    return path


def document(id: str, **content: object) -> dict[str, object]:
    plan = {"session_id": "s", "task_description": "t", **content}
    return {"id": id, "content": plan, "created_at": "2026-11-01 12:00:00.000000"}


def test_an_old_database_comes_in_as_it_is(project: Project, tmp_path: Path) -> None:
    old = tmp_path / "khive.db"
    old_files.make(old, [*ROWS, MALFORMED])
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("INSERT INTO planner_sessions (id, content) VALUES ('blob', x'ff00')")
        connection.execute(
            "INSERT INTO planner_sessions (id, content) VALUES ('bytes', CAST(x'22ff22' AS TEXT))"
        )
    before, files = old.read_bytes(), sorted(os.listdir(tmp_path))
    done = read(project, old)
    assert done.purposes == {"planner_sessions": (len(ROWS), 0, 0)}
    assert [(where, reason.split(" (")[0]) for where, reason in done.listed] == [
        (f"khive.db: planner_sessions row {len(ROWS) + 1}", "content is no JSON"),
        (f"khive.db: planner_sessions row {len(ROWS) + 2}", "content is no JSON"),
        (f"khive.db: planner_sessions row {len(ROWS) + 3}", "content is no UTF-8 text"),
    ]
    kept = [json.loads(line) for line in Path(done.aside).read_text().splitlines()]
    assert kept[0]["raw"] == [MALFORMED.id, MALFORMED.content, MALFORMED.node_metadata,
                              MALFORMED.created_at, MALFORMED.embedding]  # fmt: skip
    assert kept[1]["raw"][1] == "x'ff00'"
    assert kept[2]["raw"][1] == '"\udcff"'
    found = old_files.stored(project.database(PLANS))
    was = old_files.stored(old)
    assert found == {id: was[id] for id in found}
    assert set(found) == {r.id for r in ROWS}
    assert (old.read_bytes(), sorted(os.listdir(tmp_path))) == (before, files)


def test_old_events_go_to_the_tool_that_they_name(project: Project, tmp_path: Path) -> None:
    rows = [
        old_files.OldRow("a", '{"event_type":"pre_command"}', None, None),
        old_files.OldRow("b", '{"event_type":"stop","tool":"codex"}', None, None),
        old_files.OldRow("c", '{"event_type":"stop","tool":"unheard-of"}', None, None),
    ]
    old_files.make(tmp_path / "hooks.db", rows, "hook_events")
    done = read(project, tmp_path / "hooks.db")
    assert done.purposes == {"claude_hooks": (1, 0, 0), "codex_hooks": (1, 0, 0)}
    assert "'unheard-of' is not known" in done.listed[0][1]


def test_a_table_of_another_name_needs_a_word(project: Project, tmp_path: Path) -> None:
    rows = [old_files.OldRow("a", "{}", None, None, None)]
    old_files.make(tmp_path / "x.db", rows, "nodes")
    assert "--purpose" in read(project, tmp_path / "x.db").listed[0][1]
    done = read(project, tmp_path / "x.db", default=PLANNER_SESSIONS)
    assert done.purposes == {"planner_sessions": (1, 0, 0)}


def test_another_project_comes_in(project: Project, tmp_path: Path) -> None:
    other = made(tmp_path / "other")
    put(other, [row("a")])
    put(other, [row("e", '{"event_type":"stop"}')], HOOK_EVENTS["codex"])
    put(other, [row("own", '{"athlete":1}')], purpose("training", "sets"))
    for source in (other.root, other.khive):
        assert read(project, source).refused == 0
    assert stored(project.khive / "training.db", "sets") == stored(
        other.khive / "training.db", "sets"
    )
    (project.khive / "training.db").unlink()
    (other.khive / "training.db").unlink()
    assert everything(project) == everything(other)


def test_events_that_wait_in_the_other_project_are_told(project: Project, tmp_path: Path) -> None:
    other = made(tmp_path / "other")
    put(other, [row("a")])
    Spool(other).accept("codex", b"{}")
    done = read(project, other.khive)
    assert done.listed == [("spool", "1 events wait there: drain that project first")]
    assert done.aside == ""


def test_a_mirror_comes_in_and_its_last_line_counts(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "sessions"
    folder.mkdir()
    plan = to_document(PLANNER_SESSIONS, row("a"))
    write_document(folder / "planner_session_2026_11_01_aaaaaaaa.json", plan)
    events = [to_document(HOOK_EVENTS["codex"], row(id, f'{{"event_type":"{word}"}}'))
              for id, word in (("e", "old"), ("gone", "stop"), ("e", "new"))]  # fmt: skip
    gone = '{"dataModelVersion":1,"id":"gone","deleted":true}'
    lines(folder / "hook_events_2026_11_01_ssssssss.jsonl", *events, gone, '{"id": "torn", "con')
    (folder / "README").write_text("mine")
    done = read(project, folder)
    assert done.purposes == {"codex_hooks": (1, 0, 0), "planner_sessions": (1, 0, 0)}
    assert done.listed[0] == ("README", "not a file of a mirror, left alone")
    assert done.listed[1][0] == "hook_events_2026_11_01_ssssssss.jsonl: line 5"
    assert done.refused == 2
    events_stored = stored(project.database("codex_hooks.db"), "hook_events")
    assert {id: found[3] for id, found in events_stored.items()} == {"e": '{"event_type":"new"}'}
    assert (
        stored(project.database(PLANS))["a"] == stored(put(made(tmp_path / "x"), [row("a")]))["a"]
    )
    again = read(project, folder / "hook_events_2026_11_01_ssssssss.jsonl")
    assert again.purposes == {"codex_hooks": (0, 1, 0)}


def test_importing_again_changes_nothing(project: Project, tmp_path: Path) -> None:
    source = lines(tmp_path / "x.jsonl", document("a"), document("b"), document("a"), "torn")
    assert read(project, source).purposes == {"planner_sessions": (2, 1, 0)}
    before, kept = everything(project), os.listdir(project.quarantine)
    assert read(project, source).purposes == {"planner_sessions": (0, 3, 0)}
    assert (everything(project), os.listdir(project.quarantine)) == (before, kept)
    assert len(kept) == 1


def test_a_changed_row_is_replaced_only_when_told(project: Project, tmp_path: Path) -> None:
    read(project, lines(tmp_path / "x", document("a", complexity="simple"), document("b")))
    before = stored(project.database(PLANS))
    new = document("a", complexity="complex") | {"created_at": "2020-01-01T00:00:00"}
    source = lines(tmp_path / "y", new, document("b"), document("c"))
    assert read(project, source).purposes == {"planner_sessions": (1, 1, 1)}
    assert stored(project.database(PLANS))["a"] == before["a"]
    assert read(project, source, update=True).purposes == {"planner_sessions": (0, 2, 1)}
    after = stored(project.database(PLANS))["a"]
    assert '"complex"' in after[3]
    assert after[7] == "2020-01-01T00:00:00"
    assert read(project, source).purposes == {"planner_sessions": (0, 3, 0)}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ('{"a":1,"b":"\\u00e9"}', '{ "b": "é", "a": 1 }', True),
        ('{"a":1}', '{"a":true}', False),
        ('{"a":1}', '{"a":1.0}', False),
        ("null", None, True),
        ('{"a":1}', '{"a":1,"b":null}', False),
    ],
)
def test_rows_are_the_same_by_what_they_say(
    project: Project, tmp_path: Path, one: str, other: str | None, same: bool
) -> None:
    put(project, [row("a", one)])
    there = made(tmp_path / "there")
    put(there, [row("a", other)])
    write(there, tmp_path / "x", "json")
    counts = read(project, tmp_path / "x").purposes["planner_sessions"]
    assert counts == ((0, 1, 0) if same else (0, 0, 1))


def test_secrets_do_not_come_in(project: Project, tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    rows = [
        old_files.OldRow("a", json.dumps({"x": SECRET}), None, None),
        old_files.OldRow("b", None, None, None, json.dumps({"x": SECRET}), None),
        old_files.OldRow("c", json.dumps({"x": SECRET}), None, None, "[1]"),
        old_files.OldRow("d", "{}", SECRET, None, None, json.dumps([SECRET])),
        old_files.OldRow("e", f"no json {SECRET}", None, None),
    ]
    old_files.make(old, rows)
    done = read(project, old)
    assert done.purposes == {"planner_sessions": (4, 0, 0)}
    for path in (*project.khive.glob("*.db*"), Path(done.aside)):
        assert SECRET.encode() not in path.read_bytes()
    found = stored(project.database(PLANS))
    assert "[REDACTED:" in found["a"][3]
    assert json.loads(found["a"][5])["redacted"]
    assert found["b"][3] is None
    assert found["c"][5] == "[1]"
    assert read(project, old).purposes == {"planner_sessions": (0, 4, 0)}


BAD = [
    ("[1]", "not an object"),
    ('{"content": {}}', "it has no id"),
    ('{"id": 5, "content": {}}', "it has no id"),
    ('{"id": "", "content": {}}', "an id has 1 to"),
    ('{"id": "x", "content": {}, "colour": 1}', "no column takes 'colour'"),
    ('{"id": "x", "content": {"task_description": NaN}}', "no JSON"),
    ('{"id": "x", "created_at": [1]}', "created_at"),
    ('{"id": "x", "created_at": true, "purpose": "planner_sessions"}', "created_at"),
    ('{"id": "x", "purpose": "nowhere"}', "'nowhere' is not known"),
    ('{"id": "x", "purpose": 1}', "purpose is not text"),
    ('{"id": "x", "text": 1}', "text is not that of columns"),
    ('{"id": "x", "text": {"id": "y"}}', "text is not that of columns"),
    ('{"id": "x", "text": {"content": 5}, "purpose": "planner_sessions"}', "content is not text"),
    ('{"id": "x", "text": {"content": "{"}, "purpose": "planner_sessions"}', "no JSON"),
    ('{"id": "x", "dataModelVersion": 99}', "dataModelVersion 99 is not known"),
    ('{"id": "x"}', "does not say what it is"),
    ('{"id": "x", "content": ' + "[" * 1500 + "]" * 1500 + "}", "JSON"),
    ('{"id": "x", "content": {"task_description": "\\ud800"}}', "not JSON"),
    ('{"id": "\udcff", "purpose": "planner_sessions"}', "no UTF-8"),
    ('{"id": "x", "content": {"a": 12', "no JSON"),
    ("garbage", "no JSON"),
]  # fmt: skip


@pytest.mark.parametrize("layout", ["lines", "array", "indented"])
def test_bad_documents_are_listed_with_their_lines(
    project: Project, tmp_path: Path, layout: str
) -> None:
    source = tmp_path / "x"
    texts = [json.dumps(document("first")), *(text for text, _ in BAD), json.dumps(document("z"))]
    if layout == "lines":
        lines(source, *texts)
    else:
        pad = "  " if layout == "indented" else ""
        lines(source, "[", *(f"{pad}{text}," for text in texts[:-1]), pad + texts[-1], "]")
    done = read(project, source)
    assert sorted(stored(project.database(PLANS))) == ["first", "z"]
    first = 2 if layout == "lines" else 3
    assert done.refused == len(BAD)
    assert [where for where, _ in done.listed] == [
        f"line {first + at}" for at in range(len(done.listed))
    ]
    for (_, reason), (_, said) in zip(done.listed, BAD, strict=False):
        assert said in reason
    kept = Path(done.aside).read_text().splitlines()
    assert [json.loads(line)["raw"].strip().rstrip(",") for line in kept] == [
        text.rstrip() for text, _ in BAD
    ]


def test_one_broken_document_of_many_lines_is_one(project: Project, tmp_path: Path) -> None:
    texts = [json.dumps(document(id), indent=2) for id in ("a", "b", "c")]
    texts[1] = texts[1].replace('"session_id": "s",', '"session_id": s,')
    (tmp_path / "x").write_text("[\n" + ",\n".join(texts) + "\n]\n")
    done = read(project, tmp_path / "x")
    assert sorted(stored(project.database(PLANS))) == ["a", "c"]
    assert [where for where, _ in done.listed] == [f"line {2 + texts[0].count(chr(10)) + 1}"]


def test_a_document_alone_and_packed_files_come_in(project: Project, tmp_path: Path) -> None:
    write_document(tmp_path / "a.csv", document("a"))
    write_document(tmp_path / "b", [document("b")], "json-zstd")
    many = "\n".join(json.dumps(document(f"c{n}", note="x" * 90_000)) for n in range(40))
    (tmp_path / "c").write_bytes(gzip.compress(many.encode()))
    for name in ("a.csv", "b", "c"):
        assert read(project, tmp_path / name).refused == 0
    assert len(stored(project.database(PLANS))) == 42


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        (b"\x89PNG\r\n\x1a\n", InvalidFileError, "unknown content"),
        (b"PK\3\4,,,", InvalidFileError, "unknown content"),
        (b"name,colour\n1,2\n", InvalidFileError, "unknown content"),
        (gzip.compress(b"{}" * 100_000)[:-9], InvalidFileError, "is damaged"),
        (b"SQLite format 3\0" + b"\xff" * 4096, InvalidFileError, "damaged SQLite file"),
    ],
)
def test_unknown_and_damaged_files_are_named(
    project: Project, tmp_path: Path, content: bytes, error: type[Exception], said: str
) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(error, match=said):
        read(project, tmp_path / "x")
    assert not list(project.khive.glob("quarantine/.*"))


def test_nothing_is_no_error(project: Project, tmp_path: Path) -> None:
    for content in (b"", b"\n", b"[]", b"[\n]\n"):
        (tmp_path / "x").write_bytes(content)
        assert read(project, tmp_path / "x") == ({}, 0, [], "", 0, True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidFileError, match="no mirror"):
        read(project, tmp_path / "empty")


def test_a_locked_database_is_not_taken_for_text(project: Project, tmp_path: Path) -> None:
    old_files.make(tmp_path / "x.db", ROWS[:1])
    with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreBusyError):
            read(project, tmp_path / "x.db")


def test_a_database_that_the_program_has_open_keeps_its_locks(
    project: Project, tmp_path: Path
) -> None:
    path = put(project, [row("a")])
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            read(made(tmp_path / "other"), path)
            second = [
                sys.executable,
                "-c",
                "import sqlite3, sys\n"
                "sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')",
            ]
            done = subprocess.run([*second, str(path)], capture_output=True, check=False)
            assert b"locked" in done.stderr
        finally:
            connection.execute("ROLLBACK")


def test_a_killed_import_is_completed_by_another(project: Project, tmp_path: Path) -> None:
    source = lines(tmp_path / "x", *(document(str(number)) for number in range(2_000)), "torn")
    with subprocess.Popen(
        [sys.executable, "-c", IMPORT, str(project.root), str(source)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"500\n"
        process.send_signal(signal.SIGKILL)
    assert len(stored(project.database(PLANS))) == 500
    done = read(project, source)
    assert done.purposes == {"planner_sessions": (1_500, 500, 0)}
    whole = made(tmp_path / "whole")
    read(whole, source)
    assert everything(project) == everything(whole)
    assert os.listdir(project.quarantine) == os.listdir(whole.quarantine)


def test_metadata_are_not_made_up(project: Project, tmp_path: Path) -> None:
    read(project, lines(tmp_path / "x", document("a")))
    assert stored(project.database(PLANS))["a"][4:6] == ("null", None)
    put(project, [row("e", '{"event_type":"stop"}', metadata=METADATA)], CLAUDE)
    assert stored(project.database(CLAUDE.file), "hook_events")["e"][5] == METADATA
