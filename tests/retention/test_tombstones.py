"""What was purged or pruned does not come back: not by sync, rebuild, restore or import."""

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from khive_persist import FocusChain, clock, open_store, tombstones
from khive_persist.copies import Source, rebuild
from khive_persist.maintenance.backup.catalogue import read_catalogue
from khive_persist.maintenance.backup.create import create_backup
from khive_persist.maintenance.backup.folder import Folder
from khive_persist.maintenance.backup.restore import restore_backup
from khive_persist.maintenance.retention.prune import prune
from khive_persist.maintenance.retention.purge import Purged, purge
from khive_persist.maintenance.retention.rules import Rule
from khive_persist.models.purposes import BUILT_IN, CONVERSATIONS, FOCUS_CHAINS, HOOK_EVENTS
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.tombstones import FILE, Tombstones
from khive_persist.transcripts.reconciliation import backfill
from khive_persist.transcripts.sync import Sync
from khive_persist.transfer.import_ import import_rows
from tests.factories import make_project, save_many
from tests.retention.events import are_equal, contents, event, files_with, put_plans
from tests.retention.transcripts import SESSION, line, sync, texts, write

OTHER = "aaaaaaaa-2222-4222-8222-000000000002"
SECRET = "SECRET words"


def purged(project: Project, session_id: str = SESSION) -> Purged:
    return purge(project, session_id, BUILT_IN, Settings())


@pytest.fixture
def synced(project: Project) -> Project:
    """Two sessions with messages, an event and a plan each."""
    write(project, SESSION, SECRET, "more")
    write(project, OTHER, "open words")
    assert sum(one.new for _, one in sync(project).transcripts) == 3
    save_many(project, [event(1, session_id=s, tool="claude-code") for s in (SESSION, OTHER)])
    put_plans(project, [SESSION, OTHER])
    return project


def kept(project: Project) -> tuple[list[str], int, int]:
    plans = contents(project, "planner_sessions.db")
    return texts(project), len(contents(project, "claude_hooks.db")), len(plans)


def test_a_purged_transcript_is_not_read_in_again(synced: Project) -> None:
    assert files_with(synced, SESSION.encode())
    assert purged(synced).removed == {
        "planner_sessions": 1, "claude_hooks": 1, "conversations": 2,
    }  # fmt: skip
    for done in (sync(synced), sync(synced, *Path.home().rglob("*.jsonl"))):
        assert sorted(one.is_purged for _, one in done.transcripts) == [False, True]
        assert kept(synced) == (["open words"], 1, 1)
    # Neither a sync position nor anything else names it.
    assert files_with(synced, SESSION.encode()) == []
    assert files_with(synced, SECRET.encode()) == []


def test_a_session_that_was_never_read_can_be_purged_before(project: Project) -> None:
    write(project, SESSION, SECRET)
    assert purged(project).removed == {}
    sync(project)
    assert texts(project) == []
    assert files_with(project, SESSION.encode()) == []


def test_lines_before_the_first_that_names_it_are_its_own(project: Project) -> None:
    """What is damaged, or of an unknown kind, says no session."""
    path = write(project, SESSION, "words")
    odd = {"type": "odd", "cwd": str(project.root), "text": SECRET}
    path.write_bytes(json.dumps(odd).encode() + b"\nno JSON: " + SECRET.encode() + b"\n"
                     + path.read_bytes())  # fmt: skip
    sync(project)
    assert files_with(project, SECRET.encode())
    assert purged(project).removed == {"conversations": 3}
    sync(project)
    assert files_with(project, SECRET.encode()) == []
    assert files_with(project, SESSION.encode()) == []


