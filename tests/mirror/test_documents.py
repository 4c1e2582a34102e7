"""A plan is a JSON file: written with its save, replaced and removed with it, and nobody else's."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import jsonschema
import pytest

from khive_persist import PlannerSession, open_store, save_planning_session
from khive_persist.mirror import names
from khive_persist.mirror.schema import schema
from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.project import Project
from khive_persist.transfer.import_ import import_rows
from tests.factories import save, save_many
from tests.mirror.records import (
    NOON,
    assert_equal,
    copied,
    delete,
    document,
    everything,
    files,
    plan,
    set_row,
    tree,
    unfinished,
)

NAME = re.compile(r"planner_session_\d{4}_\d\d_\d\d_[0-9a-f]{8}\.json")


VALIDATOR = jsonschema.Draft202012Validator(schema())


def valid(found: Any) -> None:
    VALIDATOR.validate(found)


async def test_the_file_is_there_when_the_save_returns(project: Project) -> None:
    async with open_store(PlannerSession, dir=project.root) as plans:
        saved = await plans.save(plan("0123456789ab", complexity="complex", confidence=0.5))
        (name,) = files(project)
        assert name == "planner_session_2026_11_01_01234567.json"
        assert document(project, name) == {
            "dataModelVersion": 1,
            "id": saved.id,
            "purpose": "planner_sessions",
            "created_at": NOON,
            "content": saved.content,
            "node_metadata": {"lion_class": PlannerSession.lion_class()},
            "embedding": None,
        }
        text = (project.sessions / name).read_text()
        assert text == json.dumps(json.loads(text), indent=2) + "\n", "readable, and plain"
        valid(json.loads(text))


async def test_the_name_has_the_day_in_utc(project: Project) -> None:
    async with open_store(PlannerSession, dir=project.root) as plans:
        await plans.save(plan("late0000", created_at="2026-11-01T23:30:00-01:00"))
        await plans.save(plan("early000", created_at="0033-04-03T15:00:00Z"))
    assert files(project) == [
        "planner_session_0033_04_03_early000.json",
        "planner_session_2026_11_02_late0000.json",
    ]
    assert_equal(project)


def test_every_way_to_save_writes_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHIVE_DIR", str(project.root))

    async def run() -> None:
        async with open_store(PlannerSession) as plans:
            await plans.save(plan("save"))
            assert await plans.save_many(plan(f"many{n}") for n in range(300)) == 300
        await plan("node").save()
        await save_planning_session(session_id="s", task_description="verb")
        source = project.root / "plans.jsonl"
        rows = [{"id": f"import{n}", "content": plan("x").content} for n in range(3)]
        source.write_text("\n".join(map(json.dumps, rows)))
        assert (await import_rows(project, source)).refused == 0

    anyio.run(run)
    assert len(files(project)) == 1 + 300 + 1 + 1 + 3
    assert sum(bool(NAME.match(name)) for name in files(project)) == 1, "the one with an id of ours"
    for name in files(project):
        valid(document(project, name))
    assert_equal(project)
    assert unfinished(project) == []


def test_all_is_private_whatever_the_umask(project: Project) -> None:
    program = """
