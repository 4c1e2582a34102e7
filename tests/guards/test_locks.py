"""Every lock is taken by whom it is meant for, and it is the one that keeps out the others."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import anyio
import pytest

from khive_persist import save_planning_session
from khive_persist.capture import drain as drain_of
from khive_persist.capture import drainer, pauses
from khive_persist.capture.drain import drain
from khive_persist.capture.spool import DRAINER_LOCK, Spool, home_project
from khive_persist.copies import mirrored, rebuild
from khive_persist.maintenance.backup.create import create_backup
from khive_persist.maintenance.backup.folder import Folder
from khive_persist.maintenance.config_files.edit import set_value
from khive_persist.maintenance.retention.home_store import limit_store
from khive_persist.maintenance.retention.purge import purge
from khive_persist.maintenance.retention.rescan import rescan_waiting
from khive_persist.mirror.packing import pack_if_due
from khive_persist.mirror.session_copies import PURPOSES, compare_session
from khive_persist.mirror.verify import compared
from khive_persist.models.application_session import ApplicationSession
from khive_persist.models.purposes import BUILT_IN, PLANNER_SESSIONS
from khive_persist.project import Project, make_directory
from khive_persist.redaction import Redactor
from khive_persist.server.http.tokens import Tokens
from khive_persist.settings import Settings
from khive_persist.store.sqlite import atomic_switch, connection, write_lock
from khive_persist.store.sqlite.sync_writer import FileWriter
from khive_persist.store.staging import staging, sweep
from khive_persist.transfer.merge import merge
from khive_persist.trust import marks
from tests.backup.records import restored
from tests.factories import make_project, save
from tests.guards.locked import Taken, locks_taken
from tests.mirror.records import event, files, plan

PLANS = "planner_sessions.db"
PLAN = {"session_id": "s", "task_description": "t"}


def stored(project: Project) -> None:
    save(project, plan("p1", session_id="session-1"))
    save(project, event("e1", "session-1"))


def drained(project: Project) -> None:
    Spool(project).make()
    Spool(project).accept("codex", b'{"session_id": "s1"}')
    drain(project)


def purged(project: Project) -> None:
    stored(project)
    (project.database(PLANS)).unlink()
    Spool(project).accept("codex", b'{"session_id": "session-1"')
    (project.sessions / ".hook_events_2026_11_01_x.jsonl.claude_hooks.tmp").write_bytes(b"")
    # The database of the event cannot be opened: it waits.
    project.database("codex_hooks.db").mkdir()
    try:
        purge(project, "session-1", [p for p in BUILT_IN if p.file != "codex_hooks.db"], Settings())
    finally:
        project.database("codex_hooks.db").rmdir()


def rescanned(project: Project) -> None:
    with spooled(project):
        assert rescan_waiting(project, Redactor(b"key"), 5) == 0


def damaged(project: Project) -> None:
    """One file of each kind that is not as it was, and the mirror made anew."""
    stored(project)
    for name in files(project):
        path = project.sessions / name
        path.write_bytes(path.read_bytes()[:-20])
    anyio.run(lambda: rebuild("database", dir=project.root))


def differing(project: Project) -> None:
    stored(project)
    for name in files(project):
        path = project.sessions / name
        path.write_bytes(path.read_bytes().replace(b"session-1", b"session-2"))
    with compared(project, mirrored(project)) as comparison:
        assert not comparison.is_equal
    anyio.run(lambda: rebuild("database", dir=project.root))


def compared_session(project: Project) -> None:
    session = ApplicationSession(content={"session_id": "session-1", "name": "a run"})
    save(project, session)
    for name in files(project):
        path = project.sessions / name
        path.write_bytes(path.read_bytes().replace(b"a run", b"another"))
    compare_session(project, "session-1", Settings())


def packed(project: Project) -> None:
    stored(project)
    for path in project.sessions.glob("*.jsonl"):
        os.utime(path, (1, 1))
    pack_if_due(project, Settings())


def limited(_: Project) -> None:
    home = home_project()
    assert home is not None
    home.make()
    limit_store()


def merged(project: Project) -> None:
    stored(project)
    Spool(project).make()
    target = Project(project.root / "target")
    target.root.mkdir()
    target.make()
    anyio.run(merge, project, target)


def tokens(project: Project) -> None:
    known = Tokens(project)
    known.create("one", ("read",))
    known.revoke("one")
    known.local()


def settled(project: Project) -> None:
    """A switch that somebody began and did not live to end."""
    stored(project)
    for folder in ("staging", "staging/in", "quarantine", "quarantine/out"):
        make_directory(project.khive / folder)
    atomic_switch._write(
        project.khive, atomic_switch.Switch("staging/in", "quarantine/out", (PLANS,), (), ())
    )
    atomic_switch.settle(project.khive)


def resident(project: Project) -> None:
    reading, writing = os.pipe()
    with drain_of.Drain(project) as draining:
        drainer._serve(draining, reading, drainer._Syncing(draining))
    os.close(reading)
    os.close(writing)


def set_aside(project: Project) -> None:
    stored(project)
    project.quarantine.mkdir()
    connection.set_aside(project.database(PLANS), project.quarantine)


def restored_there(project: Project) -> None:
    stored(project)
    folder = Folder(project.root / "backups")
    create_backup(project, folder)
    restored(project, folder)
    sweep(project)


def tidied(project: Project) -> None:
    """A log that has grown large, as somebody read."""
    stored(project)
    path = project.database(PLANS)
    with FileWriter(path, PLANNER_SESSIONS, 5, None) as writer:
        for number in range(3):
            with writer.transaction() as writing:
                text = "x" * 3_000_000
                writing.upsert([(f"large-{number}", f'{{"a":"{text}"}}', "{}", "2026", None)])
        writer.tidy()


def killed(project: Project) -> None:
    """What was committed and not copied, by somebody who is dead."""
    stored(project)
    with FileWriter(project.database(PLANS), PLANNER_SESSIONS, 5, None) as writer:
        with writer.transaction() as writing:
            writing.upsert([("late", '{"session_id":"s"}', "{}", "2026", None)])
    save(project, plan("p2"))


@contextmanager
def spooled(project: Project) -> Iterator[None]:
    """A plan waits that its database could not take."""
    save(project, plan("p1"))
    project.config.write_text("[store]\nbusy_timeout_seconds = 0.1\n")
    Spool(project).make()
    # Or the drainer that is started could be first.
    with write_lock.held(project.spool / DRAINER_LOCK, 1):
        with write_lock.held(write_lock.lock_path(project.database(PLANS)), 1):
            anyio.run(partial(save_planning_session, PLAN, dir=project.root))
        assert Spool(project).records()
        yield


def waited(project: Project) -> None:
    """It comes in."""
    with spooled(project):
        save(project, plan("p2"))


def marked(project: Project) -> None:
    (project.khive / marks.ID).unlink()
    marks.mark(project.khive)
    make_project(project.root / "inner")


def paused(_: Project) -> None:
    pauses.pause("all")
    pauses.resume()


def configured(project: Project) -> None:
    set_value(project, project.config, "server.port", 9000)


ACTS: list[tuple[Callable[[Project], None], list[tuple[str, str]]]] = [
    (drained, [("capture/drain.py:Drain.run", "drain.lock")]),
    (purged, [
        ("maintenance/retention/spooled.py:remove_waiting", "drain.lock"),
        ("mirror/rewrite.py:revise", "claude_hooks.db.lock"),
        ("mirror/rewrite.py:revise", "claude_hooks.db.gate.lock"),
        ("mirror/rewrite.py:remove_unfinished", "claude_hooks.db.lock"),
        ("store/sqlite/vacuum.py:_shrink", "claude_hooks.db.lock"),
        ("tombstones.py:note", "tombstones.lock"),
    ]),
    (rescanned, [("maintenance/retention/rescan.py:rescan_waiting", "drain.lock")]),
    (damaged, [("mirror/rebuild.py:_Quarantine.take_damaged", f"{PLANS}.lock")]),
    (differing, [
        ("mirror/verify.py:Comparison._recheck", f"{PLANS}.lock"),
        ("mirror/verify.py:Comparison._catch_up", "claude_hooks.db.lock"),
        ("mirror/rebuild.py:_MirrorRepair.run", f"{PLANS}.lock"),
    ]),
    (compared_session, [("mirror/session_copies.py:compare_session", f"{PURPOSES[0].file}.lock")]),
    (packed, [
        ("mirror/packing.py:pack_if_due", ".packed.lock"),
        ("mirror/packing.py:_pack_stream", "claude_hooks.db.lock"),
        ("mirror/packing.py:_pack_stream", "claude_hooks.db.gate.lock"),
    ]),
    (merged, [
        ("transfer/merge.py:_set_aside", "drain.lock"),
        ("transfer/merge.py:_set_aside", "claude_hooks.db.lock"),
        ("transfer/merge.py:_set_aside", "claude_hooks.db.gate.lock"),
    ]),
    (limited, [("maintenance/retention/home_store.py:limit_store", "home_store.lock")]),
    (stored, [
        ("mirror/json_files.py:Documents.follow", ".names.lock"),
        ("mirror/consumer.py:MirrorFollower.set_epoch", ".names.lock"),
        ("mirror/jsonl_files.py:Streams._stream", ".names.lock"),
        ("mirror/stream_file.py:take", "hook_events_2026_11_01_session-.jsonl"),
        ("store/sqlite/connection.py:open_writer", f"{PLANS}.lock"),
        ("store/sqlite/sync_writer.py:FileWriter.commit", f"{PLANS}.lock"),
        ("store/sqlite/mirror_progress.py:MirrorProgress.batches", f"{PLANS}.gate.lock"),
        ("store/sqlite/sync_writer.py:FileWriter.close", f"{PLANS}.lock"),
    ]),
    (tidied, [("store/sqlite/sync_writer.py:FileWriter.tidy", f"{PLANS}.lock")]),
    (killed, [
        ("store/sqlite/mirror_progress.py:MirrorProgress.acknowledge", f"{PLANS}.gate.lock"),
    ]),
    (waited, [("capture/drain.py:Drain.run_records", "drain.lock")]),
    (settled, [("store/sqlite/atomic_switch.py:settle", f"{PLANS}.lock")]),
    (resident, [("capture/drainer.py:_serve", "drainer.lock")]),
    (tokens, [
        ("server/http/tokens.py:Tokens.create", "server.tokens.lock"),
        ("server/http/tokens.py:Tokens.revoke", "server.tokens.lock"),
        ("server/http/tokens.py:Tokens.local", "server.tokens.lock"),
    ]),
    (set_aside, [("store/sqlite/connection.py:set_aside", f"{PLANS}.lock")]),
    (restored_there, [
        ("store/staging.py:staging", "staging"),
        ("store/staging.py:sweep", "staging"),
        ("store/sqlite/atomic_switch.py:perform", f"{PLANS}.lock"),
        ("store/sqlite/atomic_switch.py:perform", f"{PLANS}.gate.lock"),
    ]),
    (paused, [("capture/pauses.py:_update", "pauses.lock")]),
    (configured, [("maintenance/config_files/edit.py:set_value", "config.lock")]),
    (marked, [("trust/marks.py:mark", "marks.lock"), ("trust/marks.py:make_khive", "marks.lock")]),
]  # fmt: skip


@pytest.mark.parametrize(("act", "expected"), ACTS, ids=[act.__name__ for act, _ in ACTS])
def test_the_lock_is_taken(
    project: Project, act: Callable[[Project], None], expected: list[tuple[str, str]]
) -> None:
    with locks_taken() as taken:
        act(project)
    lacking = {Taken(*each) for each in expected} - taken
    assert not lacking, sorted(taken)


def test_a_folder_that_somebody_uses_is_no_left_over(project: Project) -> None:
    with staging(project) as first:
        with staging(project) as second:
            assert first.is_dir()
        assert not second.exists()
        sweep(project)
        assert first.is_dir()
