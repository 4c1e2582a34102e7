"""A switch that was begun and not ended: whoever opens a database next ends it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from khive_persist.models.hook_event import HookEvent
from khive_persist.models.planner_session import PlannerSession
from khive_persist.opening import open_store
from khive_persist.project import Project
from khive_persist.store.sqlite import atomic_switch, connection, snapshot, write_lock
from khive_persist.store.sqlite.readonly_query import AdHoc
from tests.backup.records import elsewhere, make_old, mirror, save_plans

PLANS = "planner_sessions.db"
CODEX = "codex_hooks.db"
MIRROR = "sessions"

# Once it may go on, it says when it has tried in vain to take a lock, and tries again.
WAITING = """
import os, sys
import anyio
from pathlib import Path
from khive_persist import PlannerSession, open_store
from khive_persist.capture.drain import Drain
from khive_persist.capture.spool import Spool
from khive_persist.project import Project
from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.store.sqlite import atomic_switch
from khive_persist.store.sqlite.connection import open_writer

def plan(id):
    return PlannerSession(id=id, content={"session_id": "s", "task_description": ""})

tries = 0

def look(event, arguments):
    global tries
    if event == "fcntl.flock" and os.readlink(f"/proc/self/fd/{arguments[0]}") == sys.argv[2]:
        tries += 1
        if tries == 2:
            print("waits", flush=True)

def ready():
    print("ready", flush=True)
    sys.stdin.readline()
    sys.addaudithook(look)
"""

OPENER = """
ready()
connection = open_writer(Path(sys.argv[1], ".khive", "planner_sessions.db"), PLANNER_SESSIONS)
assert connection.execute("SELECT count(*) FROM planner_sessions").fetchone() == (60,)
"""

LATE = """
journal = Path(sys.argv[1], ".khive", atomic_switch.JOURNAL)

def end(event, arguments):
    if event == "open" and str(arguments[0]) == str(journal):
        journal.unlink()

sys.addaudithook(end)
atomic_switch.settle(journal.parent)
"""

STORE = """
async def main():
    ready()
    async with open_store(PlannerSession, dir=sys.argv[1]) as plans:
        await plans.save(plan("later"))

anyio.run(main)
"""

SAVER = """
async def main():
    async with open_store(PlannerSession, dir=sys.argv[1]) as plans:
        await plans.save(plan("before"))
        ready()
        await plans.save(plan("later"))

anyio.run(main)
"""

DRAINER = """
project = Project(sys.argv[1])
with Drain(project) as drain:
    Spool(project).accept("codex", b'{"hook_event_name":"Stop"}')
    assert drain.run().stored_count == 1
    Spool(project).accept("codex", b'{"hook_event_name":"Stop"}')
    ready()
    assert drain.run().stored_count == 1
