"""What the reading commands show, to people and to programs."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import anyio
import pytest

from khive_persist import PlannerSession, open_store, record_outcome
from khive_persist.capture.spool import Spool
from khive_persist.models.message import Message
from khive_persist.project import Project
from tests.cli.conftest import Khive
from tests.payloads import sample_payloads

PROGRAM = [sys.executable, "-m", "khive_persist.cli"]
SESSION = "3aeaa724-c75a-4fc5-9e77-8feafee36ced"
EVENTS = sum(len(sample_payloads(tool)) for tool in ("claude-code", "codex", "gemini-cli"))


@pytest.fixture
def planned(recorded: Project) -> Project:
    async def save() -> None:
        async with open_store(PlannerSession, dir=recorded.root) as plans:
            for number in range(4):
                await plans.save(
                    PlannerSession(
                        id=f"plan-{number}",
                        content={
                            "session_id": SESSION if number == 0 else f"other-{number}",
                            "task_description": "do it",
                            "complexity": "complex" if number % 2 == 0 else "simple",
                            "confidence": 0.5 + number / 10,
                            "planning_cost": number * 0.25,
                        },
                    )
                )

    anyio.run(save)
    return recorded


def test_events_reads_what_still_waits_in_the_spool(recorded: Project, khive: Khive) -> None:
    done = khive("events", "--jsonl")
    assert (done.code, done.err) == (0, "")
    assert len(done.lines) == EVENTS
    assert Spool(recorded).is_empty()
    times = [event["created_at"] for event in done.lines]
    assert times == sorted(times, reverse=True)


def test_json_is_one_document_with_the_same_events(recorded: Project, khive: Khive) -> None:
    assert khive("events", "--json").json == khive("events", "--jsonl").lines


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--tool", "codex"], lambda e: e["tool"] == "codex"),
        (["--type", "pre_command"], lambda e: e["event_type"] == "pre_command"),
        (["--session", "3aeaa724"], lambda e: e["session_id"] == SESSION),
        (
            ["--session", SESSION, "--type", "stop"],
            lambda e: e["session_id"] == SESSION and e["event_type"] == "stop",
        ),
        (["--failed"], lambda e: e.get("success") is False),
        (["--tool-name", "Bash"], lambda e: e.get("tool_name") == "Bash"),
        (["--since", "1h"], lambda _: True),
        (["--until", "2020-01-01"], lambda _: False),
        (["--since", "2999-01-01T00:00+02:00"], lambda _: False),
    ],
)
def test_filters_keep_what_they_say(
    recorded: Project, khive: Khive, words: list[str], expected: Callable[[object], bool]
) -> None:
    everything = khive("events", "--jsonl").lines
    found = khive("events", "--jsonl", *words).lines
    assert found == [event for event in everything if expected(event["content"])]


def test_text_is_looked_for_in_every_text_and_is_no_pattern(project: Project, khive: Khive) -> None:
    spool = Spool(project)
    for number, text in enumerate(('say "50%"', "a_b", "C:\\new\nline", "Grün", "axb")):
        payload = {"session_id": str(number), "tool_input": {"deep": [{"inner": text}]}}
        spool.accept("claude-code", json.dumps(payload).encode())
    spool.accept("claude-code", b"no json: lost\xff words")
    for text, sessions in (
        ('say "50%"', ["0"]), ("50%", ["0"]), ("a_b", ["1"]), ("A_B", ["1"]), ("\\new\nl", ["2"]),
        ("rün", ["3"]), ("inner", []), ("nowhere", []), ("", ["0", "1", "2", "3", "4", None]),
    ):  # fmt: skip
        events = khive("events", "--jsonl", "--text", text).lines
        assert sorted([e["content"].get("session_id") for e in events], key=str) == sessions, text
    too_long = khive("events", "--text", "x" * 60_000)
    assert (too_long.code, too_long.out) == (2, "")
    assert "at most 10000 characters" in too_long.err
    words = ("--no-follow", "--jsonl", "--text", "a_b")
    assert [e["content"]["session_id"] for e in khive("tail", *words).lines] == ["1"]


def test_query_lists_tables_and_columns_by_a_word(planned: Project, khive: Khive) -> None:
    assert khive("query", "tables", "--json").json == khive("query", "--tables", "--json").json
    rows = khive("query", "columns", "plans", "--json").json
    assert {row["table"] for row in rows} == {"plans"}
    assert "planning_cost" in [row["column"] for row in rows]
    named = khive("query", "columns", "planner_sessions.plans", "--csv").out.splitlines()
    assert named[0] == '"database","table","column","type"'
    assert len(named) == len(rows) + 1
    every = khive("query", "columns").out.splitlines()
    assert every[0].split() == ["database", "table", "column", "type"]
    assert len(every) > len(rows)
    for words in (("columns", "nothing"), ("SELECT", "1"), ("tables", "plans")):
        done = khive("query", *words)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), words


def test_limit_is_of_the_newest(recorded: Project, khive: Khive) -> None:
    everything = khive("events", "--jsonl").lines
    assert khive("events", "--jsonl", "--limit", "3").lines == everything[:3]
    assert khive("events", "--jsonl", "--limit", "0").lines == []
    assert len(khive("events", "--limit", "3").out.splitlines()) == 4
    assert len(khive("events").out.splitlines()) == 51


def test_no_events_is_said_on_stderr(project: Project, khive: Khive) -> None:
    done = khive("events")
    assert (done.code, done.out, done.err) == (0, "", f"no events in {project.khive}\n")
    words = ("--type", "pre_command", "--text", "a b", "--failed", "--limit", "3")
    assert khive("events", *words).err == (
        f"no events in {project.khive}: --type pre_command --failed --text 'a b'\n"
    )
    assert khive("tail", "--no-follow").err == f"no events in {project.khive}\n"
    assert khive("sessions", "--since", "2026-11-01").err == (
        f"no sessions in {project.khive}: --since '2026-11-01 00:00:00'\n"
    )
    assert khive("events", "--json").json == []
    assert khive("events", "--jsonl").out == ""


def test_without_a_khive_reading_fails_in_one_line(tmp_path: Path, khive: Khive) -> None:
    for command in (
        ["events"],
        ["sessions"],
        ["stats"],
        ["query", "SELECT 1"],
        ["doctor"],
        ["tail"],
    ):
        done = khive(*command, "--dir", str(tmp_path / "nowhere"))
        assert (done.code, done.out) == (1, "")
        assert done.err.count("\n") == 1
        assert "khive-persist init" in done.err
    assert not (tmp_path / "nowhere").exists()


def test_sessions_join_plans_and_events(planned: Project, khive: Khive) -> None:
    by_id = {session["session_id"]: session for session in khive("sessions", "--json").json}
    assert by_id[SESSION]["complexity"] == "complex"
    assert by_id[SESSION]["tool"] == "claude-code"
    assert by_id[SESSION]["events"] > 10
    assert by_id["other-1"]["events"] == 0
    assert by_id["other-1"]["tool"] is None
    assert sum(session["events"] for session in by_id.values()) == EVENTS
    filtered = khive(
        "sessions", "--complexity", "complex", "--min-confidence", "0.6", "--json"
    ).json
    assert [session["session_id"] for session in filtered] == ["other-2"]
    cheap = khive("sessions", "--max-cost", "0.3", "--json").json
    assert {session["session_id"] for session in cheap} == {SESSION, "other-1"}
    assert [s["session_id"] for s in khive("sessions", "--session", "3aea", "--json").json] == [
        SESSION
    ]


def test_sessions_have_messages_and_the_latest_verdict(planned: Project, khive: Khive) -> None:
    async def save() -> None:
        async with open_store(Message, dir=planned.root) as messages:
            for number in range(3):
                content = {"tool": "codex", "role": "user", "session_id": "said"}
                at = f"2027-01-01T00:00:0{number}Z"
                await messages.save(Message.model_validate({"content": content, "created_at": at}))

    anyio.run(save)
    assert khive("outcome", "set", "said", "failure").code == 0
    assert khive("outcome", "set", "said", "partial").code == 0
    anyio.run(partial(record_outcome, "said", "success", source="rule", dir=planned.root))
    said, *others = khive("sessions", "--json").json
    assert said["session_id"] == "said"
    assert (said["tool"], said["messages"], said["events"]) == ("codex", 3, 0)
    assert (said["started"], said["last"]) == (
        "2027-01-01 00:00:00.000000", "2027-01-01 00:00:02.000000",
    )  # fmt: skip
    assert said["verdict"] == "partial"
    assert {(one["messages"], one["verdict"]) for one in others} == {(0, None)}
    assert len(khive("sessions", "--tool", "codex", "--since", "2026-12-31", "--json").json) == 1


def test_show_finds_by_the_beginning_of_an_id(planned: Project, khive: Khive) -> None:
    event = khive("events", "--jsonl", "--limit", "1").lines[0]
    assert khive("show", event["id"], "--json").json == event
    assert khive("show", "plan-2", "--json").json["content"]["planning_cost"] == 0.5
    whole = khive("show", "3aeaa724", "--json").json
    assert [plan["id"] for plan in whole["plans"]] == ["plan-0"]
    assert {one["content"]["session_id"] for one in whole["events"]} == {SESSION}
    several = khive("show", "plan-")
    assert (several.code, several.out) == (1, "")
    assert "plan-0, plan-1, plan-2" in several.err
    nothing = khive("show", "no-such-id")
    assert (nothing.code, nothing.out) == (1, "")


def test_stats_count_what_is_there(planned: Project, khive: Khive) -> None:
    counted = khive("stats", "--json").json
    assert sum(entry["events"] for entry in counted["events"]) == EVENTS
    assert counted["plans"]["total_sessions"] == 4
    assert counted["plans"]["total_cost"] == pytest.approx(1.5)
    codex = khive("stats", "--tool", "codex", "--json").json["events"]
    assert sum(entry["events"] for entry in codex) == len(sample_payloads("codex"))
    assert "pre_command" in khive("stats").out


def test_query_reads_all_files_at_once(planned: Project, khive: Khive) -> None:
    total = khive("query", "SELECT count(*) AS n FROM hook_events", "--json").json
    assert total == [{"n": EVENTS}]
    one = khive("query", "SELECT count(*) AS n FROM codex_hooks.hook_events", "--json").json
    assert one == [{"n": len(sample_payloads("codex"))}]
    joined = khive(
        "query",
        "SELECT complexity, count(*) AS n FROM plans JOIN events USING (session_id) GROUP BY 1",
        "--jsonl",
    ).lines
    assert joined[0]["complexity"] == "complex"


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM planner_sessions",
        "UPDATE planner_sessions SET content = NULL",
        "INSERT INTO planner_sessions (id) VALUES ('x')",
        "CREATE TABLE mine (a)",
        "CREATE TEMP TABLE mine (a)",
        "DROP VIEW plans",
        "ATTACH '/tmp/khive-should-not-exist.db' AS other",
        "PRAGMA user_version = 7",
        "PRAGMA journal_mode = DELETE",
        "VACUUM",
        "BEGIN IMMEDIATE",
        "SELECT load_extension('x')",
        "SELECT 1; DELETE FROM planner_sessions",
        "SELEKT 1",
        "",
    ],
)
def test_query_refuses_whatever_would_write(planned: Project, khive: Khive, sql: str) -> None:
    before = khive("query", "SELECT count(*) AS n FROM planner_sessions", "--json").out
    done = khive("query", sql)
    assert done.out == ""
    assert done.err.count("\n") == 1
    assert done.code == 2 if sql else done.err.startswith("no rows in ")
    assert khive("query", "SELECT count(*) AS n FROM planner_sessions", "--json").out == before
    assert not Path("/tmp/khive-should-not-exist.db").exists()


def test_the_union_uses_the_indexes_of_each_file(planned: Project, khive: Khive) -> None:
    khive("events", "--limit", "1")
    plan = khive(
        "query",
        "EXPLAIN QUERY PLAN SELECT * FROM hook_events"
        " WHERE json_extract(content, '$.session_id') = 'x'",
        "--json",
    ).json
    details = [step["detail"] for step in plan]
    assert sum("USING INDEX hook_events_session_id_created_at_success" in d for d in details) == 3
    assert not any(detail.startswith("SCAN hook_events") for detail in details)


def test_a_damaged_file_is_named_and_the_others_are_read(planned: Project, khive: Khive) -> None:
    khive("events", "--limit", "1")
    planned.database("codex_hooks.db").write_bytes(b"no database at all" * 1000)
    done = khive("query", "SELECT count(*) AS n FROM hook_events", "--json")
    assert done.code == 1
    assert "codex_hooks.db" in done.err
    assert done.json == [{"n": EVENTS - len(sample_payloads("codex"))}]


def test_payload_text_cannot_move_the_cursor(project: Project, khive: Khive) -> None:
    nasty = {"hook_event_name": "Notification", "message": "a\x1b[2Jb\nc‮d", "session_id": "s"}
    Spool(project).accept("claude-code", json.dumps(nasty).encode())
    out = khive("events").out
    assert "\x1b" not in out
    assert "‮" not in out
    assert "\\x1b[2Jb\\nc" in out
    assert len(out.splitlines()) == 2


@pytest.mark.parametrize(
    "command", [["events", "--jsonl"], ["events"], ["query", "SELECT * FROM events"]]
)
def test_a_reader_that_leaves_early_is_no_error(recorded: Project, command: list[str]) -> None:
    words = " ".join(f"'{word}'" for word in [*PROGRAM, "--dir", str(recorded.root), *command])
    done = subprocess.run(
        ["/bin/bash", "-c", f"{words} | head -n 1"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


def test_tail_follows_what_other_processes_record(project: Project) -> None:
    spool = Spool(project)
    spool.accept("claude-code", b'{"hook_event_name":"Stop","session_id":"before"}')
    command = [*PROGRAM, "--dir", str(project.root), "tail", "--jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tail:
        assert tail.stdout is not None
        sessions = [json.loads(tail.stdout.readline())["content"]["session_id"]]
        for number in range(3):
            tool = ("codex", "claude-code", "gemini-cli")[number]
            spool.accept(tool, b'{"hook_event_name":"Stop","session_id":"s%d"}' % number)
            sessions.append(json.loads(tail.stdout.readline())["content"]["session_id"])
        tail.terminate()
    assert sessions == ["before", "s0", "s1", "s2"]


def test_tail_without_following_ends(recorded: Project, khive: Khive) -> None:
    done = khive("tail", "-n", "5", "--no-follow")
    assert done.code == 0
    assert len(done.out.splitlines()) == 6
    newest = khive("events", "--jsonl", "--limit", "5").lines
    shown = khive("tail", "-n", "5", "--no-follow", "--jsonl").lines
    assert shown == newest[::-1]


def test_sqlite3_itself_reads_the_same(recorded: Project, khive: Khive) -> None:
    khive("stats")
    connection = sqlite3.connect(recorded.database("codex_hooks.db"))
    count = connection.execute("SELECT count(*) FROM events").fetchone()[0]
    connection.close()
    assert count == len(sample_payloads("codex"))
