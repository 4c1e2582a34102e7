"""The examples in the README do what it says."""

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.cli.root import COMMANDS, run
from khive_persist.project import Project
from tests.payloads import sample_payloads

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("program", blocks("python"))
def test_python_examples_run(program: str, tmp_path: Path) -> None:
    (tmp_path / ".khive").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.startswith("1")


def test_sql_examples_run(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    for payload in sample_payloads("claude-code"):
        Spool(project).accept("claude-code", payload)
    drain(project)
    plan = (
        '{"session_id": "s", "task_description": "t", "complexity": "complex", "confidence": 0.9}'
    )
    (project.root / "plan.json").write_text(plan)
    file = str(project.root / "plan.json")
    assert run(["--dir", str(project.root), "record", "planner-session", file]) == 0
    # A comment in front would be taken for an option.
    own, together = (re.sub(r"^--.*\n", "", block) for block in blocks("sql"))
    connection = sqlite3.connect(project.database("planner_sessions.db"))
    for statement in own.split(";")[:-1]:
        assert connection.execute(statement).fetchall(), statement
    connection.close()
    capsys.readouterr()
    for statement in together.split(";")[:-1]:
        assert run(["--dir", str(project.root), "query", statement, "--jsonl"]) == 0
        assert capsys.readouterr().out, statement


def test_every_command_of_the_readme_is_there() -> None:
    for line in re.findall(r"^\$ khive-persist (\S+)", README, re.MULTILINE):
        assert line in COMMANDS
    listed = README.split("## Commands")[1].split("## Guarantees")[0]
    for name in COMMANDS:
        assert f"`{name}" in listed


def test_every_file_that_the_documents_name_is_there() -> None:
    architecture = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    assert len(architecture.splitlines()) <= 150
    for path in re.findall(r"`(tests/[\w/.]+)`", README):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"`((?:capture|store|records|redaction|cli)/[\w/.]*)`", architecture):
        assert (ROOT / "src" / "khive_persist" / path).exists(), path
