"""`rebuild --from-mirror`: the rows come back, column for column, and nothing is thrown away."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from khive_persist import HookEvent, PlannerSession, open_store
from khive_persist.capture.drain import drain
from khive_persist.copies import mirrored, rebuild
from khive_persist.errors import (
    InvalidQueryError,
    MirrorError,
    NotFoundError,
    ProjectError,
    StoreNewerError,
)
from khive_persist.mirror import scan
from khive_persist.mirror.consumer import EPOCHS
from khive_persist.mirror.mirror import Mirror
from khive_persist.mirror.rebuild import Rebuilt, rebuild_databases
from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store.sqlite import atomic_switch, write_lock
from khive_persist.store.sqlite.rows import read_ids
from tests.exchange.rows import everything as typed_rows
from tests.factories import save, save_many
from tests.mirror.records import (
    CLAUDE,
    CODEX,
    assert_equal,
    comparing,
    delete,
    drained,
    event,
    everything,
    files,
    found,
    hook,
    ids,
    plan,
    rows,
    set_row,
    tree,
)

PLANS = "planner_sessions.db"
EVENTS = "claude_hooks.db"


# Prints what is renamed, in order, while the databases are made anew.
RENAMES = """
import os, sys
from khive_persist.copies import mirrored
from khive_persist.mirror.rebuild import rebuild_databases
from khive_persist.project import Project

def look(event, arguments):
    if event == "os.rename":
        print(os.path.basename(os.fsdecode(arguments[1])))

project = Project(sys.argv[1])
sys.addaudithook(look)
rebuild_databases(project, mirrored(project))
"""


def make_anew(project: Project, *, discard: bool = False) -> Rebuilt:
    return rebuild_databases(project, mirrored(project), may_discard=lambda _: discard)


@pytest.fixture
def both(project: Project) -> Project:
    """Plans, events of two tools that came through the spool, and of some saved from Python."""
    save_many(project, [plan(f"plan{n:04}", number=n, text="x" * 2_000) for n in range(60)])
    for number in range(60):
        hook(project, f"session-{number % 3}", number, ("claude-code", "codex")[number % 2])
    drained(project)
    save(project, event("moved", "session-1"), event("moved", "session-0"), event("gone", "s"))
    delete(project, HookEvent, "gone")
    return project


def sidecars(project: Project, file: str) -> list[Path]:
    return [project.khive / (file + suffix) for suffix in ("", "-wal", "-shm")]


def deleted(project: Project, file: str) -> None:
    for path in sidecars(project, file):
        path.unlink(missing_ok=True)


def emptied(project: Project, file: str) -> None:
    os.truncate(project.database(file), 0)


def truncated(project: Project, file: str) -> None:
    path = project.database(file)
    os.truncate(path, path.stat().st_size // 3)


def garbage(project: Project, file: str) -> None:
    project.database(file).write_bytes(os.urandom(50_000))


def flipped(project: Project, file: str) -> None:
    """A bit in each of many pages, but for the header's: what it says is no damage to SQLite."""
    path = project.database(file)
    content = bytearray(path.read_bytes())
    for at in range(16_384, len(content), 1_811):
        content[at] ^= 1 << at % 8
    path.write_bytes(content)


def other_program(project: Project, file: str) -> None:
    deleted(project, file)
    with closing(sqlite3.connect(project.database(file))) as connection:
        connection.execute("CREATE TABLE somebody (elses)")


def other_columns(project: Project, file: str) -> None:
    deleted(project, file)
    with closing(sqlite3.connect(project.database(file))) as connection:
        for table in ("planner_sessions", "hook_events"):
            connection.execute(f"CREATE TABLE {table} (id, text)")


def old_wal(project: Project, file: str) -> None:
    """The database gone, and the log of it, with other rows, left beside the name."""
    path = project.database(file)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE more (a)")
        connection.commit()
        kept = {side: side.read_bytes() for side in sidecars(project, file)[1:]}
    for side, content in kept.items():
        side.write_bytes(content)
    path.unlink()