def test_what_it_says_after_the_purge_is_read(synced: Project) -> None:
    """A person resumes the session: its new lines are kept, and those of before stay out."""
    purged(synced)
    path = next(Path.home().rglob(f"{SESSION}.jsonl"))
    later = clock.now() + timedelta(seconds=5)
    with path.open("ab") as file:
        file.write(line(synced, SESSION, 2, "resumed", later.isoformat()))
    os.utime(path, (later.timestamp(), later.timestamp()))
    (done,) = (one for _, one in sync(synced).transcripts if one.path == path)
    assert (done.new, done.left_out) == (1, 2)
    assert sorted(texts(synced)) == ["open words", "resumed"]
    assert (sync(synced), sorted(texts(synced)))[1] == ["open words", "resumed"]
    for source in ("mirror", "database"):
        rebuilt(synced, source)
        assert sorted(texts(synced)) == ["open words", "resumed"]


def test_lines_of_it_in_another_sessions_transcript_stay_out(synced: Project) -> None:
    """A session that was forked begins with those of the one before."""
    purged(synced)
    fork = "bbbbbbbb-3333-4333-8333-000000000003"
    path = write(synced, fork, "forked words")
    own = path.read_bytes()
    path.write_bytes(line(synced, SESSION, 0, SECRET, "2026-11-20T10:00:00.000Z") + own)
    (done,) = (one for _, one in sync(synced).transcripts if one.path == path)
    assert (done.new, done.left_out) == (1, 1)
    assert sorted(texts(synced)) == ["forked words", "open words"]


def rebuilt(project: Project, source: Source) -> None:
    assert anyio.run(lambda: rebuild(source, dir=project.root, discard_unmirrored=True)).is_equal


@pytest.mark.parametrize("is_lost", ["databases", "mirror"])
def test_a_rebuild_brings_nothing_of_it_back(synced: Project, is_lost: str, tmp_path: Path) -> None:
    """Somebody has put back a copy of before, and then one of the copies is lost."""
    before = tmp_path / "before"
    shutil.copytree(synced.khive, before, symlinks=True)
    purged(synced)
    if is_lost == "databases":
        for path in before.glob("sessions/*"):
            shutil.copy(path, synced.sessions)
        for path in synced.khive.glob("*.db*"):
            path.unlink()
        rebuilt(synced, "mirror")
    else:
        for path in before.glob("*.db*"):
            shutil.copy(path, synced.khive)
        shutil.rmtree(synced.sessions)
        rebuilt(synced, "database")
    assert kept(synced) == (["open words"], 1, 1)
    assert are_equal(synced)
    sync(synced)
    assert kept(synced) == (["open words"], 1, 1)
    assert files_with(synced, SECRET.encode()) == []


def test_a_restore_brings_nothing_of_it_back(synced: Project, tmp_path: Path) -> None:
    destination = Folder(tmp_path / "backups")
    manifest = create_backup(synced, destination)
    purged(synced)
    done = restore_backup(synced, destination, read_catalogue(destination), manifest)
    assert done.purged == 4
    assert kept(synced) == (["open words"], 1, 1)
    assert are_equal(synced)
    sync(synced)
    assert kept(synced) == (["open words"], 1, 1)
    assert files_with(synced, SECRET.encode()) == []
    assert files_with(synced, SESSION.encode()) == []


def test_an_import_brings_nothing_of_it_back(synced: Project, tmp_path: Path) -> None:
    before = tmp_path / "before"
    shutil.copytree(synced.khive, before, symlinks=True)
    purged(synced)
    for source in (before, before / "sessions", before / "conversations.db"):
        done = anyio.run(import_rows, synced, source)
        assert done.purged == (2 if source.suffix == ".db" else 4)
        assert sum(counts.new for counts in done.purposes.values()) == 0
    assert kept(synced) == (["open words"], 1, 1)


def test_the_file_names_nobody(synced: Project) -> None:
    purged(synced)
    said = json.loads((synced.khive / FILE).read_text())
    assert SESSION not in str(said)
    assert len(said["sessions"]) == 1
    other = make_project(synced.root / "other")
    purge(other, SESSION, BUILT_IN, Settings())
    assert not said["sessions"].keys() & json.loads((other.khive / FILE).read_text())["sessions"]


