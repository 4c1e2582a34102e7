"""No process of ours runs files of the working directory."""

import re
import subprocess
from pathlib import Path

import pytest

from khive_persist.project import Project
from khive_persist.trust.mounts import is_network
from khive_persist.trust.processes import environment_for, module_command
from tests.payloads import Hook
from tests.server.process import Server

SOURCE = Path(__file__).parents[2] / "src" / "khive_persist"
POISON = "import pathlib; pathlib.Path({!r}).touch()\n"
MODULES = ("orjson", "click", "pydantic", "aiosqlite", "json", "sqlite3")


@pytest.fixture
def poisoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory whose files shadow modules; the path of what they make when they run."""
    folder = tmp_path / "repository"
    folder.mkdir()
    for module in MODULES:
        (folder / f"{module}.py").write_text(POISON.format(str(tmp_path / "ran")))
    monkeypatch.chdir(folder)
    return tmp_path / "ran"


@pytest.mark.parametrize("paths", [None, "", ":", ".", ":relative:/nowhere"])
def test_a_module_is_ours_whatever_lies_here(
    paths: str | None, poisoned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if paths is not None:
        monkeypatch.setenv("PYTHONPATH", paths)
    done = subprocess.run(
        module_command("khive_persist.cli", "stats", "--help"),
        capture_output=True, check=False, env=environment_for(poisoned.parent),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not poisoned.exists()


def test_a_server_and_its_processes(project: Project, poisoned: Path) -> None:
    with Server(project, is_fork=False) as server, server.client() as client:
        assert client.post("/hooks/codex", json={"session_id": "s"}).status_code == 200
        client.get("/v1/report?at=2026-11-18")
    assert not poisoned.exists()


def test_a_hook_and_its_drainer(project: Project, poisoned: Path, hook: Hook) -> None:
    assert hook(b"{}", "codex", "--dir", str(project.root), cwd=poisoned.parent).returncode == 0
    assert not poisoned.exists()


def test_modules_are_started_in_one_way() -> None:
    for path in SOURCE.rglob("*.py"):
        if path.name not in ("processes.py", "spool_writer.py"):
            assert not re.search(r'executable,\s*"-m"', path.read_text("utf-8")), path


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/home/u/.khive", True), ("/home/local/.khive", False), ("/home", True), ("/work", False)],
)
def test_network_file_systems_are_told(path: str, expected: bool, tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 8:1 / / rw,relatime - ext4 /dev/root rw\n"
        "23 22 0:40 / /home rw shared:1 - nfs4 server:/home rw\n"
        "24 23 8:2 / /home/local rw - xfs /dev/sdb rw\n"
    )
    assert is_network(Path(path), table) is expected
