"""Power that is lost: whatever was acknowledged before is there, once, and in both copies.

A process is recorded, and every state that the disk can be left in is made from that, at each sync
of it: with what was synced alone, and with more of the names or of the contents.
"""

import json
from pathlib import Path

import pytest

from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.models.purposes import HOOK_EVENTS, PLANNER_SESSIONS, Purpose
from khive_persist.project import Project
from tests.crash.power.disk_log import Step
from tests.crash.power.losses import WITHOUT_SYNCFS, acknowledged, lose_power, script
from tests.factories import save
from tests.mirror.records import assert_equal, event, ids, recovered, rows

CLAUDE = HOOK_EVENTS["claude-code"]
PAYLOAD = json.dumps({"hook_event_name": "Stop", "session_id": "s1"}).encode()

SAVED = """
async def main():
    async with open_store(PURPOSE, dir=project.root) as store:
        await store.save(record("one"))
        say("one")
        await store.save(record("two"))
        say("two")
        many = [record(f"m{number:02}") for number in range(TOGETHER)]
        await store.save_many(many)
        say(*(one.id for one in many))
        await store.save(record("one", created_at="2026-11-02T12:00:00Z"))
        say("?two")
        await store.delete("two")
        say("-two")
        await store.save(record("three"))
        say("three")
anyio.run(main)
"""
MANY = """
async def main():
    async with open_store(PURPOSE, dir=project.root) as store:
        await store.save_many([record(f"m{number:02}") for number in range(TOGETHER)])
        say(*(f"m{number:02}" for number in range(TOGETHER)))
        await store.save(record("last"))
anyio.run(main)
"""
# From how many on the records of one save share a sync: all, or enough that they are several.
ALL = "from khive_persist.mirror.syncing import TOGETHER"
FEW = """
from khive_persist.mirror import json_files, jsonl_files
TOGETHER = json_files.TOGETHER = jsonl_files.TOGETHER = 4
"""
PLANS = """
from khive_persist import PlannerSession as PURPOSE
record = plan
"""
EVENTS = """
from khive_persist import HookEvent as PURPOSE
def record(id, **more):
    return event(id, "s" + id, **more)
"""


def waiting(project: Project) -> list[str]:
    spool = Spool(project)
    return [event.id for event in spool.events()]


def stored(project: Project, purpose: Purpose) -> list[str]:
    return ids(project, purpose) if project.database(purpose.file).exists() else []


def assert_once(project: Project) -> None:
    """One event, in the database and in the mirror; nothing waits any more."""
    assert drain(project).errors == ()
    recovered(project)
    (content,) = (json.loads(row[3]) for row in rows(project, CLAUDE))
    assert content["payload"] == json.loads(PAYLOAD)
    assert waiting(project) == []
    assert_equal(project)


@pytest.mark.parametrize(
    ("hook_kind", "is_new"),
    [
        pytest.param("native", True, id="native, a new project"),
        pytest.param("python", False, id="python, an old project"),
        pytest.param("native", False, id="native, an old project", marks=pytest.mark.long),
        pytest.param("python", True, id="python, a new project", marks=pytest.mark.long),
    ],
)
def test_the_hook_and_its_drainer(
    root: Path,
    thoroughly: bool,
    is_new: bool,
    hook_words: list[str],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = Project(root / "project") if is_new else request.getfixturevalue("project")
    monkeypatch.setenv("KHIVE_DIR", str(project.root))

    def check(done: list[Step]) -> None:
        if any(step.call == "exit" for step in done):
            assert_once(project)
        else:
            # It may be there already, and never twice.
            drain(project)
            assert len(stored(project, CLAUDE)) <= 1

    count = lose_power(root, [*hook_words, "--tool", "claude-code"], thoroughly, check, PAYLOAD)
    assert count > 10


@pytest.mark.parametrize(
    ("kind", "work", "purpose"),
    [
        pytest.param(PLANS, SAVED, PLANNER_SESSIONS, id="plans"),
        pytest.param(EVENTS, SAVED, CLAUDE, id="events"),
        pytest.param(PLANS + WITHOUT_SYNCFS, MANY, PLANNER_SESSIONS, id="without syncfs"),
    ],
)
def test_saved_records(
    root: Path, project: Project, thoroughly: bool, kind: str, work: str, purpose: Purpose
) -> None:
    def check(done: list[Step]) -> None:
        recovered(project)
        present = stored(project, purpose)
        assert len(present) == len(set(present))
        said = acknowledged(done)
        assert not {word[1:] for word in said if word[0] == "-"} & set(present)
        going = {word[1:] for word in said if word[0] in "-?"}
        assert {word for word in said if word[0].isalnum()} - going <= set(present)
        if project.database(purpose.file).exists():
            assert_equal(project)

    if purpose == CLAUDE:
        save(project, event("begin"))
    words = script(project, ALL if thoroughly else FEW, kind, work)
    lose_power(root, words, thoroughly, check)
