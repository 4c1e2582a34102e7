"""A project's records in a database, and a database's in a project: equal, row for row."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from khive_persist import HookEvent, Node, PlannerSession, open_store
from khive_persist import purpose as described
from khive_persist.project import Project
from khive_persist.store.sqlite import rows
from khive_persist.transfer.databases import (
    compare_with_database,
    copy_from_database,
    copy_to_database,
)
from tests.factories import event, make_project, plan

pytestmark = pytest.mark.postgres

ODD = {
    "nul": "a\0b", "exponent": 2e2, "whole": 200.0, "long": 2**70, "order": {"z": 1, "a": [None]},
    "text": "漢字 🦀 \u2028",
}  # fmt: skip


async def filled(project: Project) -> None:
    async with open_store(PlannerSession, dir=project.root) as plans:
        await plans.save_many(plan(f"s{n}", n, id=f"p{n}", **ODD) for n in range(20))
    async with open_store(HookEvent, dir=project.root) as events:
        await events.save_many(
            event("stop", "s", n, tool=tool)
            for n, tool in enumerate(("claude-code", "codex", "gemini-cli", "copilot-cli"))
        )


async def test_there_and_back(project: Project, database: str, tmp_path: Path) -> None:
    await filled(project)
    copied = await copy_to_database(database, dir=project.root)
    assert copied["planner_sessions"] == (20, 0, 0)
    assert {name for name in copied if name.endswith("hooks")} == {
        "claude_hooks", "codex_hooks", "gemini_hooks", "agent_hooks",
    }  # fmt: skip
    comparison = await compare_with_database(database, dir=project.root)
    assert comparison == (24, [])
    # Again: nothing is new.
    assert (await copy_to_database(database, dir=project.root))["planner_sessions"] == (0, 20, 0)
    other = make_project(tmp_path / "other")
    await copy_from_database(database, dir=other.root)
    for purpose in (*PlannerSession.purposes(), *HookEvent.purposes()):
        here, there = (
            sorted(row for batch in rows.read_all(one.database(purpose.file), purpose.table)
                   for row in batch)
            for one in (project, other)
        )  # fmt: skip
        assert here == there


async def test_each_difference_is_named(project: Project, database: str) -> None:
    await filled(project)
    await copy_to_database(database, dir=project.root)
    async with open_store(PlannerSession, database, dir=project.root) as plans:
        await plans.delete("p1")
        await plans.save(plan("s2", id="p2", other=True))
        await plans.save(plan("new", id="p99"))
    differences = (await compare_with_database(database, dir=project.root)).differences
    assert sorted(differences) == [
        ("differs", "planner_sessions", "p2"),
        ("missing_in_database", "planner_sessions", "p1"),
        ("missing_in_project", "planner_sessions", "p99"),
    ]
    # What is there is not replaced unless that is said.
    merged = await copy_from_database(database, dir=project.root)
    assert merged["planner_sessions"] == (1, 18, 1)
    async with open_store(PlannerSession, dir=project.root) as plans:
        assert "other" not in (await plans.get("p2")).content
    await copy_from_database(database, update=True, dir=project.root)
    await copy_to_database(database, dir=project.root)
    assert (await compare_with_database(database, dir=project.root)).differences == []


async def test_kinds_of_a_user(project: Project, database: str) -> None:
    class Training(Node):
        purpose = described("training", fields=("load.weekly",), indexes=(("load.weekly",),))

    async with open_store(Training, dir=project.root) as trainings:
        await trainings.save(Training(content={"load": {"weekly": 3}}))
    assert (await copy_to_database(database, dir=project.root))["training"] == (1, 0, 0)
    shutil.rmtree(project.khive / "sessions")
    assert (await compare_with_database(database, dir=project.root)).differences == []


async def test_the_commands(project: Project, database: str) -> None:
    await filled(project)

    # Processes, as each opens an event loop of its own.
    def run(*words: str) -> tuple[int, str, str]:
        program = [sys.executable, "-m", "khive_persist", "--dir", str(project.root), *words]
        done = subprocess.run(program, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    assert run("export", "-o", database)[0] == 0
    assert run("verify", "--against", database) == (0, "24 records are equal, 0 differ\n", "")
    async with open_store(PlannerSession, database, dir=project.root) as plans:
        await plans.delete("p1")
    code, output, _ = run("verify", "--against", database, "--json")
    assert (code, json.loads(output)["differences"][0]["id"]) == (1, "p1")
    assert run("import", database)[0] == 0
    nowhere = "postgresql://user:of-nobody@127.0.0.1:1/khive"
    for words in (("export", "-o", nowhere), ("verify", "--against", nowhere), ("import", nowhere)):
        code, _, error = run(*words)
        assert (code, len(error.splitlines())) == (1, 1)
        assert "of-nobody" not in error
