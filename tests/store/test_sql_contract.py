"""SQL that people write by hand: it runs as it stands, and finds an index."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from khive_persist.models.purposes import EVENT_FILES, HOOK_EVENTS, PLANNER_SESSIONS
from khive_persist.models.query import Field, Filter, Order, column, field
from khive_persist.opening import save_planning_session
from khive_persist.project import Project
from khive_persist.store.hook_events import HookEventStore
from khive_persist.store.planner_sessions import PlannerSessionStore
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement, select
from tests.factories import event, plan
from tests.store.records import opened, plan_store
from tests.store.sqlite_program import needs_program, query_plan, rows

COMPLEX = "SELECT * FROM planner_sessions WHERE json_extract(content, '$.complexity') = 'complex'"
CONFIDENT = "SELECT * FROM planner_sessions WHERE json_extract(content, '$.confidence') > 0.8"
DEAREST = (
    "SELECT json_extract(content,'$.session_id') AS session,"
    " json_extract(content,'$.planning_cost') AS cost,"
    " json_extract(content,'$.agent_count') AS agents FROM planner_sessions ORDER BY cost DESC"
)
FULL_SORT = "USE TEMP B-TREE FOR ORDER BY"


@pytest.fixture
async def filled(plans: PlannerSessionStore, database: Path) -> Path:
    await plans.save_many(
        plan(
            f"s{number}",
            complexity=("simple", "complex")[number % 2],
            confidence=number / 10,
            planning_cost=(number * 7) % 10,
            agent_count=number,
        )
        for number in range(10)
    )
    return database


@needs_program
async def test_the_contract_s_sql_finds_the_right_rows(filled: Path) -> None:
    def sessions(sql: str) -> list[str]:
        return [json.loads(row["content"])["session_id"] for row in rows(filled, sql)]

    assert sorted(sessions(COMPLEX)) == ["s1", "s3", "s5", "s7", "s9"]
    assert sorted(sessions(CONFIDENT)) == ["s9"]
    dearest = rows(filled, DEAREST)
    assert dearest[0] == {"session": "s7", "cost": 9.0, "agents": 7}
    assert [row["cost"] for row in dearest] == list(range(9, -1, -1))


@needs_program
@pytest.mark.parametrize(
    ("sql", "step"),
    [
        (COMPLEX, "SEARCH planner_sessions USING INDEX planner_sessions_complexity_"),
        (CONFIDENT, "SEARCH planner_sessions USING INDEX planner_sessions_confidence (<expr>>?)"),
        (DEAREST, "SCAN planner_sessions USING INDEX planner_sessions_planning_cost"),
        (
            f"{COMPLEX} AND json_extract(content, '$.confidence') > 0.8"
            " ORDER BY json_extract(content, '$.planning_cost') DESC LIMIT 50",
            "SEARCH planner_sessions USING INDEX planner_sessions_complexity_",
        ),
        (
            "SELECT * FROM planner_sessions WHERE json_extract(content, '$.session_id') = 's1'",
            "USING INDEX planner_sessions_session_id (<expr>=?)",
        ),
        (
            "SELECT * FROM planner_sessions ORDER BY created_at DESC LIMIT 10",
            "USING INDEX planner_sessions_created_at",
        ),
        ("SELECT * FROM plans WHERE complexity = 'complex'", "USING INDEX planner_sessions_compl"),
        ("SELECT * FROM plans WHERE confidence > 0.8", "USING INDEX planner_sessions_confidence"),
        (
            "SELECT session_id, planning_cost FROM plans ORDER BY planning_cost DESC",
            "USING INDEX planner_sessions_planning_cost",
        ),
        ("SELECT * FROM plans WHERE session_id = 's1'", "USING INDEX planner_sessions_session_id"),
    ],
)
async def test_sql_on_plans_finds_an_index(sql: str, step: str, filled: Path) -> None:
    found = query_plan(filled, sql)
    assert step in found
    assert FULL_SORT not in found


@needs_program
@pytest.mark.parametrize("table", ["hook_events", "events"])
async def test_sql_on_events_finds_an_index(
    table: str, events: HookEventStore, folder: Path
) -> None:
    await events.save(event(tool="codex"))
    event_type = "event_type" if table == "events" else "json_extract(content, '$.event_type')"
    session_id = "session_id" if table == "events" else "json_extract(content, '$.session_id')"
    use_id = "tool_use_id" if table == "events" else "json_extract(content, '$.tool_use_id')"
    for condition, index in (
        (f"{event_type} = 'stop' ORDER BY created_at DESC LIMIT 5", "event_type_created_at"),
        (f"{session_id} = 's1' ORDER BY created_at", "session_id_created_at"),
        (f"{use_id} = 'x'", "tool_use_id"),
        ("created_at > '2026-01-01' ORDER BY created_at DESC", "created_at"),
    ):
        found = query_plan(folder / "codex_hooks.db", f"SELECT * FROM {table} WHERE {condition}")
        assert f"USING INDEX hook_events_{index}" in found
        assert FULL_SORT not in found


@needs_program
async def test_views_give_the_fields_as_plain_typed_columns(
    filled: Path, events: HookEventStore, folder: Path
) -> None:
    (found,) = rows(filled, "SELECT * FROM plans WHERE agent_count = 3")
    assert set(found) == {"id", "created_at", *PLANNER_SESSIONS.fields}
    assert (found["session_id"], found["confidence"], found["agent_count"]) == ("s3", 0.3, 3)
    await events.save(event(tool="codex", success=False, duration_ms=1.5))
    (seen,) = rows(folder / "codex_hooks.db", "SELECT * FROM events")
    assert set(seen) == {"id", "created_at", *HOOK_EVENTS["codex"].fields}
    assert (seen["event_type"], seen["success"], seen["duration_ms"]) == ("stop", 0, 1.5)


@needs_program
async def test_a_row_is_five_columns_as_the_contract_spells_them(
    plans: PlannerSessionStore, database: Path
) -> None:
    saved = plan(complexity="ä")
    saved.created_at = datetime(987, 6, 5, 4, 3, 2, 100, tzinfo=UTC)
    saved.embedding = [1.5]
    await plans.save(saved)
    declared = [
        (row["name"], row["type"], row["notnull"], row["pk"])
        for row in rows(database, "PRAGMA table_info(planner_sessions)")
    ]
    assert declared == [
        ("id", "VARCHAR", 1, 1),
        ("content", "JSON", 0, 0),
        ("node_metadata", "JSON", 0, 0),
        ("created_at", "DATETIME", 0, 0),
        ("embedding", "JSON", 0, 0),
    ]
    names = ("content", "node_metadata", "created_at", "embedding")
    types = ", ".join(f"typeof({name}) AS type_{name}" for name in names)
    (row,) = rows(database, f"SELECT *, {types} FROM planner_sessions")
    assert {row[f"type_{name}"] for name in names} == {"text"}
    assert row["content"] == '{"session_id":"s1","task_description":"","complexity":"ä"}'
    assert row["created_at"] == "0987-06-05 04:03:02.000100"
    assert row["embedding"] == "[1.5]"
    assert json.loads(row["node_metadata"]) == {
        "lion_class": "khive_persist.records.planner_session.PlannerSession"
    }


@needs_program
async def test_rows_go_both_ways_between_an_open_store_and_the_program(
    plans: PlannerSessionStore, database: Path
) -> None:
    await plans.save(plan("ours"))
    assert rows(database, "SELECT session_id FROM plans") == [{"session_id": "ours"}]
    theirs = '{"session_id": "theirs", "complexity": "complex"}'
    rows(database, f"INSERT INTO planner_sessions (id, content) VALUES ('theirs', '{theirs}')")
    assert [one.id for one in await plans.find(field("complexity") == "complex")] == ["theirs"]


@pytest.mark.parametrize(("file", "bytes"), [("planner_sessions", 8_192), ("codex_hooks", 16_384)])
async def test_a_new_file_has_the_settings_that_are_set_at_birth(
    file: str, bytes: int, filled: Path, events: HookEventStore, folder: Path
) -> None:
    await events.save(event(tool="codex"))
    with closing(sqlite3.connect(folder / f"{file}.db")) as connection:
        found = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "auto_vacuum", "page_size", "user_version")
        }
    assert found == {
        "journal_mode": "wal",
        "auto_vacuum": 2,
        "page_size": bytes,
        "user_version": 2,
    }


Asked = Callable[[Source], Statement]


def asked(*filters: Filter, order_by: Field | Order | None = None, limit: int | None = 10) -> Asked:
    def build(source: Source) -> Statement:
        made = select(source, filters, () if order_by is None else order_by, limit)
        return Statement(f"EXPLAIN QUERY PLAN {made.sql}", made.values)

    return build


CREATED_AT = column("created_at")


@pytest.mark.parametrize(
    ("question", "index"),
    [
        (asked(field("event_type") == "stop"), "event_type_created_at (<expr>=?)"),
        (
            asked(field("event_type") == "stop", order_by=-CREATED_AT),
            "event_type_created_at (<expr>=?)",
        ),
        (
            asked(field("session_id") == "s1", order_by=CREATED_AT, limit=None),
            "session_id_created_at_success (<expr>=?)",
        ),
        (
            asked(field("session_id") >= "a", field("session_id") < "b"),
            "session_id_created_at_success (<expr>>? AND <expr><?)",
        ),
        (
            asked(field("event_type").in_(["stop", "pre_edit"])),
            "event_type_created_at (<expr>=?)",
        ),
        (asked(CREATED_AT >= "2026-01-01", order_by=CREATED_AT), "created_at (created_at>?)"),
        (asked(order_by=-CREATED_AT), "created_at"),
        (asked(field("tool_use_id") == "x"), "tool_use_id (<expr>=?)"),
    ],
)
async def test_a_question_over_all_tools_uses_the_index_of_each_and_sorts_nothing(
    question: Asked, index: str, events: HookEventStore, folder: Path
) -> None:
    for tool in EVENT_FILES:
        await events.save(event(tool=tool))
    reader = Reader([(folder / purpose.file, purpose) for purpose in EVENT_FILES.values()])
    steps = [row[3] for row in await reader.fetch(question)]
    await reader.close()
    searches = [step for step in steps if "hook_events" in step]
    assert len(searches) == len(EVENT_FILES)
    assert all(f"USING INDEX hook_events_{index}" in step for step in searches)
    assert FULL_SORT not in steps


@pytest.mark.parametrize(
    ("question", "index"),
    [
        (
            asked(
                field("complexity") == "complex",
                field("confidence") > 0.8,
                order_by=-field("planning_cost"),
            ),
            "complexity_planning_cost_confidence_agent_count (<expr>=?)",
        ),
        (asked(field("complexity").is_null()), "complexity_planning_cost_confidence_agent_count"),
        (asked(field("confidence") > 0.8), "confidence (<expr>>? AND <expr><?)"),
        (asked(field("planning_cost") <= 0.8), "planning_cost (<expr><?)"),
        (asked(order_by=-field("planning_cost")), "planning_cost"),
        (asked(field("session_id") == "s1"), "session_id (<expr>=?)"),
    ],
)
async def test_a_question_about_plans_uses_an_index_and_sorts_nothing(
    question: Asked, index: str, folder: Path
) -> None:
    async with opened(plan_store(folder)) as store:
        pass
    reader = Reader([(store.paths[0], PLANNER_SESSIONS)])
    steps = [row[3] for row in await reader.fetch(question)]
    await reader.close()
    assert len(steps) == 1
    assert f"USING INDEX planner_sessions_{index}" in steps[0]


async def test_two_plans_take_few_pages(project: Project) -> None:
    for session in ("s1", "s2"):
        await save_planning_session(session_id=session, task_description="x", dir=project.root)
    files = (path.lstat() for path in project.khive.rglob("*"))
    assert sum(file.st_blocks * 512 for file in files) <= 140_000
