"""A person's own SQL over all files: for reading only, and whatever a file holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from khive_persist.errors import InvalidQueryError, StoreDamagedError
from khive_persist.models.purposes import BUILT_IN, HOOK_EVENTS, PLANNER_SESSIONS
from khive_persist.sessions.event_counts import count_events
from khive_persist.sessions.listing import SessionFilter, list_sessions
from khive_persist.sessions.open_tool_calls import find_unmatched
from khive_persist.store.hook_events import HookEventStore
from khive_persist.store.planner_sessions import PlannerSessionStore
from khive_persist.store.reader import Reader
from khive_persist.store.sqlite.readonly_query import AdHoc
from tests.factories import event, plan
from tests.store import old_files


@contextmanager
def asked(folder: Path) -> Iterator[AdHoc]:
    found = AdHoc(sorted(folder.glob("*.db")))
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
async def filled(plans: PlannerSessionStore, events: HookEventStore, folder: Path) -> Path:
    await plans.save(plan("s1", complexity="complex"))
    await events.save(event(tool="codex", session_id="s1", success=False))
    await events.save(event(tool="gemini-cli", session_id="s2"))
    return folder


async def test_tables_of_all_files_are_found_by_their_names(filled: Path) -> None:
    with asked(filled) as adhoc:
        names, rows = adhoc.run("SELECT count(*) AS events FROM hook_events")
        assert (names, list(rows)) == (["events"], [(2,)])
        _, rows = adhoc.run(
            "SELECT plans.complexity, events.tool FROM plans JOIN events USING (session_id)"
        )
        assert list(rows) == [("complex", "codex")]
        _, rows = adhoc.run("SELECT count(*) FROM codex_hooks.hook_events")
        assert list(rows) == [(1,)]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM planner_sessions",
        "INSERT INTO planner_sessions (id) VALUES ('x')",
        "UPDATE planner_sessions SET content = NULL",
        "DROP TABLE planner_sessions",
        "CREATE TABLE mine (x)",
        "CREATE TEMP TABLE mine (x)",
        "ATTACH '{folder}/other.db' AS other",
        "VACUUM INTO '{folder}/other.db'",
        "PRAGMA planner_sessions.user_version = 9",
        "PRAGMA writable_schema = ON",
        "BEGIN IMMEDIATE",
        "SELECT 1; DELETE FROM planner_sessions",
        "SELECT load_extension('x')",
        "SELEC 1",
        "SELECT nonsense FROM plans",
        "SELECT '\0'",
    ],
)
async def test_what_would_write_or_is_no_sql_is_refused(sql: str, filled: Path) -> None:
    before = old_files.digest(filled)
    with asked(filled) as adhoc, pytest.raises(InvalidQueryError):
        list(adhoc.run(sql.format(folder=filled))[1])
    assert old_files.digest(filled) == before


async def test_a_damaged_file_is_named_and_hides_no_other(
    filled: Path, events: HookEventStore
) -> None:
    await events.close()
    (filled / "codex_hooks.db").write_bytes(b"no database" * 100)
    with asked(filled) as adhoc:
        _, rows = adhoc.run("SELECT count(*) FROM hook_events")
        assert list(rows) == [(1,)]
        (error,) = adhoc.unread
    assert isinstance(error, StoreDamagedError)
    assert "codex_hooks.db" in str(error)


async def test_reports_hold_over_old_rows_and_one_that_is_no_json(
    events: HookEventStore, folder: Path
) -> None:
    rows = [*old_files.ROWS, old_files.MALFORMED]
    old_files.make(folder / PLANNER_SESSIONS.file, rows)
    begun = (
        '{"event_type": "pre_command", "session_id": "s1", "tool_use_id": "u", "success": false}'
    )
    codex = HOOK_EVENTS["codex"]
    old_events = [old_files.ROWS[0]._replace(content=begun), old_files.MALFORMED]
    old_files.make(folder / codex.file, old_events, codex.table)
    await events.save(event("pre_command", session_id="s9", tool_name="Bash"))
    reader = Reader([(folder / purpose.file, purpose) for purpose in BUILT_IN[:10]])
    sessions = await list_sessions(reader, SessionFilter())
    assert sessions[0].session_id == "s9"
    assert {one.session_id for one in sessions} == {"s1", "s2", "s3", "s4", "s9"}
    counted = await count_events(reader)
    of_codex = [row for row in counted if row.tool == "codex"]
    assert sum(row.events for row in of_codex) == 2
    # Only the end of a call can say that it failed.
    assert [row.failures for row in of_codex if row.event_type] == [0]
    unmatched = await find_unmatched(reader)
    assert {(one.tool, one.tool_use_id, one.calls) for one in unmatched} == {
        ("codex", "u", 1),
        ("claude-code", None, 1),
    }
    await reader.close()
