"""The index follows the files: what is recorded is found, what is gone is not."""

import os
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest

from khive_persist import Message, open_store
from khive_persist.errors import InvalidQueryError, InvalidRecordError
from khive_persist.maintenance.trust.accept import accept
from khive_persist.maintenance.trust.survey import survey
from khive_persist.models.purposes import PLANNER_SESSIONS, purpose
from khive_persist.project import Project
from khive_persist.search_index import batch, follow
from khive_persist.search_index.follow import acknowledge, catch_up, count_behind, make_anew
from khive_persist.search_index.state import index_state
from khive_persist.store.sqlite import change_log
from khive_persist.store.sqlite.atomic_switch import is_database
from tests.factories import in_own_thread, make_project, message, outcome, plan, save, save_many
from tests.stored import select


def found(project: Project, expression: str, table: str = "words") -> int:
    """How many passages have what FTS5 is asked for."""
    with closing(sqlite3.connect(project.search_index)) as connection:
        sql = f"SELECT count(*) FROM {table} WHERE {table} MATCH ?"
        return int(connection.execute(sql, (expression,)).fetchone()[0])


def delete(project: Project, *ids: str) -> None:
    async def run() -> None:
        async with open_store(Message, dir=project.root) as store:
            for id in ids:
                await store.delete(id)

    in_own_thread(run)


def consumers(project: Project) -> dict[str, int]:
    with closing(sqlite3.connect(project.database("conversations.db"))) as connection:
        return change_log.positions(connection)


@pytest.fixture
def talk(project: Project) -> list[Message]:
    """Messages that the index has."""
    messages = [
        message("s1", n, text=f"zebra getUserName word{n} 東京都", tool_calls=[
            {"name": "Bash", "input": {"command": f"cat /etc/foo{n}"}}])
        for n in range(25)
    ]  # fmt: skip
    save_many(project, messages)
    assert catch_up(project) == 0
    return messages


def test_it_finds_words_parts_of_words_and_substrings(
    project: Project, talk: list[Message]
) -> None:
    assert found(project, "zebra") == found(project, "getusername") == 25
    assert found(project, 'parts: "user name"') == found(project, 'parts: "東京 京都"') == 25
    assert found(project, '"tc/foo1"', "substrings") == 11
    assert stat.S_IMODE(os.stat(project.search_index).st_mode) == 0o600


def test_it_follows_what_is_saved_changed_and_deleted(
    project: Project, talk: list[Message]
) -> None:
    changed = talk[0].model_copy(update={"content": {**talk[0].content, "text": "giraffe"}})
    save(project, changed)
    delete(project, talk[1].id, talk[2].id)
    save_many(project, [plan("p1", task_description="a giraffe"), outcome("s1", "partial")])
    assert count_behind(project) is None  # new files
    assert catch_up(project) == 0
    assert (found(project, "zebra"), found(project, "giraffe")) == (22, 2)
    assert found(project, "partial") == 1
    save(project, message("s1", 99, text="another zebra"))
    assert count_behind(project) == 1
    assert catch_up(project, seconds=0) == 1
    assert catch_up(project) == 0
    assert found(project, "zebra") == 23


def test_what_changes_only_in_numbers_is_written_once(
    project: Project, talk: list[Message]
) -> None:
    before = index_state(project)
    assert catch_up(project) == 0
    assert index_state(project) == before
    assert before.records == 25
    assert before.passages == 50


def test_rows_that_others_insert_are_found(project: Project, talk: list[Message]) -> None:
    with closing(sqlite3.connect(project.database("conversations.db"))) as connection:
        connection.execute(
            "INSERT INTO messages SELECT 'by-hand', replace(content, 'zebra', 'okapi'),"
            " node_metadata, created_at, embedding FROM messages LIMIT 1"
        )
        connection.execute("DELETE FROM messages WHERE id = ?", (talk[3].id,))
        connection.commit()
    assert count_behind(project) is None
    assert catch_up(project) == 0
    assert (found(project, "okapi"), found(project, "zebra")) == (1, 24)


def test_a_file_of_another_epoch_is_compared_as_a_whole(
    project: Project, talk: list[Message]
) -> None:
    with closing(sqlite3.connect(project.database("conversations.db"))) as connection:
        connection.execute("DELETE FROM messages WHERE id = ?", (talk[3].id,))
        change_log.renew_epoch(connection)
        connection.commit()
    assert catch_up(project) == 0
    assert found(project, "zebra") == 24


def test_a_file_without_a_log_stays_as_it_is(project: Project) -> None:
    path = project.database(PLANNER_SESSIONS.file)

    def insert(id: str, task: str) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS planner_sessions (id VARCHAR NOT NULL PRIMARY KEY,"
                " content JSON, node_metadata JSON, created_at DATETIME, embedding JSON)"
            )
            content = f'{{"session_id": "s", "task_description": "{task}"}}'
            connection.execute(
                "INSERT INTO planner_sessions VALUES (?, ?, '{}', 0.5, NULL)", (id, content)
            )
            connection.commit()

    insert("1", "an okapi")
    assert catch_up(project) == 0
    insert("2", "one more okapi")
    assert catch_up(project) == 0
    assert found(project, "okapi") == 2
    assert (
        select(project, path.name, "SELECT name FROM sqlite_schema WHERE name LIKE 'change%'") == []
    )


