"""What a purge leaves is named, and the exit code is 1; what is nobody's fault is not accused."""

import gzip
import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import anyio
import pytest

from khive_persist.capture import spool_writer
from khive_persist.capture.spool import Spool
from khive_persist.copies import rebuild
from khive_persist.maintenance.backup.create import create_backup
from khive_persist.maintenance.backup.folder import Folder
from khive_persist.maintenance.retention.purge import Purged, purge
from khive_persist.models.purposes import BUILT_IN
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store.sqlite.connection import set_aside
from tests.cli.conftest import Khive
from tests.cli.conftest import khive as khive
from tests.factories import save_many
from tests.retention.events import contents, event, files_with, put_plans

SESSION = "5f2b9a51-session-to-go"
SECRET = b"SECRET words"


def run(
    project: Project, settings: Settings | None = None, *, with_quarantine: bool = False
) -> Purged:
    return purge(
        project, SESSION, BUILT_IN, settings or Settings(), with_quarantine=with_quarantine
    )


@pytest.fixture
def filled(project: Project) -> Project:
    save_many(
        project, [event(1, session_id=s, command=SECRET.decode()) for s in (SESSION, "stays-here")]
    )
    put_plans(project, [SESSION, "stays-here"])
    return project


def test_backups_wherever_the_settings_name_them(
    filled: Project, tmp_path: Path, khive: Khive
) -> None:
    configured = tmp_path / "configured"
    filled.local_config.write_text(f'[backup]\ndestination = "{configured}"\n')
    names = []
    for folder in (configured, filled.backups):
        names.append(f"{folder}/{create_backup(filled, Folder(folder)).id}")
    done = khive("purge", "--session", SESSION, "--yes")
    assert done.code == 1
    assert done.err.splitlines() == [
        f"khive-persist: {name} was made before and may have it" for name in sorted(names)
    ]
    # Those that were made since have nothing of it.
    later = create_backup(filled, Folder(configured)).id
    again = khive("purge", "--session", SESSION, "--yes", "--json")
    assert again.json["backups"] == sorted(names)
    assert later not in str(again.json)
    for folder in (configured, filled.backups):
        shutil.rmtree(folder)
    assert khive("purge", "--session", SESSION, "--yes", "--json").json["backups"] == []


def test_a_destination_that_cannot_be_read_is_named(filled: Project, khive: Khive) -> None:
    filled.local_config.write_text('[backup]\ndestination = "s3://"\n')
    done = khive("purge", "--session", SESSION, "--yes")
    assert done.code == 1
    assert done.err.startswith("khive-persist: backups may have it; s3://: ")
    assert done.err.count("\n") == 1


def in_quarantine(project: Project) -> list[Path]:
    """Set aside: a database and a damaged one, files of the mirror, events, what was not ours."""
    folder = set_aside(project.database("codex_hooks.db"), project.quarantine)
    found = [folder / "codex_hooks.db"]
    shutil.copy(project.database("planner_sessions.db"), folder / "damaged.db")
    with (folder / "damaged.db").open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 2_000)
    found.append(folder / "damaged.db")
    stream = next(project.sessions.glob("hook_events*5f2b9a51.jsonl"))
    found.append(Path(shutil.copy(stream, folder / stream.name)))
    (folder / f"{stream.name[:-6]}-2.jsonl.gz").write_bytes(gzip.compress(stream.read_bytes()))
    found.append(folder / f"{stream.name[:-6]}-2.jsonl.gz")
    for name, content in {
        "1.event": json.dumps({"session_id": SESSION}).encode(),
        "2.event": f'{{"session_id":"{SESSION}", cut off'.encode(),
        "import.jsonl": json.dumps(
            {"where": "1", "raw": {"content": {"session_id": SESSION}}}
        ).encode(),
        "note.txt": f"of {SESSION}.".encode(),
    }.items():
        (folder / name).write_bytes(content)
        found.append(folder / name)
    others = next(project.sessions.glob("hook_events*stays-he.jsonl"))
    shutil.copy(others, folder / others.name)
    (folder / "3.event").write_bytes(
        json.dumps({"session_id": "stays-here", "prompt": f"show {SESSION}"}).encode()
    )
    (folder / "4.event").write_bytes(f"of {SESSION}0".encode())
    return sorted(found)


def test_what_lies_in_quarantine_is_named_and_deleted_on_a_word(filled: Project) -> None:
    make_quarantine(filled)
    expected = in_quarantine(filled)
    kept = {path for path in filled.quarantine.rglob("*") if path.is_file()} - {*expected}
    done = run(filled)
    assert done.left_in == expected
    assert all(path.exists() for path in expected)
    done = run(filled, with_quarantine=True)
    assert (done.left_in, done.quarantined) == ([], len(expected))
    assert {path for path in filled.quarantine.rglob("*") if path.is_file()} == kept
    assert run(filled, with_quarantine=True).quarantined == 0


