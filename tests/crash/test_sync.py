"""A sync that is killed at each of its steps: run again, it ends as if nothing had happened."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from khive_persist.models.purposes import CONVERSATIONS
from khive_persist.project import Project
from khive_persist.redaction import Redactor
from khive_persist.settings import Settings
from khive_persist.transcripts import batches, writer
from khive_persist.transcripts.sync import Sync, Synced
from khive_persist.transcripts.writer import BATCHES_AT_ONCE
from tests.factories import make_project
from tests.mirror.records import assert_equal, files, lines, rows
from tests.server import warm

# Each patches what the operating system or SQLite is asked for, so that it dies just there, at the
# second transaction.
# In a batch: few, so that two transactions and a half are little.
FEW = 40
LINES = 5 * BATCHES_AT_ONCE * FEW // 2 + 7
STEPS = {
    "before the commit": "on_commit()",
    "before the mirror": "MirrorFollower.apply = at_second(MirrorFollower.apply, before=True)",
    "before the first byte": "on_write(lambda write, d, b: die())",
    "in the middle of the append": "on_write(lambda write, d, b: (write(d, b[:-100]), die()))",
    "before the end of the last line": "on_write(lambda write, d, b: (write(d, b[:-1]), die()))",
    "after the mirror": "MirrorFollower.apply = at_second(MirrorFollower.apply, before=False)",
    "before the sync position": "SyncPosition.save = at_second(SyncPosition.save, before=True)",
    "in the sync position": "on_sync_position(before=True)",
    "after the sync position": "on_sync_position(before=False)",
}

KILLED = """
import os, signal, sys
from pathlib import Path
from khive_persist.mirror.consumer import MirrorFollower
from khive_persist.project import Project
from khive_persist.redaction import Redactor
from khive_persist.settings import Settings
from khive_persist.store.sqlite import sync_writer
from khive_persist.transcripts import batches
from khive_persist.transcripts.checkpoint import SyncPosition
from khive_persist.transcripts.sync import Sync

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def at_second(call, before):
    calls = []
    def counted(*a, **k):
        calls.append(a)
        if len(calls) == 2 and before:
            die()
        done = call(*a, **k)
        if len(calls) == 2:
            die()
        return done
    return counted

def on_commit():
    opened = sync_writer.open_writer
    commit = at_second(lambda: None, before=True)
    inserted = []
    def trace(sql):
        if sql.startswith("INSERT INTO messages"):
            inserted.append(sql)
        elif sql == "COMMIT" and inserted:
            inserted.clear()
            commit()
    def open_writer(*a, **k):
        connection = opened(*a, **k)
        connection.set_trace_callback(trace)
        return connection
    sync_writer.open_writer = open_writer

def on_sync_position(before):
    replace = os.replace
    of_sync_position = at_second(replace, before)
    def replaced(source, target):
        return (replace if "/sessions/" in str(target) else of_sync_position)(source, target)
    os.replace = replaced

def on_write(act):
    write, save, saved = os.write, SyncPosition.save, []
    def after_first(*a):
        save(*a)
        saved.append(a)
    def to_stream(descriptor, content):
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if saved and path.endswith(".jsonl"):
            return act(write, descriptor, bytes(content))
        return write(descriptor, content)
    SyncPosition.save, os.write = after_first, to_stream

"""
RUN = f"""
batches.LINES_AT_ONCE = {FEW}
Sync(Project(sys.argv[1]), Settings(), Redactor(b"key")).run(Path(sys.argv[2]), "claude-code")
"""


def said(number: int) -> dict[str, Any]:
    # Every message has two lines, and some have one in each of two transactions.
    block = {"type": "text", "text": f"line {number}, password: hunter2hunter2"}
    message = {"id": f"m{(number + 1) // 2}", "content": [block], "usage": {"input_tokens": 1}}
    return {
        "type": "assistant", "uuid": f"u{number}", "sessionId": "s", "requestId": "r",
        "timestamp": f"2026-11-21T01:{number // 60 % 60:02}:{number % 60:02}.000Z",
        "message": message,
    }  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def small_batches() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "LINES_AT_ONCE", FEW)
        yield


@pytest.fixture(scope="module")
def transcript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("transcript") / "t.jsonl"
    path.write_text("".join(json.dumps(said(number)) + "\n" for number in range(LINES)))
    return path


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, transcript: Path) -> Project:
    """A project that it was read into at once."""
    project = make_project(tmp_path_factory.mktemp("unbroken"))
    synced(project, transcript)
    return project


def synced(project: Project, transcript: Path) -> Synced:
    return Sync(project, Settings(), Redactor(b"key")).run(transcript, "claude-code")


def mirrored(project: Project) -> list[str]:
    return sorted(json.dumps(line) for name in files(project) for line in lines(project, name))


def killed(project: Project, transcript: Path, step: str) -> None:
    done = warm.run(KILLED + STEPS[step] + RUN, str(project.root), str(transcript))
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize("step", STEPS)
def test_a_sync_that_is_killed(
    project: Project, unbroken: Project, transcript: Path, step: str
) -> None:
    killed(project, transcript, step)
    assert 0 < synced(project, transcript).lines < LINES
    assert synced(project, transcript).lines == 0
    assert rows(project, CONVERSATIONS) == rows(unbroken, CONVERSATIONS)
    assert_equal(project)
    assert mirrored(project) == mirrored(unbroken)


@pytest.mark.parametrize("step", ["before the mirror", "in the middle of the append"])
def test_the_next_one_commits_more_often(
    project: Project,
    unbroken: Project,
    transcript: Path,
    step: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the mirror lacks of the one transaction belongs to several of the other sync."""
    killed(project, transcript, step)
    monkeypatch.setattr(writer, "SECONDS_AT_ONCE", 0.0)
    synced(project, transcript)
    assert rows(project, CONVERSATIONS) == rows(unbroken, CONVERSATIONS)
    assert_equal(project)
