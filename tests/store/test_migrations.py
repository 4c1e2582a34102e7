"""The schema of a file: what brings it up to date, and what that leaves alone."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from khive_persist.errors import InvalidRecordError, StoreBusyError, StoreUnavailableError
from khive_persist.models.purposes import BUILT_IN, PLANNER_SESSIONS, Purpose, purpose
from khive_persist.store.sqlite import connection as sqlite
from khive_persist.store.sqlite import migrations, statements, write_lock
from khive_persist.store.sqlite.source import extract
from khive_persist.store.sqlite.words import KEYWORDS, quoted
from tests.cases import for_each
from tests.store import old_files

NOTES = purpose("notes", view="seen", fields=("title",), indexes=(("title",),))


def opened(path: Path, what: Purpose) -> closing[sqlite3.Connection]:
    return closing(sqlite.open_writer(path, what, 1))


def schema(path: Path) -> dict[str, str | None]:
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT name, sql FROM sqlite_schema"))


def contract_of_tables(path: Path, table: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"PRAGMA table_info({table})").fetchall()


@pytest.mark.parametrize("what", BUILT_IN, ids=lambda what: what.name)
def test_migrating_an_old_file_gives_the_schema_of_a_new_one(what: Purpose, tmp_path: Path) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    old_files.make(old, table=what.table)
    for path in (old, new):
        with opened(path, what) as connection:
            assert migrations.version(connection) == migrations.LATEST
    assert contract_of_tables(old, what.table) == contract_of_tables(new, what.table)
    grown, fresh = schema(old), schema(new)
    for made in (grown, fresh):
        # The original spells its CREATE TABLE in its own way.
        made.pop(what.table)
    assert grown == fresh
    assert set(statements.indexes(what)) < set(fresh)


def test_every_migration_has_its_number_and_the_last_is_the_latest() -> None:
    numbers = [number for number, _ in migrations.numbered()]
    assert numbers == list(range(1, migrations.LATEST + 1))


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    path = tmp_path / "notes.db"
    with opened(path, NOTES) as connection:
        connection.execute("INSERT INTO notes (id, content) VALUES ('a', '{\"title\": \"t\"}')")
    return path


def test_an_index_that_a_purpose_gains_appears_at_the_next_opening(notes: Path) -> None:
    grown = NOTES._replace(indexes=(*NOTES.indexes, ("author.name", "created_at")))
    assert "notes_author_name_created_at" not in schema(notes)
    with opened(notes, grown) as connection:
        steps = connection.execute(
            "EXPLAIN QUERY PLAN SELECT * FROM notes"
            " WHERE json_extract(content, '$.author.name') = 'x' ORDER BY created_at"
        ).fetchall()
    assert "USING INDEX notes_author_name_created_at" in steps[0][3]
    assert set(schema(notes)) > {"notes_title", "notes_author_name_created_at"}


def test_a_field_that_a_view_gains_appears_at_the_next_opening(notes: Path) -> None:
    with opened(notes, NOTES._replace(fields=("title", "author"))) as connection:
        found = connection.execute("SELECT title, author FROM seen").fetchall()
    assert found == [("t", None)]


def test_opening_again_changes_nothing(notes: Path) -> None:
    before = old_files.digest(notes.parent)
    for _ in range(2):
        with opened(notes, NOTES):
            pass
    assert old_files.digest(notes.parent) == before


def test_what_a_person_added_stays(notes: Path) -> None:
    with closing(sqlite3.connect(notes)) as connection, connection:
        connection.execute("CREATE INDEX mine ON notes (json_extract(content, '$.mine'))")
        connection.execute("CREATE VIEW my_view AS SELECT id FROM notes")
        connection.execute("CREATE TABLE my_table (x)")
    with opened(notes, NOTES._replace(indexes=(("other",),))):
        pass
    assert {"mine", "my_view", "my_table", "notes_other"} <= set(schema(notes))


def test_an_index_that_a_class_no_longer_names_goes(notes: Path) -> None:
    with closing(sqlite3.connect(notes)) as connection, connection:
        connection.execute("CREATE INDEX mine ON notes (json_extract(content, '$.title'))")
        connection.execute("CREATE INDEX notes_part ON notes (id) WHERE id > 'a'")
        connection.execute("CREATE INDEX notes_author ON notes (json_extract(content, '$.writer'))")
        connection.execute("CREATE UNIQUE INDEX notes_a ON notes (json_extract(content, '$.a'))")
    before = schema(notes)
    with opened(notes, NOTES._replace(indexes=())):
        pass
    assert before.keys() - schema(notes).keys() == {"notes_title"}
    with opened(notes, NOTES):
        pass
    assert schema(notes) == before


def test_an_index_whose_fields_change_under_its_name_is_made_anew(notes: Path) -> None:
    for paths in (("a.b", "created_at"), ("a_b", "created_at"), ("a.b.created_at",)):
        with opened(notes, NOTES._replace(indexes=(paths,))) as connection:
            (name,) = (name for name in schema(notes) if name.startswith("notes_a_b"))
            assert schema(notes)[name] == statements.indexes(NOTES._replace(indexes=(paths,)))[name]
            where = f"{extract(f'$.{paths[0]}')} = 1"
            steps = connection.execute(f"EXPLAIN QUERY PLAN SELECT 1 FROM notes WHERE {where}")
            assert name in steps.fetchone()[3]


def test_indexes_that_people_add_to_built_in_files_stay_however_they_are_named(
    tmp_path: Path,
) -> None:
    path = tmp_path / "planner_sessions.db"
    with opened(path, PLANNER_SESSIONS):
        pass
    like_ours = PLANNER_SESSIONS._replace(indexes=(("workflow_pattern",),))
    ((name, sql),) = statements.indexes(like_ours).items()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql)
    with opened(path, PLANNER_SESSIONS):
        pass
    assert schema(path)[name] == sql


def test_a_table_that_was_named_otherwise_is_not_begun_anew(notes: Path) -> None:
    renamed = NOTES._replace(table="jottings", view="", indexes=())
    with pytest.raises(StoreUnavailableError, match="in the table notes, not in jottings"):
        sqlite.open_writer(notes, renamed)
    with closing(sqlite3.connect(notes)) as connection, connection:
        connection.execute("DROP VIEW seen")
        connection.execute("ALTER TABLE notes RENAME TO jottings")
    with opened(notes, renamed) as connection:
        assert connection.execute("SELECT id FROM jottings").fetchall() == [("a",)]


def test_a_table_that_somebody_dropped_is_made_again(notes: Path) -> None:
    with closing(sqlite3.connect(notes)) as connection, connection:
        connection.execute("DROP VIEW seen")
        connection.execute("DROP TABLE notes")
    with opened(notes, NOTES) as connection:
        connection.execute("INSERT INTO notes (id) VALUES ('b')")
    assert {"notes", "seen", "notes_title", "notes_odd_created_at"} <= set(schema(notes))


@for_each("word", sorted(KEYWORDS - {"temp"}))
def test_a_word_of_sql_is_quoted(word: str, tmp_path: Path) -> None:
    named = purpose(word, view=f"seen_{word}", fields=("a",), indexes=(("a",),))
    with opened(tmp_path / f"{word}.db", named) as connection:
        connection.execute(statements.upsert(word), ["1", "{}", None, None, None])
        assert connection.execute(statements.rows_of_ids(word), ['["1"]']).fetchall()


def test_a_name_that_needs_no_quotes_has_none() -> None:
    connection = sqlite3.connect(":memory:")
    for name in ("notes", "order_", "Orders", "a1", "_x"):
        assert quoted(name) == name
        connection.execute(f"CREATE TABLE {name} (x)")
    assert (quoted("order"), quoted("ORDER")) == ('"order"', '"ORDER"')
    connection.close()


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """A table of somebody else stands where the view should be read from, with other columns."""
    path = tmp_path / "notes.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE notes (id, text)")
    before = schema(path)
    with pytest.raises(Exception, match="no such column"):
        sqlite.open_writer(path, NOTES)
    assert schema(path) == before
    with closing(sqlite3.connect(path)) as connection:
        assert migrations.version(connection) == 0


def test_a_file_is_opened_only_at_the_head_of_the_queue(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    with write_lock.held(write_lock.lock_path(path), 1), pytest.raises(StoreBusyError):
        sqlite.open_writer(path, NOTES, 0.1)
    assert not path.exists()


def test_a_connection_writes_durably_and_trusts_no_schema(tmp_path: Path) -> None:
    """With `synchronous` NORMAL a commit survives a kill and not a power loss."""
    with opened(tmp_path / "notes.db", NOTES) as connection:
        found = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("synchronous", "journal_mode", "busy_timeout", "mmap_size")
        }
    assert found == {"synchronous": 2, "journal_mode": "wal", "busy_timeout": 1_000, "mmap_size": 0}


@pytest.mark.parametrize("seconds", [1e9, 86_400 * 365])
def test_a_very_long_wait_is_not_taken_for_none(seconds: float, tmp_path: Path) -> None:
    with closing(sqlite.open_writer(tmp_path / "notes.db", NOTES, seconds)) as connection:
        assert connection.execute("PRAGMA busy_timeout").fetchone()[0] > 86_400_000


def test_a_reader_cannot_write(notes: Path) -> None:
    with closing(sqlite.open_reader(notes)) as connection:
        assert connection.execute("SELECT count(*) FROM notes").fetchone() == (1,)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DELETE FROM notes")


def test_two_indexes_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidRecordError, match="a_b"):
        purpose("notes", indexes=(("a.b",), ("a_b",)))
    with pytest.raises(InvalidRecordError, match="odd_created_at"):
        purpose("notes", indexes=(("odd_created_at",),))


def test_a_built_in_table_is_spelled_as_the_contract_has_it(tmp_path: Path) -> None:
    with opened(tmp_path / "p.db", PLANNER_SESSIONS) as connection:
        columns = connection.execute("PRAGMA table_info(planner_sessions)").fetchall()
    assert [(name, kind) for _, name, kind, *_ in columns] == [
        ("id", "VARCHAR"),
        ("content", "JSON"),
        ("node_metadata", "JSON"),
        ("created_at", "DATETIME"),
        ("embedding", "JSON"),
    ]


def test_a_migration_is_read_as_sqlite_reads_it() -> None:
    sql = """-- One; with a semicolon in its comment.
CREATE TABLE a (t TEXT DEFAULT ';');
CREATE TRIGGER b AFTER INSERT ON a BEGIN
    UPDATE a SET t = 'x;y'; /* ; */ DELETE FROM a WHERE t = '';
END;
INSERT INTO a VALUES ('1')
"""
    connection = sqlite3.connect(":memory:")
    found = list(migrations.statements_in(sql))
    for statement in found:
        connection.execute(statement)
    assert connection.execute("SELECT t FROM a").fetchall() == [("x;y",)]
    assert len(found) == 3
