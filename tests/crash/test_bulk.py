"""SIGKILL in the midst of bulk saves: by an opening alone, without a command, both copies agree."""

import random
import subprocess

import pytest

from khive_persist.models.purposes import HOOK_EVENTS, PLANNER_SESSIONS, Purpose
from khive_persist.project import Project
from tests.mirror.records import assert_equal, ids, recovered
from tests.server.warm import Forked

ROWS = 800
PLANS = """
def record(id):
    return PlannerSession(id=id, content={"session_id": id, "task_description": "x" * 200})
KIND = PlannerSession
"""
EVENTS = """
def record(id):
    session = f"s{hash(id) % 40}"
    return HookEvent(id=id, content={"event_type": "stop", "session_id": session})
KIND = HookEvent
"""
IMPORTS = """
import sys
import anyio
from khive_persist import HookEvent, PlannerSession, open_store
"""
SAVER = f"""
async def main():
    async with open_store(KIND, dir=sys.argv[1]) as store:
        for number in range(1_000):
            ids = [f"{{sys.argv[2]}}-{{number}}-{{n}}" for n in range({ROWS})]
            print("begun", flush=True)
            await store.save_many(map(record, ids))
            print(f"{{sys.argv[2]}}-{{number}}", flush=True)

anyio.run(main)
"""


def killed(project: Project, program: str, round: int, seconds: float) -> list[str]:
    """What was acknowledged by a process that saves until it is killed."""
    process = Forked(IMPORTS + program + SAVER, [str(project.root), str(round)])
    assert process.stdout.readline() == "begun\n"
    try:
        process.wait(timeout=seconds)
        pytest.fail("it has ended by itself")
    except subprocess.TimeoutExpired:
        process.kill()
    said = process.stdout.read().splitlines()
    process.wait(60)
    process.stdout.close()
    return [word for word in said if word != "begun"]


@pytest.mark.parametrize(
    "kills", [pytest.param(2, id="a few"), pytest.param(120, id="many", marks=pytest.mark.long)]
)
@pytest.mark.parametrize(
    ("program", "purpose"),
    [(PLANS, PLANNER_SESSIONS), (EVENTS, HOOK_EVENTS["claude-code"])],
    ids=["plans", "events"],
)
@pytest.mark.timeout(3600)
def test_killed_in_the_midst_of_bulk_saves(
    project: Project, program: str, purpose: Purpose, kills: int
) -> None:
    some = random.Random(6)
    acknowledged: list[str] = []
    for number in range(kills):
        acknowledged += killed(project, program, number, some.uniform(0, 0.5))
        recovered(project)
        if number % 10 == 2:
            assert_equal(project)
    stored = set(ids(project, purpose))
    assert {f"{begin}-{n}" for begin in acknowledged for n in range(ROWS)} <= stored
    assert_equal(project)
