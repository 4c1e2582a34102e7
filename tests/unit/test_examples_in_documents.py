"""Every program in the documents runs, says what its comments say, and has strict types."""

import os
import re
import sqlite3
import subprocess
import sysconfig
from pathlib import Path

import pytest
from mypy import api as mypy

from khive_persist import (
    ApplicationSession,
    Measurement,
    Outcome,
    PlannerSession,
    Score,
    assign,
    create_experiment,
    open_store,
)
from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.cli.root import run
from khive_persist.project import Project
from tests.payloads import sample_payloads
from tests.server import warm
from tests.unit.documents import ROOT, Block, blocks

PYTHON = blocks("python")
SHELL = blocks("sh")
SQL = blocks("sql")


def expected(program: str) -> list[str]:
    """Return the comments of its prints, up to where they are cut short."""
    comments = re.findall(r"print\(.*\).*  # (.*)", program)
    return [text.partition("…")[0].rstrip(", ") for text in comments]


@pytest.mark.parametrize("block", PYTHON, ids=[block.name for block in PYTHON])
def test_a_program_prints_what_its_comments_say(block: Block, tmp_path: Path) -> None:
    (tmp_path / ".khive").mkdir()
    program = f"import warnings\nwarnings.simplefilter('error')\n{block.text}"
    done = warm.run(program, directory=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert expected(block.text), "a program of the documents says what it prints"
    lines = iter(done.stdout.splitlines())
    for text in expected(block.text):
        assert any(line.startswith(text) for line in lines), (text, done.stdout)


@pytest.mark.parametrize("block", SHELL, ids=[block.name for block in SHELL])
def test_a_shell_block_runs_in_a_new_project(block: Block, tmp_path: Path, home: Path) -> None:
    path = os.pathsep.join([str(home), sysconfig.get_path("scripts"), os.environ["PATH"]])
    Project(tmp_path).make()
    program = f"set -euo pipefail\n{block.text}"
    with warm.command_in(home):
        done = subprocess.run(
            ["bash", "-c", program], cwd=tmp_path, env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout


async def fill(project: Project) -> None:
    """Record one of each kind that the SQL of the documents asks for."""
    for payload in sample_payloads("claude-code"):
        Spool(project).accept("claude-code", payload)
    drain(project)
    plan = {"task_description": "t", "complexity": "complex", "confidence": 0.9}
    measured = {"name": "heart_rate", "value": 96, "unit": "bpm"}
    records = [
        PlannerSession(content={"session_id": "s", **plan}),
        Outcome(content={"session_id": "s", "verdict": "success"}),
        Measurement(content={"session_id": "a", **measured}),
        Score(content={"session_id": "a", "name": "exam", "value": 7, "max_value": 10}),
    ]
    for record in records:
        async with open_store(type(record), dir=project.root) as store:
            await store.save(record)
    async with open_store(ApplicationSession, dir=project.root) as sessions:
        await sessions.start({"session_id": "a", "participant": "ann", "scenario": "x"})
    await create_experiment("prompt", {"control": 1, "new_prompt": 1}, dir=project.root)
    await assign("s", "prompt", dir=project.root)


async def test_sql_finds_rows(
    project: Project, capsys: pytest.CaptureFixture[str], anyio_backend: str
) -> None:
    await fill(project)
    kinds = set()
    for block in SQL:
        # A comment in front would be taken for an option.
        head, _, text = block.text.partition("\n")
        statements = [statement.strip() for statement in text.split(";")[:-1]]
        assert statements, block.name
        kinds.add(head)
        if match := re.fullmatch(r"-- sqlite3 \.khive/(\w+\.db)", head):
            connection = sqlite3.connect(project.database(match[1]))
            for statement in statements:
                assert connection.execute(statement).fetchall(), (block.name, statement)
            connection.close()
            continue
        assert head == "-- khive-persist query", block.name
        for statement in statements:
            capsys.readouterr()
            assert run(["--dir", str(project.root), "query", statement, "--jsonl"]) == 0
            assert capsys.readouterr().out, (block.name, statement)
    assert len(kinds) == 2


# A part of `make lint`, which has just read what they import: twenty seconds where nobody has.
@pytest.mark.long
def test_the_programs_pass_mypy_strict(tmp_path: Path) -> None:
    files = []
    for block in PYTHON:
        path = tmp_path / f"{re.sub('[^a-z0-9]', '_', block.name.lower())}.py"
        path.write_text(block.text, "utf-8")
        files.append(str(path))
    cache = ["--cache-dir", str(ROOT / ".mypy_cache")]
    config = ["--config-file", str(ROOT / "pyproject.toml")]
    out, _, code = mypy.run(["--strict", *config, *cache, *files])
    assert code == 0, out
