"""`rebuild --from-database`: the mirror is what the databases are, and nothing is thrown away."""

import os
import shutil
import stat
from pathlib import Path

import anyio
import pytest

from khive_persist import HookEvent, PlannerSession
from khive_persist.copies import mirrored, rebuild
from khive_persist.errors import NotFoundError
from khive_persist.mirror import names
from khive_persist.mirror.rebuild import Rebuilt, rebuild_mirror
from khive_persist.mirror.rewrite import remove_unfinished
from khive_persist.models.purposes import PLANNER_SESSIONS, Purpose
from khive_persist.project import Project
from tests.factories import save, save_many
from tests.mirror.records import (
    CLAUDE,
    assert_equal,
    delete,
    drained,
    event,
    everything,
    files,
    found,
    hook,
    ids,
    lines,
    plan,
    set_row,
    tree,
    unfinished,
)

PLAN = "planner_session_2026_11_01_plan0003.json"
STREAM = "hook_events_2026_11_01_s1.jsonl"


def make_anew(project: Project) -> Rebuilt:
    before = everything(project)
    done = rebuild_mirror(project, mirrored(project))
    assert everything(project) == before, "the databases are what is right"
    assert list((project.khive / "staging").iterdir()) == []
    return done


def aside(done: Rebuilt) -> dict[str, bytes]:
    return tree(done.set_aside) if done.set_aside is not None else {}


@pytest.fixture
def both(project: Project) -> Project:
    save_many(project, [plan(f"plan{n:04}", number=n) for n in range(60)])
    save_many(project, [event(f"e{n}", f"s{n % 3}") for n in range(60)])
    hook(project, "s3", 1)
    drained(project)
    return project


def test_all_of_it_comes_back(both: Project) -> None:
    before = tree(both.sessions)
    shutil.rmtree(both.sessions)
    done = make_anew(both)
    assert (done.is_equal, done.rebuilt) == (True, ("planner_sessions", "claude_hooks"))
    assert aside(done) == {}
    assert {n: c for n, c in tree(both.sessions).items() if n[0] != "."} == {
        n: c for n, c in before.items() if n[0] != "."
    }
    assert both.sessions.stat().st_mode & 0o777 == 0o700
    assert {p.stat().st_mode & 0o777 for p in both.sessions.iterdir()} == {0o600}
    assert_equal(both)


def test_the_lines_come_in_the_order_of_storing(project: Project) -> None:
    """Ids of our own do not sort by time; what a drain brought in between stays between."""
    stored = [f"{(n * 7919) % 10_000:05}" for n in range(5_000)]
    save_many(project, [event(id, f"s{n % 4}") for n, id in enumerate(stored)])
    before = tree(project.sessions)
    for name in files(project):
        (project.sessions / name).unlink()
    make_anew(project)
    assert {n: c for n, c in tree(project.sessions).items() if n[0] != "."} == {
        n: c for n, c in before.items() if n[0] != "."
    }


def test_only_what_differs_is_written(both: Project) -> None:
    (both.sessions / PLAN).unlink()
    before = {path.name: path.stat() for path in both.sessions.iterdir()}
    done = make_anew(both)
    assert done.rebuilt == ("planner_sessions",)
    after = {path.name: path.stat() for path in both.sessions.iterdir()}
    assert after.keys() - before.keys() == {PLAN}
    assert {n: (s.st_ino, s.st_mtime_ns) for n, s in before.items()} == {
        n: (s.st_ino, s.st_mtime_ns) for n, s in after.items() if n != PLAN
    }
    again = make_anew(both)
    assert (again.rebuilt, again.is_equal, again.set_aside) == ((), True, None)


def test_what_was_edited_and_damaged_goes_to_quarantine(both: Project) -> None:
    edited, damaged, cut, newer, stray = (
        both.sessions / f"planner_session_2026_11_01_plan{n:04}.json" for n in (1, 2, 3, 4, 99)
    )
    edited.write_text(edited.read_text().replace("do it", "do something else"))
    damaged.write_bytes(os.urandom(300))
    os.truncate(cut, 0)
    newer.write_text(newer.read_text().replace('"dataModelVersion": 1', '"dataModelVersion": 7'))
    stray.write_text(edited.read_text().replace("plan0001", "plan0099"))
    replaced = {p.name: p.read_bytes() for p in (edited, damaged, cut, newer, stray)}
    assert len(found(both)) == 2 + 2 * 3
    done = make_anew(both)
    assert done.is_equal
    assert aside(done) == replaced
    assert done.set_aside is not None
    assert stat.S_IMODE(done.set_aside.stat().st_mode) == 0o700
    assert not stray.exists()
    assert_equal(both)