import os, sys, anyio
os.umask(0)
from tests.mirror.records import *
from tests.factories import save
project = Project(sys.argv[1])
save(project, plan("a"), plan("a", complexity="simple"))
save(project, event("e"))
hook(project, "s2", 1)
drained(project)
"""
    subprocess.run(
        [sys.executable, "-c", program, str(project.root)],
        check=True,
        cwd=Path(__file__).parents[2],
    )
    modes = {path.name: path.stat().st_mode & 0o777 for path in project.sessions.iterdir()}
    assert modes.keys() >= {*files(project), ".epochs", ".names.lock"}
    assert set(modes.values()) == {0o600}
    assert project.sessions.stat().st_mode & 0o777 == 0o700


def operations(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What the operating system is asked for below sessions/, in order, with the name of it."""
    asked: list[tuple[str, str]] = []
    fsync, link, replace = os.fsync, os.link, os.replace

    def note(operation: str, path: str) -> None:
        if "/sessions" in path:
            asked.append((operation, path.rpartition("/")[2]))

    def fsynced(descriptor: int) -> None:
        note("sync", os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    def linked(source: Any, target: Any, **options: Any) -> None:
        note("name", str(target))
        link(source, target, **options)

    def replaced(source: Any, target: Any, **options: Any) -> None:
        note("name", str(target))
        replace(source, target, **options)

    monkeypatch.setattr(os, "fsync", fsynced)
    monkeypatch.setattr(os, "link", linked)
    monkeypatch.setattr(os, "replace", replaced)
    return asked


@pytest.mark.parametrize("is_there", [False, True], ids=["new", "replaced"])
def test_it_survives_a_power_loss(
    project: Project, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    """Its bytes are synced before it has its name, and its name before the save returns."""
    # From then on the folder is followed.
    save(project, plan("0123456789ab" if is_there else "another"))
    name = "planner_session_2026_11_01_01234567.json"
    asked = operations(monkeypatch)
    save(project, plan("0123456789ab", again=True))
    assert asked == [
        ("sync", names.unfinished(name, PLANNER_SESSIONS)), ("name", name), ("sync", "sessions"),
    ]  # fmt: skip
    asked.clear()
    delete(project, PlannerSession, "0123456789ab")
    assert asked == [("sync", "sessions")]


def test_saved_again_it_is_replaced_and_keeps_its_time(project: Project) -> None:
    save(project, plan("0123456789ab", complexity="simple"))
    (name,) = files(project)
    save(project, plan("0123456789ab", created_at="2030-01-01T00:00:00Z", complexity="complex"))
    assert files(project) == [name]
    assert document(project, name)["content"]["complexity"] == "complex"
    assert document(project, name)["created_at"] == NOON
    assert_equal(project)


def test_deleted_it_is_gone(project: Project) -> None:
    save(project, plan("first"), plan("second"))
    assert delete(project, PlannerSession, "first", "never there") == [True, False]
    assert files(project) == ["planner_session_2026_11_01_second.json"]
    assert_equal(project)


def test_what_becomes_of_it_in_one_commit_is_what_the_file_says(project: Project) -> None:
    """Concurrent calls share a commit, in which a plan may come, go, and come at another time."""

    async def run() -> None:
        async with open_store(PlannerSession, dir=project.root) as plans:
            await plans.save(plan("there before"))
            async with anyio.create_task_group() as tasks:
                for step in (
                    lambda: plans.delete("there before"),
                    lambda: plans.save(plan("there before", created_at="2027-05-05T00:00:00Z")),
                    lambda: plans.save(plan("comes and goes")),
                    lambda: plans.delete("comes and goes"),
                    lambda: plans.save(plan("twice", complexity="simple")),
                    lambda: plans.save(plan("twice", complexity="complex")),
                ):
                    tasks.start_soon(step)

    anyio.run(run)
    assert len(files(project)) == 2
    assert_equal(project)


ODD = [
    "a", "abcdefgh", "abcdefghi", "ABCDEFGH", "AbCdEfGh", "x" * 200, "x" * 199 + "y", "y" * 101,
    "..", ".", "../../..", "../" * 20 + "etc/passwd", "/etc/passwd", "a/b", "a\\b", "a b", " ",
    "  ", "\n", "\t", "\x01\x02", "%00", "\\0", "-rf", "--help", "_", "__", ".hidden", "a.json",
    "é", "é" * 8, "ééééééé/", "日本語の計画です", "😀" * 3, "\u202eabc", "con", "NUL", "*", "?",
    "a;b", "$(id)", "'", '"', "plan_2026_11_01_a", "plan_2026_11_01_b", "2026_11_01_2026_11_02_x",
    "2026_11_01", "lock",
]  # fmt: skip


def test_no_id_leads_out_of_the_folder_or_over_another(project: Project) -> None:
    before = tree(project.root.parent)
    save_many(project, [plan(id, note=str(n)) for n, id in enumerate(ODD)])
    assert len(files(project)) == len(ODD)
    assert {id: content["note"] for (_, id), (content, _) in copied(project).items()} == {
        id: str(n) for n, id in enumerate(ODD)
    }
    changed = tree(project.root.parent).keys() - before.keys()
    assert all(name.startswith(f"{project.root.name}/.khive/") for name in changed)
    assert_equal(project)
    # One by one, and in another order, each is found again by its own name.
    save(project, *(plan(id, note=f"again {n}") for n, id in reversed(list(enumerate(ODD)))))
    assert len(files(project)) == len(ODD)
    assert_equal(project)
    assert all(delete(project, PlannerSession, *ODD))
    assert files(project) == []


# Each is, or begins with, what is left of a name for another one of them.
ALIKE = [
    "abcdefgh-1", "abcdefgh-planner_sessions", "abcdefgh", "abcdefgh-2", "abcdefghi",
    *names.endings("abcdefgh", PLANNER_SESSIONS.name),
    *names.endings("abcdefgh/", PLANNER_SESSIONS.name),
    "abcdefgh/",
]  # fmt: skip


@pytest.mark.parametrize("order", ["forwards", "backwards", "together"])
def test_ids_that_begin_alike_all_stay(project: Project, order: str) -> None:
    alike = list(dict.fromkeys(ALIKE))
    if order == "together":
        save_many(project, [plan(id) for id in alike])
    else:
        for id in alike if order == "forwards" else reversed(alike):
            save(project, plan(id))
    assert len(files(project)) == len(alike)
    assert_equal(project)


def test_a_name_that_becomes_free_is_not_taken_beside_the_old_one(project: Project) -> None:
    save(project, plan("abcdefgh-1"), plan("abcdefgh-2"))
    assert files(project) == [
        "planner_session_2026_11_01_abcdefgh-2.json",
        "planner_session_2026_11_01_abcdefgh.json",
    ]
    delete(project, PlannerSession, "abcdefgh-1")
    save(project, plan("abcdefgh-2", complexity="simple"))
    assert files(project) == ["planner_session_2026_11_01_abcdefgh-2.json"]
    assert_equal(project)
    delete(project, PlannerSession, "abcdefgh-2")
    assert files(project) == []


def test_a_row_that_others_deleted_comes_again_in_its_own_file(project: Project) -> None:
    save(project, plan("abcdefgh-1"), plan("abcdefgh-2"))
    delete(project, PlannerSession, "abcdefgh-1")
    set_row(project, "DELETE FROM TABLE WHERE id = 'abcdefgh-2'")
    save(project, plan("abcdefgh-2", complexity="simple"))
    assert files(project) == ["planner_session_2026_11_01_abcdefgh-2.json"]
    assert_equal(project)


def test_what_is_in_the_way_and_not_ours_is_left_alone(project: Project, tmp_path: Path) -> None:
    project.sessions.mkdir(mode=0o700)
    outside = tmp_path / "outside.json"
    outside.write_text("{}")
    begin = "planner_session_2026_11_01_"
    (project.sessions / f"{begin}note0000.json").write_text("a note of mine\n")
    (project.sessions / f"{begin}other000.json").write_text('{"id": "other000", "purpose": "x"}')
    (project.sessions / f"{begin}folder00.json").mkdir()
    (project.sessions / f"{begin}link0000.json").symlink_to(outside)
    (project.sessions / f"{begin}nowhere0.json").symlink_to(tmp_path / "nowhere")
    os.mkfifo(project.sessions / f"{begin}pipe0000.json")
    before = tree(project.sessions)
    in_the_way = ["note0000", "other000", "folder00", "link0000", "nowhere0", "pipe0000"]
    save(project, *(plan(id) for id in in_the_way))
    save(project, *(plan(f"{id}-2") for id in in_the_way))
    assert {name: tree(project.sessions)[name] for name in before} == before
    assert outside.read_text() == "{}"
    assert len(files(project)) == 3 * len(in_the_way)
    delete(project, PlannerSession, *in_the_way)
    assert {name: tree(project.sessions)[name] for name in before} == before
    assert len(files(project)) == 2 * len(in_the_way)


def test_names_that_are_all_taken_are_said_and_the_row_is_there(project: Project) -> None:
    from khive_persist.errors import MirrorError

    project.sessions.mkdir(mode=0o700)
    for ending in names.endings("abcdefghi", PLANNER_SESSIONS.name):
        (project.sessions / f"planner_session_2026_11_01_{ending}.json").write_text("mine")
    with pytest.raises(MirrorError, match="move it away"):
        save(project, plan("abcdefghi"))
    assert [row[1] for row in everything(project)["planner_sessions"]] == ["abcdefghi"]
    assert delete(project, PlannerSession, "abcdefghi") == [True], "there is nothing to remove"


def test_what_a_killed_writer_left_does_not_change_what_is_there(project: Project) -> None:
    """Killed after it had given the file its name, and before the other name was gone."""
    save(project, plan("0123456789ab"))
    (name,) = files(project)
    path = project.sessions / name
    temporary = project.sessions / names.unfinished(name, PLANNER_SESSIONS)
    os.link(path, temporary)
    kept = project.root / "kept"
    os.link(path, kept)
    before = kept.read_bytes()
    save(project, plan("0123456789ab", complexity="simple"))
    assert kept.read_bytes() == before, "the finished file was not written into"
    assert unfinished(project) == []
    assert_equal(project)


def test_turned_off_it_is_not_written(project: Project) -> None:
    project.local_config.write_text('[mirror]\noff = ["planner_sessions"]\n')
    save(project, plan("a"))
    assert files(project) == []
    from tests.mirror.records import event

    save(project, event("e"))
    assert len(files(project)) == 1, "of what is not turned off"


async def test_a_file_that_is_named_has_no_mirror(project: Project, tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'elsewhere.db'}"
    async with open_store(PlannerSession, url, dir=project.root) as plans:
        await plans.save(plan("a"))
        assert not project.sessions.exists()
        await plans.delete("a")
    assert not project.sessions.exists()
    assert sorted(path.name for path in tmp_path.glob("elsewhere*")) == [
        "elsewhere.db",
        "elsewhere.db.lock",
    ]
