"""Events of clients that run another one's hooks, as the commands show them."""

import os

from khive_persist.project import Project
from tests.cli.conftest import Khive
from tests.payloads import Hook


def test_the_events_of_another_client_are_found_by_its_name(
    project: Project, khive: Khive, hook: Hook
) -> None:
    raw = b'{"session_id":"s","hook_event_name":"Stop","timestamp":"2026-11-28T15:03:12.555Z"}'
    assert hook(raw, env=dict(os.environ) | {"COPILOT_CLI": "1"}).returncode == 0
    assert hook(raw).returncode == 0
    for tool in ("copilot-cli", "claude-code"):
        (event,) = khive("events", "--tool", tool, "--jsonl").lines
        assert event["content"]["tool"] == tool
    counted = {one["tool"]: one["events"] for one in khive("stats", "--json").json["events"]}
    assert counted == {"claude-code": 1, "copilot-cli": 1}
    exported = khive("export", "--tool", "copilot-cli", "--format", "jsonl").lines
    assert len(exported) == 1
