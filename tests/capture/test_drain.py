"""From the spool into the database: once, in order, and never at the price of what is there."""

import hashlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from khive_persist.capture import spool_writer
from khive_persist.capture.client_recognition import in_our_words
from khive_persist.capture.drain import Drain, drain
from khive_persist.capture.event_drain import BATCH_EVENTS
from khive_persist.capture.payload_to_row import normalise
from khive_persist.capture.spool import LOCKS, Event, Spool, parse
from khive_persist.capture.spool_removal import Removal
from khive_persist.errors import StoreBusyError, StoreDamagedError, StoreNewerError
from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store.sqlite.connection import open_writer
from khive_persist.tools import TOOLS
from tests.payloads import Hook, sample_payloads
from tests.server import warm
from tests.stored import select

PURPOSE = HOOK_EVENTS["claude-code"]
VISIBLE_SECONDS = 10.0


def rows(
    project: Project, sql: str = "SELECT id, content FROM hook_events ORDER BY rowid"
) -> list[Any]:
    return select(project, PURPOSE.file, sql)


def payload(number: int) -> bytes:
    return b'{"hook_event_name":"Stop","session_id":"s%d"}\n' % number


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another process does; fails where it does not come."""
    end = time.monotonic() + VISIBLE_SECONDS
    while not condition():
        assert time.monotonic() < end, "did not come"
        threading.Event().wait(0.01)


@pytest.mark.parametrize("tool", list(HOOK_EVENTS))
def test_every_key_of_every_real_payload_is_kept(project: Project, tool: str) -> None:
    spool = Spool(project)
    sent = {}
    for line in sample_payloads(tool):
        event = spool.accept(tool, line)
        sent[normalise(event, line, Settings(), None)[0]] = json.loads(line)
    result = drain(project)
    assert (result.waiting_count, result.errors) == (0, ())
    connection = sqlite3.connect(project.database(HOOK_EVENTS[tool].file))
    stored = {
        id: json.loads(text)
        for id, text in connection.execute("SELECT id, content FROM hook_events")
    }
    connection.close()
    assert stored.keys() == sent.keys()
    for id, one in sent.items():
        expected = dict(one)
        if "llm_request" in expected:
            # The conversation that Gemini repeats each time is left out by default.
            expected["llm_request"] = {**expected["llm_request"], "messages": None}
            stored[id]["payload"]["llm_request"]["messages"] = None
        assert stored[id]["payload"] == expected
        assert stored[id]["tool"] == tool
        assert stored[id].get("session_id") == TOOLS[tool].describe(in_our_words(one)).get(
            "session_id"
        )


def test_events_come_in_the_order_of_their_arrival(project: Project) -> None:
    spool = Spool(project)
    accepted = [spool.accept("claude-code", payload(n)).id for n in range(200)]
    assert drain(project).stored_count == 200
    assert [id for id, _ in rows(project)] == accepted
    assert Spool(project).is_empty()


def test_an_event_that_is_drained_again_is_stored_once(project: Project) -> None:
    spool = Spool(project)
    event = spool.accept("claude-code", payload(1))
    copy = spool.read(event)
    drain(project)
    (spool.path / event.name).write_bytes(copy)
    drain(project)
    assert len(rows(project)) == 1
    assert spool.is_empty()


def test_two_drains_at_once_store_each_event_once(project: Project) -> None:
    spool = Spool(project)
    for number in range(300):
        spool.accept("claude-code", payload(number))
    threads = [threading.Thread(target=drain, args=(project,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rows(project)) == 300


def test_the_hook_alone_brings_its_event_into_the_database(project: Project, hook: Hook) -> None:
    assert hook(payload(1)).returncode == 0
    until(lambda: project.database(PURPOSE.file).exists() and bool(_stored(project)))
    assert json.loads(rows(project)[0][1])["session_id"] == "s1"


def test_a_drainer_stays_for_the_burst_and_leaves(project: Project, hook: Hook) -> None:
    for number in range(5):
        hook(payload(number))
    until(lambda: _stored(project) == 5)
    assert len(_drainers(project)) <= 1
    until(lambda: not _drainers(project))
    hook(payload(9))
    until(lambda: _stored(project) == 6)


def test_a_locked_database_keeps_no_hook_waiting(project: Project, hook: Hook) -> None:
    open_writer(project.database(PURPOSE.file), PURPOSE).close()
    holder = sqlite3.connect(project.database(PURPOSE.file), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    assert hook(payload(1)).returncode == 0
    assert time.monotonic() - began < 1.5
    holder.execute("ROLLBACK")
    holder.close()
    until(lambda: _stored(project) == 1)


def test_a_lock_that_stays_leaves_the_event_in_the_spool(project: Project) -> None:
    project.config.write_text("[store]\nbusy_timeout_seconds = 0.2\n")
    open_writer(project.database(PURPOSE.file), PURPOSE).close()
    Spool(project).accept("claude-code", payload(1))
    holder = sqlite3.connect(project.database(PURPOSE.file), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    result = drain(project)
    assert (result.stored_count, result.waiting_count) == (0, 1)
    assert isinstance(result.errors[0], StoreBusyError)
    holder.execute("ROLLBACK")
    holder.close()
    assert drain(project).stored_count == 1


@pytest.mark.parametrize("damage", ["garbage", "cut", "zeros"])
def test_a_damaged_database_is_left_alone_and_the_event_waits(
    project: Project, damage: str
) -> None:
    path = project.database(PURPOSE.file)
    spool = Spool(project)
    for number in range(500):
        spool.accept("claude-code", payload(number))
    drain(project)
    whole = path.read_bytes()
    broken = {
        "garbage": b"this is no database at all" * 100,
        "cut": whole[: len(whole) // 3],
        "zeros": whole[:100] + bytes(len(whole) - 100),
    }[damage]
    path.write_bytes(broken)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    spool.accept("codex", payload(2))
    spool.accept("claude-code", payload(1))
    result = drain(project)
    assert result.stored_count == 1, "the other tool's database is sound"
    assert result.waiting_count == 1
    assert isinstance(result.errors[0], StoreDamagedError)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_a_newer_database_is_not_written_to(project: Project) -> None:
    path = project.database(PURPOSE.file)
    connection = open_writer(path, PURPOSE)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = path.read_bytes()
    Spool(project).accept("claude-code", payload(1))
    result = drain(project)
    assert result.waiting_count == 1
    assert isinstance(result.errors[0], StoreNewerError)
    assert path.read_bytes() == before


def test_a_link_in_place_of_the_database_is_not_followed(project: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside.db"
    project.database(PURPOSE.file).symlink_to(outside)
    Spool(project).accept("claude-code", payload(1))
    result = drain(project)
    assert (result.stored_count, result.waiting_count) == (0, 1)
    assert not outside.exists()


def test_a_deleted_database_is_made_anew(project: Project) -> None:
    with Drain(project) as draining:
        Spool(project).accept("claude-code", payload(1))
        draining.run()
        for file in project.khive.glob("claude_hooks.db*"):
            file.unlink()
        Spool(project).accept("claude-code", payload(2))
        assert draining.run().stored_count == 1
    assert json.loads(rows(project)[0][1])["session_id"] == "s2"


def test_what_a_killed_hook_left_is_kept_marked_as_cut(project: Project) -> None:
    spool = Spool(project)
    spool.make()
    name = spool_writer.file_name("claude-code", True)
    left = spool.path / f".{name}.tmp"
    left.write_bytes(b'{"half')
    drain(project)
    assert left.exists(), "its hook may still be at it"
    os.utime(left, (1, 1))
    event = spool.accept("claude-code", payload(1))
    assert drain(project).stored_count == 2
    contents = {id: json.loads(text) for id, text in rows(project)}
    contents.pop(event.id)
    (cut,) = contents.values()
    assert cut["event_type"] == "unparsed"
    assert cut["metadata"]["cut"] is True
    assert cut["payload"]["data"] == '{"half'


def test_an_unreadable_file_does_not_hold_up_the_others(project: Project, tmp_path: Path) -> None:
    spool = Spool(project)
    spool.make()
    target = tmp_path / "secret"
    target.write_bytes(payload(1))
    name = spool_writer.file_name("claude-code", True)
    (spool.path / name).symlink_to(target)
    os.mkfifo(spool.path / spool_writer.file_name("claude-code", True))
    spool.accept("claude-code", payload(2))
    result = drain(project)
    assert (result.stored_count, result.waiting_count) == (1, 0)
    assert os.readlink(project.quarantine / name) == str(target)


@pytest.mark.parametrize("name", LOCKS)
@pytest.mark.parametrize("kind", ["a dangling link", "a folder"])
def test_what_stands_in_place_of_a_lock_gives_way(
    name: str, kind: str, project: Project, hook: Hook
) -> None:
    Spool(project).make()
    if kind == "a folder":
        (project.spool / name / "inside").mkdir(parents=True)
    else:
        (project.spool / name).symlink_to("nowhere")
    assert hook(payload(1)).returncode == 0
    until(lambda: _stored(project) == 1)
    assert drain(project).errors == ()
    assert len(list(project.spool.glob(f"{name}.*/inside"))) == (kind == "a folder")


def test_events_that_wait_at_home_move_back(project: Project, hook: Hook, home: Path) -> None:
    project.spool.write_text("in the way")
    assert hook(payload(1)).returncode == 0
    project.spool.unlink()
    until(
        lambda: (
            not any(event.is_away for event in Spool(Project(home)).events())
            or not _drainers_of(home)
        )
    )
    assert drain(project).waiting_count == 0
    until(lambda: _stored(project) == 1)
    assert Spool(Project(home)).is_empty()


def test_events_of_a_project_that_is_gone_stay_at_home(home: Path) -> None:
    there = Project(home)
    spool = Spool(there)
    spool.make()
    name = spool_writer.file_name("claude-code", True).removesuffix(".event") + ".away"
    os.close(spool_writer.keep(str(home), name, b"/no/such/project\0" + payload(1)))
    assert drain(there).stored_count == 1
    content = json.loads(rows(there)[0][1])
    assert content["metadata"]["project"] == "/no/such/project"
    assert content["session_id"] == "s1"


def test_wrong_settings_do_not_stop_the_recording(project: Project) -> None:
    project.local_config.write_text("[capture]\nmax_payload_bytes = 'many'\n")
    Spool(project).accept("claude-code", payload(1))
    assert drain(project).stored_count == 1


def test_names_of_other_files_are_no_events() -> None:
    good = spool_writer.file_name("claude-code", True)
    assert parse(good) is not None
    for name in ("wake", "drain.lock", f".{good}.tmp", good + "x", "../" + good, good.upper()):
        assert parse(name) is None


def test_an_id_is_a_uuid_that_sorts_by_time() -> None:
    events = [parse(spool_writer.file_name("codex", True)) for _ in range(100)]
    assert all(isinstance(event, Event) and event.id[14] == "7" for event in events)
    times = [event.arrival_ns for event in events if event]
    assert times == sorted(times)


def test_a_drain_that_is_killed_anywhere_loses_and_doubles_nothing(project: Project) -> None:
    """The crash points themselves; random kills are in the long run."""
    spool = Spool(project)
    accepted = {spool.accept("claude-code", payload(n)).id for n in range(20)}
    for point in ("before-commit", "after-commit", "first-unlink"):
        program = _KILLED.format(point=point, root=str(project.root))
        done = warm.run(program)
        assert done.returncode == -9, done.stderr
        drain(project)
        assert {id for id, _ in rows(project)} == accepted
        assert spool.is_empty()
        accepted |= {spool.accept("claude-code", payload(n)).id for n in range(20)}


def test_files_are_removed_while_those_that_follow_are_stored(project: Project) -> None:
    spool = Spool(project)
    spool.make()
    accepted = set()
    for number in range(2 * BATCH_EVENTS + 100):
        event = parse(spool_writer.file_name("claude-code", True))
        assert event is not None
        (spool.path / event.name).write_bytes(payload(number))
        accepted.add(event.id)
    program = _KILLED.format(point="first-unlink", root=str(project.root))
    done = warm.run(program)
    assert done.returncode == -9, done.stderr
    assert not spool.is_empty()
    result = drain(project)
    # On return they are gone, all of them.
    assert spool.is_empty()
    assert not result.waiting_count
    assert sorted(id for id, _ in rows(project)) == sorted(accepted)


def test_a_file_that_cannot_be_removed_is_told(project: Project) -> None:
    spool = Spool(project)
    spool.make()
    names = [spool_writer.file_name("claude-code", True) for _ in range(100)]
    events = [event for name in names if (event := parse(name))]
    for name in names[1:]:
        (spool.path / name).touch()
    (spool.path / names[0]).mkdir()
    with pytest.raises(OSError, match=names[0]), Removal(spool) as removal:
        removal.remove(events)
    (spool.path / names[0]).rmdir()
    with Removal(spool) as removal:
        removal.remove(events)
    assert spool.is_empty()


_KILLED = """
import os, signal, sqlite3
from khive_persist.capture import drain as module
from khive_persist.capture.spool import Spool
from khive_persist.project import Project
from khive_persist.store.sqlite import sync_writer

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

