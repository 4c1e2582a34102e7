"""Power that is lost while a second copy, or all of a project, is written anew."""

import gzip
import os
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from khive_persist.maintenance.backup.catalogue import read_catalogue
from khive_persist.maintenance.backup.create import create_backup
from khive_persist.maintenance.backup.folder import Folder
from khive_persist.maintenance.backup.verify import verify_backups
from khive_persist.mirror.packing import pack
from khive_persist.project import Project
from khive_persist.store.sqlite import atomic_switch
from khive_persist.trust import marks
from tests.backup.records import Rows, elsewhere, make_old, mirror, rows, save_plans
from tests.crash.power.disk_log import Step, record
from tests.crash.power.losses import WITHOUT_SYNCFS, acknowledged, lose_power, script
from tests.factories import save, save_many
from tests.mirror.records import copied, event, found, plan, recorded, set_row

DONE = "\nsay('done')\n"


def age(project: Project) -> None:
    at = time.time() - 2 * 86_400
    for path in project.sessions.glob("*.json*"):
        os.utime(path, (at, at))


PACK = """
import os, time
from khive_persist.mirror.packing import pack
for path in project.sessions.glob("*.jsonl"):
    os.utime(path, (1, 1))
assert pack(project, 1.0).streams == 1
"""


@pytest.mark.parametrize("is_again", [False, True], ids=["first", "again"])
def test_packing(root: Path, project: Project, thoroughly: bool, is_again: bool) -> None:
    """The mirror has every record at any moment."""
    save_many(project, [event(f"e{number}") for number in range(5)])
    if is_again:
        age(project)
        pack(project, 1.0)
        save(project, event("late"))
    expected = recorded(project)

    def check(done: list[Step]) -> None:
        assert found(project) == []
        assert recorded(project) == expected
        if acknowledged(done):
            assert not list(project.sessions.glob("*.jsonl"))

    lose_power(root, script(project, PACK, DONE), thoroughly, check)


def sound_backups(folder: Folder) -> int:
    """How many backups there are; each is whole."""
    catalogue = read_catalogue(folder)
    assert not catalogue.damaged
    verdicts = verify_backups(folder, catalogue, catalogue.manifests)
    assert [problem for verdict in verdicts for problem in verdict.problems] == []
    return len(verdicts)


BACKUP = """
from khive_persist.maintenance.backup.create import create_backup
from khive_persist.maintenance.backup.folder import Folder
create_backup(project, Folder(Path(sys.argv[1]).parent / "backups"))
"""


def test_a_backup(root: Path, project: Project, thoroughly: bool) -> None:
    """It is there whole, or is no backup."""
    save(project, plan("p1"))
    folder = Folder(root / "backups")

    def check(done: list[Step]) -> None:
        assert sound_backups(folder) == (1 if acknowledged(done) else sound_backups(folder))

    lose_power(root, script(project, BACKUP, DONE), thoroughly, check)


def test_a_deleted_backup(root: Path, project: Project, thoroughly: bool) -> None:
    save(project, plan("p1"))
    folder = Folder(root / "backups")
    create_backup(project, folder)
    code = f"""
from khive_persist.maintenance.backup.folder import Folder
from khive_persist.maintenance.backup.prune import delete_backups
delete_backups(Folder(Path({str(folder.path)!r})), [{folder.ids()[0]!r}])
"""

    def check(done: list[Step]) -> None:
        assert sound_backups(folder) == 0 or not acknowledged(done)
        assert folder.ids() == [] or not acknowledged(done)

    lose_power(root, script(project, code, DONE), thoroughly, check)


RESTORE = """
from khive_persist.maintenance.backup.catalogue import read_catalogue
from khive_persist.maintenance.backup.folder import Folder
from khive_persist.maintenance.backup.restore import restore_backup
folder = Folder(Path(sys.argv[1]).parent / "backups")
catalogue = read_catalogue(folder)
restore_backup(project, folder, catalogue, catalogue.find("latest"))
"""


def log_of_a_change(project: Project) -> bytes:
    """A log that SQLite would write into whichever file lies beside it."""
    path = project.database("planner_sessions.db")
    with closing(sqlite3.connect(path)) as writing:
        writing.execute('UPDATE planner_sessions SET node_metadata = \'{"of": "the log"}\'')
        writing.commit()
        return path.with_name(path.name + "-wal").read_bytes()


