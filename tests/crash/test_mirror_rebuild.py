"""A rebuild that is killed: what it was made from is as it was, and the next run ends equal."""

import os
import random
import signal
from pathlib import Path

import pytest

from khive_persist.copies import mirrored
from khive_persist.mirror.consumer import EPOCHS
from khive_persist.mirror.rebuild import rebuild_databases, rebuild_mirror
from khive_persist.project import Project
from tests.factories import save_many
from tests.mirror.records import (
    assert_equal,
    drained,
    event,
    everything,
    files,
    hook,
    plan,
    tree,
    unfinished,
)
from tests.server import warm

# Dies just before the operation of that number, of those that Python tells of: what is opened,
# linked, renamed, removed or locked. Without a number it says how many there are.

KILLS = [pytest.param(4, id="a few"), pytest.param(30, id="many", marks=pytest.mark.long)]


def run(project: Project, direction: str, at: int = 0) -> int:
    """How many operations it took; 0 where it was killed. Another damage may take fewer."""
    done = warm.run_module("tests.programs.killed_rebuild", str(project.root), direction, str(at))
    assert done.returncode == 0 or (at and done.returncode == -signal.SIGKILL), done.stderr
    return int(done.stdout or 0)


@pytest.fixture
def both(project: Project) -> Project:
    save_many(project, [plan(f"plan{n:04}", number=n) for n in range(40)])
    save_many(project, [event(f"e{n}", f"s{n % 4}") for n in range(40)])
    for number in range(20):
        hook(project, f"s{number % 6}", number, "codex")
    drained(project)
    return project


def destroy(project: Project, round: int) -> dict[str, bytes]:
    """Damage or remove databases; those that are left as they are then."""
    for at, file in enumerate(("planner_sessions.db", "claude_hooks.db", "codex_hooks.db")):
        path = project.database(file)
        match (round + at) % 4:
            case 0:
                path.unlink()
            case 1:
                path.write_bytes(os.urandom(40_000))
            case 2:
                os.truncate(path, path.stat().st_size // 2)
    return {p.name: p.read_bytes() for p in project.khive.glob("*.db")}


def copies(project: Project) -> dict[str, bytes]:
    """The mirror, but for which files it follows: those are others once they are made anew."""
    return {name: content for name, content in tree(project.sessions).items() if name != EPOCHS}


def quarantined(project: Project) -> set[bytes]:
    return set(tree(project.quarantine).values()) if project.quarantine.exists() else set()


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kills", KILLS)
def test_databases_are_the_old_ones_or_the_new_ones(both: Project, kills: int) -> None:
    before, mirror = everything(both), copies(both)
    destroy(both, 0)
    operations = run(both, "rebuild_databases")
    some = random.Random(5)
    for number in range(kills):
        old = destroy(both, number)
        run(both, "rebuild_databases", some.randint(1, operations))
        assert copies(both) == mirror
        kept = quarantined(both) | {p.read_bytes() for p in both.khive.glob("*.db")}
        assert set(old.values()) <= kept, "replaced, and not thrown away"
        assert rebuild_databases(both, mirrored(both)).is_equal
        assert everything(both) == before
        assert copies(both) == mirror
        assert set(old.values()) - {b""} <= quarantined(both) | {
            p.read_bytes() for p in both.khive.glob("*.db")
        }
        assert list((both.khive / "staging").iterdir()) == []
        assert_equal(both)


def spoil(project: Project, round: int) -> set[bytes]:
    """Remove, damage, edit and add files of the mirror; what those have that are not right."""
    wrong = set()
    for at, name in enumerate(files(project)):
        path = project.sessions / name
        match (round + at) % 7:
            case 0:
                path.unlink()
            case 1:
                path.write_bytes(path.read_bytes()[:-40])
                wrong.add(path.read_bytes())
            case 2 if path.suffix == ".json":
                path.write_bytes(path.read_bytes().replace(b"do it", b"do it otherwise"))
                wrong.add(path.read_bytes())
            case 3 if path.suffix == ".json":
                stray = path.with_name(f"planner_session_2026_11_01_stray{at:03}.json")
                content = path.read_bytes().replace(b'"id": "plan', b'"id": "stray%03d' % at)
                stray.write_bytes(content)
                wrong.add(content)
    (project.sessions / ".planner_session_2026_11_01_x.json.planner_sessions.tmp").write_text("{")
    return wrong


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kills", KILLS)
def test_each_file_of_the_mirror_is_the_old_one_or_the_new_one(both: Project, kills: int) -> None:
    before = everything(both)
    spoil(both, 0)
    operations = run(both, "rebuild_mirror")
    some = random.Random(6)
    for number in range(kills):
        wrong = spoil(both, number)
        run(both, "rebuild_mirror", some.randint(1, operations))
        assert everything(both) == before
        assert wrong <= quarantined(both) | set(tree(both.sessions).values())
        assert rebuild_mirror(both, mirrored(both)).is_equal
        assert everything(both) == before
        assert_equal(both)
        assert unfinished(both) == []
        assert {content for content in wrong if content.startswith(b'{\n  "data')} <= (
            quarantined(both) | set(tree(both.sessions).values())
        )
        assert list((both.khive / "staging").iterdir()) == []


def test_no_other_folder_was_needed(both: Project, tmp_path: Path) -> None:
    """Nothing is written outside of .khive, killed or not."""
    around = {path for path in tmp_path.rglob("*") if both.khive not in (path, *path.parents)}
    destroy(both, 0)
    operations = run(both, "rebuild_databases")
    run(both, "rebuild_databases", 5)
    spoil(both, 1)
    run(both, "rebuild_mirror", operations // 2)
    assert around == {
        path for path in tmp_path.rglob("*") if both.khive not in (path, *path.parents)
    }
