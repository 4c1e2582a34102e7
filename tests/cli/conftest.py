"""How commands are run: in this process where that shows the same, and as a program where not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from khive_persist.capture.spool import Spool
from khive_persist.cli.root import run
from khive_persist.project import Project
from tests.payloads import sample_payloads


class Done(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output as one JSON document."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Its output as JSON Lines."""
        return [json.loads(line) for line in self.out.splitlines()]


Khive = Callable[..., Done]


@pytest.fixture
def khive(project: Project, capsys: pytest.CaptureFixture[str]) -> Khive:
    """Run a command on the test's place."""

    def call(*words: str) -> Done:
        capsys.readouterr()
        code = run(["--dir", str(project.root), *words])
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spool with what all three tools sent; each event is synced, so it is made only once."""
    project = Project(tmp_path_factory.mktemp("sent"))
    spool = Spool(project)
    for tool in ("claude-code", "codex", "gemini-cli"):
        for payload in sample_payloads(tool):
            spool.accept(tool, payload)
    return spool.path


@pytest.fixture
def recorded(project: Project, sent: Path) -> Project:
    """The project with what all three tools sent, still in the spool."""
    shutil.copytree(sent, project.spool)
    return project
