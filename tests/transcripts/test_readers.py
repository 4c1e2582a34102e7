"""What the real clients' lines say, where it is easily read wrong: see `scenarios/`."""

import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.transcripts.reconciliation import account, backfill, sessions_of
from khive_persist.transcripts.sync import Sync
from tests.transcripts.test_counts import SAMPLES
from tests.transcripts.test_scenarios import contents, lines, transcripts


def synced(project: Project, scenario: str) -> list[dict[str, Any]]:
    for path in transcripts(scenario):
        Sync(project, Settings(), None).run(path, scenario.split("/")[0])
    return contents(project)


def written(path: Path, documents: list[Any]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in documents))
    return path


def test_gemini_resume_changes_nothing_of_what_was_said(project: Project) -> None:
    """It says the conversation anew: thoughts among the text, results once more, no tokens."""
    messages = synced(project, "gemini-cli/resume")
    (asked,) = [m for m in messages if m.get("text") == "Let me look."]
    assert asked["thinking"] == "Looking around"
    assert asked["tokens"]["output"] > 0
    (call,) = asked["tool_calls"]
    assert call["status"] == "success"
    assert call["ended_at"].endswith("Z")
    answers = [r["tool_use_id"] for m in messages for r in m.get("tool_results", ())]
    assert len(answers) == len(set(answers)) == 12
    assert not any(m["message_id"].endswith("_response") for m in messages)


def test_gemini_resume_alone_still_tells_the_conversation(project: Project, tmp_path: Path) -> None:
    """Where the client has taken the first file away, or a resume began another one."""
    (path,) = transcripts("gemini-cli/resume")
    documents = list(lines(path))
    resumed = next(n for n, one in enumerate(documents) if "sessionId" in one.get("$set", {}))
    late = written(tmp_path / "session-late.jsonl", [documents[0], *documents[resumed:]])
    Sync(project, Settings(), None).run(late, "gemini-cli")
    messages = contents(project)
    (asked,) = [m for m in messages if m.get("text") == "Let me look."]
    assert asked["thinking"] == "**Looking** around"
    assert [call["name"] for call in asked["tool_calls"]] == ["run_shell_command"]
    Sync(project, Settings(), None).run(path, "gemini-cli")
    (asked,) = [m for m in contents(project) if m.get("text") == "Let me look."]
    assert asked["thinking"] == "Looking around"
    assert asked["tool_calls"][0]["status"] == "success"


def test_results_that_stand_nowhere_else_are_kept(project: Project, tmp_path: Path) -> None:
    answer = {"functionResponse": {"id": "c", "name": "x", "response": {"output": "only here"}}}
    listed = [{"id": "m", "type": "gemini", "content": []},
              {"id": "m_response", "type": "user", "content": [answer]}]  # fmt: skip
    header = {"sessionId": "s", "projectHash": "x"}
    path = written(tmp_path / "session-x.jsonl", [header, {"$set": {"messages": listed}}])
    Sync(project, Settings(), None).run(path, "gemini-cli")
    assert [m["message_id"] for m in contents(project)] == ["m", "m_response"]


def test_codex_tells_a_failure_in_words(project: Project) -> None:
    failed = {
        str(result["output"]).splitlines()[-1][:30]: result.get("exit_code")
        for scenario in ("resume", "patch", "interrupt", "fork")
        for message in synced(project, f"codex/{scenario}")
        for result in message.get("tool_results", ())
        if result.get("is_error")
    }
    assert failed == {
        "oops": 3,
        "unsupported call: update_plan": None,
        "apply_patch verification failed"[:30]: None,
        "aborted by user": None,
        "failed to parse function arguments"[:30]: None,
        "update_plan is a TODO/checklist"[:30]: None,
        "cat: hello.txt: No such file or directory"[:30]: 1,
    }


@pytest.mark.parametrize("output", [
    "Chunk ID: a1\nWall time: 0.1 seconds\nProcess exited with code 0\nOutput:\nExit code: 1\n",
    "echoed: unsupported call: x", "the patch was not aborted by user",
])  # fmt: skip
def test_what_a_command_wrote_is_no_failure(project: Project, tmp_path: Path, output: str) -> None:
    item = {"type": "function_call_output", "id": "o", "call_id": "c", "output": output}
    path = written(tmp_path / "rollout-x.jsonl", [
        {"type": "session_meta", "payload": {"id": "s", "session_id": "s"}},
        {"type": "response_item", "payload": item},
    ])  # fmt: skip
    Sync(project, Settings(), None).run(path, "codex")
    (message,) = contents(project)
    assert not message["tool_results"][0].get("is_error")