def state_of(project: Project) -> tuple[Rows, dict[str, bytes]]:
    records = {name: file for name, file in mirror(project).items() if name[0] != "."}
    return rows(project), records


@pytest.mark.parametrize(
    ("first", "has_mirror"),
    [
        pytest.param("", True, id="with syncfs"),
        pytest.param(WITHOUT_SYNCFS, True, id="without"),
        pytest.param(WITHOUT_SYNCFS, False, id="without, of databases alone"),
    ],
)
def test_a_restore(
    root: Path, project: Project, thoroughly: bool, first: str, has_mirror: bool
) -> None:
    """All of the old or all of the new, once somebody has opened it."""
    source = elsewhere(root, "source")
    source.make()
    save_plans(source, "new", 3)
    save(source, event("e1"))
    if not has_mirror:
        shutil.rmtree(source.sessions)
    create_backup(source, Folder(root / "backups"))
    new = state_of(source)
    make_old(project)
    log = log_of_a_change(project)
    old = state_of(project)
    # As of a program that was killed.
    project.database("planner_sessions.db-wal").write_bytes(log)

    def check(done: list[Step]) -> None:
        atomic_switch.settle(project.khive)
        state = state_of(project)
        assert state[0] in (old[0], new[0])
        assert state == (new if state[0] == new[0] else old)
        if state == new:
            # What was replaced is kept.
            assert {path.name for path in project.quarantine.rglob("*.db")} == set(old[0])
            assert {p.name for p in project.quarantine.rglob("planner_session_*")} == set(old[1])
        if acknowledged(done):
            assert state == new
            assert not atomic_switch.is_pending(project.khive)

    lose_power(root, script(project, first, RESTORE, DONE), thoroughly, check)


def test_an_old_log_is_gone_before_the_new_file_comes(root: Path, project: Project) -> None:
    """On whichever file system: SQLite would write it into the new file."""
    source = elsewhere(root, "source")
    source.make()
    save_plans(source, "new", 3)
    create_backup(source, Folder(root / "backups"))
    make_old(project)
    log = log_of_a_change(project)
    project.database("planner_sessions.db-wal").write_bytes(log)
    steps = record(root, script(project, RESTORE, DONE))
    names = [(step.call, *map(os.path.basename, step.paths)) for step in steps]
    gone = names.index(("rename", "planner_sessions.db-wal", "planner_sessions.db-wal"))
    come = names.index(("rename", "planner_sessions.db", "planner_sessions.db"))
    assert {("fsync", ".khive"), ("fsync", names[gone + 2][1])} <= set(names[gone:come])


def test_a_rebuild_of_the_databases(root: Path, project: Project, thoroughly: bool) -> None:
    save_many(project, [plan(f"p{number}") for number in range(3)])
    save(project, event("e1"))
    expected = recorded(project)
    set_row(project, "DELETE FROM planner_sessions WHERE id <> 'p0'")
    old = recorded(project)
    assert len(old) == 2
    code = """
from khive_persist.copies import rebuild
anyio.run(lambda: rebuild("mirror", dir=project.root))
"""

    def check(done: list[Step]) -> None:
        atomic_switch.settle(project.khive)
        assert copied(project) == expected
        assert recorded(project) in ([expected] if acknowledged(done) else [expected, old])

    lose_power(root, script(project, code, DONE), thoroughly, check)


MEND = """
from khive_persist.copies import rebuild
anyio.run(lambda: rebuild("database", dir=project.root))
"""


def test_a_mirror_that_is_mended(root: Path, project: Project, thoroughly: bool) -> None:
    """Its sound lines are there, and what was damaged is kept."""
    save_many(project, [event(f"e{number}") for number in range(5)])
    save(project, plan("p1"), plan("only-in-the-mirror"))
    set_row(project, "DELETE FROM planner_sessions WHERE id <> 'p1'")
    (stream,) = project.sessions.glob("*.jsonl")
    (document,) = project.sessions.glob("planner_session*_p1.json")
    lines = stream.read_bytes().splitlines(keepends=True)
    stream.write_bytes(b"".join([*lines[:2], b"{damaged\n", *lines[2:]]))
    document.write_bytes(b"{damaged")

    def check(done: list[Step]) -> None:
        damaged = [p for p in project.khive.rglob("*.json*") if b"{damaged" in p.read_bytes()]
        assert {p.name for p in damaged} == {stream.name, document.name}
        assert set(stream.read_bytes().splitlines(keepends=True)) >= {*lines}
        if acknowledged(done):
            assert found(project) == []

    lose_power(root, script(project, MEND, DONE), thoroughly, check)