@pytest.mark.parametrize("file", [PLANS, EVENTS])
@pytest.mark.parametrize(
    "damage",
    [deleted, emptied, truncated, garbage, flipped, other_program, other_columns, old_wal],
)
def test_what_was_destroyed_comes_back(
    both: Project, file: str, damage: Callable[[Project, str], None]
) -> None:
    before = everything(both)
    others = {name: (both.khive / name).read_bytes() for name in (PLANS, EVENTS, "codex_hooks.db")
              if name != file}  # fmt: skip
    mirror = tree(both.sessions)
    damage(both, file)
    broken = {path.name: path.read_bytes() for path in sidecars(both, file) if path.exists()}
    done = make_anew(both)
    assert done.is_equal
    assert done.rebuilt == (file.removesuffix(".db"),)
    assert everything(both) == before
    assert_equal(both)
    # The new file is another one, which the same mirror follows.
    assert {n: c for n, c in tree(both.sessions).items() if n != EPOCHS} == {
        n: c for n, c in mirror.items() if n != EPOCHS
    }
    assert {name: (both.khive / name).read_bytes() for name in others} == others
    if broken:
        assert done.set_aside is not None
        kept = tree(done.set_aside)
        # Whoever looked before may have had to rebuild the index of the log.
        kept.pop(f"{file}-shm", None)
        broken.pop(f"{file}-shm", None)
        assert {name: content for name, content in kept.items() if content} == {
            name: content for name, content in broken.items() if content
        }
    else:
        assert done.set_aside is None
    assert list((both.khive / "staging").iterdir()) == []
    assert (both.khive / file).stat().st_mode & 0o777 == 0o600


def test_the_indexes_the_view_and_the_order_are_there(both: Project) -> None:
    def schema(file: str) -> list[tuple[str, ...]]:
        with closing(sqlite3.connect(both.database(file))) as connection:
            sql = "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"
            return connection.execute(sql).fetchall()

    def pragmas(file: str) -> list[object]:
        with closing(sqlite3.connect(both.database(file))) as connection:
            return [
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("user_version", "journal_mode", "page_size", "auto_vacuum")
            ]

    made = {file: (schema(file), pragmas(file)) for file in (PLANS, EVENTS)}
    by_session = [[one.id for one in anyio.run(_events_of, both, f"session-{n}")] for n in range(3)]
    deleted(both, PLANS)
    deleted(both, EVENTS)
    make_anew(both)
    assert {file: (schema(file), pragmas(file)) for file in (PLANS, EVENTS)} == made
    again = [[one.id for one in anyio.run(_events_of, both, f"session-{n}")] for n in range(3)]
    assert again == by_session
    with closing(sqlite3.connect(both.database(PLANS))) as connection:
        sql = "SELECT count(*) FROM plans WHERE session_id = 's1'"
        assert connection.execute(sql).fetchone() == (60,)
        sql = "EXPLAIN QUERY PLAN SELECT * FROM planner_sessions WHERE json_extract(content, ?) > 1"
        sql = sql.replace("?", "'$.confidence'")
        assert "USING INDEX" in str(connection.execute(sql).fetchall())
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def _events_of(project: Project, session: str) -> list[HookEvent]:
    async with open_store(HookEvent, dir=project.root) as events:
        return await events.get_by_session(session)


def test_a_second_run_changes_nothing(both: Project) -> None:
    deleted(both, PLANS)
    make_anew(both)
    databases = {p.name: (p.stat().st_ino, p.read_bytes()) for p in both.khive.glob("*.db")}
    quarantine = tree(both.quarantine) if both.quarantine.exists() else {}
    done = make_anew(both)
    assert (done.rebuilt, done.is_equal, done.set_aside) == ((), True, None)
    assert {p.name: (p.stat().st_ino, p.read_bytes()) for p in both.khive.glob("*.db")} == databases
    assert (tree(both.quarantine) if both.quarantine.exists() else {}) == quarantine


