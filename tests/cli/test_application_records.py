"""What applications keep here is a record as any other: exported, mirrored, pruned, purged."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import jsonschema
import pytest

from khive_persist import ApplicationSession, Measurement, Message, Node, Score, open_store
from khive_persist.cli.root import run
from khive_persist.mirror.schema import schema
from khive_persist.models.purposes import purpose
from khive_persist.project import Project
from tests.factories import make_project

TABLES = {
    "application_sessions": "application_sessions",
    "measurements": "measurements",
    "scores": "scores",
    "conversations": "messages",
}
OLD, NEW = "2020-01-01T08:00:00Z", "2026-11-01T08:00:00Z"


def records(session_id: str, at: str) -> list[Node]:
    own = {"session_id": session_id, "own": [1, None, "ä"]}
    return [
        ApplicationSession.model_validate(
            {"content": {**own, "participant": "ann", "group": "a", "started_at": at}}
        ),
        *(
            Measurement.model_validate(
                {"content": {**own, "name": "pulse", "value": value, "measured_at": at}}
            )
            for value in (60, 61.5)
        ),
        Score.model_validate(
            {"content": {**own, "name": "x", "value": 0, "max_value": 5, "scored_at": at}}
        ),
        Message.model_validate(
            {"content": {**own, "tool": "application", "role": "user"}, "created_at": at}
        ),
    ]


@pytest.fixture
def kept(project: Project) -> Project:
    """A project with an old session and a new one."""

    async def save() -> None:
        for record in (ApplicationSession, Measurement, Score, Message):
            async with open_store(record, dir=project.root) as store:
                every = [*records("old-session", OLD), *records("new-session", NEW)]
                await store.save_many([one for one in every if isinstance(one, record)])

    anyio.run(save)
    return project


def call(project: Project, *words: str) -> int:
    return run(["--dir", str(project.root), *words])


def rows(project: Project) -> dict[str, list[Any]]:
    found = {}
    for name, table in TABLES.items():
        with closing(sqlite3.connect(project.database(f"{name}.db"))) as connection:
            found[name] = connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()
    return found


def sessions(project: Project) -> dict[str, list[str]]:
    return {
        name: sorted(json.loads(row[1])["session_id"] for row in some)
        for name, some in rows(project).items()
    }


def test_both_copies_are_equal_and_as_the_schema_says(kept: Project) -> None:
    assert call(kept, "verify") == 0
    validator = jsonschema.Draft202012Validator(schema())
    documents = []
    for path in (kept.khive / "sessions").iterdir():
        if path.suffix == ".jsonl":
            documents += [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        elif path.suffix == ".json":
            documents.append(json.loads(path.read_text("utf-8")))
    assert len(documents) == 10
    for document in documents:
        validator.validate(document)
        if document["purpose"] != "conversations":
            wrong: dict[str, Any] = {"status": "odd", "value": "5", "name": 1}
            document["content"] |= wrong
            assert not validator.is_valid(document), document["purpose"]


def test_each_copy_is_made_again_from_the_other(kept: Project) -> None:
    before = rows(kept)
    for name in TABLES:
        kept.database(f"{name}.db").unlink()
    assert call(kept, "rebuild", "--from-mirror") == 0
    assert rows(kept) == before
    for path in (kept.khive / "sessions").glob("[!.]*"):
        path.unlink()
    assert call(kept, "verify") == 1
    assert call(kept, "rebuild", "--from-database") == 0
    assert call(kept, "verify") == 0


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "parquet"])
@pytest.mark.parametrize("purpose", ["all", *TABLES])
def test_what_is_exported_is_imported_as_it_was(
    form: str, purpose: str, kept: Project, tmp_path: Path
) -> None:
    file = tmp_path / f"out.{form}"
    assert call(kept, "export", "--purpose", purpose, "-o", str(file)) == 0
    other = make_project(tmp_path / "other")
    assert call(other, "import", str(file)) == 0
    wanted = TABLES if purpose == "all" else {purpose: TABLES[purpose]}
    for name, table in wanted.items():
        with closing(sqlite3.connect(other.database(f"{name}.db"))) as connection:
            found = connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()
        assert found == rows(kept)[name]
    assert {path.stem for path in other.khive.glob("*.db")} == wanted.keys()


def test_a_document_s_class_tells_where_it_belongs(kept: Project, tmp_path: Path) -> None:
    source = tmp_path / "records.jsonl"
    lines = [
        {"id": f"r{n}", "content": one.content, "node_metadata": {"lion_class": one.lion_class()}}
        for n, one in enumerate(records("other-session", NEW))
    ]
    source.write_text("\n".join(map(json.dumps, lines)))
    assert call(kept, "import", str(source)) == 0
    assert {name: some.count("other-session") for name, some in sessions(kept).items()} == {
        "application_sessions": 1,
        "measurements": 2,
        "scores": 1,
        "conversations": 1,
    }


def test_purge_finds_all_of_a_session(kept: Project, capfd: pytest.CaptureFixture[str]) -> None:
    assert call(kept, "purge", "--session", "old-session", "--yes") == 0
    assert {one for some in sessions(kept).values() for one in some} == {"new-session"}
    for path in kept.khive.rglob("*"):
        if path.is_file():
            assert b"old-session" not in path.read_bytes(), path
    assert call(kept, "verify") == 0


def test_prune_removes_what_is_old_by_its_own_time(kept: Project) -> None:
    kept.local_config.write_text('[retention]\nrules = ["* keep_age=156w"]\n')
    assert call(kept, "prune", "--yes") == 0
    assert {one for some in sessions(kept).values() for one in some} == {"new-session"}
    assert call(kept, "verify") == 0


def test_views_have_the_fields_as_columns(kept: Project, capfd: pytest.CaptureFixture[str]) -> None:
    for sql, expected in (
        ("SELECT participant, \"group\", status, version FROM application_sessions.trials LIMIT 1",
         {"participant": "ann", "group": "a", "status": "active", "version": 1}),
        ("SELECT sum(value) AS s, count(measured_at) AS n FROM measured", {"s": 243.0, "n": 4}),
        ("SELECT DISTINCT value, max_value FROM scored", {"value": 0, "max_value": 5}),
    ):  # fmt: skip
        assert call(kept, "query", sql, "--jsonl") == 0
        assert json.loads(capfd.readouterr().out) == expected


def test_a_query_reads_the_files_that_it_names(
    kept: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    async def save(own: type[Node]) -> None:
        async with open_store(own, dir=kept.root) as store:
            await store.save(own(content={"own": own.__name__}))

    for number in range(10):
        own = type(f"Own{number}", (Node,), {"purpose": purpose(f"a_{number}", f"table_{number}")})
        anyio.run(save, own)
    for table in ("a_9.table_9", "a_0.table_0", "scores", "application_sessions", "measured"):
        assert call(kept, "query", f"SELECT count(*) > 0 AS n FROM {table}", "--jsonl") == 0
        assert json.loads(capfd.readouterr().out) == {"n": 1}
    assert call(kept, "query", "SELECT count(*) FROM hook_events") == 0


@pytest.mark.parametrize(
    ("table", "condition"),
    [
        ("application_sessions", "json_extract(content, '$.participant') = 'ann'"),
        ("application_sessions", "json_extract(content, '$.group') = 'a'"),
        ("application_sessions", "json_extract(content, '$.scenario') = 'a'"),
        ("application_sessions", "json_extract(content, '$.status') = 'active'"),
        ("measurements", "json_extract(content, '$.session_id') = 'a'"),
        ("measurements", "json_extract(content, '$.name') = 'pulse'"),
        ("scores", "json_extract(content, '$.session_id') = 'a'"),
        ("scores", "json_extract(content, '$.name') = 'x'"),
    ],
)
def test_what_is_asked_for_has_an_index_in_order_of_time(
    table: str, condition: str, kept: Project
) -> None:
    with closing(sqlite3.connect(kept.database(f"{table}.db"))) as connection:
        sql = f"EXPLAIN QUERY PLAN SELECT * FROM {table} WHERE {condition} ORDER BY created_at DESC"
        plan = str(connection.execute(sql).fetchall())
    assert "USING INDEX" in plan
    assert "TEMP B-TREE" not in plan


def test_show_tells_a_session_as_a_story(kept: Project, capfd: pytest.CaptureFixture[str]) -> None:
    assert call(kept, "show", "new-session") == 0
    told = capfd.readouterr().out
    for line in ("session begun", "participant ann, group a", "pulse measured 2 times, 60 to 61.5",
                 "score x: 0 of 5"):  # fmt: skip
        assert line in told
    assert call(kept, "show", "new-session", "--json") == 0
    found = json.loads(capfd.readouterr().out)
    assert [len(found[name]) for name in ("application_sessions", "measurements", "scores")] == [
        1,
        2,
        1,
    ]


def test_to_look_at_a_session_makes_no_files(project: Project) -> None:
    assert call(project, "show", "nothing") == 1
    names = {path.stem for path in project.khive.glob("*.db")}
    assert not names & {"application_sessions", "measurements", "scores"}