def test_it_holds_where_the_folder_was_moved(synced: Project, tmp_path: Path) -> None:
    from khive_persist.cli.root import run

    purged(synced)
    moved = Project(synced.root.rename(tmp_path / "moved"))
    assert run(["--dir", str(moved.root), "trust", "--yes", "--keep"]) == 0
    assert Tombstones.load(moved).purged_until(SESSION)


def test_one_that_is_not_ours_says_nothing_and_is_kept_aside(synced: Project) -> None:
    purged(synced, OTHER)
    content = (synced.khive / FILE).read_text()
    (synced.khive / FILE).write_text(content.replace('"mac": "', '"mac": "0'))
    assert not Tombstones.load(synced).purged_until(OTHER)
    purged(synced)
    assert [path.name.startswith(FILE) for path in synced.quarantine.iterdir()] == [True]
    assert Tombstones.load(synced).purged_until(SESSION)


def test_those_of_several_at_once_are_all_there(project: Project) -> None:
    import threading

    def note(number: int) -> None:
        tombstones.note(project, lambda stones: stones.with_purge(f"s{number}"))

    threads = [threading.Thread(target=note, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stones = Tombstones.load(project)
    assert all(stones.purged_until(f"s{number}") for number in range(8))


NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
AGE = timedelta(days=30)


@pytest.fixture
def pruned(project: Project) -> Project:
    """A session of which the older messages were pruned."""
    path = write(project, SESSION, "old words", at="2026-01-20T10:00:0{}.000Z")
    with path.open("ab") as file:
        file.write(line(project, SESSION, 1, "new words", "2026-11-20T10:00:00.000Z"))
    sync(project)
    assert sorted(texts(project)) == ["new words", "old words"]
    done = prune(project, CONVERSATIONS, Rule(keep_age=AGE), Settings(), as_of=NOW)
    assert done.removed == 1
    return project


@pytest.mark.parametrize("how", ["rebuild", "lost", "rewritten"])
def test_pruned_messages_do_not_come_back_by_a_sync(pruned: Project, how: str) -> None:
    if how == "rebuild":
        (pruned.database(CONVERSATIONS.file)).unlink()
        rebuilt(pruned, "mirror")
    elif how == "lost":
        for path in pruned.khive.glob("conversations.db*"):
            path.unlink()
        shutil.rmtree(pruned.sessions)
    else:
        shutil.rmtree(pruned.khive / "sync")
    ((_, done),) = sync(pruned).transcripts
    assert done.left_out == 1
    assert texts(pruned) == ["new words"]
    assert are_equal(pruned)


def test_pruned_messages_do_not_come_back_by_a_sync_after_a_restore(
    pruned: Project, tmp_path: Path
) -> None:
    destination = Folder(tmp_path / "backups")
    manifest = create_backup(pruned, destination)
    restore_backup(pruned, destination, read_catalogue(destination), manifest)
    sync(pruned)
    assert texts(pruned) == ["new words"]


def test_where_all_was_pruned_what_comes_later_is_read(project: Project) -> None:
    write(project, SESSION, "old words")
    sync(project)
    prune(project, CONVERSATIONS, Rule(keep_count=0), Settings())
    later = clock.now() + timedelta(seconds=5)
    path = write(project, SESSION, "old words")
    with path.open("ab") as file:
        file.write(line(project, SESSION, 1, "later words", later.isoformat()))
    shutil.rmtree(project.khive / "sync")
    sync(project)
    assert texts(project) == ["later words"]


def test_a_payload_that_was_pruned_stays_out(project: Project) -> None:
    path = write(project, SESSION, "words", at="2026-01-20T10:00:0{}.000Z")
    odd = {"type": "odd", "sessionId": SESSION, "cwd": str(project.root), "fat": "FAT " * 1_000,
           "timestamp": "2026-01-20T10:00:05.000Z"}  # fmt: skip
    with path.open("ab") as file:
        file.write(json.dumps(odd).encode() + b"\n")
    sync(project)
    done = prune(project, CONVERSATIONS, Rule(keep_payload_age=AGE), Settings(), as_of=NOW)
    assert done.payloads == 1
    shutil.rmtree(project.khive / "sync")
    sync(project)
    assert files_with(project, b"FAT FAT") == []


def test_pruned_events_are_not_reconstructed(project: Project) -> None:
    path = write(project, SESSION, "words", at="2026-01-20T10:00:0{}.000Z")
    call = {
        "type": "assistant", "uuid": "a1", "sessionId": SESSION, "cwd": str(project.root),
        "timestamp": "2026-01-20T10:00:05.000Z",
        "message": {"id": "m1", "role": "assistant", "model": "c", "content": [
            {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}}]},
    }  # fmt: skip
    with path.open("ab") as file:
        file.write(json.dumps(call).encode() + b"\n")
    sync(project)
    assert anyio.run(backfill, project, SESSION) > 0
    claude = HOOK_EVENTS["claude-code"]
    assert prune(project, claude, Rule(keep_age=AGE), Settings(), as_of=NOW).removed > 0
    assert anyio.run(backfill, project, SESSION) == 0
    assert contents(project, "claude_hooks.db") == {}


def test_pruned_to_do_lists_do_not_come_back(project: Project) -> None:
    """Neither from the messages of a transcript nor from hook events."""
    path = write(project, SESSION, "words", at="2026-01-20T10:00:0{}.000Z")
    todos = [{"content": "old task", "status": "pending", "activeForm": "old"}]
    common = {"sessionId": SESSION, "cwd": str(project.root)}
    call = {
        **common, "type": "assistant", "uuid": "a1", "timestamp": "2026-01-20T10:00:05.000Z",
        "message": {"id": "m1", "role": "assistant", "model": "c", "content": [
            {"type": "tool_use", "id": "t1", "name": "TodoWrite", "input": {"todos": todos}}]},
    }  # fmt: skip
    result = {
        **common, "type": "user", "uuid": "u9", "timestamp": "2026-01-20T10:00:06.000Z",
        "message": {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": "Todos have been modified"}]},
    }  # fmt: skip
    with path.open("ab") as file:
        for document in (call, result):
            file.write(json.dumps(document).encode() + b"\n")
    sync(project)
    told = event(
        300, session_id=SESSION, tool="claude-code", event_type="post_tool_use",
        tool_name="TodoWrite", payload={"tool_name": "TodoWrite", "tool_input": {"todos": todos}},
    )  # fmt: skip
    save_many(project, [told])

    async def history() -> int:
        async with open_store(FocusChain, dir=project.root) as lists:
            return len(await lists.get_history(SESSION))

    assert anyio.run(history) > 0
    prune(project, FOCUS_CHAINS, Rule(keep_age=AGE), Settings(), as_of=NOW)
    shutil.rmtree(project.khive / "sync")
    sync(project)
    assert anyio.run(history) == 0


def test_a_sync_that_goes_on_heeds_a_purge(synced: Project) -> None:
    """As the drainer's, which reads many transcripts one after the other."""
    path = next(Path.home().rglob(f"{SESSION}.jsonl"))
    syncing = Sync(synced, Settings(), None)
    assert syncing.run(path, "claude-code").left_out == 0
    purged(synced)
    later = clock.now().timestamp() + 5
    os.utime(path, (later, later))
    done = syncing.run(path, "claude-code")
    assert (done.new, done.left_out, done.is_purged) == (0, 2, False)
    # Not as one that it has read: its sync position would name it.
    assert syncing.run(path, "claude-code").left_out == 2
    assert files_with(synced, SESSION.encode()) == []
