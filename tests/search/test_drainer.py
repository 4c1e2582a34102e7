"""The drainer brings the index up to date before it leaves, where somebody searches."""

import os
import subprocess
import sys

import pytest

from khive_persist.capture.spool import Spool
from khive_persist.project import Project
from khive_persist.search_index import follow
from khive_persist.search_index.follow import catch_up, count_behind
from tests.factories import event, message, save_many
from tests.search.test_follow import consumers, found

PROMPT = b'{"session_id": "s1", "hook_event_name": "UserPromptSubmit", "prompt": "an okapi"}'


def drain(project: Project) -> None:
    """Run a drainer, which leaves at once."""
    project.config.write_text("[capture]\nlinger_seconds = 0\n")
    reading, writing = os.pipe()
    command = [sys.executable, "-P", "-m", "khive_persist.capture.drainer"]
    try:
        subprocess.run(
            [*command, str(project.root), str(reading)], check=True, timeout=60, pass_fds=[reading]
        )
    finally:
        os.close(reading)
        os.close(writing)


def test_it_brings_the_index_up_to_date(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    save_many(project, [message("s0", 0, text="nothing"), event("stop", "s0", 0)])
    assert catch_up(project) == 0
    save_many(project, [message("s1", n, text=f"okapi {n}") for n in range(1_100)])
    behind = consumers(project)["search"]
    Spool(project).accept("claude-code", PROMPT)
    drain(project)
    assert count_behind(project) == 0
    assert found(project, "okapi") == 1_101
    # A process of a low priority takes no lock that others wait for: the next one tells the log.
    assert consumers(project)["search"] == behind
    monkeypatch.setattr(follow, "_ACKNOWLEDGED_AT", 1)
    follow.acknowledge(project)
    assert consumers(project)["search"] == behind + 1_100


def test_it_makes_none(project: Project) -> None:
    Spool(project).accept("claude-code", PROMPT)
    drain(project)
    assert not project.search_index.exists()