def test_what_the_mirror_has_not_is_not_thrown_away(both: Project) -> None:
    (both.sessions / "planner_session_2026_11_01_plan0007.json").unlink()
    before = tree(both.khive)
    with pytest.raises(MirrorError, match="1 records are in a database and not in"):
        make_anew(both)
    assert without_sidecars(tree(both.khive)) == without_sidecars(before), "nothing was changed"
    done = make_anew(both, discard=True)
    assert (done.is_equal, done.only_there) == (True, 1)
    assert "plan0007" not in ids(both)
    assert done.set_aside is not None
    with closing(sqlite3.connect(done.set_aside / PLANS)) as connection:
        sql = "SELECT id FROM planner_sessions WHERE id = 'plan0007'"
        assert connection.execute(sql).fetchall() == [("plan0007",)]
    assert (done.set_aside / PLANS).read_bytes() == before[PLANS]


def without_sidecars(found: dict[str, bytes]) -> dict[str, bytes]:
    return {n: c for n, c in found.items() if not n.endswith(("-wal", "-shm", ".lock"))}


def test_a_purpose_without_a_mirror_is_left_as_it_is(both: Project) -> None:
    for name in files(both):
        if name.startswith("planner"):
            (both.sessions / name).unlink()
    deleted(both, EVENTS)
    before = both.database(PLANS).read_bytes()
    done = make_anew(both)
    assert done.rebuilt == ("claude_hooks",)
    assert not done.is_equal, "and it is said"
    assert both.database(PLANS).read_bytes() == before


def test_without_a_mirror_nothing_is_done(both: Project) -> None:
    shutil.rmtree(both.sessions)
    before = everything(both)
    with pytest.raises(NotFoundError, match="no record"):
        make_anew(both, discard=True)
    assert everything(both) == before


def test_a_newer_database_is_not_replaced(both: Project) -> None:
    set_row(both, "PRAGMA user_version = 999")
    set_row(both, "DELETE FROM TABLE WHERE id = 'plan0001'")
    before = both.database(PLANS).read_bytes()
    with pytest.raises(StoreNewerError, match="upgrade"):
        make_anew(both, discard=True)
    assert both.database(PLANS).read_bytes() == before


def test_an_event_that_moved_is_where_it_moved_to(project: Project) -> None:
    """Whichever of the two files is read first: the old line and its deletion are in the other."""
    save(project, event("up", "aaaa"), event("up", "zzzz"), event("down", "zzzz"))
    save(project, event("down", "aaaa"), event("back", "aaaa"), event("back", "zzzz"))
    save(project, event("back", "aaaa"), event("gone", "aaaa"), event("gone", "zzzz"))
    delete(project, HookEvent, "gone")
    before = everything(project)
    deleted(project, EVENTS)
    make_anew(project)
    assert everything(project) == before
    assert_equal(project)


def test_damage_in_the_mirror_costs_only_what_is_damaged(both: Project) -> None:
    (name,) = [name for name in files(both) if name.endswith("plan0003.json")]
    (both.sessions / name).write_text("{")
    streams = both.sessions.glob("*.jsonl")
    stream = max((p for p in streams if b'"moved"' not in p.read_bytes()), key=os.path.getsize)
    kept = stream.read_bytes().splitlines(keepends=True)
    stream.write_bytes(b"".join([*kept[:2], b"\xff" + kept[2], *kept[3:-1], kept[-1][:30]]))
    deleted(both, PLANS)
    before = ids(both, CLAUDE) + ids(both, CODEX)
    deleted(both, EVENTS)
    deleted(both, "codex_hooks.db")
    done = make_anew(both)
    assert not done.is_equal
    assert len(ids(both)) == 59
    assert len(ids(both, CLAUDE) + ids(both, CODEX)) == len(before) - 2
    assert {kind for kind, _ in found(both)} == {"damaged", "torn"}


def test_what_waited_in_the_spool_comes_in_afterwards(both: Project) -> None:
    garbage(both, EVENTS)
    waiting = [hook(both, "session-0", n) for n in range(5)]
    assert drain(both).waiting_count == 5

    async def run() -> Rebuilt:
        return await rebuild("mirror", dir=both.root)

    assert anyio.run(run).is_equal
    assert ids(both, CLAUDE)[-5:] == waiting
    assert_equal(both)