def test_what_is_gone_with_its_file_is_found_no_longer(
    project: Project, talk: list[Message]
) -> None:
    for path in project.khive.glob("conversations.db*"):
        path.unlink()
    assert catch_up(project) == 0
    assert found(project, "zebra") == index_state(project).records == 0


def test_a_log_is_kept_for_it_where_there_is_no_mirror(tmp_path: Path) -> None:
    project = make_project(tmp_path, '[mirror]\noff = ["conversations"]\n')
    accept(project, keep=True)
    save(project, message("s1", 1, text="okapi"))
    assert catch_up(project) == 0
    save(project, message("s1", 2, text="okapi"))
    assert count_behind(project) == 1
    assert catch_up(project) == 0
    assert found(project, "okapi") == 2
    assert consumers(project).keys() == {"search"}


def test_the_log_is_told_what_the_index_has(
    project: Project, talk: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "_ACKNOWLEDGED_AT", 10)
    for n in range(30, 42):
        save(project, message("s1", n, text="okapi"))
    catch_up(project, may_write=False)
    behind = consumers(project)["search"]
    acknowledge(project)
    assert consumers(project)["search"] == behind + 12
    assert select(project, "conversations.db", "SELECT count(*) FROM change_log") == [(0,)]


def test_who_fell_behind_begins_anew(
    project: Project, talk: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_log, "MAX_ENTRIES", 3)
    for n in range(30, 40):
        save(project, message("s1", n, text="okapi"))
    assert consumers(project)["search"] == change_log.BEHIND
    assert count_behind(project) is None
    assert catch_up(project) == 0
    assert (found(project, "okapi"), found(project, "zebra")) == (10, 25)


def test_stopped_at_any_batch_it_goes_on(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "BATCH_RECORDS", 4)
    monkeypatch.setattr(batch, "_CHUNK", 2)
    save_many(project, [message("s1", n, text=f"okapi {n}") for n in range(30)])

    class _StopError(Exception):
        pass

    def stop(_: int) -> None:
        raise _StopError

    stops = 0
    while True:
        try:
            assert catch_up(project, advance=stop) == 0
        except _StopError:
            stops += 1
            continue
        break
    assert stops > 7
    assert found(project, "okapi") == index_state(project).records == 30


def test_several_at_once_index_each_record_once(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "BATCH_RECORDS", 10)
    save_many(project, [message("s1", n, text=f"okapi {n}") for n in range(200)])
    results: list[int | None] = []
    threads = [
        threading.Thread(target=lambda: results.append(catch_up(project, seconds=60)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [0] * 4
    assert found(project, "okapi") == index_state(project).records == 200


@pytest.mark.parametrize("kind", ["garbage", "another schema", "another key", "a trigger"])
def test_a_file_that_is_not_ours_is_made_anew(
    project: Project, talk: list[Message], kind: str
) -> None:
    if kind == "garbage":
        project.search_index.write_bytes(b"no database" * 1_000)
    else:
        with closing(sqlite3.connect(project.search_index)) as connection:
            connection.execute({
                "another schema": "PRAGMA user_version = 99",
                "another key": "UPDATE state SET mac = 'that of somebody else'",
                "a trigger": "CREATE TRIGGER t AFTER INSERT ON records BEGIN"
                             " DELETE FROM passages; END",
            }[kind])  # fmt: skip
            connection.commit()
    assert index_state(project).problem
    assert catch_up(project) == 0
    assert found(project, "zebra") == 25
    assert index_state(project).problem == ""


def test_switched_off_it_is_removed_and_no_log_is_kept_for_it(
    project: Project, talk: list[Message]
) -> None:
    project.config.write_text("[search]\nenabled = false\n")
    with pytest.raises(InvalidQueryError, match="search is switched off"):
        catch_up(project)
    assert list(project.khive.glob("search.db*")) == [project.khive / "search.db.lock"]
    assert "search" not in consumers(project)


def test_it_is_made_anew_on_demand_and_left_alone_where_there_is_none(project: Project) -> None:
    save(project, message("s1", 1, text="okapi"))
    assert catch_up(project, is_made=False) == 0
    assert not project.search_index.exists()
    make_anew(project)
    make_anew(project)
    assert found(project, "okapi") == 1


def test_it_is_no_database_of_records(project: Project, talk: list[Message]) -> None:
    assert not is_database(project.search_index.name)
    assert survey(project) == []
    with pytest.raises(InvalidRecordError, match="'search' is a name of khive-persist"):
        purpose("search")
