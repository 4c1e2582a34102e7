"""SIGKILL between database and mirror: what was acknowledged is in both, the rest is explained."""

import json
import random
import signal
import threading
from typing import Any

import pytest

from khive_persist.copies import mirrored
from khive_persist.mirror.rebuild import rebuild_databases, rebuild_mirror
from khive_persist.project import Project
from tests.factories import save
from tests.mirror.records import (
    assert_equal,
    comparing,
    content_of,
    drained,
    event,
    files,
    plan,
    recorded,
    recovered,
    unfinished,
)
from tests.server import warm
from tests.server.warm import Forked

# Five tasks save plans and events, change, move and delete them, and share their commits; beside
# them a thread accepts events and drains them, as the hook and its drainer do.


def killed_at_work(project: Project, round: int, seconds: float) -> dict[str, str]:
    """What it said last of each id before it was killed."""
    program = warm.of_module("tests.programs.mirrored_writer")
    process = Forked(program, [str(project.root), str(round * 100_000)])
    said = [process.stdout.readline()]
    threading.Timer(seconds, process.send_signal, [signal.SIGKILL]).start()
    with process.stdout:
        rest = process.stdout.read()
    assert process.wait(60) == -signal.SIGKILL
    said += rest[: rest.rfind("\n") + 1].splitlines()
    pairs = (line.split() for line in said)
    return {id: word for id, word in pairs}  # noqa: C416 - mypy sees that they are two words


def copies(project: Project) -> dict[str, dict[str, Any]]:
    """Each record of the mirror by its id, in each file that has it; a torn line is none."""
    found: dict[str, dict[str, Any]] = {}
    for name in files(project):
        path = project.sessions / name
        if name.endswith(".json"):
            some = [json.loads(path.read_bytes())]
        else:
            whole = path.read_bytes()
            some = [json.loads(line) for line in whole[: whole.rfind(b"\n") + 1].splitlines()]
        for one in some:
            by_file = found.setdefault(one["id"], {})
            by_file.pop(name, None)
            if not one.get("deleted"):
                by_file[name] = content_of(one)
    return {id: by_file for id, by_file in found.items() if by_file}


def assert_acknowledged(project: Project, said: dict[str, str]) -> None:
    """In the database and in the mirror, or as the hook's word goes: in the spool and in none."""
    database = {id: content for (_, id), (content, _) in recorded(project).items()}
    mirror = copies(project)
    spooled = {path.name.split("_")[1] for path in project.spool.glob("*.event")}
    for id, word in said.items():
        if word == "gone":
            assert id not in database
            assert id not in mirror
        elif word == "spooled":
            assert id in spooled or (id in database and id in mirror), id
        else:
            assert database[id]["number"] >= int(word), id
            assert max(one["number"] for one in mirror[id].values()) >= int(word), id


def assert_explained(project: Project) -> None:
    """The ids in which they differ, found in the plainest way, are those that verify names."""
    database = {id: content for (_, id), (content, _) in recorded(project).items()}
    mirror = copies(project)
    plainly = {
        id
        for id in database.keys() | mirror.keys()
        if list(mirror.get(id, {}).values()) != [database.get(id)]
    }
    with comparing(project) as comparison:
        told = list(comparison.differences())
    assert {one.id for one in told if one.kind != "torn"} == plainly
    assert {one.kind for one in told} <= {
        "missing_in_mirror", "missing_in_database", "differs", "twice_in_mirror", "torn",
    }  # fmt: skip


# Few kills may all come before the second copy is begun, or once it is done.
MOST_KILLS = 500


@pytest.mark.parametrize(
    "kills",
    [pytest.param(5, id="a few"), pytest.param(500, id="many", marks=pytest.mark.long)],
)
@pytest.mark.timeout(3600)
def test_killed_between_the_two_copies(project: Project, kills: int) -> None:
    some = random.Random(4)
    said: dict[str, str] = {}
    differed = 0
    # A kill in 40 lets a file grow to more than its readers hold at once.
    for number in range(MOST_KILLS):
        if number >= kills and differed:
            break
        said |= killed_at_work(project, number, some.uniform(0, 0.12))
        assert_acknowledged(project, said)
        assert_explained(project)
        with comparing(project) as comparison:
            differed += not comparison.is_equal
        if number % 3 == 0:
            drained(project)
            # By an opening alone, without any command.
            recovered(project)
            assert_equal(project)
            assert_acknowledged(project, said)
    assert differed, "none was killed between the two"
    # The mirror alone, as the last kill left it.
    for path in project.khive.glob("*.db*"):
        path.unlink()
    rebuild_databases(project, mirrored(project))
    drained(project)
    rebuild_mirror(project, mirrored(project))
    assert_acknowledged(project, said)
    assert_equal(project)


STEPS = {
    "before the mirror": "MirrorFollower.apply = lambda *a, **k: die()",
    "before what was there is taken out": """
Documents._remove = lambda *a: die()
stream_file.deletion = jsonl_files.deletion = lambda *a: die()
""",
    "before the file has its name": "os.replace = lambda *a, **k: die()",
    "after the file has its name": """
replace = os.replace
os.replace = lambda *a, **k: (replace(*a, **k), die())
""",
}

CHANGED = """
import os, signal, sys
from khive_persist.mirror import stream_file, jsonl_files
from khive_persist.mirror.json_files import Documents
from khive_persist.mirror.consumer import MirrorFollower
from tests.factories import save, save_many
from tests.mirror.records import *

def die():
    os.kill(os.getpid(), signal.SIGKILL)

project = Project(sys.argv[1])
"""


@pytest.mark.parametrize(
    ("step", "act"),
    [
        ("before the mirror", "save(project, plan('plan0001', changed=True))"),
        ("before the mirror", "save(project, plan('new'))"),
        ("before the mirror", "save(project, event('event', 's2', changed=True))"),
        ("before the mirror", "save(project, event('event', 's1', changed=True))"),
        ("before what was there is taken out", "delete(project, PlannerSession, 'plan0001')"),
        ("before what was there is taken out", "delete(project, HookEvent, 'event')"),
        ("before what was there is taken out", "save(project, event('event', 's2', changed=True))"),
        ("before the file has its name", "save(project, plan('new'))"),
        ("before the file has its name", "save(project, plan('plan0001', changed=True))"),
        ("after the file has its name", "save(project, plan('new'))"),
        ("after the file has its name", "save(project, plan('plan0001', changed=True))"),
    ],
)
def test_killed_at_each_step(project: Project, step: str, act: str) -> None:
    """One of both copies has what was acknowledged before, at any step."""
    save(project, plan("plan0001"), plan("plan0002"))
    save(project, event("event", "s1"), event("other", "s1"))
    done = warm.run(CHANGED + STEPS[step] + "\n" + act, str(project.root))
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert_explained(project)
    recovered(project)
    assert_equal(project)
    known = {"plan0001", "plan0002", "event", "other"}
    if "delete" not in act:
        assert known <= copies(project).keys()
        assert known <= {id for _, id in recorded(project)}
    # Again, and whole: no name was lost to what a killed writer left.
    save(project, plan("plan0001", again=True), plan("new", again=True))
    save(project, event("event", "s1", again=True), event("new", "s3", again=True))
    assert rebuild_mirror(project, mirrored(project)).is_equal
    assert_equal(project)
    assert unfinished(project) == []
