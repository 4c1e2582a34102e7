"""What a removal costs: syncs, counted by strace, where many sessions lie."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from khive_persist.project import Project
from tests.factories import save_many
from tests.retention.events import are_equal, contents, event, put_plans

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")
KHIVE = Path(sys.executable).with_name("khive-persist")
_SYNC = re.compile(r"\b(?:fsync|fdatasync|sync_file_range|syncfs|sync)\(")


def syncs(project: Project, trace: Path, *words: str) -> int:
    """How often a command syncs."""
    calls = "trace=fsync,fdatasync,sync_file_range,syncfs,sync"
    command = ["strace", "-f", "--seccomp-bpf", "-e", calls, "-o", str(trace)]
    command += [str(KHIVE), "--dir", str(project.root), *words]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return len(_SYNC.findall(trace.read_text()))


def test_a_purge_of_one_of_1000_sessions(project: Project, tmp_path: Path) -> None:
    sessions = [f"session-{number}-of-many" for number in range(1_000)]
    save_many(project, [event(9, session_id=s, payload={}) for _ in range(3) for s in sessions])
    put_plans(project, sessions)
    assert syncs(project, tmp_path / "trace", "purge", "--session", sessions[500], "--yes") <= 20
    assert len(contents(project)) == 2_997
    assert len(contents(project, "planner_sessions.db")) == 999


def test_a_prune_of_one_row_among_500_session_files(project: Project, tmp_path: Path) -> None:
    save_many(project, [event(1, session_id=f"s-{number}", payload={}) for number in range(500)])
    save_many(project, [event(400, session_id="s-700", payload={})])
    words = ("prune", "--keep-age", "200d", "--tool", "codex", "--yes")
    assert syncs(project, tmp_path / "trace", *words) <= 20
    assert len(contents(project)) == 500
    assert are_equal(project)


def test_a_rescan_that_finds_one_among_500_session_files(project: Project, tmp_path: Path) -> None:
    project.local_config.write_text("[redaction]\nenabled = false\n")
    events = [event(1, session_id=f"s-{number}", payload={}) for number in range(500)]
    save_many(
        project, [*events, event(1, session_id="s-700", command="ghp_" + "A1b2C3d4" * 4 + "E5f6")]
    )
    assert syncs(project, tmp_path / "trace", "redact", "--rescan", "--yes") <= 20
    assert are_equal(project)