def test_a_stream_with_damage_in_its_midst_keeps_its_sound_lines(both: Project) -> None:
    path = both.sessions / STREAM
    before = path.read_bytes()
    kept = before.splitlines(keepends=True)
    broken = [*kept[:5], b"\xff" + kept[5], b"{}\n", *kept[6:10], kept[10][:40] + b"\n", *kept[11:]]
    path.write_bytes(b"".join(broken) + b'{"dataModelVersion":1,"id":"half')
    damaged = path.read_bytes()
    done = make_anew(both)
    assert done.is_equal
    assert aside(done) == {STREAM: damaged}
    # Those that were lost come again below.
    sound = [line for at, line in enumerate(kept) if at not in (5, 10)]
    assert path.read_bytes() == b"".join([*sound, kept[5], kept[10]])
    assert path.stat().st_mode & 0o777 == 0o600
    assert_equal(both)


def test_a_stream_of_which_nothing_is_left_goes(both: Project) -> None:
    path = both.sessions / "hook_events_2026_11_01_none.jsonl"
    path.write_bytes(b'{"dataModelVersion":1,"id":"x')
    done = make_anew(both)
    assert (done.is_equal, aside(done)) == (True, {path.name: b'{"dataModelVersion":1,"id":"x'})
    assert not path.exists()


def test_lines_that_differ_are_settled(both: Project) -> None:
    """Missing, changed, deleted, in another session and in two of them."""
    set_row(both, "DELETE FROM TABLE WHERE id = 'e1'", purpose=CLAUDE)
    change = "UPDATE TABLE SET content = json_set(content, '$.{}', '{}') WHERE id = '{}'"
    set_row(both, change.format("command", "another", "e4"), purpose=CLAUDE)
    set_row(both, change.format("session_id", "s0", "e7"), purpose=CLAUDE)
    set_row(both, change.format("session_id", "new", "e10"), purpose=CLAUDE)
    other = both.sessions / "hook_events_2027_01_01_s1.jsonl"
    other.write_bytes((both.sessions / STREAM).read_bytes().splitlines(keepends=True)[-1])
    path = both.sessions / STREAM
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))
    assert sorted(kind for kind, _ in found(both)) == [
        "differs", "differs", "differs", "missing_in_database", "missing_in_mirror",
    ]  # fmt: skip
    assert make_anew(both).is_equal
    assert_equal(both)
    assert [one["id"] for one in lines(both, "hook_events_2026_11_01_new.jsonl")] == ["e10"]


def test_a_second_copy_goes(both: Project) -> None:
    save(both, plan("long-name-of-a-plan"))
    begin = "planner_session_2026_11_01_long-nam"
    shutil.copy(both.sessions / f"{begin}.json", both.sessions / f"{begin}e-of-a-plan.json")
    shutil.copy(both.sessions / STREAM, both.sessions / "hook_events_2027_11_01_s1.jsonl")
    done = make_anew(both)
    assert done.is_equal
    assert len(aside(done)) == 1
    assert len([name for name in files(both) if name.startswith(begin)]) == 1
    # And the one that stayed is the one that is written to.
    save(both, plan("long-name-of-a-plan", changed=True), plan("plan0001"))
    save(both, event("e1", "s1", changed=True), event("e99", "s1"))
    assert_equal(both)