def test_a_plan_that_codex_refused_is_no_snapshot(project: Project) -> None:
    """Refused for a tool that is off, for words that are no plan, and in Plan mode."""
    synced(project, "codex/resume")
    assert not project.database("focus_chains.db").exists()
    synced(project, "codex/fork")
    with closing(sqlite3.connect(project.database("focus_chains.db"))) as connection:
        found = connection.execute(
            "SELECT json_extract(content, '$.items') FROM focus_chains ORDER BY created_at"
        ).fetchall()
    assert [[item["status"] for item in json.loads(items)] for (items,) in found] == [
        ["in_progress", "pending"], ["completed", "in_progress"],
    ]  # fmt: skip


def test_codex_compaction_is_a_message(project: Project) -> None:
    messages = synced(project, "codex/compact")
    (path,) = transcripts("codex/compact")
    said = [line["payload"]["message"] for line in lines(path) if line["type"] == "compacted"]
    assert [m["text"] for m in messages if m["kind"] == "compaction"] == said != []


def test_older_codex_without_ids_loses_no_message(project: Project, tmp_path: Path) -> None:
    """Versions before ordinals and ids; two equal lines of one instant are one."""

    def item(text: str, at: int) -> dict[str, Any]:
        content = [{"type": "input_text", "text": text}]
        return {"timestamp": f"2025-09-01T10:00:0{at}.000Z", "type": "response_item",
                "payload": {"type": "message", "role": "user", "content": content}}  # fmt: skip

    meta = {"type": "session_meta", "payload": {"id": "s", "cwd": "/p"}}
    path = written(
        tmp_path / "rollout-x.jsonl", [meta, item("a", 1), item("b", 2), item("a", 3), item("a", 3)]
    )
    Sync(project, Settings(), None).run(path, "codex")
    assert sorted(m["text"] for m in contents(project)) == ["a", "a", "b"]


def test_a_codex_agent_that_inherits_from_an_agent_stays_itself(
    project: Project, tmp_path: Path
) -> None:
    """The parent's first line stands after its own."""
    own = {"id": "child", "session_id": "s", "parent_thread_id": "agent", "cwd": "/p",
           "subagent_history_start_ordinal": 3}  # fmt: skip
    parents = {"id": "agent", "session_id": "s", "parent_thread_id": "s", "cwd": "/p"}
    documents = [
        {"ordinal": 0, "type": "session_meta", "payload": own},
        {"ordinal": 1, "type": "session_meta", "payload": parents},
        *({"ordinal": n, "type": "response_item",
           "payload": {"type": "message", "role": "user", "id": f"m{n}"}} for n in (2, 3)),
    ]  # fmt: skip
    Sync(project, Settings(), None).run(written(tmp_path / "rollout-c.jsonl", documents), "codex")
    parents_own = [{"ordinal": 0, "type": "session_meta", "payload": parents}, documents[2]]
    Sync(project, Settings(), None).run(written(tmp_path / "rollout-p.jsonl", parents_own), "codex")
    found = {m["message_id"]: (m["agent_id"], m.get("parent_agent_id")) for m in contents(project)}
    assert found == {"m2": ("agent", None), "m3": ("child", "agent")}


def test_a_branch_that_gives_new_ids_repeats_no_message(project: Project, tmp_path: Path) -> None:
    """As the client's library makes one."""

    def said(session: str, uuid: str, **more: Any) -> dict[str, Any]:
        return {"type": "user", "uuid": uuid, "sessionId": session,
                "message": {"content": "x"}} | more  # fmt: skip

    origin = {"forkedFrom": {"sessionId": "a", "messageUuid": "1"}}
    paths = [
        written(tmp_path / "a.jsonl", [said("a", "1")]),
        written(tmp_path / "b.jsonl", [said("b", "7", **origin), said("b", "8")]),
    ]
    for path in reversed(paths):
        Sync(project, Settings(), None).run(path, "claude-code")
    found = {(m["session_id"], m["message_id"]) for m in contents(project)}
    assert found == {("a", "1"), ("b", "8")}


