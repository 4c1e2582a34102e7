"""Redact --rescan: secrets that were stored are taken out, to the last byte."""

import base64
import json
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import anyio
import pytest

from khive_persist import HookEvent, open_store, save_planning_session
from khive_persist.capture.drain import drain
from khive_persist.capture.spool import DRAINER_LOCK, Spool
from khive_persist.cli.root import run as main
from khive_persist.maintenance.retention.rescan import Rescanned, rescan, rescan_waiting
from khive_persist.models.purposes import BUILT_IN, HOOK_EVENTS
from khive_persist.project import Project
from khive_persist.redaction import Redactor
from khive_persist.settings import Settings
from khive_persist.store.sqlite import write_lock
from tests.retention.events import are_equal, contents, files_with, put_events, put_plans

TOKEN = "ghp_" + "A1b2C3d4" * 4 + "E5f6"
REDACTOR = Redactor(b"key")
CODEX = HOOK_EVENTS["codex"]


def stored_with_secrets(project: Project) -> None:
    project.local_config.write_text("[redaction]\nenabled = false\n")
    put_events(project, 3, 2, command=f"git clone {TOKEN}")
    put_events(project, 1)
    put_plans(project, [f"plan of {TOKEN}", "without"])
    Spool(project).accept("codex", b"\xff\xfe no JSON, with " + TOKEN.encode())
    drain(project)


def run(project: Project, *, dry_run: bool = False) -> list[Rescanned]:
    return [rescan(project, one, REDACTOR, Settings(), dry_run=dry_run) for one in BUILT_IN]


def test_secrets_go_from_both_copies_and_are_counted(project: Project) -> None:
    stored_with_secrets(project)
    assert files_with(project, TOKEN.encode())
    plans, _, codex, *_ = run(project)
    assert (plans.looked_at, plans.changed, plans.kinds) == (2, 1, {"github_token": 2})
    assert (codex.looked_at, codex.changed, codex.kinds) == (4, 3, {"github_token": 3})
    assert files_with(project, TOKEN.encode()) == []
    assert files_with(project, base64.b64encode(TOKEN.encode())[4:-8]) == []
    assert are_equal(project)
    commands = [content.get("command") for content in contents(project).values()]
    assert sum("[REDACTED:github_token:" in str(command) for command in commands) == 2


def test_a_dry_run_shows_counts_and_changes_nothing(project: Project) -> None:
    stored_with_secrets(project)
    before = contents(project)
    plans, claude, codex, *others = run(project, dry_run=True)
    assert (plans.kinds, claude.kinds, codex.kinds) == (
        {"github_token": 2},
        {},
        {"github_token": 3},
    )
    assert all(one.kinds == {} for one in others)
    assert contents(project) == before


def test_a_second_time_finds_nothing(project: Project) -> None:
    stored_with_secrets(project)
    run(project)
    before = contents(project)
    assert all(not one.changed and not one.kinds for one in run(project))
    assert contents(project) == before


def test_counts_of_before_stay(project: Project) -> None:
    """A row that was redacted, and in which another kind is found later."""
    put_events(project, 1, command=f"git clone {TOKEN}")
    (content,) = contents(project).values()
    assert "REDACTED" in content["command"]
    project.local_config.write_text("[redaction]\nenabled = false\n")
    put_events(project, 2, command="x", output=json.dumps({"password": "hunter2-s3cret"}))
    run(project)
    with closing(sqlite3.connect(project.database(CODEX.file))) as connection:
        rows = connection.execute("SELECT node_metadata FROM hook_events ORDER BY created_at")
        found = [json.loads(text).get("redacted") for (text,) in rows]
    assert found == [{"password": 1}, {"github_token": 1}]


def test_a_preview_that_ends_within_a_secret_is_made_anew(project: Project) -> None:
    project.make()
    project.local_config.write_text("[redaction]\nenabled = false\n")
    for cut in (10, 30):
        text = "x " * 100
        response = {"stdout": text[cut:] + TOKEN + " and more", "stderr": "", "n": 1.50}
        payload = {"hook_event_name": "PostToolUse", "tool_name": "Bash", "session_id": "s"}
        raw = json.dumps(payload | {"tool_response": response})
        Spool(project).accept("claude-code", raw.encode())
    drain(project)
    assert files_with(project, TOKEN[:9].encode())
    run(project)
    assert files_with(project, TOKEN[:9].encode()) == []
    for content in contents(project, "claude_hooks.db").values():
        assert len(content["output"]) == 200
        assert "[REDACTED:" in content["payload"]["tool_response"]["stdout"]
    # What the tool sent is as it was, but for the secret.
    assert files_with(project, b'"n": 1.5}')
    assert are_equal(project)