async def test_from_python(both: Project, tmp_path: Path) -> None:
    before = everything(both)
    deleted(both, PLANS)
    deleted(both, EVENTS)
    done = await rebuild("mirror", PlannerSession, dir=both.root)
    assert (done.rebuilt, done.is_equal) == (("planner_sessions",), True)
    assert not both.database(EVENTS).exists()
    done = await rebuild("mirror", dir=both.root)
    assert done.rebuilt == ("claude_hooks",)
    assert everything(both) == before
    (both.sessions / "planner_session_2026_11_01_plan0003.json").unlink()
    with pytest.raises(MirrorError, match="--yes"):
        await rebuild("mirror", dir=both.root)
    done = await rebuild("mirror", dir=both.root, discard_unmirrored=True)
    assert (done.only_there, done.is_equal) == (1, True)
    with pytest.raises(InvalidQueryError):
        await rebuild("backup", dir=both.root)  # type: ignore[arg-type]
    with pytest.raises(ProjectError, match="is not there"):
        await rebuild("mirror", dir=tmp_path)


async def test_a_store_that_is_open_goes_on_with_the_new_file(both: Project) -> None:
    async with (
        open_store(PlannerSession, dir=both.root) as plans,
        open_store(HookEvent, dir=both.root) as events,
    ):
        assert await plans.count() == 60
        garbage_of = await plans.save(plan("before"))
        deleted(both, EVENTS)
        set_row(both, "DELETE FROM TABLE WHERE id = 'plan0001'")
        done = await rebuild("mirror", dir=both.root)
        assert set(done.rebuilt) == {"planner_sessions", "claude_hooks"}
        assert await plans.count() == 61
        assert await events.count() == 61
        await plans.save(plan("after"))
        await events.save(event("after", "session-2"))
        assert (await plans.get("after")).id == "after"
        assert garbage_of.id in ids(both)
    assert_equal(both)


def test_old_rows_whose_content_is_no_json_come_back(project: Project) -> None:
    """A file of another program without our indexes: with such a row they cannot be made."""
    save(project, plan("a"))
    with closing(sqlite3.connect(project.database(PLANS))) as connection:
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql LIKE '%json_extract%'"
        ).fetchall():
            connection.execute(f"DROP INDEX {name}")
        connection.execute("DROP VIEW plans")
        insert = "INSERT INTO planner_sessions VALUES (?, ?, ?, ?, ?)"
        connection.execute(insert, ("no json", "{", "[", "yesterday", "x"))
        connection.execute(insert, ("odd", " 5 ", None, None, "1e999"))
        connection.commit()
    from khive_persist.mirror.rebuild import rebuild_mirror

    assert rebuild_mirror(project, mirrored(project)).is_equal
    before = typed_rows(project)
    deleted(project, PLANS)
    assert make_anew(project).is_equal
    assert typed_rows(project) == before


def test_what_changes_while_it_reads_is_taken_in_at_the_end(both: Project) -> None:
    """Saved, changed, deleted, moved and begun anew between the reading and the switch."""
    set_row(both, "DELETE FROM TABLE WHERE id = 'plan0001'")
    set_row(both, "DELETE FROM TABLE WHERE id = 'moved'", purpose=CLAUDE)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.programs.paused_rebuild", str(both.root)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "read\n"
            save(both, plan("new"), plan("plan0002", changed=True))
            delete(both, PlannerSession, "plan0003")
            # Its name is taken by another plan at once.
            save(both, plan("plan0004-other"))
            delete(both, PlannerSession, "plan0004")
            save(both, plan("plan0004-third"))
            for number in range(5):
                hook(both, "session-0", number)
                hook(both, f"begun-{number}", number)
            drained(both)
            (some, other, third, *_) = ids(both, CLAUDE)
            delete(both, HookEvent, some)
            for session in ("session-2", "aaa", "zzz"):
                save(both, event(other, session))
            for session in ("zzz", "aaa"):
                save(both, event(third, session))
            save(both, event("comes", "aaa"), event("comes", "session-1"))
            delete(both, HookEvent, "comes")
            expected = everything(both)
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.wait(30) == 0
        finally:
            process.kill()
    after = {name: {row[1]: row for row in some} for name, some in everything(both).items()}
    # What was gone from the database is back, and all that was done meanwhile is there.
    assert after["planner_sessions"].pop("plan0001")
    assert after["claude_hooks"].pop("moved")
    assert after == {name: {row[1]: row for row in some} for name, some in expected.items()}
    assert_equal(both)