def test_a_fork_that_does_not_say_so_changes_nothing_of_what_it_repeats(
    project: Project, tmp_path: Path
) -> None:
    """As one that was begun in the terminal: its lines are those of the other session."""

    def said(session: str, uuid: str) -> dict[str, Any]:
        return {"type": "system", "subtype": "x", "uuid": uuid, "sessionId": session,
                "timestamp": "2026-11-21T10:00:00.000Z"}  # fmt: skip

    for session, uuids in (("b", "1"), ("a", "12")):
        path = written(tmp_path / f"{session}.jsonl", [said(session, uuid) for uuid in uuids])
        Sync(project, Settings(), None).run(path, "claude-code")
    found = {m["message_id"]: m for m in contents(project)}
    assert (found["1"]["session_id"], found["2"]["session_id"]) == ("b", "a")
    assert found["1"]["payload"]["sessionId"] == "b"
    assert found["1"]["metadata"]["sessions"] == ["a"]


def test_what_is_not_known_belongs_to_its_session(project: Project, tmp_path: Path) -> None:
    for number, (tool, first, odd) in enumerate([
        ("claude-code", {"type": "mode", "sessionId": "s"}, {"type": "odd", "sessionId": "s"}),
        ("codex", {"type": "session_meta", "payload": {"id": "s"}}, {"type": "odd"}),
        ("gemini-cli", {"sessionId": "s", "projectHash": "x"}, {"odd": 1}),
    ]):  # fmt: skip
        path = written(tmp_path / f"{number}.jsonl", [first, odd])
        with path.open("a") as file:
            file.write("no json\n")
        done = Sync(project, Settings(), None).run(path, tool)
        assert (sum(done.unknown.values()), done.damaged) == (1, 1)
    assert [m["session_id"] for m in contents(project)] == ["s"] * 6


def test_backfill_also_covers_sessions_whose_transcripts_are_gone(project: Project) -> None:
    for scenario in ("codex/resume", "codex/interrupt", "gemini-cli/resume"):
        synced(project, scenario)
    sessions = anyio.run(sessions_of, project)
    assert len(sessions) == 3
    written = sum(anyio.run(backfill, project, session) for session in sessions)
    assert written > 40
    for session in sessions:
        assert anyio.run(account, project, session).incomplete == []


def test_reconstructed_events_are_in_the_words_of_hooks_and_at_their_time(project: Project) -> None:
    (path,) = transcripts("codex/resume")
    synced(project, "codex/resume")
    session = next(lines(path))["payload"]["session_id"]
    anyio.run(backfill, project, session)
    with closing(sqlite3.connect(project.database("codex_hooks.db"))) as connection:
        found = [
            (json.loads(content), created_at)
            for content, created_at in connection.execute(
                "SELECT content, created_at FROM hook_events ORDER BY created_at, id"
            )
        ]
    ends = {
        line["payload"]["call_id"]: line["timestamp"][:23].replace("T", " ")
        for line in lines(path)
        if line["payload"].get("type") == "function_call_output"
    }
    for content, created_at in found:
        if content["hook_event_name"] == "PostToolUse":
            assert created_at.startswith(ends[content["tool_use_id"]])
    names = {content["tool_name"] for content, _ in found}
    assert names == {"Bash", "view_image", "mcp__echosrv__echo"}
    commands = [c["command"] for c, _ in found if c["event_type"] == "pre_command"]
    assert "echo oops >&2; exit 3" in commands
    failures = [c["tool_name"] for c, _ in found if c.get("success") is False]
    assert failures == ["Bash", "Bash"]
    # A patch that did not fit has an event before it, and none after.
    kinds = Counter(content["hook_event_name"] for content, _ in found)
    assert kinds["PreToolUse"] == kinds["PostToolUse"] + 1


def test_calls_without_a_post_say_why(project: Project) -> None:
    synced(project, "codex/interrupt")
    (path,) = transcripts("codex/interrupt")
    session = next(lines(path))["payload"]["session_id"]
    (call,) = anyio.run(account, project, session).calls
    assert call.reason == "it was interrupted"


def test_samples_have_no_copies_among_them(project: Project) -> None:
    """A line that stands a moment before the first that was written is no fork's."""
    for tool in ("claude-code", "codex", "gemini-cli"):
        for path in sorted((SAMPLES / tool).rglob("*.jsonl")):
            Sync(project, Settings(), None).run(path, tool)
    assert not any(m["metadata"].get("is_copy") for m in contents(project))