def test_what_is_not_ours_is_left_alone(both: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text("{}")
    sessions = both.sessions
    (sessions / "README.md").write_text("mine")
    (sessions / "notes_2026_11_01_x.json").write_text("no JSON")
    (sessions / "folder").mkdir()
    (sessions / "folder" / PLAN).write_text("{")
    (sessions / "planner_session_2026_11_01_link0000.json").symlink_to(outside)
    (sessions / ".hidden").write_text("mine")
    (sessions / f".{PLAN}.tmp").write_text("another program's")
    shutil.copy(sessions / PLAN, sessions / "planner_session_2026_11_01_renamed0.json")
    shutil.copy(sessions / STREAM, sessions / "hook_events_2026_11_01_backup.jsonl")
    before = tree(sessions)
    (sessions / PLAN).unlink()
    done = make_anew(both)
    assert (done.is_equal, aside(done)) == (True, {})
    assert tree(sessions) == before
    assert outside.read_text() == "{}"


def test_what_killed_writers_left_goes(both: Project) -> None:
    for purpose, name in ((PLANNER_SESSIONS, PLAN), (CLAUDE, STREAM)):
        (both.sessions / names.unfinished(name, purpose)).write_text("{")
    assert len(unfinished(both)) == 2
    make_anew(both)
    assert unfinished(both) == []


def test_without_a_database_the_mirror_is_left_as_it_is(both: Project) -> None:
    """It is all that there is then: to take its absence for the truth would set it all aside."""
    before = tree(both.sessions)
    both.database(PLANNER_SESSIONS.file).unlink()
    done = rebuild_mirror(both, mirrored(both))
    assert (done.is_equal, done.rebuilt, done.set_aside) == (False, (), None)
    both.database(CLAUDE.file).unlink()
    with pytest.raises(NotFoundError, match="no database"):
        rebuild_mirror(both, mirrored(both))
    assert tree(both.sessions) == before


def test_a_damaged_database_is_not_what_the_mirror_is_made_from(both: Project) -> None:
    path = both.database(PLANNER_SESSIONS.file)
    path.write_bytes(os.urandom(50_000))
    (both.sessions / PLAN).unlink()
    before = tree(both.sessions)
    done = rebuild_mirror(both, mirrored(both))
    assert (done.is_equal, done.rebuilt) == (False, ())
    assert tree(both.sessions) == before


def test_what_changed_since_it_looked_is_not_taken_for_what_it_was(
    both: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the turn of a file its name may have gone to another record."""
    set_row(both, "DELETE FROM TABLE WHERE id IN ('plan0003', 'plan0004')")
    (both.sessions / "planner_session_2026_11_01_plan0005.json").write_text("{")
    calls: list[Purpose] = []

    def meanwhile(project: Project, purpose: Purpose, timeout_seconds: float) -> None:
        remove_unfinished(project, purpose, timeout_seconds)
        if not calls:
            (both.sessions / PLAN).unlink()
            save(both, plan("plan0003-and-more"), plan("plan0004"))
            (both.sessions / "planner_session_2026_11_01_plan0005.json").unlink()
            save(both, plan("plan0005"))
        calls.append(purpose)

    # The first that is done once the look is over.
    monkeypatch.setattr("khive_persist.mirror.rebuild.remove_unfinished", meanwhile)
    done = rebuild_mirror(both, mirrored(both))
    assert calls
    assert done.is_equal
    assert aside(done) == {}
    assert_equal(both)
    assert {"plan0003-and-more", "plan0004", "plan0005"} <= set(ids(both))


async def test_from_python(both: Project) -> None:
    for name in files(both):
        (both.sessions / name).unlink()
    done = await rebuild("database", PlannerSession, dir=both.root)
    assert (done.rebuilt, done.is_equal) == (("planner_sessions",), True)
    hook(both, "s1", 5)
    done = await rebuild("database", HookEvent, dir=both.root)
    assert (done.rebuilt, done.is_equal) == (("claude_hooks",), True)
    assert len(ids(both, CLAUDE)) == 62


def test_deleted_in_the_meantime_it_stays_deleted(both: Project) -> None:
    (both.sessions / STREAM).unlink()
    delete(both, HookEvent, "e1", "e4")
    delete(both, PlannerSession, "plan0003")
    assert make_anew(both).is_equal
    assert_equal(both)
    assert anyio.run(_count, both) == 59


async def _count(project: Project) -> int:
    from khive_persist import open_store

    async with open_store(PlannerSession, dir=project.root) as plans:
        return await plans.count()
