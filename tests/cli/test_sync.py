"""`sync`, and the drainer that starts it; `doctor --session`; tokens in `stats`."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from khive_persist.project import Project
from khive_persist.sessions.read import Session
from tests.cli.conftest import Khive
from tests.payloads import Hook
from tests.stored import contents

SAMPLES = Path(__file__).parents[1] / "transcripts" / "samples"
CLAUDE = "949752ba-dbca-4cef-aed8-56a872909535"


def test_doctor_and_sync_show_and_fill_the_gap(project: Project, khive: Khive) -> None:
    assert khive("sync", str(SAMPLES / "claude-code")).code == 0
    done = khive("doctor", "--session", CLAUDE)
    assert done.code == 1
    assert "no event came" in done.out
    assert "reconstructed" in khive("sync", "--backfill", str(SAMPLES / "claude-code")).err
    assert khive("doctor", "--session", CLAUDE).code == 0
    found = khive("doctor", "--session", CLAUDE, "--json").json
    assert found["incomplete"] == []
    assert len(found["calls"]) == 19
    assert khive("doctor", "--session", "nobody").code == 1


def test_sync_says_what_it_cannot_read(project: Project, khive: Khive) -> None:
    (project.root / "notes.jsonl").write_text("hello\n")
    done = khive("sync", str(project.root / "notes.jsonl"))
    assert done.code == 1
    assert done.err.count("\n") == 2
    assert khive("sync", str(project.root / "missing.jsonl")).code == 2


def test_sync_finds_what_the_tools_keep_of_this_project(
    project: Project, khive: Khive, home: Path
) -> None:
    projects = home / ".claude" / "projects"
    for number, directory in enumerate((project.root, project.root / "sub", project.root.parent)):
        name = "".join(c if c.isalnum() else "-" for c in str(directory))
        (projects / name).mkdir(parents=True)
        line = {"type": "user", "uuid": f"u{number}", "sessionId": "s", "cwd": str(directory),
                "message": {"content": "hello"}}  # fmt: skip
        (projects / name / "t.jsonl").write_text(json.dumps(line) + "\n")
    found = khive("sync", "--json").json["transcripts"]
    assert [Path(one["path"]).parent.name.endswith("sub") for one in found] == [False, True]
    assert len(khive("sync", "--all", "--json").json["transcripts"]) == 3


def test_sync_finds_what_hook_events_name(project: Project, khive: Khive, hook: Hook) -> None:
    path = project.root / "elsewhere.jsonl"
    path.write_bytes(next((SAMPLES / "codex").glob("*.jsonl")).read_bytes())
    payload = {"session_id": "s", "hook_event_name": "PreToolUse", "transcript_path": str(path)}
    assert hook(json.dumps(payload).encode(), "codex").returncode == 0
    (found,) = khive("sync", "--json").json["transcripts"]
    assert found["path"] == str(path)
    assert found["new"] > 0


def test_a_session_that_stops_is_synced_by_the_drainer(
    project: Project, khive: Khive, hook: Hook
) -> None:
    path = project.root / "t.jsonl"
    path.write_bytes(
        (SAMPLES / "claude-code" / "-home-dev-src-proj" / f"{CLAUDE}.jsonl").read_bytes()
    )
    payload = {"session_id": CLAUDE, "hook_event_name": "Stop", "transcript_path": str(path)}
    assert hook(json.dumps(payload).encode()).returncode == 0
    wait_for(project.khive / "sync")
    assert khive("sync", str(path), "--json").json["transcripts"][0]["new"] == 0
    assert khive("stats", "--json").json["tokens"][0]["model"] == "claude-opus-4-8"


@pytest.mark.parametrize("event", ["Stop", "StopFailure", "Interrupt", "SessionEnd"])
def test_what_a_tool_writes_after_its_last_hook_is_synced_when_the_drainer_leaves(
    project: Project, hook: Hook, event: str
) -> None:
    project.config.write_text("[capture]\nlinger_seconds = 2\n")
    path = project.root / "t.jsonl"
    line = {"type": "user", "sessionId": "s", "message": {"content": "x"}}
    path.write_text(json.dumps(line | {"uuid": "1"}) + "\n")
    payload = {"session_id": "s", "hook_event_name": event, "transcript_path": str(path)}
    assert hook(json.dumps(payload).encode()).returncode == 0
    wait_for(project.khive / "sync")
    with path.open("a") as file:
        file.write(json.dumps(line | {"uuid": "2"}) + "\n")
    wait_until(lambda: messages(project) == 2)


@pytest.mark.parametrize(
    ("scenario", "main"),
    [
        ("claude-code/deep", lambda path: path.parent.name == "deep"),
        ("codex/guardian", lambda path: "guardian_review" not in path.read_text().split("\n")[0]),
        ("gemini-cli/subagent", lambda path: path.name.startswith("session-")),
    ],
)
def test_with_a_session_that_stops_go_its_subagents(
    project: Project, hook: Hook, tmp_path: Path, scenario: str, main: Callable[[Path], bool]
) -> None:
    """Also those that no hook names, as who reviews for Codex."""
    folder = tmp_path / "kept"
    shutil.copytree(SAMPLES.parent / "scenarios" / scenario, folder)
    folder = folder.rename(tmp_path / scenario.split("/")[1])
    (path,) = [path for path in folder.rglob("*.jsonl") if main(path)]
    tool = scenario.split("/")[0]
    name = "AfterAgent" if tool == "gemini-cli" else "Stop"
    payload = {"session_id": "s", "hook_event_name": name, "transcript_path": str(path)}
    assert hook(json.dumps(payload).encode(), tool).returncode == 0
    count = len(list(folder.rglob("*.jsonl")))
    assert count > 1
    wait_until(lambda: len(list((project.khive / "sync").glob("*.json"))) == count)


def test_sync_at_stop_can_be_turned_off(project: Project, hook: Hook) -> None:
    project.local_config.write_text("[capture]\nlinger_seconds = 0\n[sync]\nat_stop = false\n")
    path = project.root / "t.jsonl"
    path.write_text("{}\n")
    payload = {"session_id": "s", "hook_event_name": "Stop", "transcript_path": str(path)}
    assert hook(json.dumps(payload).encode()).returncode == 0
    wait_for(project.database("claude_hooks.db"))
    assert not (project.khive / "sync").exists()


def wait_for(path: Path, seconds: float = 30) -> None:
    """Until a process of its own has made a file; only its absence takes as long as that."""
    wait_until(path.exists, seconds)


def wait_until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


def messages(project: Project) -> int:
    return len(contents(project, "conversations.db"))


@pytest.mark.parametrize("by", ["model", "day", "project", "tool", "session", "agent"])
def test_stats_counts_tokens_by(khive: Khive, by: str) -> None:
    khive("sync", str(SAMPLES))
    found = khive("stats", "--by", by, "--json").json["tokens"]
    assert sum(one["messages"] for one in found) == 54
    assert sum(one["output"] for one in found) == 2_166
    costs = [one["cost"] for one in found if one["cost"] is not None]
    assert sum(costs) == pytest.approx(0.061259)


def test_a_price_that_a_person_gives_is_taken(project: Project, khive: Khive) -> None:
    khive("sync", str(SAMPLES / "codex"))
    project.config.write_text("[cost]\nprices = ['mock-* input=1 output=2 cache_read=0']\n")
    (found,) = khive("stats", "--json").json["tokens"]
    assert found["unpriced"] == 0
    assert found["cost"] == pytest.approx((9_800 + 2 * 208) / 10**6)
    project.config.write_text("[cost]\nprices = ['mock-*']\n")
    assert khive("stats").code == 1


def test_show_tells_a_session_as_one_story(khive: Khive) -> None:
    khive("sync", str(SAMPLES))
    lines = khive("show", CLAUDE[:8]).out.splitlines()
    assert lines[0] == "2026-11-21"
    assert lines[1].startswith("01:11:52  prompt")
    assert any(line.endswith("[188 tokens, $0.0020]") for line in lines)
    (nested,) = [line for line in lines if "echo from-subagent" in line]
    assert nested.startswith("01:12:08      tool")
    assert not any("\x1b" in line for line in lines)
    whole = khive("show", CLAUDE, "--json").json
    assert set(whole) == set(Session._fields)
    assert len(whole["messages"]) == 88


def test_show_sends_nothing_to_the_terminal_that_moves_it(project: Project, khive: Khive) -> None:
    line = {"type": "user", "uuid": "u", "sessionId": "s-odd", "message": {"content": "\x1b[2Jx"}}
    path = project.root / "t.jsonl"
    path.write_text(json.dumps(line) + "\n")
    khive("sync", str(path))
    assert "\x1b[2J" not in khive("show", "s-odd").out
