"""What pi 1.6.0 wrote down: a session that went on once, and a fork of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from khive_persist.project import Project
from khive_persist.sessions.lineage.endings import ending_of
from khive_persist.settings import Settings
from khive_persist.tools.pi.transcript import Reader, session_in
from khive_persist.transcripts.discovery import Transcript as Found
from khive_persist.transcripts.discovery import find, session_of, tool_of
from khive_persist.transcripts.sync import Sync, Synced
from tests import stored

FOLDER = Path(__file__).parent / "transcripts"
FIRST, FORK = sorted(FOLDER.glob("*.jsonl"))
# The model's server counted so many tokens for the first session, and for both together.
COUNTED = {"input": 4_578, "cache_read": 494, "output": 410}
COUNTED_OF_BOTH = {"input": 4_772, "cache_read": 609, "output": 551}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def run(project: Project, path: Path) -> Synced:
    return Sync(project, Settings(), None).run(path, "pi")


def messages(project: Project) -> list[dict[str, Any]]:
    return [*stored.contents(project, "conversations.db").values()]


def used(contents: list[dict[str, Any]]) -> dict[str, int]:
    names = ("input", "cache_read", "output")
    return {name: sum(m.get("tokens", {}).get(name, 0) for m in contents) for name in names}


def usage_in(path: Path) -> dict[str, int]:
    usages = [line.get("message", {}).get("usage", {}) for line in lines(path)]
    return {
        name: sum(usage.get(word, 0) for usage in usages)
        for name, word in (("input", "input"), ("cache_read", "cacheRead"), ("output", "output"))
    }


def test_a_session_is_read_whole(project: Project) -> None:
    synced = run(project, FIRST)
    assert (synced.unknown, synced.damaged) == ({}, 0)
    said = messages(project)
    assert {m["session_id"] for m in said} == {FIRST.stem.partition("_")[2]}
    assert {m["cwd"] for m in said if m["role"] != "none"} == {"/home/dev/src/proj"}
    assert used(said) == usage_in(FIRST) == COUNTED
    prompts = [m for m in said if m["role"] == "user"]
    assert [m["text"].split()[0] for m in prompts] == ["run", "again"]
    assert prompts[0]["kind"] == "message"
    (system,) = [m for m in said if m["role"] == "system"]
    assert system["text"].startswith("You are a coding assistant running inside pi")


def test_calls_and_how_they_ended(project: Project) -> None:
    run(project, FIRST)
    said = messages(project)
    calls = {c["tool_use_id"]: c for m in said for c in m.get("tool_calls", ())}
    results = {r["tool_use_id"]: r for m in said for r in m.get("tool_results", ())}
    assert calls.keys() == results.keys()
    ends = {
        (calls[id]["name"], result.get("exit_code")): result["is_error"]
        for id, result in results.items()
    }
    assert ends[("bash", 3)] is True
    assert ends[("bash", None)] is False
    assert ends[("nosuch", None)] is True
    assert all("duration_ms" in r for id, r in results.items() if calls[id]["name"] != "nosuch")
    endings = {(calls[id]["name"], ending_of("pi", r)) for id, r in results.items()}
    assert {("bash", "done"), ("bash", "failed"), ("nosuch", "invalid")} <= endings


def test_a_call_that_an_extension_blocks_is_denied_whatever_its_reason() -> None:
    state: dict[str, Any] = {}

    def ending(text: str, **more: Any) -> str:
        message = {
            "role": "toolResult", "toolCallId": "c", "toolName": "bash", "isError": True,
            "content": [{"type": "text", "text": text}], **more,
        }  # fmt: skip
        line = Reader(state).read({"type": "message", "id": "a", "message": message})
        return ending_of("pi", line.parts[0].fields["tool_results"][0])

    assert ending("not allowed") == "failed"
    assert ending("oops", durationMs=4) == "failed"
    assert ending("not allowed") == "denied"
    assert ending("Operation aborted") == "interrupted"
    assert ending('Validation failed for tool "bash":\n  - command: missing') == "invalid"


def test_what_pi_says_that_it_cost(project: Project) -> None:
    run(project, FIRST)
    run(project, FIRST)
    (cost,) = [m["reported"]["cost"] for m in messages(project) if "reported" in m]
    usages = [line.get("message", {}).get("usage") for line in lines(FIRST)]
    assert cost == pytest.approx(sum(u["cost"]["total"] for u in usages if u))


@pytest.mark.parametrize("order", [(FIRST, FORK), (FORK, FIRST)])
def test_a_fork_repeats_and_counts_nothing_twice(
    project: Project, order: tuple[Path, Path]
) -> None:
    for path in order:
        run(project, path)
    said = messages(project)
    assert used(said) == COUNTED_OF_BOTH
    first, fork = (path.stem.partition("_")[2] for path in (FIRST, FORK))
    assert {m["session_id"] for m in said} == {first, fork}
    assert {m.get("forked_from") for m in said if m["session_id"] == fork} - {None} == {first}


def test_a_file_that_grows_is_read_on(project: Project, tmp_path: Path) -> None:
    path = tmp_path / FIRST.name
    content = FIRST.read_bytes()
    half = content.index(b"\n", len(content) // 2) + 1
    path.write_bytes(content[:half])
    run(project, path)
    path.write_bytes(content)
    synced = run(project, path)
    assert not synced.is_restarted
    assert used(messages(project)) == usage_in(FIRST)
    (cost,) = [m["reported"]["cost"] for m in messages(project) if "reported" in m]
    usages = [line.get("message", {}).get("usage") for line in lines(FIRST)]
    assert cost == pytest.approx(sum(u["cost"]["total"] for u in usages if u))


def test_branches_name_their_parents(project: Project, tmp_path: Path) -> None:
    entry = {"type": "message", "timestamp": "2026-11-29T10:00:01.000Z"}
    path = tmp_path / "t_s.jsonl"
    documents = [
        {"type": "session", "version": 3, "id": "s", "cwd": "/p", "timestamp": entry["timestamp"]},
        entry | {"id": "a", "parentId": None, "message": {"role": "user", "content": "hi"}},
        entry | {"id": "b", "parentId": "a", "message": {"role": "user", "content": "one"}},
        entry | {"id": "c", "parentId": "a", "message": {"role": "user", "content": "other"}},
        entry | {"id": "d", "parentId": "c", "type": "branch_summary", "summary": "it was so"},
    ]
    path.write_text("".join(json.dumps(one) + "\n" for one in documents))
    run(project, path)
    said = {m["message_id"]: m for m in messages(project)}
    assert said["b"]["parent_id"] == said["c"]["parent_id"] == "a"
    assert (said["d"]["kind"], said["d"]["text"]) == ("branch_summary", "it was so")


def test_transcripts_are_found_by_their_project(
    project: Project, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PI_CODING_AGENT_DIR", raising=False)
    sessions = home / ".pi" / "agent" / "sessions" / "--home-dev-src-proj--"
    sessions.mkdir(parents=True)
    (sessions / FIRST.name).write_bytes(FIRST.read_bytes())
    assert [f.path.name for f in find(Path("/home/dev/src/proj")) if f.tool == "pi"] == [FIRST.name]
    assert not [f for f in find(Path("/home/dev/src/proj2")) if f.tool == "pi"]
    assert tool_of(FIRST) == "pi"
    assert session_of(Found("pi", FIRST)) == FIRST.stem.partition("_")[2] == session_in(FIRST.name)


@pytest.mark.parametrize("odd", [None, 1, True, "x", [], [None, 1, {"type": "text"}], {"x": 1}])
def test_odd_lines_break_nothing(odd: object) -> None:
    reader = Reader({})
    reader.read({"type": "session", "id": odd, "cwd": odd, "timestamp": odd, "parentSession": odd})
    roles = ("user", "assistant", "toolResult", "system", "bashExecution", "custom", odd)
    for kind in ("message", "usage", "compaction", "branch_summary", "custom_message", "x", odd):
        for role in roles:
            message = {"role": role, "content": odd, "usage": odd, "sections": odd, "isError": odd}
            for extra in ({}, {"usage": {"cost": odd, "input": odd}}, {"durationMs": odd}):
                entry = {"type": kind, "id": "i", "timestamp": odd, "message": message | extra}
                reader.read(entry | {"usage": odd, "content": odd, "summary": odd, "model": odd})
