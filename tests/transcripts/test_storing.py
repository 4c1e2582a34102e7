"""Syncs that come to an end before their time: what was committed stays, and nothing is lost."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from khive_persist.errors import MirrorError, StoreBusyError
from khive_persist.mirror.consumer import MirrorFollower
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store.sqlite import write_lock
from khive_persist.transcripts import batches, writer
from khive_persist.transcripts.sync import Advance, Sync, Synced
from khive_persist.transcripts.writer import BATCHES_AT_ONCE
from tests.mirror.records import assert_equal

# In a batch.
FEW = 100
LINES = (BATCHES_AT_ONCE + 5) * FEW


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "LINES_AT_ONCE", FEW)


@pytest.fixture
def transcript(tmp_path: Path) -> Path:
    path = tmp_path / "t.jsonl"
    with path.open("w") as file:
        for number in range(LINES):
            message = {"content": f"line {number}"}
            line = {"type": "user", "uuid": f"u{number}", "sessionId": "s", "message": message}
            file.write(json.dumps(line) + "\n")
    return path


def run(project: Project, path: Path, advance: Advance = lambda _: None, **settings: Any) -> Synced:
    return Sync(project, Settings(**settings), None).run(path, "claude-code", advance)


def count(project: Project) -> int:
    path = project.database("conversations.db")
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM messages").fetchone()[0])


def test_interrupted(project: Project, transcript: Path) -> None:
    calls = []

    def advance(size: int) -> None:
        calls.append(size)
        if len(calls) == BATCHES_AT_ONCE + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(project, transcript, advance)
    stored = count(project)
    assert 0 < stored < LINES
    assert stored % FEW == 0
    assert run(project, transcript).lines == LINES - stored
    assert count(project) == LINES
    assert_equal(project)


def test_others_hold_the_database(project: Project, transcript: Path) -> None:
    run(project, transcript)
    with transcript.open("a") as file:
        file.write('{"type":"user","uuid":"v","sessionId":"s","message":{"content":"x"}}\n' * 900)
    with (
        write_lock.held(write_lock.lock_path(project.database("conversations.db")), 1),
        pytest.raises(StoreBusyError),
    ):
        run(project, transcript, store_busy_timeout_seconds=0.1)
    assert count(project) == LINES
    assert run(project, transcript).new == 1
    assert_equal(project)


def test_nothing_is_stored_that_comes_after_a_failure(
    project: Project, transcript: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even what was read by then: its lines would be taken for the only ones left to read."""
    apply = MirrorFollower.apply
    calls = []

    def fails_once(*given: Any, **named: Any) -> None:
        calls.append(given)
        if len(calls) == 1:
            raise MirrorError("no space left")
        apply(*given, **named)

    monkeypatch.setattr(MirrorFollower, "apply", fails_once)
    monkeypatch.setattr(writer, "SECONDS_AT_ONCE", 0.0)
    with pytest.raises(MirrorError):
        run(project, transcript)
    assert count(project) == FEW
    assert run(project, transcript).lines == LINES
    assert_equal(project)


def test_the_mirror_cannot_be_written(project: Project, transcript: Path) -> None:
    project.sessions.write_text("a file")
    with pytest.raises(MirrorError):
        run(project, transcript)
    assert 0 < count(project) < LINES
    project.sessions.unlink()
    assert run(project, transcript).lines == LINES
    assert count(project) == LINES
    assert_equal(project)
