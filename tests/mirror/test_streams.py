"""Events are lines, in the order of their arrival, in a file a session; each is there once."""

import fcntl
import gzip
import json
import os
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import anyio
import jsonschema
import pytest

from khive_persist import HookEvent, open_store
from khive_persist.capture.drain import Drain, drain
from khive_persist.capture.spool import Spool
from khive_persist.errors import MirrorError, StoreBusyError
from khive_persist.mirror import names, packed_streams
from khive_persist.mirror.jsonl_files import Streams
from khive_persist.mirror.mirror import Mirror
from khive_persist.mirror.schema import schema
from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite import write_lock
from khive_persist.store.sqlite.mirror_progress import Batch
from khive_persist.store.sqlite.sync_writer import FileWriter
from tests.factories import save, save_many
from tests.mirror.records import (
    CLAUDE,
    CODEX,
    assert_equal,
    content_of,
    copied,
    delete,
    drained,
    event,
    everything,
    files,
    found,
    hook,
    ids,
    lines,
    recorded,
    recovered,
    tree,
)
from tests.mirror.test_documents import operations
from tests.payloads import sample_payloads
from tests.server.process import until

S1 = "hook_events_2026_11_01_s1.jsonl"


VALIDATOR = jsonschema.Draft202012Validator(schema())


def valid(found: Any) -> None:
    VALIDATOR.validate(found)


def test_real_events_are_lines_of_the_schema(project: Project) -> None:
    for tool in HOOK_EVENTS:
        for payload in sample_payloads(tool):
            Spool(project).accept(tool, payload)
    drained(project)
    sessions = {
        (name, content.get("session_id")) for (name, _), (content, _) in recorded(project).items()
    }
    assert len(files(project)) == len(sessions)
    for name in files(project):
        for line in lines(project, name):
            valid(line)
            assert len({one["content"]["session_id"] for one in lines(project, name)}) == 1
    assert_equal(project)


def test_the_order_is_that_of_arrival(project: Project) -> None:
    arrived = [hook(project, f"session-{n % 3}", n) for n in range(300)]
    drained(project)
    by_session = [[one["id"] for one in lines(project, name)] for name in files(project)]
    assert sorted(by_session) == sorted([arrived[at::3] for at in range(3)])