def lines_of_killed_writers(project: Project) -> dict[Path, bytes]:
    """A torn line, a damaged one, documents that are none, and files that have no name yet."""
    stream = next(project.sessions.glob("hook_events*.jsonl"))
    day = "2026_11_28"
    left = {
        stream: b'{"dataModelVersion":1,"id":"x","content":{"prompt":"torn %s',
        project.sessions / f"hook_events_{day}_deadbeef.jsonl": b'{"id":"x","content":"%s" \n',
        project.sessions / f"planner_session_{day}_deadbeef.json": b'{"id":"x","content":"%s"',
        project.sessions / f".planner_session_{day}_cafecafe.json.planner_sessions.tmp": b"%s",
        project.sessions / f".hook_events_{day}_cafecafe.jsonl.codex_hooks.tmp": b"torn %s",
    }
    for path, content in left.items():
        with path.open("ab") as file:
            file.write(content % TOKEN.encode())
    return left


def test_torn_damaged_and_unfinished_files_have_no_secret_left(project: Project) -> None:
    put_events(project, 1)
    left = lines_of_killed_writers(project)
    assert len(files_with(project, TOKEN.encode())) == len(left)
    run(project)
    assert files_with(project, TOKEN.encode()) == []
    # What is damaged is kept, but for the secret.
    assert [path.name for path in left if path.exists()] == [
        path.name for path in left if not path.name.startswith(".")
    ]
    assert b"torn [REDACTED:github_token:" in next(iter(left)).read_bytes()


def test_nothing_is_left_of_a_record_that_was_deleted_before(project: Project) -> None:
    """In free pages of the database, and in lines of the mirror that no longer count."""
    project.local_config.write_text("[redaction]\nenabled = false\n")
    put_events(project, *range(5, 15), session_id="s", payload={})
    ids = put_events(project, 1, 2, session_id="s", command=TOKEN, payload={})

    async def delete() -> None:
        async with open_store(HookEvent, dir=project.root) as store:
            await store.delete(ids[1])

    anyio.run(delete)
    with closing(sqlite3.connect(project.database(CODEX.file))) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("DELETE FROM hook_events WHERE id = ?", (ids[0],))
        connection.commit()
    assert "codex_hooks.db" in files_with(project, TOKEN.encode())
    run(project)
    assert files_with(project, TOKEN.encode()) == []


def test_records_that_wait_in_the_spool_are_redacted(project: Project) -> None:
    project.local_config.write_text(
        "[redaction]\nenabled = false\n[store]\nbusy_timeout_seconds = 0.1\n"
    )
    path = project.database("planner_sessions.db")
    Spool(project).make()
    plan = {"session_id": "s", "task_description": f"with {TOKEN}"}
    # Or the drainer that is started could be first.
    with write_lock.held(project.spool / DRAINER_LOCK, 1):
        with write_lock.held(write_lock.lock_path(path), 1):
            anyio.run(partial(save_planning_session, plan, dir=project.root))
        (file,) = Spool(project).records()
        assert TOKEN.encode() in Spool(project).read(file)
        assert rescan_waiting(project, REDACTOR, 1) == 1
        assert rescan_waiting(project, REDACTOR, 1) == 0
        assert files_with(project, TOKEN.encode()) == []
        drain(project)
    (content,) = contents(project, "planner_sessions.db").values()
    assert content["task_description"].startswith("with [REDACTED:github_token:")


def test_what_it_leaves_alone_is_named(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    put_events(project, 1)
    words = ["--dir", str(project.root), "redact", "--rescan", "--yes"]
    (project.sessions / "notes.txt").write_text("mine")
    assert main(words) == 0
    (project.sessions / "notes.txt").write_text(f"mine: {TOKEN}")
    capsys.readouterr()
    assert main(words) == 1
    line = (
        f"khive-persist: {project.sessions / 'notes.txt'} is no file of ours,"
        " and has a secret in it"
    )
    assert capsys.readouterr().err == f"{line}\n"


def test_a_dry_run_writes_nothing(project: Project) -> None:
    put_events(project, 1)
    lines_of_killed_writers(project)
    before = {path: path.read_bytes() for path in project.sessions.iterdir()}
    run(project, dry_run=True)
    assert {path: path.read_bytes() for path in project.sessions.iterdir()} == before
