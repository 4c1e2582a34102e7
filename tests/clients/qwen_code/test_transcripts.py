"""What Qwen Code's transcripts say, against a count made straight from them."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.tools import transcripts_of
from khive_persist.tools.project import Project as Directory
from khive_persist.tools.qwen_code.transcript import Reader
from khive_persist.transcripts.discovery import Transcript, of_agents, session_of, tool_of
from khive_persist.transcripts.reconciliation import account
from khive_persist.transcripts.sync import Sync
from tests import stored

HOME = Path(__file__).parent / "home"
CHATS = sorted(HOME.glob("projects/*/chats/*.jsonl"))
FILES = sorted(HOME.rglob("*.jsonl"))
LONG, WITH_MEMORY = (next(p for p in CHATS if p.name.startswith(n)) for n in ("0584", "14c8"))
DENIED, INTERRUPTED = (next(p for p in CHATS if p.name.startswith(n)) for n in ("1989", "234b"))


def lines(path: Path) -> Iterator[dict[str, Any]]:
    yield from map(json.loads, path.read_text("utf-8").splitlines())


def synced(project: Project, *paths: Path) -> list[dict[str, Any]]:
    for path in paths:
        assert Sync(project, Settings(), None).run(path, "qwen-code").unknown == {}
    return [*stored.contents(project, "conversations.db").values()]


def family(chat: Path) -> list[Path]:
    return [chat, *(agent.path for agent in of_agents(Transcript("qwen-code", chat)))]


@pytest.mark.parametrize("chat", CHATS, ids=lambda chat: chat.name[:4])
def test_tokens_are_those_of_every_answer_that_the_client_counted(
    chat: Path, project: Project
) -> None:
    """Its telemetry names each answer: the conversation's, agents', memory's, compaction's."""
    answers = [
        line["systemPayload"]["uiEvent"]
        for line in lines(chat)
        if line.get("subtype") == "ui_telemetry"
        and line["systemPayload"]["uiEvent"]["event.name"] == "qwen-code.api_response"
    ]
    prompts, cached, output = (
        sum(answer[f"{name}_token_count"] for answer in answers)
        for name in ("input", "cached_content", "output")
    )
    tokens: Counter[str] = Counter()
    for message in synced(project, *family(chat)):
        tokens.update(message.get("tokens", {}))
    assert (tokens["input"] + tokens["cache_read"], tokens["cache_read"]) == (prompts, cached)
    assert tokens["output"] == output
    assert tokens["reasoning"] == 5 * len(answers)


def test_what_no_message_is_of_counts_as_a_side_request(project: Project) -> None:
    messages = synced(project, *family(WITH_MEMORY))
    side = [m for m in messages if m.get("kind") == "side_request"]
    agents = Counter(m.get("agent_type") for m in side)
    assert agents == {None: 2, "managed-auto-memory-extractor": 3}
    assert all(m["tokens"]["input"] for m in side)


def test_messages_have_their_calls_thoughts_and_results(project: Project) -> None:
    messages = synced(project, *family(LONG))
    prompts = [m for m in messages if m["role"] == "user" and m["kind"] == "message"]
    assert [m.get("agent_id") is None for m in prompts].count(True) == 2
    calls = {c["tool_use_id"]: c["name"] for m in messages for c in m.get("tool_calls", ())}
    results = {r["tool_use_id"]: r for m in messages for r in m.get("tool_results", ())}
    assert calls.keys() == results.keys()
    codes = [results[id].get("exit_code") for id, name in calls.items() if "shell" in name]
    assert sorted(code for code in codes if code is not None) == [0, 0, 0, 0, 0, 3]
    last = [m for m in messages if m.get("text") == "All done."]
    assert last
    assert all(m["thinking"].startswith("Thinking") for m in last)


def test_a_subagent_is_told_by_its_file_and_its_model_beside(project: Project) -> None:
    messages = [m for m in synced(project, *family(LONG)) if m.get("agent_id")]
    assert {m["agent_type"] for m in messages} == {"general-purpose"}
    assert {m["session_id"] for m in messages} == {LONG.stem}
    assert {m["model"] for m in messages if m["role"] == "assistant"} == {"mock-model"}


def test_a_call_in_the_background_ends_with_its_notice(project: Project) -> None:
    messages = synced(project, *family(LONG))
    (launch,) = [r for m in messages for r in m.get("tool_results", ()) if r.get("is_running")]
    (notice,) = [m for m in messages if m.get("kind") == "task_notification"]
    (end,) = notice["tool_results"]
    assert end["tool_use_id"] == launch["tool_use_id"]
    assert (end["is_error"], end["status"]) == (False, "completed")
    assert end["duration_ms"] > 0
    assert launch["spawned_agent_id"].startswith("general-purpose-")


def test_calls_that_did_not_run_are_no_failures(project: Project) -> None:
    synced(project, LONG, DENIED, INTERRUPTED)
    endings: Counter[str] = Counter()
    for chat in (LONG, DENIED, INTERRUPTED):
        endings.update(anyio.run(account, project, chat.stem).endings)
    assert endings == {"done": 9, "failed": 2, "invalid": 1, "denied": 1, "interrupted": 1}


def test_a_denied_call_wants_no_event(project: Project) -> None:
    synced(project, DENIED)
    assert anyio.run(account, project, DENIED.stem).incomplete == []


def test_to_do_lists_come_from_the_calls(project: Project) -> None:
    synced(project, LONG)
    snapshots = [*stored.contents(project, "focus_chains.db").values()]
    assert [[i["status"] for i in s["items"]] for s in snapshots] == [
        ["in_progress", "pending"],
        ["completed", "pending"],
    ]


def test_a_call_counts_once_with_its_event(project: Project) -> None:
    call = next(c for line in lines(LONG) for c in calls_of(line))
    payload = {
        "session_id": LONG.stem, "hook_event_name": "PostToolUse", "cwd": "/home/dev/src/proj",
        "timestamp": "2026-11-29T23:12:45.000Z", "tool_name": call["name"],
        "tool_input": call["args"], "tool_response": {"llmContent": "x"},
        "tool_use_id": "toolu_1_a", "tool_call_id": call["id"], "transcript_path": str(LONG),
    }  # fmt: skip
    Spool(project).accept("qwen-code", json.dumps(payload).encode())
    drain(project)
    messages = synced(project, LONG)
    results = [r["tool_use_id"] for m in messages for r in m.get("tool_results", ())]
    running = [r for m in messages for r in m.get("tool_results", ()) if r.get("is_running")]
    unreported = sum(m.get("unreported_calls", 0) for m in messages)
    assert unreported == len(results) - len(running) - 1


def calls_of(line: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for part in line.get("message", {}).get("parts", ()):
        if "functionCall" in part:
            yield part["functionCall"]


def test_a_branch_repeats_what_another_session_said(project: Project, tmp_path: Path) -> None:
    said = [line for line in lines(DENIED) if line["type"] in ("user", "assistant")]
    branch = tmp_path / "branch.jsonl"
    copies = [
        line
        | {"uuid": f"copy-{n}", "sessionId": "branch"}
        | {"forkedFrom": {"sessionId": DENIED.stem, "messageUuid": line["uuid"]}}
        for n, line in enumerate(said)
    ]
    branch.write_text("".join(json.dumps(line) + "\n" for line in copies))
    messages = synced(project, branch, DENIED)
    assert {m["session_id"] for m in messages} == {DENIED.stem}
    assert sum(m["metadata"].get("sessions") == ["branch"] for m in messages) == len(said)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name[:12])
def test_every_file_is_known_for_its_own(path: Path) -> None:
    assert tool_of(path) == "qwen-code"
    chat = path.parent.name if "subagents" in path.parts else path.stem
    assert session_of(Transcript("qwen-code", path)) == chat


def test_transcripts_are_found_below_the_home_that_the_user_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find = transcripts_of("qwen-code").find
    monkeypatch.setenv("QWEN_HOME", str(HOME))
    assert sorted(find(Directory(Path("/home/dev/src/proj")))) == FILES
    assert not list(find(Directory(tmp_path)))
    monkeypatch.setenv("QWEN_HOME", str(tmp_path))
    monkeypatch.setenv("QWEN_RUNTIME_DIR", str(HOME))
    assert sorted(find(None)) == FILES


ODD: list[Any] = [None, 3, "x", [], [3], {}, {"parts": 3}, {"parts": [3, {"text": 3}]}, True]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_lines_are_no_error(odd: Any) -> None:
    for path in (LONG, WITH_MEMORY, *FILES[-2:]):
        for line in lines(path):
            for name in line:
                Reader({}).read(line | {name: odd})
                if isinstance(line[name], dict):
                    for inner in line[name]:
                        Reader({}).read(line | {name: line[name] | {inner: odd}})