def test_an_event_that_moves_while_both_its_files_are_read(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its new line is read, then its old one, and only then the line that takes that out."""
    save(project, event("moved", "zzz"), event("stays", "aaa"), event("stays too", "zzz"))
    set_row(project, "DELETE FROM TABLE WHERE id = 'stays'", purpose=CLAUDE)
    lookahead = scan.deletions
    seen: list[str] = []

    def meanwhile(folder: Path, file: str, mark: scan.ReadOffset = scan.START) -> dict[str, int]:
        found = lookahead(folder, file, mark)
        seen.append(file)
        if seen == [f"hook_events_2026_11_01_{session}.jsonl" for session in ("aaa", "zzz")]:
            mirror.retract(CLAUDE, "hook_events_2026_11_01_zzz.jsonl", [old[0]])
        return found

    (old,) = read_ids(project.database(EVENTS), CLAUDE.table, ["moved"])
    new = (old[0], (old[1] or "").replace("zzz", "aaa"), *old[2:])
    mirror = Mirror(project, Settings())
    mirror.write(CLAUDE, [new])
    set_row(project, "UPDATE TABLE SET content = ? WHERE id = 'moved'", new[1], purpose=CLAUDE)
    monkeypatch.setattr(scan, "deletions", meanwhile)
    assert make_anew(project).is_equal
    assert len(seen) > 2
    assert ids(project, CLAUDE) == ["stays", "moved", "stays too"]
    assert_equal(project)


def test_the_writers_wait_only_for_the_end(both: Project) -> None:
    """While it reads, the lock of the writers is free."""
    set_row(both, "DELETE FROM TABLE WHERE id = 'plan0001'")
    held: list[bool] = []

    def look(_count: int) -> None:
        descriptor = write_lock.try_acquire(write_lock.lock_path(both.database(PLANS)))
        held.append(descriptor is None)
        if descriptor is not None:
            os.close(descriptor)

    rebuild_databases(both, [PLANNER_SESSIONS], look)
    assert held.count(False) > held.count(True)
    assert len(rows(both)) == 60


def test_an_empty_stream_and_strange_files_do_not_matter(both: Project) -> None:
    (both.sessions / "hook_events_2026_11_01_empty.jsonl").touch()
    (both.sessions / "hook_events_2026_11_01_folder.jsonl").mkdir()
    (both.sessions / "planner_session_2026_11_01_link0000.json").symlink_to("/etc/passwd")
    before = everything(both)
    deleted(both, PLANS)
    deleted(both, EVENTS)
    assert make_anew(both).is_equal
    assert everything(both) == before
    with comparing(both) as comparison:
        assert comparison.is_equal


def test_the_mirror_follows_the_new_file_before_anybody_can_write_to_it(project: Project) -> None:
    """Or whoever is first finds a mirror that belongs to another file, and leaves it behind."""
    save(project, plan("p1"), plan("p2"))
    set_row(project, "DELETE FROM TABLE WHERE id = 'p1'")
    done = subprocess.run(
        [sys.executable, "-c", RENAMES, str(project.root)],
        capture_output=True,
        check=True,
        text=True,
    )
    renamed = done.stdout.split()
    assert renamed.index(EPOCHS) < renamed.index(atomic_switch.JOURNAL)
    assert EPOCHS not in renamed[renamed.index(atomic_switch.JOURNAL) :]
