"""`sync`, and the drainer that starts it; `doctor --session`; tokens in `stats`."""

import json
import time
from pathlib import Path

import pytest

from khive_persist.place import Place
from tests.cli.conftest import Khive
from tests.payloads import Hook

SAMPLES = Path(__file__).parents[1] / "transcripts" / "samples"
CLAUDE = "949752ba-dbca-4cef-aed8-56a872909535"


def test_doctor_and_sync_show_and_fill_the_gap(place: Place, khive: Khive) -> None:
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


def test_sync_says_what_it_cannot_read(place: Place, khive: Khive) -> None:
    (place.root / "notes.jsonl").write_text("hello\n")
    done = khive("sync", str(place.root / "notes.jsonl"))
    assert done.code == 1
    assert done.err.count("\n") == 2
    assert khive("sync", str(place.root / "missing.jsonl")).code == 2


def test_sync_finds_what_the_tools_keep_of_this_project(
    place: Place, khive: Khive, home: Path
) -> None:
    projects = home / ".claude" / "projects"
    for number, directory in enumerate((place.root, place.root / "sub", place.root.parent)):
        name = "".join(c if c.isalnum() else "-" for c in str(directory))
        (projects / name).mkdir(parents=True)
        line = {"type": "user", "uuid": f"u{number}", "sessionId": "s", "cwd": str(directory),
                "message": {"content": "hello"}}  # fmt: skip
        (projects / name / "t.jsonl").write_text(json.dumps(line) + "\n")
    found = khive("sync", "--json").json["transcripts"]
    assert [Path(one["path"]).parent.name.endswith("sub") for one in found] == [False, True]
    assert len(khive("sync", "--all", "--json").json["transcripts"]) == 3


def test_sync_finds_what_hook_events_name(place: Place, khive: Khive, hook: Hook) -> None:
    path = place.root / "elsewhere.jsonl"
    path.write_bytes(next((SAMPLES / "codex").glob("*.jsonl")).read_bytes())
    payload = {"session_id": "s", "hook_event_name": "PreToolUse", "transcript_path": str(path)}
    assert hook(json.dumps(payload).encode(), "codex").returncode == 0
    (found,) = khive("sync", "--json").json["transcripts"]
    assert found["path"] == str(path)
    assert found["new"] > 0


def test_a_session_that_stops_is_synced_by_the_drainer(
    place: Place, khive: Khive, hook: Hook
) -> None:
    path = place.root / "t.jsonl"
    path.write_bytes(
        (SAMPLES / "claude-code" / "-home-dev-src-proj" / f"{CLAUDE}.jsonl").read_bytes()
    )
    payload = {"session_id": CLAUDE, "hook_event_name": "Stop", "transcript_path": str(path)}
    assert hook(json.dumps(payload).encode()).returncode == 0
    wait_for(place.khive / "sync")
    assert khive("sync", str(path), "--json").json["transcripts"][0]["new"] == 0
    assert khive("stats", "--json").json["tokens"][0]["model"] == "claude-opus-4-8"


def test_sync_at_stop_can_be_turned_off(place: Place, hook: Hook) -> None:
    place.config.write_text("[capture]\nlinger_seconds = 0\n[sync]\nat_stop = false\n")
    path = place.root / "t.jsonl"
    path.write_text("{}\n")
    payload = {"session_id": "s", "hook_event_name": "Stop", "transcript_path": str(path)}
    assert hook(json.dumps(payload).encode()).returncode == 0
    wait_for(place.database("claude_hooks.db"))
    assert not (place.khive / "sync").exists()


def wait_for(path: Path, seconds: float = 30) -> None:
    """Until a process of its own has made a file; only its absence takes as long as that."""
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not come"
        time.sleep(0.01)


@pytest.mark.parametrize("by", ["model", "day", "project", "tool", "session", "agent"])
def test_stats_counts_tokens_by(khive: Khive, by: str) -> None:
    khive("sync", str(SAMPLES))
    found = khive("stats", "--by", by, "--json").json["tokens"]
    assert sum(one["messages"] for one in found) == 55
    assert sum(one["output"] for one in found) == 2_166
    costs = [one["cost"] for one in found if one["cost"] is not None]
    assert sum(costs) == pytest.approx(0.0515285)


def test_a_price_that_a_person_gives_is_taken(place: Place, khive: Khive) -> None:
    khive("sync", str(SAMPLES / "codex"))
    place.config.write_text("[cost]\nprices = ['mock-* input=1 output=2 cache_read=0']\n")
    (found,) = khive("stats", "--json").json["tokens"]
    assert found["unpriced"] == 0
    assert found["cost"] == pytest.approx((9_800 + 2 * 208) / 10**6)
    place.config.write_text("[cost]\nprices = ['mock-*']\n")
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
    assert set(whole) == {"plans", "events", "messages", "focus_chains"}
    assert len(whole["messages"]) == 88


def test_show_sends_nothing_to_the_terminal_that_moves_it(place: Place, khive: Khive) -> None:
    line = {"type": "user", "uuid": "u", "sessionId": "s-odd", "message": {"content": "\x1b[2Jx"}}
    path = place.root / "t.jsonl"
    path.write_text(json.dumps(line) + "\n")
    khive("sync", str(path))
    assert "\x1b[2J" not in khive("show", "s-odd").out
