"""Whose a record is: ids in every spelling, numbers, one character, payloads kept as bytes."""

import base64
import json
import os
import sqlite3
import threading
from contextlib import closing
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_persist import PlannerSession, open_store
from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.copies import rebuild
from khive_persist.maintenance.retention.purge import purge
from khive_persist.models.purposes import BUILT_IN, PLANNER_SESSIONS
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store.session_ids import SessionMatch
from khive_persist.store.sqlite import write_lock
from khive_persist.store.sqlite.sync_writer import FileWriter
from khive_persist.transfer.import_ import import_rows
from tests.retention.events import are_equal, contents, files_with, put_plans

SECRET = b"MARKER-PRIVATE"
IDS = [
    "plain-session", r"C:\work\s1", 'say "hi"', "sitzung-größe", "team/alpha", "会议", "😀-1",
    "a\tb\nc", "12345678", "-1.5", "7", "a", "null", "{", '","x":"',
]  # fmt: skip


def run(project: Project, session_id: str) -> dict[str, int]:
    return purge(project, session_id, BUILT_IN, Settings()).removed


def sent(project: Project, payload: bytes, tool: str = "claude-code") -> None:
    Spool(project).accept(tool, payload)
    assert drain(project).waiting_count == 0


def prompt(session_id: Any, text: str = SECRET.decode(), *, is_ascii: bool = True) -> bytes:
    payload = {"hook_event_name": "UserPromptSubmit", "session_id": session_id, "prompt": text}
    return json.dumps(payload, ensure_ascii=is_ascii).encode()


@pytest.mark.parametrize("session_id", IDS)
def test_what_a_hook_and_a_program_recorded_goes(project: Project, session_id: str) -> None:
    sent(project, prompt(session_id))
    sent(project, prompt(session_id, is_ascii=False))
    sent(project, prompt(f"{session_id}0", "stays"))
    put_plans(project, [session_id, f"{session_id}0", f"x{session_id}"])
    assert files_with(project, SECRET)
    assert run(project, session_id) == {"claude_hooks": 2, "planner_sessions": 1}
    assert files_with(project, SECRET) == []
    assert len(contents(project, "claude_hooks.db")) == 1
    assert len(contents(project, "planner_sessions.db")) == 2
    assert are_equal(project)


def old_row(number: int, session: str) -> tuple[str, str]:
    content = f'{{"event_type":"pre_command","session_id":{session},"command":"{SECRET.decode()}"}}'
    return f"h{number}", content


SPELLINGS = [
    ("sitzung-größe", r'"sitzung-gr\u00f6\u00DFe"'),
    ("team/alpha", r'"team\/alpha"'),
    ("😀-1", r'"\ud83d\uDE00-1"'),
    ("plain", r'"\u0070lain"'),
    ("a\nb", r'"a\u000ab"'),
    ("12345678", "12345678"),
    ("1000.0", "1e3"),
    ("123456789012345678901234567890", "123456789012345678901234567890"),
    ("0", "0"),
]


@pytest.mark.parametrize(("session_id", "spelled"), SPELLINGS)
@pytest.mark.parametrize("is_off", [False, True], ids=["mirrored", "no mirror"])
def test_what_old_files_spell_otherwise_goes(
    project: Project, session_id: str, spelled: str, is_off: bool
) -> None:
    if is_off:
        project.local_config.write_text('[mirror]\noff = ["claude_hooks"]\n')
    old = project.root / "hooks_old.db"
    with closing(sqlite3.connect(old)) as connection:
        connection.execute(
            "CREATE TABLE hook_events (id VARCHAR NOT NULL PRIMARY KEY, content JSON,"
            " node_metadata JSON, created_at DATETIME, embedding JSON)"
        )
        rows = [old_row(1, spelled), old_row(2, '"others"')]
        connection.executemany(
            "INSERT INTO hook_events VALUES (?, ?, NULL, '2026-11-01T10:00:00', NULL)", rows
        )
        connection.commit()
    anyio.run(import_rows, project, old)
    assert run(project, session_id) == {"claude_hooks": 1}
    (content,) = contents(project, "claude_hooks.db").values()
    assert content["session_id"] == "others"
    if not is_off:
        assert are_equal(project)
        assert len(list(project.sessions.glob("*.jsonl"))) == 1


def test_payloads_that_are_kept_as_bytes_go(project: Project) -> None:
    """Those that are no JSON, and those with bad bytes in them."""
    sent(project, b'{"session_id":"train-1","prompt":"\xff ' + SECRET + b'"}')
    sent(project, b'\xff\xfe {"session_id":"train-1", ' + SECRET + b" cut off")
    sent(project, b"no JSON, of train-1: " + SECRET)
    sent(project, '{"session_id":"train-1", '.encode("utf-16") + b"\xff")
    kept = [b'\xff\xfe {"session_id":"train-10", cut', b"train-10 and xtrain-1, no JSON",
            b'{"session_id":"other","note":"of train-1', b"nobody's \xff"]  # fmt: skip
    for payload in kept:
        sent(project, payload)
    assert run(project, "train-1") == {"claude_hooks": 4}
    assert files_with(project, SECRET) == []
    assert files_with(project, base64.b64encode(b"___" + SECRET)[4:-4]) == []
    assert len(contents(project, "claude_hooks.db")) == len(kept)
    assert are_equal(project)