def test_a_line_survives_a_power_loss(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is synced, and a new file's name is, before its event leaves the spool."""
    hook(project, "s0", 1)
    drained(project)
    before = files(project)
    asked = operations(monkeypatch)
    hook(project, "s1", 1)
    drained(project)
    (name,) = {*files(project)}.difference(before)
    assert asked == [("sync", name), ("sync", "sessions")]
    asked.clear()
    hook(project, "s1", 2)
    drained(project)
    assert asked == [("sync", name)]


def test_the_order_is_that_of_saving(project: Project) -> None:
    """Ids of our own do not sort by time."""
    saved = [f"{(n * 7919) % 1000:03}" for n in range(600)]
    save_many(project, [event(id, "s1") for id in saved])
    assert [one["id"] for one in lines(project, S1)] == saved == ids(project, CLAUDE)


def test_a_session_is_one_file_over_days_drains_and_processes(project: Project) -> None:
    save(project, event("a", created_at="2026-11-01T23:59:59Z"))
    save(project, event("b", created_at="2026-11-02T00:00:01Z"))
    hook(project, "s1", 1)
    drained(project)
    assert files(project) == [S1]
    assert len(lines(project, S1)) == 3
    assert_equal(project)


def test_two_tools_with_one_session_have_a_file_each(project: Project) -> None:
    for number in range(3):
        hook(project, "shared-session", number, "claude-code")
        hook(project, "shared-session", number, "codex")
        hook(project, "shared-session", number, "gemini-cli")
        drained(project)
    assert len(files(project)) == 3
    for name in files(project):
        assert len({one["purpose"] for one in lines(project, name)}) == 1
        assert len(lines(project, name)) == 3
    assert_equal(project)


ODD = [
    "../..", "../../../etc/cron.d/x", "/etc/passwd", "x" * 5_000, "x" * 5_000 + "y", "..", ".",
    " ", "a\nb", "a b", "session/1", "session/2", "sessio", "é" * 2_000, "😀", "\ud800", "\x00",
    "\x00\x00", "no-session", "plan_2026_11_01_a", "plan_2026_11_01_b", "2026_11_01_2026_11_01_x",
]  # fmt: skip


def test_no_session_leads_out_of_the_folder_or_into_anothers_file(project: Project) -> None:
    before = tree(project.root.parent).keys()
    for number, session in enumerate([*ODD, None, 5, "", ["x"]]):
        for _ in range(2):
            payload = json.dumps({"hook_event_name": "Stop", "session_id": session, "n": number})
            Spool(project).accept("claude-code", payload.encode())
        drained(project)
    # What names no session shares a file, and so does the session of that very name.
    assert len(files(project)) == len(ODD)
    for name in files(project):
        numbers = {content_of(one)["payload"]["n"] for one in lines(project, name)}
        assert len(numbers) == 1 or "no-sessi" in name
    changed = tree(project.root.parent).keys() - before
    assert all(name.startswith(f"{project.root.name}/.khive/") for name in changed)
    assert_equal(project)


@pytest.mark.parametrize("number", ["1" * 30, "1e400", '"\\ud800"', "1.0", "[" * 600 + "]" * 600])
def test_content_that_python_spells_otherwise_stays_in_its_session(
    project: Project, number: str
) -> None:
    """Only its text can be written then; which session it belongs to is in it all the same."""
    payload = f'{{"hook_event_name": "Stop", "session_id": "s1", "n": {number}}}'
    Spool(project).accept("claude-code", payload.encode())
    drained(project)
    (id,) = ids(project, CLAUDE)
    (name,) = files(project)
    assert name.endswith("_s1.jsonl")
    (line,) = lines(project, name)
    valid(line)
    assert line["text"]["content"] == everything(project)["claude_hooks"][0][3]
    assert found(project) == []
    assert delete(project, HookEvent, id) == [True]
    assert found(project) == []
    assert files(project) == [name]
    valid(lines(project, name)[-1])


@pytest.mark.parametrize("levels", [250, 251, 252, 253, 254, 255, 256])
def test_content_of_as_many_levels_as_can_be_saved_is_copied(project: Project, levels: int) -> None:
    nested: Any = 0
    for _ in range(levels):
        nested = [nested]
    try:
        save(project, event("a", nested=nested))
    except ValueError:
        assert levels > 252, "that many can be saved"
    assert found(project) == []


def test_saved_again_deleted_and_moved_between_sessions(project: Project) -> None:
    save(project, event("a", "s1"), event("b", "s1"), event("c", "s2"))
    save(project, event("a", "s1", command="again"))
    assert_equal(project)
    save(project, event("b", "s2"))
    assert_equal(project)
    assert {key[1]: content["session_id"] for key, (content, _) in copied(project).items()} == {
        "a": "s1", "b": "s2", "c": "s2",
    }  # fmt: skip
    save(project, event("b", "s1"), event("b", "s0"))
    assert_equal(project)
    assert delete(project, HookEvent, "a", "c", "nobody") == [True, True, False]
    assert_equal(project)
    assert {key[1] for key in copied(project)} == {"b"}
    save(project, event("a", "s2"))
    assert_equal(project)
    for name in files(project):
        for line in lines(project, name):
            valid(line)


def test_what_becomes_of_an_event_in_one_commit(project: Project) -> None:
    async def run() -> None:
        async with open_store(HookEvent, dir=project.root) as events:
            await events.save(event("there before", "s1"))
            async with anyio.create_task_group() as tasks:
                for step in (
                    lambda: events.save(event("there before", "s2")),
                    lambda: events.delete("there before"),
                    lambda: events.save(event("there before", "s3")),
                    lambda: events.save(event("comes and goes", "s1")),
                    lambda: events.delete("comes and goes"),
                    lambda: events.save(event("twice", "s1")),
                    lambda: events.save(event("twice", "s2")),
                ):
                    tasks.start_soon(step)

    anyio.run(run)
    assert_equal(project)


@pytest.mark.parametrize(
    "torn", [b'{"dataModelVersion":1,"id":"x', b'{"da', b"{", b"\xff" * 70_000]
)
def test_a_torn_last_line_is_cut_off_at_the_next_append(project: Project, torn: bytes) -> None:
    save(project, event("a"))
    path = project.sessions / S1
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.write(torn)
    assert found(project) == [("torn", S1)]
    save(project, event("b"))
    assert path.read_bytes().startswith(whole)
    assert [one["id"] for one in lines(project, S1)] == ["a", "b"]
    assert_equal(project)


def test_a_torn_first_line_is_cut_off_with_the_first_event(project: Project) -> None:
    """Killed in the very first append, whose event is in the spool still."""
    project.sessions.mkdir(mode=0o700)
    for torn in (b"", b"{", b'{"dataModelVersion":1,"id":"x'):
        (project.sessions / S1).write_bytes(torn)
        save(project, event("a"))
        assert files(project) == [S1]
        assert_equal(project)
        delete(project, HookEvent, "a")
        (project.sessions / S1).unlink()


def test_a_last_line_that_an_editor_took_the_end_from_stays(project: Project) -> None:
    save(project, event("a"), event("b"))
    path = project.sessions / S1
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert found(project) == []
    save(project, event("c"))
    assert [one["id"] for one in lines(project, S1)] == ["a", "b", "c"]
    assert_equal(project)


def test_what_is_in_the_way_and_not_ours_is_left_alone(project: Project, tmp_path: Path) -> None:
    project.sessions.mkdir(mode=0o700)
    outside = tmp_path / "outside.jsonl"
    outside.write_text("")
    begin = project.sessions / "hook_events_2026_11_01_"
    Path(f"{begin}note.jsonl").write_text("a note of mine, without an end")
    Path(f"{begin}folder.jsonl").mkdir()
    Path(f"{begin}link.jsonl").symlink_to(outside)
    Path(f"{begin}nowhere.jsonl").symlink_to(tmp_path / "nowhere")
    os.mkfifo(f"{begin}pipe.jsonl")
    before = tree(project.sessions)
    in_the_way = ["note", "folder", "link", "nowhere", "pipe"]
    for number in range(2):
        save(project, *(event(f"{session}{number}", session) for session in in_the_way))
    assert {name: tree(project.sessions)[name] for name in before} == before
    assert outside.read_text() == ""
    assert not (tmp_path / "nowhere").exists()
    assert len(list(project.sessions.glob("*.jsonl"))) == 2 * len(in_the_way)
    # A file of text under a name of ours may be one of ours that was damaged.
    assert found(project) == [
        *(("not_ours", f"{begin.name}{session}.jsonl") for session in sorted(in_the_way[1:])),
        ("torn", f"{begin.name}note.jsonl"),
    ]


def test_an_event_that_is_drained_again_has_one_line(project: Project) -> None:
    spool = Spool(project)
    hook(project, "s1", 1)
    (waiting,) = spool.events()
    payload = spool.read(waiting)
    drained(project)
    hook(project, "s1", 2)
    (spool.path / waiting.name).write_bytes(payload)
    drained(project)
    (name,) = files(project)
    assert len(lines(project, name)) == 2
    assert_equal(project)


def test_what_another_process_began_is_gone_on_with(project: Project) -> None:
    """Found within the few milliseconds, too, in which the folder's time may stand still."""
    one, other = Streams(project.sessions, CLAUDE), Streams(project.sessions, CLAUDE)
    one.write([line_of("id", "session")])
    for number in range(100):
        session = f"session-{number}"
        os.utime(project.sessions, ns=(0, 0))
        assert other.path(session) is None
        one.write([line_of(f"id{number}", session)])
        os.utime(project.sessions, ns=(0, 0))
        other.write([line_of(f"id{number}", session)])
    assert len(files(project)) == 101


def line_of(id: str, session: str) -> tuple[str, str, None, str, None]:
    return id, json.dumps({"session_id": session}), None, "2026-11-01", None


@pytest.mark.parametrize("how", ["removed", "replaced", "packed"])
def test_a_file_that_another_takes_the_project_of_is_noticed(project: Project, how: str) -> None:
    """Whoever has appended to it before knows its name, and not what became of it."""
    streams = Streams(project.sessions, CLAUDE)
    streams.write([line_of("a", "one"), line_of("b", "two")])
    one, two = streams.path("one"), streams.path("two")
    assert one is not None
    assert two is not None
    streams.write([line_of("a2", "one")])
    before = two.read_bytes()
    if how == "packed":
        packed = packed_streams.packed_path(one)
        packed.write_bytes(gzip.compress(one.read_bytes()))
        one.unlink()
    elif how == "replaced":
        two.replace(one)
    else:
        one.unlink()
    streams.write([line_of("c", "one")])
    if how == "replaced":
        assert one.read_bytes() == before
    found = streams.path("one")
    assert found is not None
    ids = [json.loads(line.content)["id"] for line in packed_streams.lines(found)]
    assert ids == (["a", "a2", "c"] if how == "packed" else ["c"])


def test_an_append_takes_a_mode_that_others_may_read_away(project: Project) -> None:
    streams = Streams(project.sessions, CLAUDE)
    streams.write([line_of("a", "one")])
    path = streams.path("one")
    assert path is not None
    path.chmod(0o644)
    streams.write([line_of("b", "one")])
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_new_name_is_chosen_by_one_at_a_time(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each purpose has a lock of its own, and both may want one name."""
    monkeypatch.setattr("khive_persist.mirror.jsonl_files._LOCK_SECONDS", 0.2)
    streams = Streams(project.sessions, CODEX)
    streams.write([line_of("a", "old")])
    with write_lock.held(project.sessions / names.LOCK, 1):
        with pytest.raises(StoreBusyError):
            streams.write([line_of("b", "new")])
        streams.write([line_of("c", "old")])
    streams.write([line_of("b", "new")])
    assert len(copied(project)) == 3


def test_a_project_with_many_sessions_is_listed_once(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each new session would look at all that are there."""
    streams = Streams(project.sessions, CLAUDE)
    rows = [(f"{n}", json.dumps({"session_id": f"n{n}"}), None, None, None) for n in range(400)]
    streams.write(rows[:1])
    listed: list[str] = []
    listdir = os.listdir

    def counting(folder: Any = ".") -> list[str]:
        listed.append(str(folder))
        return listdir(folder)

    with monkeypatch.context() as patched:
        patched.setattr(os, "listdir", counting)
        streams.write(rows[1:])
    assert len(files(project)) == 400
    assert len(listed) <= 2


def test_threads_of_two_tools_that_want_the_same_names(project: Project) -> None:
    """Each purpose has a lock of its own; the names are one matter for both."""
    failed: list[BaseException] = []

    def write(purpose: Any, kind: str) -> None:
        streams = Streams(project.sessions, purpose)
        try:
            for number in range(200):
                content = json.dumps({"session_id": f"session-{number}"})
                streams.write([(f"{kind}{number}", content, None, "2026-11-01", None)])
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=pair) for pair in ((CLAUDE, "a"), (CODEX, "b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(files(project)) == 400
    assert len(copied(project)) == 400


def test_a_large_line_is_made_before_its_file_is_locked(project: Project) -> None:
    """Who else appends to the file would wait for that."""

    def save(*rows: StoredRow) -> list[Batch]:
        batches: list[Batch] = []
        with writer.commit(batches) as writing:
            writing.upsert(rows)
        return batches

    def copy() -> None:
        writer.follow(batches)
        ended.append(time.thread_time())

    def is_at_lock() -> bool:
        assert thread.ident is not None
        stack = traceback.extract_stack(sys._current_frames()[thread.ident])
        return "_lock" in [frame.name for frame in stack]

    ended: list[float] = []
    mirror = Mirror(project, Settings()).follower(CLAUDE)
    with FileWriter(project.database(CLAUDE.file), CLAUDE, 5, mirror) as writer:
        writer.follow(save(line_of("small", "s1")))
        content = json.dumps({"session_id": "s1", "values": [{"a": [1, 20]}] * 200_000})
        batches = save(("large", content, None, "2026-11-01", None))
        thread = threading.Thread(target=copy)
        with (project.sessions / S1).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            thread.start()
            assert thread.ident is not None
            until(is_at_lock)
            before = time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
        thread.join()
    assert [line["id"] for line in lines(project, S1)] == ["small", "large"]
    assert ended[0] - before < before / 2


@pytest.mark.parametrize("in_the_way", ["file", "link"])
def test_a_folder_that_cannot_be_written_is_said(
    project: Project, tmp_path: Path, in_the_way: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if in_the_way == "file":
        project.sessions.write_text("mine")
    else:
        project.sessions.symlink_to(elsewhere)
    with pytest.raises(MirrorError, match=r"has it, but not its second copy .*sessions is "):
        save(project, event("a"))
    assert ids(project, CLAUDE) == ["a"]
    waiting = [hook(project, "s1", n) for n in range(3)]
    result = drain(project)
    assert (result.stored_count, result.waiting_count) == (3, 0)
    (error,) = result.errors
    assert isinstance(error, MirrorError)
    assert ids(project, CLAUDE) == ["a", *waiting], "they are in the database, and in its log"
    assert list(elsewhere.iterdir()) == []
    with pytest.raises(MirrorError):
        found(project)
    project.sessions.unlink()
    save(project, event("b"))
    recovered(project)
    assert len(copied(project)) == 5
    assert_equal(project)


def test_an_append_that_fails_half_way_leaves_no_line_twice(project: Project) -> None:
    """Two sessions in one batch, of which the second cannot be written: all come again, once."""
    hook(project, "s1", 0)
    hook(project, "s2", 0)
    drained(project)
    broken = project.sessions / files(project)[1]
    with Drain(project) as draining:
        hook(project, "s1", 1)
        hook(project, "s2", 1)
        assert draining.run().waiting_count == 0
        before = broken.read_bytes()
        done = subprocess.run(["chattr", "+i", str(broken)], check=False, capture_output=True)
        if done.returncode != 0:
            pytest.skip("this file system knows no file that even root cannot write to")
        try:
            for number in (2, 3):
                hook(project, "s1", number)
                hook(project, "s2", number)
                result = draining.run()
                assert isinstance(result.errors[0], MirrorError)
                assert result.waiting_count == 0, "they are in the database, and in its log"
            assert broken.read_bytes() == before
        finally:
            subprocess.run(["chattr", "-i", str(broken)], check=True)
    recovered(project)
    assert [len(lines(project, name)) for name in files(project)] == [4, 4]
    assert_equal(project)
