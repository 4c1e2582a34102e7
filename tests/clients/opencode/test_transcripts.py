"""Sessions that are rows of a database, as OpenCode 1.18.33 wrote them, and while it writes."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from khive_persist.errors import StoreError
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions.lineage.lineage import read_lineage
from khive_persist.transcripts.collection import collect
from khive_persist.transcripts.discovery import tool_of
from khive_persist.transcripts.growing_file import START
from khive_persist.transcripts.source import opened
from tests import stored

pytestmark = pytest.mark.anyio

ROWS = Path(__file__).with_name("sessions.sql")
SESSION = "ses_dd66b39e7ffeWHkKaNZWiJw1Tl"
AGENT = "ses_dd66a777effe3ZR1bjFQMNJtuv"
FAILED = "ses_dd66d1409ffeac6ht6q67gbp53"
TABLES = ("session", "message", "part")


@pytest.fixture(params=["opencode", "kilo"])
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def database(home: Path, project: Project, client: str) -> Path:
    """The client's database, which no process has open, of sessions in the project."""
    path = home / ".local" / "share" / client / f"{client}.db"
    path.parent.mkdir(parents=True)
    sql = ROWS.read_text().replace("/home/dev/src/proj", str(project.root))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(sql)
    return path


@pytest.fixture
def writer(database: Path) -> Iterator[sqlite3.Connection]:
    """The client, which has its database open."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("UPDATE session SET time_updated = time_updated + 1")
        yield connection


def messages(project: Project) -> list[dict[str, Any]]:
    return [*stored.contents(project, "conversations.db").values()]


def parts(connection: sqlite3.Connection, kind: str) -> list[dict[str, Any]]:
    found = (json.loads(data) for (data,) in connection.execute("SELECT data FROM part"))
    return [part for part in found if part["type"] == kind]


async def test_each_message_comes_once_with_its_tokens_and_calls(
    database: Path, project: Project, client: str
) -> None:
    result = await collect(project)
    assert not result.failed
    assert {(tool, synced.path) for tool, synced in result.transcripts} == {
        (client, database / session) for session in (SESSION, AGENT, FAILED)
    }
    kept = messages(project)
    with closing(sqlite3.connect(database)) as connection:
        assert len(kept) == connection.execute("SELECT count(*) FROM message").fetchone()[0]
        steps = [step["tokens"] for step in parts(connection, "step-finish")]
        calls = {part["callID"]: part["state"] for part in parts(connection, "tool")}
        thoughts = [part["text"] for part in parts(connection, "reasoning")]
    tokens = sum((Counter(message.get("tokens", {})) for message in kept), Counter[str]())
    assert tokens == Counter(
        input=sum(step["input"] for step in steps),
        cache_read=sum(step["cache"]["read"] for step in steps),
        output=sum(step["output"] + step["reasoning"] for step in steps),
        reasoning=sum(step["reasoning"] for step in steps),
    )
    assert sum(message["usage"]["cost"] for message in kept if "usage" in message) > 0
    kept_calls = {call["tool_use_id"]: call for m in kept for call in m.get("tool_calls", ())}
    assert {id: call["input"] for id, call in kept_calls.items()} == {
        id: state["input"] for id, state in calls.items()
    }
    failures = {id for id, call in kept_calls.items() if call["is_error"]}
    assert failures == {"call_2", "call_3"}
    assert kept_calls["call_2"]["exit_code"] == 3
    assert sorted(message["thinking"] for message in kept if "thinking" in message) == thoughts
    assert {message["tool"] for message in kept} == {client}


async def test_a_subagents_session_is_an_agent_of_its_parent(
    database: Path, project: Project
) -> None:
    await collect(project)
    assert {message["session_id"] for message in messages(project)} == {SESSION, FAILED}
    agents = (await read_lineage(project, SESSION, PriceTable())).agents
    assert [(agent.agent_id, agent.agent_type, agent.depth) for agent in agents] == [
        (None, None, 0), (AGENT, "general", 1),
    ]  # fmt: skip


async def test_to_do_lists_are_kept(database: Path, project: Project) -> None:
    await collect(project)
    (snapshot,) = stored.contents(project, "focus_chains.db").values()
    assert [(item["text"], item["status"]) for item in snapshot["items"]] == [
        ("first", "in_progress")
    ]


async def test_a_second_sync_reads_nothing_and_a_changed_message_again(
    database: Path, writer: sqlite3.Connection, project: Project
) -> None:
    await collect(project)
    again = await collect(project)
    assert [synced.lines for _, synced in again.transcripts] == [0, 0, 0]
    before = len(messages(project))
    (id, data, at) = writer.execute(
        "SELECT id, data, time_updated FROM part WHERE session_id = ? AND data LIKE '%\"text\"%'"
        " ORDER BY time_updated DESC", [AGENT]
    ).fetchone()  # fmt: skip
    text = json.dumps(json.loads(data) | {"text": "more of it"})
    writer.execute(
        "UPDATE part SET data = ?, time_updated = ? WHERE id = ?", [text, at + 10_000, id]
    )
    changed = await collect(project)
    assert {synced.path.name: synced.changed for _, synced in changed.transcripts if synced.lines}[
        AGENT
    ] == 1
    kept = messages(project)
    assert len(kept) == before
    assert "more of it" in [message.get("text") for message in kept]


async def test_a_change_that_was_committed_late_is_read(
    database: Path, writer: sqlite3.Connection, project: Project
) -> None:
    latest = writer.execute("SELECT max(time_updated) FROM part WHERE session_id = ?", [AGENT])
    at = latest.fetchone()[0] + 10_000
    new = "INSERT INTO message VALUES (?, ?, ?, ?, ?)"
    writer.execute(new, ["msg_b", AGENT, at, at, '{"role":"user"}'])
    await collect(project)
    writer.execute(new, ["msg_a", AGENT, at - 1_000, at - 1_000, '{"role":"user"}'])
    await collect(project)
    assert {"msg_a", "msg_b"} <= {message["message_id"] for message in messages(project)}


async def test_the_client_never_waits_for_who_reads(
    database: Path, writer: sqlite3.Connection
) -> None:
    with closing(opened(database / SESSION, START)) as source:
        lines = source.lines()
        next(lines)
        writer.execute("UPDATE message SET time_updated = time_updated + 1")
        busy, *_ = writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert busy == 0
        assert len([*lines]) == 6


async def test_a_closed_database_stays_as_it_is(database: Path, project: Project) -> None:
    before = (database.read_bytes(), sorted(database.parent.iterdir()))
    with closing(opened(database / SESSION, START)) as source:
        next(source.lines())
        assert [*database.parent.iterdir()] == [database]
    await collect(project)
    assert (database.read_bytes(), sorted(database.parent.iterdir())) == before == (
        database.read_bytes(), [database]
    )  # fmt: skip


async def test_reading_goes_on_where_it_was_left(database: Path) -> None:
    path = database / SESSION
    with closing(opened(path, START)) as source:
        lines = source.lines()
        first = [next(lines) for _ in range(3)]
        position = source.position(first[-1].number, first[-1].end)
    with closing(opened(path, position)) as source:
        rest = [*source.lines()]
    ids = [json.loads(line.content)["id"] for line in (*first, *rest)]
    with closing(opened(path, START)) as source:
        assert {*ids} == {json.loads(line.content)["id"] for line in source.lines()}
    assert rest[-1].number >= 7


async def test_a_named_database_is_all_its_sessions(
    database: Path, project: Project, client: str
) -> None:
    result = await collect(project, [database])
    assert {tool for tool, _ in result.transcripts} == {client}
    assert len(result.transcripts) == 3
    assert tool_of(database / SESSION) == client


async def test_sessions_of_other_folders_are_left_alone(
    database: Path, writer: sqlite3.Connection, project: Project
) -> None:
    writer.execute("UPDATE session SET directory = '/elsewhere' WHERE id = ?", [FAILED])
    result = await collect(project)
    assert FAILED not in {synced.path.name for _, synced in result.transcripts}


@pytest.mark.parametrize("table", TABLES)
async def test_a_view_in_the_place_of_a_table_is_refused(
    database: Path, writer: sqlite3.Connection, project: Project, table: str
) -> None:
    writer.execute(f"ALTER TABLE {table} RENAME TO other")
    writer.execute(f"CREATE VIEW {table} AS SELECT * FROM other")
    ((path, _),) = (await collect(project)).failed
    assert path == database
    with pytest.raises(StoreError, match="no database of sessions"):
        opened(database / SESSION, START)


@pytest.mark.parametrize("data", ["", "[]", "{", "null", '{"role":1}', '{"role":"user","time":[]}'])
async def test_any_data_is_read(
    database: Path, writer: sqlite3.Connection, project: Project, data: str
) -> None:
    writer.execute("UPDATE message SET data = ?", [data])
    writer.execute("UPDATE part SET data = ?", [data])
    result = await collect(project)
    assert not result.failed
    assert len(messages(project)) == 11