def make_quarantine(project: Project) -> None:
    project.quarantine.mkdir(mode=0o700)


def test_the_command_deletes_in_quarantine_and_leaves_it_otherwise(
    filled: Project, khive: Khive
) -> None:
    make_quarantine(filled)
    kept = filled.quarantine / "old.jsonl"
    kept.write_bytes(b'{"session_id":"' + SESSION.encode() + b'"}\n')
    done = khive("purge", "--session", SESSION, "--yes")
    assert (done.code, done.err) == (1, f"khive-persist: {kept} has it still\n")
    done = khive("purge", "--session", SESSION, "--yes", "--quarantine")
    assert done.code == 0
    assert not kept.exists()


def test_what_waits_in_the_homes_spool_and_cannot_be_moved(filled: Project, home: Path) -> None:
    """As where the project's spool cannot be written to, or is another user's."""
    state = Spool(Project(home))
    state.make()
    names = []
    for session in (SESSION, "stays-here"):
        name = spool_writer.file_name("codex", True).removesuffix(".event") + ".away"
        payload = json.dumps({"session_id": session, "prompt": f"show {SESSION}"}).encode()
        os.close(spool_writer.keep(str(home), name, os.fsencode(filled.root) + b"\0" + payload))
        names.append(name)
    shutil.rmtree(filled.spool, ignore_errors=True)
    # No spool can be made in place of a file.
    filled.spool.write_bytes(b"")
    done = run(filled)
    assert done.left_in == [state.path / names[0]]
    filled.spool.unlink()
    assert run(filled).left_in == []
    assert [contents(filled)[id]["session_id"] for id in contents(filled)] == ["stays-here"] * 2


def test_copies_that_a_person_made_beside_are_named(filled: Project) -> None:
    stream = next(filled.sessions.glob("hook_events*5f2b9a51.jsonl"))
    plan = next(p for p in filled.sessions.glob("planner*") if SESSION.encode() in p.read_bytes())
    shutil.copy(plan, filled.sessions / "copy.json")
    shutil.copy(stream, filled.sessions / "copy.jsonl")
    shutil.copy(plan, filled.sessions / "planner_session_2026_11_21_copied.json")
    others = next(p for p in filled.sessions.glob("planner*") if b"stays-here" in p.read_bytes())
    shutil.copy(others, filled.sessions / "others.json")
    assert [path.name for path in run(filled).left_in] == [
        "copy.json",
        "copy.jsonl",
        "planner_session_2026_11_21_copied.json",
    ]


@contextmanager
def reading(project: Project) -> Iterator[sqlite3.Connection]:
    uri = f"file:{project.database('codex_hooks.db')}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, check_same_thread=False)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM hook_events").fetchone()
        yield connection


def test_a_log_is_waited_for_while_others_write(filled: Project) -> None:
    """A long reader leaves once somebody else has committed: nobody had to wait for it."""
    with reading(filled) as connection:

        def write_and_leave() -> None:
            # The rows are gone, and the reader keeps the log: the purge waits for it.
            while len(contents(filled)) > 1:
                threading.Event().wait(0.01)
            save_many(filled, [event(1, session_id="late")])
            connection.execute("END")

        thread = threading.Thread(target=write_and_leave)
        thread.start()
        done = run(filled)
        thread.join()
    assert done.left_in == []
    assert files_with(filled, SESSION.encode()) == []
    assert len(contents(filled)) == 2


def test_a_log_that_others_write_to_is_not_accused(filled: Project) -> None:
    from khive_persist import HookEvent, open_store

    async def work() -> Purged:
        async with open_store(HookEvent, dir=filled.root) as store:
            async with anyio.create_task_group() as tasks:

                async def write() -> None:
                    while True:
                        await store.save(event(1, session_id="busy"))

                tasks.start_soon(write)
                done = await anyio.to_thread.run_sync(run, filled)
                tasks.cancel_scope.cancel()
            return done

    done = anyio.run(work)
    assert done.is_complete
    assert anyio.run(lambda: rebuild("database", dir=filled.root)).is_equal
    assert files_with(filled, SESSION.encode()) == []


def test_a_damaged_database_is_named_and_keeps_nothing_in_the_others(
    filled: Project, khive: Khive
) -> None:
    path = filled.database("planner_sessions.db")
    path.write_bytes(b"no database at all " * 1_000)
    done = khive("purge", "--session", SESSION, "--yes")
    assert (done.code, done.out) == (1, "1 records of codex_hooks removed\n")
    assert done.err.startswith(f"khive-persist: {path} is damaged and may have it: ")
    assert files_with(filled, SESSION.encode()) == []