point = {point!r}
with module.Drain(Project({root!r})) as draining:
    if point == "before-commit":
        opened = sync_writer.open_writer
        def open_writer(*a, **k):
            connection = opened(*a, **k)
            connection.set_trace_callback(lambda sql: die() if sql == "COMMIT" else None)
            return connection
        sync_writer.open_writer = open_writer
    elif point == "after-commit":
        Spool.remove = die
    else:
        removed = Spool.remove
        def remove(self, event):
            removed(self, event)
            die()
        Spool.remove = remove
    draining.run()
"""


def _stored(project: Project) -> int:
    if not project.database(PURPOSE.file).exists():
        return 0
    try:
        return int(rows(project, "SELECT count(*) FROM hook_events")[0][0])
    except sqlite3.OperationalError:
        # Made, and its table not yet.
        return 0


def _drainers(project: Project) -> list[int]:
    return _drainers_of(project.root)


def _drainers_of(root: Path) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"khive_persist.capture.drainer" in words and os.fsencode(root) in words:
            found.append(int(process.name))
    return found


def test_an_event_that_we_fail_on_is_set_aside_and_the_others_are_stored(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from khive_persist.redaction import Redactor

    spool = Spool(project)
    bad = spool.accept("claude-code", b'{"hook_event_name":"Stop","session_id":"bad"}')
    spool.accept("claude-code", payload(1))

    def broken(self: Redactor, text: Any) -> Any:
        if "bad" in str(text):
            raise RuntimeError("a mistake of ours")
        return text, {}

    monkeypatch.setattr(Redactor, "redact_json", broken)
    monkeypatch.setattr(Redactor, "redact_bytes", broken)
    assert drain(project).waiting_count == 0
    assert len(rows(project)) == 1
    assert (project.quarantine / bad.name).read_bytes().endswith(b'"bad"}')
