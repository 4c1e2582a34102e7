"""The files in hooks/ are what `hooks install` writes, with a command that is found by its name."""

import subprocess
import sys
from pathlib import Path

import pytest

from khive_persist.capture.hook_config import install, settings_path
from khive_persist.capture.hook_config.command import SHARED
from khive_persist.capture.spool import Spool
from khive_persist.project import Project

HOOKS = Path(__file__).parents[2] / "hooks"


@pytest.mark.parametrize("tool", sorted(path.stem for path in HOOKS.glob("*.json")))
def test_the_settings_to_copy_are_those_that_install_writes(
    tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As where no client is found: all that the oldest one knows.
    monkeypatch.setenv("PATH", str(tmp_path))
    install(tool, "project", tmp_path)
    written = settings_path(tool, "project", tmp_path).read_text("utf-8")
    expected = written.replace(f"[ ! -x {SHARED} ] || {SHARED} ", "khive-hook ")
    assert (HOOKS / f"{tool}.json").read_text("utf-8") == expected


def test_the_launcher_records_and_never_blocks(project: Project) -> None:
    launcher = [str(HOOKS / "khive-hook.sh"), "codex"]
    payload = b'{"hook_event_name":"Stop","session_id":"s"}'
    good = {"KHIVE_PYTHON": sys.executable, "KHIVE_DIR": str(project.root), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(launcher, input=payload, env=good, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    for broken in (
        {"KHIVE_PYTHON": "/no/such/python", "KHIVE_HOOK": "x"},
        {"KHIVE_HOOK": "/no/such"},
    ):
        done = subprocess.run(
            launcher, input=payload, env=good | broken, capture_output=True, check=False
        )
        assert (done.returncode, done.stdout) == (0, b"")
        assert done.stderr.count(b"\n") == 1
    assert Spool(project).path.is_dir()
