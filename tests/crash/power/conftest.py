"""A disk of its own for each test, which is looked at after every loss of power."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from khive_persist.project import Project
from tests.crash.power import disk_log


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip where nothing can be recorded, and say so."""
    if reason := disk_log.missing():
        for item in items:
            if item.path.is_relative_to(Path(__file__).parent):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(
    params=[
        pytest.param(False, id="at each sync"),
        pytest.param(True, id="at each step", marks=pytest.mark.long),
    ]
)
def thoroughly(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A disk with a home and a project; in memory where that can be, as it is written so often."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as at:
        root = Path(os.path.realpath(at)) / "disk"
        (root / "home").mkdir(parents=True)
        (root / "project").mkdir()
        monkeypatch.setenv("HOME", str(root / "home"))
        # The programs that are recorded use what lies here, too.
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
        yield root


@pytest.fixture
def project(root: Path) -> Project:
    """A project of some age on the disk, whose drainers leave soon."""
    made = Project(root / "project")
    made.make()
    made.config.write_text("[capture]\nlinger_seconds = 0.05\n")
    return made