"""

SWITCHER = """
folder = Path(sys.argv[1], ".khive")
ready()
atomic_switch.perform(folder, folder / "second", folder / "second-out")
"""


@contextmanager
def held_up(program: str, project: Project, name: str) -> Iterator[None]:
    """A process that waits for the lock of a database; it gets it then, and comes to a good end."""
    path = write_lock.lock_path(project.database(name))
    with subprocess.Popen(
        [sys.executable, "-c", WAITING + program, str(project.root), os.path.realpath(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            with write_lock.held(path, 1):
                process.stdin.write("\n")
                process.stdin.flush()
                assert process.stdout.readline() == "waits\n"
                yield
            assert process.wait() == 0
        finally:
            process.kill()


def make_ready(project: Project, saved: Project, name: str) -> Path:
    """A folder with the plans of another project, to be switched to."""
    folder = project.khive / name
    folder.mkdir()
    snapshot.take(saved.database(PLANS), folder / PLANS)
    return folder


def begin_switch(project: Project, saved: Project, folders: tuple[str, ...] = ()) -> None:
    """What is on the disk when a restore is killed right after its point of no return."""
    shutil.rmtree(project.khive / "incoming", ignore_errors=True)
    incoming = make_ready(project, saved, "incoming")
    for name in folders:
        shutil.copytree(saved.khive / name, incoming / name)
    shutil.rmtree(project.khive / "outgoing", ignore_errors=True)
    (project.khive / "outgoing").mkdir()
    write_journal(project, folders)


def write_journal(project: Project, folders: tuple[str, ...] = ()) -> None:
    pending = atomic_switch.Switch(
        "incoming", "outgoing", (CODEX, PLANS), folders, (PLANS, *folders)
    )
    (project.khive / atomic_switch.JOURNAL).write_text(json.dumps(pending._asdict()))
    atomic_switch.adopt(project.khive)


@pytest.fixture
def old(tmp_path: Path) -> Project:
    """A project with 30 plans and 10 events of codex, of which the switch takes both files."""
    project = elsewhere(tmp_path, "old")
    make_old(project)
    return project


def ids(path: Path) -> list[str]:
    found = connection.open_reader(path)
    try:
        return [row[0] for row in found.execute(f"SELECT id FROM {table(path)}")]
    finally:
        found.close()


def table(path: Path) -> str:
    return "planner_sessions" if path.name == PLANS else "hook_events"


def with_reader(project: Project) -> None:
    assert len(ids(project.database(PLANS))) == 60


def with_attached(project: Project) -> None:
    files = AdHoc([project.database(PLANS)])
    try:
        assert list(files.run("SELECT count(*) FROM planner_sessions")[1]) == [(60,)]
    finally:
        files.close()


def with_writer(project: Project) -> None:
    save_plans(project, "later", 1)
    assert len(ids(project.database(PLANS))) == 61


def with_check(project: Project) -> None:
    connection.check(project.database(PLANS))


def by_setting_it_aside(project: Project) -> None:
    project.quarantine.mkdir()
    folder = connection.set_aside(project.database(PLANS), project.quarantine)
    assert len(ids(folder / PLANS)) == 60


@pytest.mark.parametrize(
    "opened", [with_reader, with_attached, with_writer, with_check, by_setting_it_aside]
)
def test_whoever_opens_a_database_ends_the_switch(
    saved: Project, old: Project, opened: Callable[[Project], None]
) -> None:
    begin_switch(old, saved)
    opened(old)
    assert not atomic_switch.is_pending(old.khive)
    assert not old.database(CODEX).exists()
    outgoing = old.khive / "outgoing"
    assert (len(ids(outgoing / PLANS)), len(ids(outgoing / CODEX))) == (30, 10)


def plan(id: str) -> PlannerSession:
    return PlannerSession(id=id, content={"session_id": "s", "task_description": ""})


async def test_a_store_that_was_open_before_goes_on_with_the_new_file(
    saved: Project, old: Project
) -> None:
    async with open_store(PlannerSession, dir=old.root) as plans:
        await plans.save(plan("before"))
        assert await plans.count() == 31
        begin_switch(old, saved)
        assert await plans.count() == 60
        begin_switch(old, saved)
        await plans.save(plan("later"))
        assert await plans.count() == 61
    assert "later" in ids(old.database(PLANS))


async def test_a_reader_ends_a_switch_that_takes_its_file_away(
    saved: Project, old: Project
) -> None:
    async with open_store(HookEvent, dir=old.root) as events:
        assert await events.count() == 10
        begin_switch(old, saved)
        assert await events.count() == 0


def test_who_waited_to_open_a_file_while_a_switch_began_opens_the_new_one(
    saved: Project, old: Project
) -> None:
    """It looked for a switch before there was one."""
    with held_up(OPENER, old, PLANS):
        begin_switch(old, saved)


@pytest.mark.parametrize("program", [STORE, SAVER], ids=["opening", "open before"])
def test_who_waited_to_save_while_a_switch_began_saves_into_the_new_file(
    saved: Project, old: Project, program: str
) -> None:
    with held_up(program, old, PLANS):
        begin_switch(old, saved)
    kept, aside = ids(old.database(PLANS)), ids(old.khive / "outgoing" / PLANS)
    assert (len(kept), "later" in kept, "later" in aside) == (61, True, False)


def test_a_drain_that_waited_while_a_switch_began_stores_in_a_new_file(
    saved: Project, old: Project
) -> None:
    with held_up(DRAINER, old, CODEX):
        begin_switch(old, saved)
    assert len(ids(old.database(CODEX))) == 1
    assert len(ids(old.khive / "outgoing" / CODEX)) == 11


def test_who_waited_to_end_a_switch_finds_it_ended(saved: Project, old: Project) -> None:
    begin_switch(old, saved)
    with held_up(STORE, old, CODEX):
        (old.khive / atomic_switch.JOURNAL).unlink()
        (old.khive / "outgoing").rmdir()
    assert len(ids(old.database(PLANS))) == 31


def test_who_comes_to_end_a_switch_as_it_ends_goes_on(saved: Project, old: Project) -> None:
    begin_switch(old, saved)
    subprocess.run([sys.executable, "-c", WAITING + LATE, str(old.root)], check=True, timeout=60)
    assert len(ids(old.database(PLANS))) == 30


def test_a_database_made_while_a_switch_waited_goes_too(saved: Project, old: Project) -> None:
    make_ready(old, saved, "second")
    with held_up(SWITCHER, old, CODEX):
        save_plans(old, "new", 1, file="claude_hooks.db")
    assert [path.name for path in old.khive.glob("*.db")] == [PLANS]
    assert len(ids(old.khive / "second-out" / "claude_hooks.db")) == 1


def test_who_waited_to_switch_ends_the_switch_that_was_begun_before(
    saved: Project, old: Project
) -> None:
    save_plans(saved, "more", 1)
    make_ready(old, saved, "second")
    with held_up(SWITCHER, old, CODEX):
        save_plans(saved, "more", 5)
        begin_switch(old, saved)
    assert len(ids(old.database(PLANS))) == 61
    assert len(ids(old.khive / "second-out" / PLANS)) == 65
    assert len(ids(old.khive / "outgoing" / PLANS)) == 30


def test_what_was_made_again_meanwhile_does_not_take_the_project_of_what_was_kept(
    saved: Project, old: Project
) -> None:
    """Killed when the old file of events had gone; who records makes one before it looks."""
    begin_switch(old, saved)
    old.database(CODEX).rename(old.khive / "outgoing" / CODEX)
    connection.make(old.database(CODEX))
    save_plans(old, "new", 1, file=CODEX)
    assert len(ids(old.khive / "outgoing" / CODEX)) == 10
    assert len(ids(old.database(CODEX))) == 1


def test_a_mirror_that_was_made_again_meanwhile_does_not_stop_the_switch(
    saved: Project, old: Project
) -> None:
    """Killed between the old folder's going and the new one's coming; an editor saves a file."""
    begin_switch(old, saved, (MIRROR,))
    (old.khive / MIRROR).rename(old.khive / "outgoing" / MIRROR)
    (old.khive / MIRROR).mkdir()
    (old.khive / MIRROR / "again.json").write_text("{}")
    with_reader(old)
    assert mirror(old) == mirror(saved)
    kept = {path.name for path in (old.khive / "outgoing").glob(f"{MIRROR}*/*")}
    assert kept == {"planner_session_2026_11_20_00000000.json", "again.json"}