def test_an_id_of_one_character_takes_no_text_that_has_it(project: Project) -> None:
    sent(project, b"not JSON: a b c")
    sent(project, b'{"session_id":"a", cut off')
    assert run(project, "a") == {"claude_hooks": 1}
    assert len(contents(project, "claude_hooks.db")) == 1


def test_what_only_mentions_it_stays_and_is_not_accused(project: Project) -> None:
    put_plans(project, ["train-1", "train-10"])
    sent(project, prompt("live", "khive-persist show train-1"))
    done = purge(project, "train-1", BUILT_IN, Settings())
    assert (done.removed, done.left_in) == ({"planner_sessions": 1}, [])
    assert len(contents(project, "claude_hooks.db")) == 1
    assert done.is_complete


def test_deleted_and_damaged_lines_of_its_stream_go(project: Project) -> None:
    sent(project, prompt("train-1"))
    sent(project, prompt("other", "stays"))
    (own,) = project.sessions.glob("*train-1.jsonl")
    (other,) = project.sessions.glob("*other.jsonl")
    torn = b'{"dataModelVersion":1,"id":"x","content":{"prompt":"' + SECRET
    with own.open("ab") as file:
        file.write(b"damaged " + SECRET + b"\n" + torn)
    with other.open("ab") as file:
        file.write(b'damaged {"session_id":"train-1" ' + SECRET + b"\n" + torn[:-14] + b"stays\n")
    alone = project.sessions / "hook_events_2026_11_01_train-1.jsonl"
    alone.write_bytes(torn)
    done = purge(project, "train-1", BUILT_IN, Settings())
    # Of what holds no sound line, its name alone says whose it may be.
    assert done.left_in == [alone]
    assert not own.exists()
    assert SECRET not in other.read_bytes()
    assert other.read_bytes().endswith(b"stays\n")
    assert other.read_bytes().count(b"\n") == 2


@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=12),
    st.sampled_from([True, False]),
    st.randoms(use_true_random=False),
)
def test_any_spelling_of_any_id_is_known(session_id: str, is_ascii: bool, random: Any) -> None:
    spelled = "".join(
        "".join(f"\\u{unit:04x}" for unit in units(character))
        if random.random() < 0.3
        else json.dumps(character, ensure_ascii=is_ascii)[1:-1]
        for character in session_id
    )
    content = f'{{"note":"of nobody","session_id":"{spelled}"}}'
    match, other = SessionMatch(session_id), SessionMatch(session_id + "0")
    assert match.is_in(content.encode())
    assert match.owns_bytes(content.encode()[:-1] + b", damaged")
    assert match.owns(("id", content, None, "2026", None))
    assert not other.owns(("id", content, None, "2026", None))
    assert not other.owns_bytes(content.encode()[:-1] + b", damaged")


def units(character: str) -> list[int]:
    raw = character.encode("utf-16-be")
    return [int.from_bytes(raw[at : at + 2]) for at in range(0, len(raw), 2)]


def test_a_late_record_of_a_session_that_is_being_committed_goes(project: Project) -> None:
    """The purge begins while a transaction is open that has a row of it."""
    put_plans(project, ["stays"])
    looked = threading.Event()

    def work() -> None:
        purge(project, "late", BUILT_IN, Settings(), advance=lambda _: looked.set())

    thread = threading.Thread(target=work)
    with FileWriter(project.database(PLANNER_SESSIONS.file), PLANNER_SESSIONS, 10, None) as writer:
        with writer.transaction() as writing:
            writing.upsert(
                [("p", '{"session_id":"late","task_description":""}', "{}", "2026", None)]
            )
            thread.start()
            # It must not look before this is committed.
            assert not looked.wait(0.5)
        thread.join(20)
    assert looked.is_set()
    assert len(contents(project, "planner_sessions.db")) == 1
    anyio.run(lambda: rebuild("database", dir=project.root))
    assert len(list(project.sessions.glob("*.json"))) == 1


def test_a_file_that_is_made_meanwhile_goes(project: Project) -> None:
    """Somebody copies a record while its row goes: he may make a file of its session still."""
    sent(project, prompt("late"))
    database = project.database("claude_hooks.db")
    gate = write_lock.acquire(write_lock.gate_path(database), 10, shared=True)
    finished = threading.Event()

    def work() -> None:
        purge(project, "late", BUILT_IN, Settings())
        finished.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        while contents(project, "claude_hooks.db"):
            assert not finished.wait(0.01)
        # As long as he copies, nobody knows what files there will be.
        assert not finished.wait(0.5)
        deleted = {"id": "x", "purpose": "claude_hooks", "session_id": "late", "deleted": True}
        line = json.dumps({"dataModelVersion": 1} | deleted, separators=(",", ":"))
        (project.sessions / "hook_events_2026_11_01_late.jsonl").write_text(f"{line}\n")
        (project.sessions / "hook_events_2026_11_02_late.jsonl").write_bytes(b"")
    finally:
        os.close(gate)
        thread.join(30)
    assert finished.is_set()
    assert list(project.sessions.glob("*.jsonl")) == []


def test_a_store_saves_under_the_id_again(project: Project) -> None:
    put_plans(project, ["again"])
    run(project, "again")

    async def save() -> None:
        async with open_store(PlannerSession, dir=project.root) as plans:
            await plans.save(
                PlannerSession(content={"session_id": "again", "task_description": ""})
            )

    anyio.run(save)
    anyio.run(lambda: rebuild("mirror", dir=project.root))
    assert len(contents(project, "planner_sessions.db")) == 1
