"""Equal copies are proven so, each kind of difference is named, and nothing else is one."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist import HookEvent, PlannerSession
from khive_persist.copies import LISTED, verify
from khive_persist.errors import (
    MirrorError,
    ProjectError,
    StoreNewerError,
    StoreUnavailableError,
)
from khive_persist.mirror.verify import compared
from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.project import Project
from khive_persist.store.sqlite import write_lock
from khive_persist.store.sqlite.connection import make
from tests.factories import save
from tests.mirror.records import (
    CLAUDE,
    CODEX,
    comparing,
    delete,
    document,
    drained,
    event,
    files,
    found,
    hook,
    plan,
    set_row,
    tree,
)
from tests.store.old_files import ROWS

PLAN = "planner_session_2026_11_01_plan0001.json"
STREAM = "hook_events_2026_11_01_s1.jsonl"


@pytest.fixture
def both(project: Project) -> Project:
    """Three plans, and three events of each of two sessions."""
    save(project, *(plan(f"plan000{n}") for n in range(3)))
    save(project, *(event(f"e{n}", f"s{n % 2 + 1}") for n in range(6)))
    return project


def change(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))


def test_equal(both: Project) -> None:
    hook(both, "s3", 1)
    drained(both)
    with comparing(both) as comparison:
        assert comparison.is_equal
        counts = {name: tally[:2] for name, tally in comparison.tallies.items()}
        assert {name: both for name, both in counts.items() if any(both)} == {
            "planner_sessions": (3, 3),
            "claude_hooks": (7, 7),
        }
        assert list(comparison.differences()) == []


def test_a_project_without_anything_is_equal(project: Project) -> None:
    assert found(project) == []


def remove_plan(project: Project) -> None:
    (project.sessions / PLAN).unlink()


def remove_line(project: Project) -> None:
    path = project.sessions / STREAM
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))


def remove_row(project: Project) -> None:
    set_row(project, "DELETE FROM TABLE WHERE id = 'plan0001'")


def remove_event(project: Project) -> None:
    set_row(project, "DELETE FROM TABLE WHERE id = 'e2'", purpose=CLAUDE)


def edit_plan(project: Project) -> None:
    change(project.sessions / PLAN, b'"do it"', b'"do IT"')


def edit_time(project: Project) -> None:
    change(project.sessions / PLAN, b"12:00:00.000000", b"12:00:00.000001")


def edit_metadata(project: Project) -> None:
    change(project.sessions / PLAN, b"PlannerSession", b"plannerSession")


def edit_embedding(project: Project) -> None:
    change(project.sessions / PLAN, b'"embedding": null', b'"embedding": [1.0]')


def edit_line(project: Project) -> None:
    begin = b'"id":"e2","purpose":"claude_hooks","created_at":"2026-11-0'
    change(project.sessions / STREAM, begin + b"1", begin + b"2")


def edit_row(project: Project) -> None:
    sql = "UPDATE TABLE SET content = json_set(content, '$.complexity', 'simple')"
    set_row(project, f"{sql} WHERE id = 'plan0001'")


def null_is_no_text(project: Project) -> None:
    set_row(project, "UPDATE TABLE SET embedding = 'null' WHERE id = 'plan0001'")


def null_is_not_empty(project: Project) -> None:
    set_row(project, "UPDATE TABLE SET embedding = '' WHERE id = 'plan0001'")


def number_is_no_text(project: Project) -> None:
    set_row(project, "UPDATE TABLE SET created_at = 1793534400.25 WHERE id = 'plan0001'")


def copy_under_its_long_name(project: Project) -> None:
    save(project, plan("long-name-of-a-plan"))
    shutil.copy(
        project.sessions / "planner_session_2026_11_01_long-nam.json",
        project.sessions / "planner_session_2026_11_01_long-name-of-a-plan.json",
    )


def copy_to_another_day(project: Project) -> None:
    shutil.copy(project.sessions / STREAM, project.sessions / "hook_events_2027_11_01_s1.jsonl")


def flip_to_no_json(project: Project) -> None:
    change(project.sessions / PLAN, b'"content": {', b'"content": [')


def cut(project: Project) -> None:
    os.truncate(project.sessions / PLAN, 50)


def empty(project: Project) -> None:
    os.truncate(project.sessions / PLAN, 0)


def newer(project: Project) -> None:
    change(project.sessions / PLAN, b'"dataModelVersion": 1', b'"dataModelVersion": 2')


def damage_line(project: Project) -> None:
    change(
        project.sessions / STREAM,
        b'{"dataModelVersion":1,"id":"e2"',
        b'{"dataModelVersion":1,"id":"e2',
    )


def binary_line(project: Project) -> None:
    change(project.sessions / STREAM, b'"e2"', b'"e\xff"')


def tear(project: Project) -> None:
    path = project.sessions / STREAM
    os.truncate(path, path.stat().st_size - 1)
    os.truncate(path, path.stat().st_size - 9)


def other_class(project: Project) -> None:
    change(
        project.sessions / PLAN, b'"purpose": "planner_sessions"', b'"purpose": "planner_session"'
    )


def add_damage(project: Project) -> None:
    with (project.sessions / STREAM).open("a") as file:
        file.write("{}\n")


def add_half_a_line(project: Project) -> None:
    with (project.sessions / STREAM).open("a") as file:
        file.write('{"dataModelVersion":1,')


def add_strange_class(project: Project) -> None:
    content = (project.sessions / PLAN).read_text().replace("planner_sessions", "who_knows")
    (project.sessions / "who_knows_2026_11_01_plan0001.json").write_text(content)


KINDS: list[tuple[Callable[[Project], None], list[tuple[str, str]]]] = [
    (remove_plan, [("missing_in_mirror", "plan0001")]),
    (remove_line, [("missing_in_mirror", "e0")]),
    (remove_row, [("missing_in_database", "plan0001")]),
    (remove_event, [("missing_in_database", "e2")]),
    (edit_plan, [("differs", "plan0001")]),
    (edit_time, [("differs", "plan0001")]),
    (edit_metadata, [("differs", "plan0001")]),
    (edit_embedding, [("differs", "plan0001")]),
    (edit_line, [("differs", "e2")]),
    (edit_row, [("differs", "plan0001")]),
    (null_is_no_text, [("differs", "plan0001")]),
    (null_is_not_empty, [("differs", "plan0001")]),
    (number_is_no_text, [("differs", "plan0001")]),
    (copy_under_its_long_name, [("twice_in_mirror", "long-name-of-a-plan")]),
    (copy_to_another_day, [("twice_in_mirror", f"e{n}") for n in (0, 2, 4)]),
    (flip_to_no_json, [("damaged", PLAN), ("missing_in_mirror", "plan0001")]),
    (cut, [("damaged", PLAN), ("missing_in_mirror", "plan0001")]),
    (empty, [("damaged", PLAN), ("missing_in_mirror", "plan0001")]),
    (newer, [("damaged", PLAN), ("missing_in_mirror", "plan0001")]),
    (damage_line, [("damaged", STREAM), ("missing_in_mirror", "e2")]),
    (binary_line, [("damaged", STREAM), ("missing_in_mirror", "e2")]),
    (tear, [("missing_in_mirror", "e4"), ("torn", STREAM)]),
    (add_damage, [("damaged", STREAM)]),
    (add_half_a_line, [("torn", STREAM)]),
    (add_strange_class, [("unknown_purpose", "plan0001")]),
    (other_class, [("missing_in_mirror", "plan0001"), ("unknown_purpose", "plan0001")]),
]


@pytest.mark.parametrize(("act", "expected"), KINDS, ids=[act.__name__ for act, _ in KINDS])
def test_each_kind_of_difference_is_named(
    both: Project, act: Callable[[Project], None], expected: list[tuple[str, str]]
) -> None:
    act(both)
    before = {**tree(both.sessions), **tree(both.khive / "purposes")}
    assert found(both) == expected
    with comparing(both) as comparison:
        assert not comparison.is_equal
        counted = [kind for tally in comparison.tallies.values() for kind, count in zip(
            tally._fields[2:], tally[2:], strict=True) for _ in range(count)]  # fmt: skip
        told = [kind for kind, _ in expected]
        assert sorted(counted) == [kind for kind in told if kind in tally_kinds()]
        for difference in comparison.differences():
            if difference.kind not in ("missing_in_mirror",):
                assert difference.file
    assert {**tree(both.sessions), **tree(both.khive / "purposes")} == before, "it only looks"


def tally_kinds() -> set[str]:
    return {"missing_in_mirror", "missing_in_database", "differs", "twice_in_mirror"}


def test_a_difference_names_its_line(both: Project) -> None:
    damage_line(both)
    with comparing(both) as comparison:
        (damaged,) = [one for one in comparison.differences() if one.kind == "damaged"]
    assert (damaged.file, damaged.line) == (STREAM, 2)
    assert "no JSON" in damaged.reason


def hostile(rest: str) -> str:
    return f'{{"dataModelVersion": 1, "id": "plan0001", "purpose": "planner_sessions", {rest}}}'


HOSTILE = [
    hostile('"text": 5'), hostile('"text": "content"'), hostile('"text": {"content": 5}'),
    hostile('"text": {"content": "\\ud800"}'), hostile('"content": "\\ud800"'),
    hostile('"created_at": "\\ud800"'), hostile('"created_at": 1e999'),
    hostile('"created_at": true'), hostile('"created_at": []'),
    '{"dataModelVersion": 1, "id": "\\ud800", "purpose": "planner_sessions"}',
    '{"dataModelVersion": 1, "id": "plan0001", "purpose": "\\ud800"}',
    '{"dataModelVersion": true, "id": "plan0001", "purpose": "planner_sessions"}',
    '{"dataModelVersion": 0, "id": "plan0001", "purpose": "planner_sessions"}',
    '{"dataModelVersion": 1, "id": 5, "purpose": "planner_sessions"}',
    '{"dataModelVersion": 1, "id": "plan0001"}', "[]", "5", "null", '"x"', "[" * 100_000, "\x00",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_no_document_is_damage_and_never_a_traceback(both: Project, text: str) -> None:
    (both.sessions / PLAN).write_text(text)
    assert found(both) == [("damaged", PLAN), ("missing_in_mirror", "plan0001")]
    (both.sessions / PLAN).unlink()
    with (both.sessions / STREAM).open("a") as file:
        file.write(text.replace("\n", "") + "\n")
    assert found(both) == [("damaged", STREAM), ("missing_in_mirror", "plan0001")]


def test_what_is_not_ours_is_named_once_and_is_no_fault(both: Project, tmp_path: Path) -> None:
    sessions = both.sessions
    outside = tmp_path / "outside"
    outside.write_text("{}")
    (sessions / "README.md").write_text("mine")
    (sessions / "notes_2026_11_01_x.json").write_text("no JSON, and no class of ours begins so")
    (sessions / "folder").mkdir()
    (sessions / "planner_session_2026_11_01_folder00.json").mkdir()
    (sessions / "planner_session_2026_11_01_link0000.json").symlink_to(outside)
    (sessions / "link").symlink_to("/")
    os.mkfifo(sessions / "hook_events_2026_11_01_pipe.jsonl")
    shutil.copy(sessions / PLAN, sessions / "planner_session_2026_11_01_renamed0.json")
    shutil.copy(sessions / PLAN, sessions / "planner_session_2026_12_31_plan0001.json")
    shutil.copy(sessions / PLAN, sessions / "copy of a plan.json")
    shutil.copy(sessions / PLAN, sessions / "training_2026_11_01_plan0001.json")
    shutil.copy(sessions / STREAM, sessions / "hook_events_2026_11_01_backup.jsonl")
    shutil.copy(sessions / STREAM, sessions / "other_2026_11_01_s1.jsonl")
    with open(os.fsencode(sessions) + b"/\xff\n.json", "wb") as file:
        file.write(b"{}")
    not_ours = set(files(both)) - {PLAN, STREAM, "hook_events_2026_11_01_s2.jsonl",
                                   *(f"planner_session_2026_11_01_plan000{n}.json"
                                     for n in (0, 2))}  # fmt: skip
    assert found(both) == sorted(("not_ours", name.replace("\udcff", "\\xff")) for name in not_ours)
    with comparing(both) as comparison:
        assert comparison.is_equal
    hidden = sessions / ".planner_session_2026_11_01_plan0009.json.planner_sessions.tmp"
    hidden.write_text("{")
    assert ("damaged", hidden.name) not in found(both), "it is being written, or never was"


@pytest.mark.parametrize("folder", ["file", "link"])
def test_a_mirror_that_is_no_folder_is_said(both: Project, tmp_path: Path, folder: str) -> None:
    shutil.move(both.sessions, tmp_path / "elsewhere")
    if folder == "file":
        both.sessions.write_text("")
    else:
        both.sessions.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MirrorError, match="move it away"):
        found(both)


@pytest.mark.parametrize("damage", ["garbage", "cut", "zeros", "page"])
def test_a_damaged_database_is_named_and_the_others_are_compared(
    both: Project, damage: str
) -> None:
    path = both.database(PLANNER_SESSIONS.file)
    save(both, *(plan(f"more{n:04}", text="x" * 2_000) for n in range(30)))
    whole = path.read_bytes()
    path.write_bytes(
        {
            "garbage": b"this is no database at all" * 100,
            "cut": whole[: len(whole) // 3],
            "zeros": whole[:100] + bytes(len(whole) - 100),
            "page": whole[:-16_384] + os.urandom(16_384),
        }[damage]
    )
    before = path.read_bytes()
    assert found(both) == [("damaged", path.name)]
    with comparing(both) as comparison:
        assert comparison.tallies["planner_sessions"][:2] == (0, 33)
        assert comparison.tallies["claude_hooks"].is_equal
    assert path.read_bytes() == before


def test_an_index_that_says_something_else_than_its_table_is_damage(both: Project) -> None:
    """Every row can be read; and a query would not find it."""
    path = both.database(PLANNER_SESSIONS.file)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, '$.session_id', '$.task_description')"
            " WHERE name = 'planner_sessions_session_id'"
        )
        connection.commit()
    assert found(both) == [("damaged", path.name)]


def test_a_missing_database_has_no_rows(both: Project) -> None:
    for path in both.khive.glob("planner_sessions.db*"):
        path.unlink()
    assert found(both) == [("missing_in_database", f"plan000{n}") for n in range(3)]


def test_a_database_that_is_just_being_made_has_no_rows(project: Project) -> None:
    make(project.database(PLANNER_SESSIONS.file))
    assert found(project) == []


def test_other_reasons_are_not_taken_for_damage(both: Project, tmp_path: Path) -> None:
    path = both.database(PLANNER_SESSIONS.file)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 999")
    with pytest.raises(StoreNewerError):
        found(both)
    shutil.move(path, tmp_path / "real.db")
    path.symlink_to(tmp_path / "real.db")
    with pytest.raises(StoreUnavailableError, match="symbolic link"):
        found(both)


def test_old_rows_are_compared_as_they_are(project: Project) -> None:
    """Written before there was a mirror: naive times, numbers, what is no JSON."""
    save(project, plan("new"))
    with closing(sqlite3.connect(project.database("planner_sessions.db"))) as old, old:
        old.execute("DROP TABLE planner_sessions")
        old.execute(
            "CREATE TABLE planner_sessions (id VARCHAR NOT NULL PRIMARY KEY, content JSON,"
            " node_metadata JSON, created_at DATETIME, embedding JSON)"
        )
        insert = "INSERT INTO planner_sessions VALUES (?, ?, ?, ?, ?)"
        old.executemany(
            insert, [(r.id, r.content, r.node_metadata, r.created_at, r.embedding) for r in ROWS]
        )
        old.execute(insert, ("no json", "{", None, "yesterday", None))
        old.execute(insert, ("no utf-8", None, None, None, None))
        old.execute("UPDATE planner_sessions SET content = CAST(x'22ff22' AS TEXT)"
                    " WHERE id = 'no utf-8'")  # fmt: skip
    expected = [("missing_in_database", "new")]
    expected += [("missing_in_mirror", id) for id in ("no json", "no utf-8", *(r.id for r in ROWS))]
    assert found(project) == sorted(expected)
    assert delete(project, PlannerSession, "no json", "no utf-8") == [True, True]


def test_a_tombstone_takes_out_what_is_above_it_only(both: Project) -> None:
    delete(both, HookEvent, "e0")
    save(both, event("e0", "s1"))
    assert found(both) == []
    path = both.sessions / STREAM
    kept = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*kept[:-2], kept[-1], kept[-2]]))
    assert found(both) == [("missing_in_mirror", "e0")]


def test_nothing_is_left_and_nothing_is_written_elsewhere(both: Project) -> None:
    def names() -> set[str]:
        # Whoever reads a database has its sidecars beside it for as long.
        found = both.root.parent.rglob("*")
        return {str(p) for p in found if not p.name.endswith((".lock", "-wal", "-shm"))}

    before = names()
    staged = both.khive / "staging"
    with comparing(both):
        assert {str(path.parent.parent) for path in staged.rglob("*.db")} == {str(staged)}
        assert all(name.startswith(f"{staged}") for name in names() - before)
    assert list(staged.iterdir()) == []
    damage_line(both)
    with pytest.raises(RuntimeError):
        with comparing(both):
            raise RuntimeError("whoever looked did not come to an end")
    assert list(staged.iterdir()) == []
    assert names() - before <= {str(staged)}


def test_a_name_that_goes_to_another_record_meanwhile_is_no_difference(project: Project) -> None:
    """Both had been read; then one went, and another, which is looked at again, got its name."""
    save(project, plan("sharedxx-a"), plan("sharedxx-z"))
    looked: list[int] = []

    def meanwhile(count: int) -> None:
        looked.append(count)
        if len(looked) == 1:
            # The rows were read, and no file.
            save(project, plan("sharedxx-z", changed=True))
        elif len(looked) == 1 + 2:
            delete(project, PlannerSession, "sharedxx-a", "sharedxx-z")
            save(project, plan("sharedxx-z"), plan("sharedxx-w"))

    with compared(project, [PLANNER_SESSIONS], meanwhile) as comparison:
        assert list(comparison.differences()) == []
        assert comparison.is_equal
    assert len(looked) >= 3


def test_writers_that_do_not_give_up_their_turn_are_not_waited_for_without_end(
    both: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from khive_persist.errors import StoreBusyError
    from khive_persist.mirror import write_locks

    monkeypatch.setattr(write_locks, "LOCK_SECONDS", 0.2)
    with write_lock.held(write_lock.lock_path(both.database(CODEX.file)), 1):
        with pytest.raises(StoreBusyError):
            found(both)


async def test_from_python(both: Project) -> None:
    done = await verify(dir=both.root)
    assert (done.is_equal, done.differences) == (True, [])
    edit_plan(both)
    remove_line(both)
    done = await verify(dir=both.root)
    assert (done.is_equal, len(done.differences)) == (False, 2)
    assert done.tallies["planner_sessions"].differs == 1
    only = await verify(PlannerSession, dir=both.root)
    assert only.tallies.keys() == {"planner_sessions"}
    assert [one.id for one in only.differences] == ["plan0001"]
    events = await verify(HookEvent, dir=both.root)
    assert [one.id for one in events.differences] == ["e0"]


async def test_from_python_what_waits_in_the_spool_is_brought_in(project: Project) -> None:
    hook(project, "s1", 1)
    done = await verify(dir=project.root)
    assert (done.is_equal, done.tallies["claude_hooks"][:2]) == (True, (1, 1))


async def test_from_python_where_nothing_is(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="is not there"):
        await verify(dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_only_the_first_thousand_are_kept_in_memory(project: Project) -> None:
    save(project, plan("a"))
    rows: list[Any] = [(f"{n}", '{"session_id":"s","task_description":""}') for n in range(1_500)]
    with (
        closing(sqlite3.connect(project.database("planner_sessions.db"))) as connection,
        connection,
    ):
        connection.executemany("INSERT INTO planner_sessions (id, content) VALUES (?, ?)", rows)

    async def run() -> None:
        # It brings them into the mirror; then somebody takes the files away.
        assert (await verify(dir=project.root)).is_equal
        for name in files(project):
            if not name.endswith("_a.json"):
                (project.sessions / name).unlink()
        done = await verify(dir=project.root)
        assert len(done.differences) == LISTED
        assert done.tallies["planner_sessions"].missing_in_mirror == 1_500

    anyio.run(run)
    assert document(project, "planner_session_2026_11_01_a.json")["id"] == "a"
    assert json.dumps(found(project)[:1]) == '[["missing_in_mirror", "0"]]'
