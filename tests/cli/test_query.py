"""`query`: SQL from wherever it comes, what there is to ask for, and files of whatever name."""

import csv
import io
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest

import khive_persist
from khive_persist.capture.spool import Spool
from khive_persist.errors import InvalidQueryError
from khive_persist.models.purposes import BUILT_IN
from khive_persist.project import Project
from khive_persist.store.sqlite import connection
from tests.cli.conftest import Khive
from tests.factories import plan, save

Take = Callable[[bytes], None]


def make_database(path: bytes, table: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"CREATE TABLE {table} (a)")
        database.execute(f"INSERT INTO {table} VALUES ('{table}')")
        database.commit()


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Take:
    def take(raw: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw)))

    return take


@pytest.mark.parametrize("words", [("-",), ("--file", "-"), ("-f", "FILE")], ids=str)
def test_sql_comes_from_a_file_or_from_stdin(
    project: Project, khive: Khive, stdin: Take, tmp_path: Path, words: tuple[str, ...]
) -> None:
    sql = '\ufeff-- what is seven?\nSELECT 7 AS "größe";\n-- that\n'.encode()
    (tmp_path / "a.sql").write_bytes(sql)
    stdin(sql)
    names = [str(tmp_path / "a.sql") if word == "FILE" else word for word in words]
    assert khive("query", *names, "--json").json == [{"größe": 7}]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "give one of SQL, --file FILE and --tables"),
        (("SELECT 1", "--tables"), "give one of"),
        (("SELECT 1", "--file", "-"), "give one of"),
        (("--file", "missing.sql"), "No such file"),
        (("--file", "."), "Is a directory"),
        (("-",), "is no text in UTF-8"),
    ],
    ids=str,
)
def test_wrong_use_is_one_line(
    project: Project, khive: Khive, stdin: Take, words: tuple[str, ...], reason: str
) -> None:
    stdin(b"SELECT '\xff'")
    done = khive("query", *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert reason in done.err


def test_csv_has_every_column_and_every_byte(project: Project, khive: Khive) -> None:
    sql = (
        "SELECT 1 AS a, 2.5 AS a, x'00ff41' AS b, 9e999 AS c, NULL AS d, '' AS e,"
        " 'x,\"y\"' || char(10) || 'z' AS f, '=1+1' AS g WHERE 1 UNION ALL"
        " SELECT 0,0,'','','','','',''"
    )
    out = khive("query", sql, "--csv").out
    header, first, second = csv.reader(io.StringIO(out, newline=""))
    assert header == ["a", "a_2", "b", "c", "d", "e", "f", "g"]
    assert first == ["1", "2.5", "AP9B", "9e999", "", "", 'x,"y"\nz', "'=1+1"]
    assert ',"9e999",,"","x' in out
    assert second[0] == "0"
    assert khive("query", "SELECT 1 AS a WHERE 0", "--csv").out == '"a"\r\n'


def test_tables_and_columns_are_listed(project: Project, khive: Khive) -> None:
    Spool(project).accept("codex", b'{"session_id":"s1","hook_event_name":"Stop"}')
    tables = {(t["database"], t["name"]): t for t in khive("query", "--tables", "--json").json}
    assert tables[None, "events"]["type"] == "view"
    names = [column["name"] for column in tables["codex_hooks", "hook_events"]["columns"]]
    assert names == ["id", "content", "node_metadata", "created_at", "embedding"]
    for (database, name), table in tables.items():
        columns = ", ".join(f'"{column["name"]}"' for column in table["columns"])
        source = f'"{name}"' if database is None else f'"{database}"."{name}"'
        assert khive("query", f"SELECT {columns} FROM {source}").code == 0
    out = khive("query", "--tables").out
    assert "events  (view of all tools)\n  id, created_at," in out
    assert max(map(len, out.splitlines())) <= 80
    header, *rows = csv.reader(io.StringIO(khive("query", "--tables", "--csv").out))
    assert (header, len(rows)) == (["database", "name", "type", "columns"], len(tables))
    listed = anyio.run(lambda: khive_persist.list_tables(dir=project.root))
    assert [(table.database, table.name) for table in listed] == list(tables)


ODD = {
    b"main.db": '"main.db"',
    b"temp.db": '"temp.db"',
    b'we"ird].db': '"we""ird]"',
    b"a b.db": '"a b"',
    b"9.db": '"9"',
    b"A.db": "A",
    b"a.db": '"a.db"',
    b"x\xff.db": '"x\\xff"',
    b"new\nline.db": '"new\nline"',
    b"select.db": '"select"',
}


@pytest.mark.parametrize("names", [(b"A.db", b"a.db"), tuple(ODD)], ids=["few", "more than ten"])
def test_files_of_odd_names_are_read(
    project: Project, khive: Khive, names: tuple[bytes, ...]
) -> None:
    Spool(project).accept("claude-code", b'{"session_id":"s1","hook_event_name":"Stop"}')
    khive("events")
    for number, name in enumerate(names):
        make_database(os.fsencode(project.khive) + b"/" + name, f"t{number}")
    (project.khive / "folder.db").mkdir()
    (project.khive / "._hidden.db").write_bytes(b"\0" * 100)
    for number, name in enumerate(names):
        done = khive("query", f"SELECT a FROM {ODD[name]}.t{number} JOIN events", "--json")
        assert (done.code, done.err, done.json) == (0, "", [{"a": f"t{number}"}])
        assert khive("query", f"SELECT a FROM t{number}", "--csv").code == 0
    listed = khive("query", "--tables", "--json")
    assert listed.code == 0
    assert len([t for t in listed.json if t["columns"] == [{"name": "a", "type": ""}]]) == len(
        names
    )


def test_doctor_names_files_of_odd_names(project: Project, khive: Khive) -> None:
    for number, name in enumerate(ODD):
        make_database(os.fsencode(project.khive) + b"/" + name, f"t{number}")
    problems = [one["problem"] for one in khive("doctor", "--json").json["databases"]]
    assert len(problems) == len(ODD)
    assert all("no such table: " in problem for problem in problems), problems


def test_what_is_no_file_is_said_and_the_others_are_read(project: Project, khive: Khive) -> None:
    os.mkfifo(project.khive / "pi\npe.db")
    done = khive("query", "SELECT 1 AS a", "--json")
    assert (done.code, done.json) == (1, [{"a": 1}])
    assert done.err.count("\n") == 1
    assert "pi\\npe.db is not a file: move it away" in done.err


@pytest.fixture
def crowded(project: Project) -> Project:
    """A project that has every file of ours: more than SQLite reads together."""
    for purpose in BUILT_IN:
        connection.open_writer(project.database(purpose.file), purpose).close()
    return project


def test_every_table_and_view_is_found_among_more_than_ten_files(
    crowded: Project, khive: Khive
) -> None:
    for purpose in BUILT_IN:
        for name in (purpose.table, purpose.view, f"{purpose.name}.{purpose.table}"):
            done = khive("query", f"SELECT count(*) AS n FROM {name.upper()}", "--json")
            assert (done.code, done.err) == (0, ""), name


def test_a_damaged_file_is_named_among_more_than_ten(crowded: Project, khive: Khive) -> None:
    crowded.database("gemini_hooks.db").write_bytes(b"no database" * 100)
    done = khive("query", "SELECT count(*) AS n FROM events", "--json")
    assert (done.code, done.json) == (1, [{"n": 0}])
    assert "gemini_hooks.db" in done.err


def test_a_damaged_file_that_is_asked_for_is_named(crowded: Project, khive: Khive) -> None:
    crowded.database("scores.db").write_bytes(b"no database" * 100)
    done = khive("query", "SELECT * FROM scored")
    assert done.code == 2
    assert "left out: " in done.err
    assert "scores.db" in done.err.partition("no such table")[0]


def test_too_many_files_in_one_statement_are_named(crowded: Project) -> None:
    sql = " UNION ALL ".join(f"SELECT id FROM {p.name}.{p.table}" for p in BUILT_IN)
    with pytest.raises(InvalidQueryError, match="not read: "):
        anyio.run(lambda: khive_persist.query_sql(sql, dir=crowded.root))


def test_a_view_over_what_is_gone_stops_nothing(project: Project, khive: Khive) -> None:
    save(project, plan("s1"))
    with closing(sqlite3.connect(project.database("planner_sessions.db"))) as database:
        database.execute("CREATE VIEW mine AS SELECT * FROM gone")
        database.execute("CREATE TRIGGER t INSTEAD OF INSERT ON mine BEGIN SELECT 1; END")
        database.commit()
    assert [each["id"] for each in khive("plans", "--json").json]
    assert khive("query", "SELECT session_id FROM plans", "--json").json == [{"session_id": "s1"}]
    assert "mine  (view of planner_sessions)" in khive("query", "tables").out
    save(project, plan("s2"))
    assert len(khive("plans", "--json").json) == 2
