"""The home's own databases keep to their limits: the oldest events go, for good, and it is said."""

import json
import os
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import anyio
import pytest

from khive_persist import Message, Node, PlannerSession, open_store
from khive_persist.capture import home_store, spool_writer
from khive_persist.capture.drain import drain
from khive_persist.capture.home_store import database_bytes, is_due
from khive_persist.capture.spool import Spool
from khive_persist.cli.root import run
from khive_persist.clock import from_ns
from khive_persist.copies import Source, rebuild, verify
from khive_persist.errors import InvalidSettingsError
from khive_persist.maintenance.retention.home_store import limit_store
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store.sqlite import write_lock
from tests.payloads import Hook
from tests.retention.events import contents

QUIET = "[capture]\nlinger_seconds = 0\n[sync]\nat_stop = false\n"
DAY_NS = 86_400 * 10**9
FAT = "fat " * 2_000
EVENTS = "claude_hooks.db"


@pytest.fixture
def store(home: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The home's own project."""
    monkeypatch.delenv("CI", raising=False)
    project = Project(home)
    project.khive.mkdir(mode=0o700)
    Spool(project).make()
    limit(project, "")
    return project


def limit(project: Project, settings: str) -> None:
    project.config.write_text(f"{QUIET}[home]\n{settings}\n")


def accept(project: Project, session: str, days: float) -> None:
    """Put an event into the spool as one that a hook put there so many days ago."""
    _, _, rest = spool_writer.file_name("claude-code", True).partition("_")
    name = f"{time.time_ns() - int(days * DAY_NS):020d}_{rest}"
    payload = {"session_id": session, "hook_event_name": "UserPromptSubmit", "prompt": FAT}
    os.close(spool_writer.keep(str(project.root), name, json.dumps(payload).encode()))


def record(project: Project, days: Iterable[float]) -> None:
    """Record a session of five events for each of these ages."""
    for age in days:
        for _ in range(5):
            accept(project, f"s{age:g}", age)
    assert drain(project).waiting_count == 0


def save(project: Project, record: Node) -> None:
    async def put() -> None:
        async with open_store(type(record), dir=project.root) as opened:
            await opened.save(record)

    anyio.run(put)


def ago(days: float) -> str:
    return str(from_ns(time.time_ns() - int(days * DAY_NS)))


def sessions(project: Project, file: str = EVENTS) -> set[str]:
    return {content["session_id"] for content in contents(project, file).values()}


def is_equal(project: Project) -> bool:
    async def compare() -> bool:
        return (await verify(dir=project.root)).is_equal

    return anyio.run(compare)


def later(project: Project, hours: float) -> None:
    """Let the last run have been so many hours ago."""
    instant = time.time() - hours * 3600
    os.utime(project.khive / home_store.LOCK, (instant, instant))


def test_above_the_cap_the_oldest_sessions_go_for_good(
    store: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    record(store, range(1, 41))
    for age in (40, 30, 1):
        content = {"session_id": f"m{age}", "tool": "codex", "role": "user", "text": FAT}
        save(store, Message.model_validate({"content": content, "created_at": ago(age)}))
    plan = {"session_id": "p", "task_description": FAT}
    save(store, PlannerSession.model_validate({"content": plan, "created_at": ago(400)}))
    cap = database_bytes(store) // 2
    limit(store, f"store_max_bytes = {cap}")
    removed = limit_store()
    left = sorted(int(name[1:]) for name in sessions(store))
    assert cap * 0.6 < database_bytes(store) <= cap
    assert left == list(range(1, len(left) + 1))
    assert 10 < len(left) < 30
    # Whichever file they are in, the same age goes.
    assert sessions(store, "conversations.db") == {f"m{age}" for age in (30, 1) if age in left}
    assert sessions(store, "planner_sessions.db") == {"p"}
    assert is_equal(store)
    before = contents(store, EVENTS)
    sources: tuple[Source, ...] = ("database", "mirror")
    for source in sources:
        anyio.run(partial(rebuild, source, dir=store.root))
        assert contents(store, EVENTS) == before
    assert is_equal(store)
    for command in (["doctor"], ["stats"], ["stats", "--all-projects"], ["projects"]):
        run([*command] if "--all-projects" in command else ["--dir", str(store.root), *command])
        assert f"{removed} events and messages of before 20" in capsys.readouterr().err
    # What fits is left alone.
    later(store, 48)
    assert limit_store() == 0
    assert contents(store, EVENTS) == before


def test_what_is_older_than_ninety_days_goes_without_any_setting(store: Project) -> None:
    record(store, [100, 91, 89, 0])
    assert limit_store() == 10
    assert sessions(store) == {"s89", "s0"}
    assert is_equal(store)
    entry = home_store.removed(store)
    assert entry is not None
    assert entry.records == 10
    accept(store, "late", 95)
    drain(store)
    later(store, 25)
    assert limit_store() == 1
    entry = home_store.removed(store)
    assert entry is not None
    assert entry.records == 11


def test_what_was_removed_is_said_for_thirty_days(
    store: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert home_store.removed_lines() == []
    home_store.note_removed(store, 1, ago(90))
    assert len(home_store.removed_lines()) == 1
    with monkeypatch.context() as patch:
        now = time.time()
        patch.setattr(time, "time", lambda: now + 31 * 86_400)
        assert home_store.removed_lines() == []
    (store.khive / home_store.FILE).write_text("[]")
    assert home_store.removed_lines() == []


def test_it_is_due_once_a_day_and_above_the_cap_after_an_hour(
    store: Project, tmp_path: Path
) -> None:
    assert not is_due(store, Settings())
    record(store, [0])
    assert is_due(store, Settings())
    assert not is_due(store, Settings(home_store_keep_days=0, home_store_max_bytes=0))
    assert limit_store() == 0
    small = Settings(home_store_max_bytes=1)
    assert not is_due(store, small)
    later(store, 2)
    assert is_due(store, small)
    assert not is_due(store, Settings())
    later(store, 25)
    assert is_due(store, Settings())
    assert not is_due(store, Settings(home_store_keep_days=0))
    later(store, -25)
    assert is_due(store, Settings())
    other = Project(tmp_path / "mine")
    other.root.mkdir()
    other.make()
    record(other, [0])
    assert not is_due(other, small)


def test_no_limit_and_a_mistake_remove_nothing(store: Project) -> None:
    record(store, [400, 1])
    limit(store, "store_max_bytes = 0\nstore_keep_days = 0")
    assert limit_store() == 0
    later(store, 25)
    limit(store, "store_keep_days = -1")
    with pytest.raises(InvalidSettingsError):
        limit_store()
    assert sessions(store) == {"s400", "s1"}
    # It is not tried again by each drainer.
    assert not is_due(store, Settings())


def test_one_run_at_a_time(store: Project) -> None:
    record(store, [400])
    held = home_store_lock(store)
    assert limit_store() == 0
    os.close(held)
    assert limit_store() == 5


def home_store_lock(project: Project) -> int:
    held = write_lock.try_acquire(project.khive / home_store.LOCK)
    assert held is not None
    later(project, 25)
    return held


def test_a_damaged_database_does_not_keep_the_others_full(store: Project) -> None:
    record(store, [400, 1])
    store.database("codex_hooks.db").write_bytes(b"no database" * 1000)
    limit(store, "store_max_bytes = 1")
    limit_store()
    assert sessions(store) == {"s1"}


def test_the_drainer_of_the_home_starts_it(store: Project, tmp_path: Path, hook: Hook) -> None:
    """No program of ours is run but the hook."""
    for _ in range(3):
        accept(store, "old", 100)
    (tmp_path / "nowhere").mkdir()
    payload = json.dumps({"session_id": "new", "hook_event_name": "Stop"}).encode()
    assert hook(payload, cwd=tmp_path / "nowhere").returncode == 0
    end = time.monotonic() + 60
    while home_store.removed(store) is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert sessions(store) == {"new"}
    assert is_equal(store)
