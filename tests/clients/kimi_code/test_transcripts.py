"""Kimi Code's transcripts, against what the model's side counted and the hooks were told."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from khive_persist.capture.drain import drain
from khive_persist.capture.finished_sessions import ended_transcripts
from khive_persist.models.purposes import AGENT_HOOKS, CONVERSATIONS, FOCUS_CHAINS
from khive_persist.project import Project
from khive_persist.sessions.lineage.endings import ending_of
from khive_persist.settings import Settings
from khive_persist.tools.kimi_code.discovery import TRANSCRIPTS
from khive_persist.tools.kimi_code.transcript import Reader
from khive_persist.transcripts.discovery import tool_of
from khive_persist.transcripts.sync import Sync
from tests.clients.kimi_code.recorded import (
    FORK,
    HERE,
    MODEL_USAGE,
    PAYLOADS,
    RESUMED,
    STOPPED,
    WORK,
    copy_to,
    transcripts,
)
from tests.factories import make_project
from tests.payloads import Hook
from tests.stored import contents


def synced(project: Project, *sessions: str) -> list[dict[str, Any]]:
    for session in sessions:
        for path in transcripts(session):
            Sync(project, Settings(), None).run(path, "kimi-code")
    return list(contents(project, CONVERSATIONS.file).values())


def tokens(messages: list[dict[str, Any]], session: str) -> Counter[str]:
    sums: Counter[str] = Counter()
    for message in messages:
        if message["session_id"] == session:
            sums.update(message.get("tokens", {}))
    return +sums


def results(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [result for message in messages for result in message.get("tool_results", ())]


@pytest.mark.parametrize("session", MODEL_USAGE)
def test_tokens_are_those_that_the_model_counted(project: Project, session: str) -> None:
    expected: Counter[str] = Counter()
    for usage in MODEL_USAGE[session]:
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        expected["input"] += usage["prompt_tokens"] - cached
        expected["cache_read"] += cached
        expected["output"] += usage["completion_tokens"]
    assert tokens(synced(project, session), session) == expected


def test_all_that_is_told_is_known() -> None:
    for path in HERE.rglob("wire.jsonl"):
        reader = Reader(TRANSCRIPTS.state_beside(path))
        for line in path.read_text("utf-8").splitlines():
            document = json.loads(line)
            assert reader.read(document).is_known, document["type"]
        assert tool_of(path) == "kimi-code"


def test_each_call_has_its_result_and_each_agent_its_own(project: Project) -> None:
    messages = synced(project, WORK)
    calls = [call for m in messages for call in m.get("tool_calls", ())]
    used = [call["tool_use_id"] for call in calls]
    asked = [p["tool_call_id"] for p in PAYLOADS if p["hook_event_name"] == "PreToolUse"]
    assert used
    assert sorted(used) == sorted(id for id in asked if id in used)
    assert {result["tool_use_id"] for result in results(messages)} == set(used)
    agents = {m.get("agent_id"): m for m in messages}
    assert set(agents) == {None, "agent-0"}
    assert agents["agent-0"]["agent_type"] == "explore"
    assert agents["agent-0"]["parent_is_session"] is True
    assert {m["cwd"] for m in messages} == {"/home/dev/src/proj"}
    (started,) = (r for r in results(messages) if "spawned_agent_id" in r)
    assert started["spawned_agent_id"] == "agent-0"


def test_what_was_said_and_thought(project: Project) -> None:
    messages = synced(project, WORK)
    prompts = [m for m in messages if m["role"] == "user" and m["kind"] == "message"]
    assert [m.get("agent_id") for m in prompts] == [None, "agent-0"]
    last = messages[-1]
    assert (last["text"], last["thinking"]) == ("All done 36.", "I think 36.")
    assert last["model"] == "mock-model"
    assert {m["kind"] for m in messages if m["role"] == "user"} == {
        "message", "meta", "task_notification"
    }  # fmt: skip


def test_a_command_in_the_background_ends_where_its_task_does(project: Project) -> None:
    messages = synced(project, WORK)
    launched, ended = (
        r for r in results(messages) if str(r.get("output")) == "bg\n" or r.get("is_running")
    )
    assert launched["tool_use_id"] == ended["tool_use_id"]
    assert (ended["exit_code"], ended["is_error"]) == (0, False)


def test_refused_and_stopped_is_not_failed(project: Project) -> None:
    messages = synced(project, STOPPED)
    endings = [ending_of("kimi-code", result) for result in results(messages)]
    assert endings == ["denied", "interrupted"]
    (summary,) = (m for m in messages if m["role"] == "system")
    assert (summary["kind"], summary["text"]) == ("compaction", "All done 24.")
    assert sum(m["kind"] == "compaction" and "tokens" in m for m in messages) == 5


def test_a_failed_command_has_its_exit_code(project: Project) -> None:
    (failed,) = (r for r in results(synced(project, WORK)) if r["is_error"])
    assert failed["exit_code"] == 3
    assert ending_of("kimi-code", failed) == "failed"


@pytest.mark.parametrize("order", [(RESUMED, FORK), (FORK, RESUMED)])
def test_a_fork_adds_nothing_to_what_it_copies(project: Project, order: tuple[str, str]) -> None:
    messages = synced(project, *order)
    assert {m["session_id"] for m in messages} == {RESUMED}
    assert sum(tokens(messages, RESUMED).values()) == sum(
        usage["total_tokens"] for usage in MODEL_USAGE[RESUMED]
    )
    assert all(m["metadata"].get("sessions") == [FORK] for m in messages)
    assert len(transcripts(FORK)) == 2


def test_reading_on_after_a_resume_adds_what_is_new(project: Project, tmp_path: Path) -> None:
    copy_to(tmp_path)
    folder = tmp_path / ".kimi-code"
    path = transcripts(RESUMED, folder)[-1]
    lines = path.read_bytes().splitlines(keepends=True)
    other = make_project(tmp_path / "other")
    Sync(other, Settings(), None).run(path, "kimi-code")
    for end in (20, 47, len(lines)):
        path.write_bytes(b"".join(lines[:end]))
        Sync(project, Settings(), None).run(path, "kimi-code")
    assert contents(project, CONVERSATIONS.file) == contents(other, CONVERSATIONS.file)


def test_to_do_lists_come_from_transcripts(project: Project) -> None:
    synced(project, WORK)
    (snapshot,) = contents(project, FOCUS_CHAINS.file).values()
    assert [(item["text"], item["status"]) for item in snapshot["items"]] == [
        ("first", "in_progress"),
        ("second", "pending"),
    ]


def test_the_sync_at_a_stop_finds_what_no_hook_names(
    project: Project, hook: Hook, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KIMI_CODE_HOME", raising=False)
    copy_to(home)
    (stop,) = (
        p for p in PAYLOADS if p["hook_event_name"] == "SessionEnd" and p["session_id"] == STOPPED
    )
    content = {"event_type": "session_end", "tool": "kimi-code"} | {
        name: stop[name] for name in ("session_id", "cwd")
    }
    row = ("id", json.dumps(content, separators=(",", ":")), None, None, None)
    (found,) = ended_transcripts([row])
    assert found.parts[-4:] == (STOPPED, "agents", "main", "wire.jsonl")
    for session, cwd in (("../" + STOPPED, stop["cwd"]), (STOPPED, "/elsewhere"), ("\0", "\0")):
        other = json.dumps(content | {"session_id": session, "cwd": cwd}, separators=(",", ":"))
        assert ended_transcripts([("id", other, None, None, None)]) == []


def test_a_moved_home_is_looked_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copy_to(tmp_path)
    monkeypatch.setenv("KIMI_CODE_HOME", str(folder))
    found = list(TRANSCRIPTS.find(None))
    assert len(found) == 7
    main = transcripts(WORK, folder)[-1]
    assert TRANSCRIPTS.session_of(main) == WORK
    assert [path.parent.name for path in TRANSCRIPTS.of_agents(main)] == ["agent-0"]


@pytest.mark.parametrize(
    "value", [None, 0, -1, True, 1e400, "x", "\ud800", [], {}, [[]], [{}], 10**400]
)
def test_odd_lines_are_read(value: object) -> None:
    """Any value in place of any other, at any depth of the lines that have messages."""
    for path in transcripts(WORK) + transcripts(STOPPED):
        for line in path.read_text("utf-8").splitlines():
            for document in with_value(json.loads(line), value):
                reader = Reader({"session_id": WORK, "step": "s", "forked_from": "x"})
                if isinstance(document, dict):
                    reader.read(document)


def with_value(document: Any, value: object, depth: int = 3) -> list[Any]:
    """The document with the value in one place, for each place."""
    if not isinstance(document, dict) or not depth:
        return [value]
    return [
        {**document, name: changed}
        for name in document
        for changed in [value, *with_value(document[name], value, depth - 1)]
    ]


def test_the_events_of_calls_say_how_long_they_took(project: Project, hook: Hook) -> None:
    for payload in PAYLOADS:
        if payload["session_id"] == WORK:
            hook(json.dumps(payload).encode(), "kimi-code")
    drain(project)
    synced(project, WORK)
    events = contents(project, AGENT_HOOKS.file, AGENT_HOOKS.table).values()
    ended = [e for e in events if e["event_type"] == "post_command"]
    assert ended
    assert all("duration_ms" in event and "success" in event for event in ended)