def test_a_file_of_no_record_goes(root: Path, project: Project, thoroughly: bool) -> None:
    save(project, plan("p1"), plan("only-in-the-mirror"))
    set_row(project, "DELETE FROM planner_sessions WHERE id <> 'p1'")

    def check(done: list[Step]) -> None:
        assert [*project.khive.rglob("planner_session*only*")]
        assert not acknowledged(done) or found(project) == []

    lose_power(root, script(project, MEND, DONE), thoroughly, check)


PURGE = """
from khive_persist.models.purposes import BUILT_IN
from khive_persist.maintenance.retention.purge import purge
from khive_persist.settings import Settings
purge(project, "session-1", BUILT_IN, Settings(), with_quarantine=True)
"""


def test_a_purge(root: Path, project: Project, thoroughly: bool) -> None:
    """Nothing of the session comes back; the others stay, whenever it was."""
    save(project, plan("p1", session_id="session-1"), plan("p2", session_id="session-2"))
    save(project, event("e1", "session-1"), event("e2", "session-2"))
    age(project)
    pack(project, 1.0)
    save(project, event("e3", "session-1"), event("other", "session-3"))
    unfinished = project.sessions / ".hook_events_2026_11_01_x.jsonl.claude_hooks.tmp"
    for path in (project.khive / "sync" / "x.json", project.quarantine / "x.jsonl", unfinished):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b'{"session_id":"session-1"}')

    def check(done: list[Step]) -> None:
        assert {"p2", "e2", "other"} <= {id for _, id in recorded(project)}
        if acknowledged(done):
            left = [p for p in project.khive.rglob("*") if p.is_file() and b"session-1" in text(p)]
            assert left == []

    lose_power(root, script(project, PURGE, DONE), thoroughly, check)


PRUNE = """
from datetime import timedelta
from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.maintenance.retention.prune import prune
from khive_persist.maintenance.retention.rules import Rule
from khive_persist.settings import Settings
prune(project, HOOK_EVENTS["claude-code"], Rule(keep_count=1), Settings())
"""


def test_a_prune(root: Path, project: Project, thoroughly: bool) -> None:
    """What was pruned comes back in neither copy."""
    save(project, event("old", "session-1"), event("new", "session-2", "2026-11-02T12:00:00Z"))

    def check(done: list[Step]) -> None:
        assert "new" in {id for _, id in recorded(project)}
        if acknowledged(done):
            assert [*recorded(project)] == [*copied(project)] == [("claude_hooks", "new")]

    lose_power(root, script(project, PRUNE, DONE), thoroughly, check)


def text(path: Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if path.suffix == ".gz" else content


@pytest.mark.parametrize("is_marked", [False, True], ids=["a clone", "what git brought"])
def test_what_is_not_ours_and_was_moved(root: Path, thoroughly: bool, is_marked: bool) -> None:
    """What a person had moved out of a project does not come back with it."""
    project = Project(root / "project")
    if is_marked:
        project.make()
    (project.khive / "purposes").mkdir(parents=True)
    (project.khive / "purposes" / "evil.json").write_text("{}")
    code = """
from khive_persist.maintenance.trust.accept import accept
assert accept(project, keep=False).moved
"""

    def check(done: list[Step]) -> None:
        if acknowledged(done) or (marks.is_trusted(project.khive) and not is_marked):
            assert not (project.khive / "purposes" / "evil.json").exists()
        assert [*project.khive.rglob("*evil.json")]
        assert not acknowledged(done) or [*project.quarantine.rglob("*evil.json")]
        assert not acknowledged(done) or marks.is_trusted(project.khive)

    lose_power(root, script(project, code, DONE), thoroughly, check)
