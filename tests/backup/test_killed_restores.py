"""A restore that is killed: all of the old is there or all of the new, once a command has run."""

import random
import sqlite3
import subprocess
import sys
from pathlib import Path
from signal import SIGKILL

import pytest

from khive_persist.cli.root import run
from khive_persist.errors import StoreBusyError
from khive_persist.maintenance.backup.create import create_backup
from khive_persist.maintenance.backup.folder import Folder
from khive_persist.project import Project
from khive_persist.store.sqlite import atomic_switch, write_lock
from khive_persist.trust import macs
from tests.backup.records import Rows, elsewhere, make_old, mirror, restored, rows

# Counts what the process does to the file system, and kills it before the n-th of these.

COMMANDS = ("events", "stats", "sessions")
State = tuple[Rows, dict[str, bytes]]


def restore_killed_at(
    project: Project, folder: Folder, step: int
) -> "subprocess.CompletedProcess[str]":
    words = [str(project.root), str(step), str(folder.path), atomic_switch.JOURNAL]
    return subprocess.run(
        [sys.executable, "-m", "tests.programs.killed_restore", *words],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def state(project: Project) -> State:
    return rows(project), mirror(project)


@pytest.fixture
def backups(saved: Project, tmp_path: Path) -> Folder:
    """Backups of another project, outside of any."""
    folder = Folder(tmp_path / "backups")
    create_backup(saved, folder)
    return folder


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "kills", [pytest.param(5, id="a few"), pytest.param(200, id="many", marks=pytest.mark.long)]
)
def test_old_or_new_and_never_a_mix(
    saved: Project, backups: Folder, tmp_path: Path, kills: int, capsys: pytest.CaptureFixture[str]
) -> None:
    new = state(saved)
    whole = elsewhere(tmp_path, "whole")
    make_old(whole)
    # Made once a home: it would be a step of the first restore alone.
    macs.mac(whole.khive, "", b"")
    journal_at, steps = map(int, restore_killed_at(whole, backups, 0).stdout.split()[-2:])
    assert 0 < journal_at < steps
    some = random.Random()
    # The last ones are where files are exchanged; each is tried once before any is twice.
    chosen = list(range(steps, 0, -1))[: kills // 2]
    # One just before the journal has its name, and one where it has, and nothing is exchanged yet.
    chosen += [journal_at, journal_at + 1]
    chosen += [some.randint(1, steps) for _ in range(kills - len(chosen))]
    ends: list[str] = []
    pending = 0
    for number, step in enumerate(chosen):
        project = elsewhere(tmp_path, f"killed-{number}")
        make_old(project)
        old = state(project)
        # An open connection keeps a WAL beside the old file, with a row that only it has.
        holding = sqlite3.connect(project.database("planner_sessions.db"))
        holding.execute("DELETE FROM planner_sessions WHERE id = 'old-7'")
        holding.commit()
        old[0]["planner_sessions.db"] = holding.execute(
            "SELECT * FROM planner_sessions ORDER BY id"
        ).fetchall()
        assert restore_killed_at(project, backups, step).returncode == -SIGKILL, step
        pending += atomic_switch.is_pending(project.khive)
        assert run(["--dir", str(project.root), COMMANDS[number % 3]]) == 0
        assert not atomic_switch.is_pending(project.khive)
        found = state(project)
        # These rows never had a second copy; whoever opens the restored file makes it.
        for name in found[1].keys() - old[1].keys() - new[1].keys():
            del found[1][name]
        assert found in (old, new), f"a mix, killed at step {step} of {steps}"
        ends.append("old" if found == old else "new")
        holding.close()
        assert rows(project) == found[0]
        if found == new:
            (aside,) = project.quarantine.glob("restore.*")
            names = {path.name for path in aside.iterdir()}
            assert {"planner_sessions.db", "codex_hooks.db", "sessions"} <= names
        assert run(["--dir", str(project.root), "backup", "list"]) == 0
        assert not list(project.khive.glob("staging/*"))
    assert set(ends) == {"old", "new"}
    assert pending


def test_a_writer_holds_off_a_restore_and_nothing_is_changed(
    saved: Project, backups: Folder, tmp_path: Path
) -> None:
    project = elsewhere(tmp_path)
    make_old(project)
    old = state(project)
    incoming = tmp_path / "elsewhere" / ".khive" / "incoming"
    incoming.mkdir()
    (incoming / "planner_sessions.db").write_bytes(b"")
    with write_lock.held(write_lock.lock_path(project.database("codex_hooks.db")), 1):
        with pytest.raises(StoreBusyError):
            atomic_switch.perform(project.khive, incoming, project.quarantine, ("sessions",), 0.05)
    assert state(project) == old


def test_what_is_restored_twice_is_set_aside_twice(
    saved: Project, backups: Folder, tmp_path: Path
) -> None:
    project = elsewhere(tmp_path)
    make_old(project)
    old = state(project)
    first, second = restored(project, backups), restored(project, backups)
    assert state(project) == state(saved)
    assert first.set_aside != second.set_aside
    assert first.set_aside is not None
    kept = Project(tmp_path / "kept")
    kept.root.mkdir()
    first.set_aside.rename(kept.khive)
    assert state(kept) == old
