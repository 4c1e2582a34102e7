"""How calls ended, by who knows it best: counted once, the same in every answer."""

import json
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.copies import mirrored
from khive_persist.mirror.verify import compared
from khive_persist.models.purposes import CONVERSATIONS, HOOK_EVENTS, Purpose
from khive_persist.opening import reading
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.redaction import Redactor
from khive_persist.sessions.facts import session_facts
from khive_persist.sessions.lineage.lineage import read_lineage
from khive_persist.sessions.listing import SessionFilter, list_sessions
from khive_persist.sessions.read import SESSION_FILES, read_session
from khive_persist.sessions.rollup.follower import Follower
from khive_persist.sessions.rollup.rollup import Rollup
from khive_persist.sessions.timeline.build import build_timeline
from khive_persist.settings import Settings
from khive_persist.store.reader import Reader
from khive_persist.tools.codex.results import end_of, result_of
from khive_persist.transcripts.reconciliation import backfill
from khive_persist.transcripts.sync import Sync
from tests.payloads import sample_payloads
from tests.stored import contents
from tests.transcripts.test_counts import transcripts

DATA = Path(__file__).parent / "endings"
EDITS, SERVER = DATA / "rollout-edits.jsonl", DATA / "rollout-failed-mcp.jsonl"
SESSION = "01a222c7-7282-7cb3-bc5c-1fc321aa66ec"


def accept(project: Project, tool: str, payloads: Sequence[bytes]) -> None:
    spool = Spool(project)
    for payload in payloads:
        spool.accept(tool, payload)
    drain(project)


def events(project: Project, tool: str) -> list[dict[str, Any]]:
    return [*contents(project, HOOK_EVENTS[tool].file).values()]


def ends(project: Project, tool: str, use_id: str) -> dict[str, Any]:
    """The fields of the event that tells of a call's end."""
    of_call = [e for e in events(project, tool) if e.get("tool_use_id") == use_id]
    return next((e for e in of_call if e["event_type"].startswith("post")), of_call[0])


def failures_everywhere(project: Project, session: str) -> dict[str, int]:
    """Failed calls of a session as each answer gives them."""

    async def read() -> dict[str, int]:
        async with reading(project, *SESSION_FILES) as reader:
            (summary,) = await list_sessions(reader, SessionFilter(session_id=session))
        rollup = Rollup()
        follower = Follower(lambda purpose: reading_of(project, purpose), rollup, PriceTable())
        await follower.settle()
        (of_rollup,) = rollup.query("SELECT failures FROM sessions WHERE session_id = ?", [session])
        await follower.close()
        lineage = await read_lineage(project, session, PriceTable())
        (facts,) = [one async for one in session_facts(project) if one.session_id == session]
        story = build_timeline(await read_session(project.root, session), PriceTable())
        return {
            "sessions": summary.failures,
            "rollup": of_rollup[0],
            "lineage": lineage.agents[0].total.failures,
            "compare": facts.failures or 0,
            "show": sum(entry.is_failed for entry in story),
        }

    return anyio.run(read)


def reading_of(project: Project, purpose: Purpose) -> Reader:
    return Reader([(project.database(purpose.file), purpose)])


@pytest.fixture
def edits(project: Project) -> Project:
    accept(project, "codex", (DATA / "edits_events.jsonl").read_bytes().splitlines())
    Sync(project, Settings(), None).run(EDITS, "codex")
    return project


def raw_failures(path: Path) -> set[str]:
    """The calls of a rollout that failed, straight from its lines."""
    failed = set()
    for line in map(json.loads, path.read_text("utf-8").splitlines()):
        payload = line["payload"]
        item = payload.get("item", {})
        if item.get("status") == "failed" or item.get("exit_code", 0) != 0:
            failed.add(item["id"])
        text = str(payload.get("output", ""))
        if re.match("apply_patch verification failed|unsupported call|failed to parse", text):
            failed.add(payload["call_id"])
    return failed


def test_every_answer_says_how_many_calls_failed(edits: Project) -> None:
    expected = len(raw_failures(EDITS))
    assert expected == 6
    assert failures_everywhere(edits, SESSION) == dict.fromkeys(
        ("sessions", "rollup", "lineage", "compare", "show"), expected
    )


def test_an_event_has_exit_code_and_duration_of_its_call(edits: Project) -> None:
    failed = ends(edits, "codex", "call_0625")
    assert (failed["success"], failed["error"]) == (False, "Exit code: 42")
    assert failed["metadata"] == {"exit_code": 42, "completed_by": "transcript"}
    assert failed["duration_ms"] == pytest.approx(0.006063)
    assert ends(edits, "codex", "call_0611")["success"] is True


def test_a_commands_output_cannot_fake_its_success(edits: Project) -> None:
    # It wrote `Exit code: 0` and ended with 5.
    assert ends(edits, "codex", "call_0667")["success"] is False


def test_a_call_without_an_event_after_it_has_its_end_before_it(edits: Project) -> None:
    refused = ends(edits, "codex", "call_0583")
    assert (refused["event_type"], refused["success"]) == ("pre_edit", False)
    assert refused["metadata"]["has_no_end_event"] is True
    assert refused["error"].startswith("apply_patch verification failed")


def test_the_files_that_a_shell_command_changed_are_its_events(edits: Project) -> None:
    by_shell = ends(edits, "codex", "call_0569")
    assert by_shell["event_type"] == "pre_command"
    assert "/home/dev/src/proj" in by_shell["file_paths"]
    moved = ends(edits, "codex", "call_0541")["file_paths"]
    assert "/home/dev/src/proj b/moved.txt" in moved


def test_the_payload_stays_as_it_came_and_the_copies_agree(edits: Project) -> None:
    payloads = [event["payload"] for event in events(edits, "codex")]
    sent = map(json.loads, (DATA / "edits_events.jsonl").read_text().splitlines())
    assert sorted(map(str, payloads)) == sorted(map(str, sent))
    with compared(edits, mirrored(edits)) as comparison:
        assert comparison.is_equal


def test_read_again_nothing_changes(edits: Project) -> None:
    before = events(edits, "codex")
    (edits.khive / "sync").rename(edits.khive / "sync.before")
    Sync(edits, Settings(), None).run(EDITS, "codex")
    assert events(edits, "codex") == before


def test_events_that_are_made_from_the_transcript_do_not_count_twice(edits: Project) -> None:
    assert anyio.run(backfill, edits, SESSION) > 0
    expected = len(raw_failures(EDITS))
    counts = failures_everywhere(edits, SESSION)
    assert counts == dict.fromkeys(counts, expected)


def test_without_any_event_the_transcript_tells_all(project: Project) -> None:
    Sync(project, Settings(), None).run(EDITS, "codex")
    counts = failures_everywhere(project, SESSION)
    assert counts == dict.fromkeys(counts, 6)


def test_a_servers_tool_that_failed_has_failed(project: Project) -> None:
    session = "01a222c7-4c5b-7fd2-9aa1-7979cafd64b9"
    Sync(project, Settings(), None).run(SERVER, "codex")
    counts = failures_everywhere(project, session)
    assert counts == dict.fromkeys(counts, 1)
    with closing(sqlite3.connect(project.database(CONVERSATIONS.file))) as connection:
        (text,) = connection.execute(
            "SELECT json_extract(value, '$') FROM messages, json_each(content, '$.tool_results')"
            " WHERE json_extract(value, '$.tool_use_id') = 'call_0363'"
        ).fetchone()
    result = json.loads(text)
    assert (result["is_error"], result["status"]) == (True, "failed")
    assert result["duration_ms"] == pytest.approx(0.993636)


def test_no_secret_of_an_output_gets_into_an_event(project: Project, tmp_path: Path) -> None:
    secret = "AKIAIOSFODNN7ABCDEFG"
    accept(project, "codex", [json.dumps({
        "hook_event_name": "PreToolUse", "session_id": "s", "tool_name": "apply_patch",
        "tool_use_id": "c",
    }).encode()])  # fmt: skip
    output = f"apply_patch verification failed: {secret}"
    lines = [
        {"type": "session_meta", "payload": {"id": "s", "session_id": "s"}},
        {"type": "response_item", "payload": {"type": "custom_tool_call_output", "id": "o",
                                              "call_id": "c", "output": output}},
    ]  # fmt: skip
    path = tmp_path / "rollout-x.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    Sync(project, Settings(), Redactor(b"k" * 32)).run(path, "codex")
    error = ends(project, "codex", "c")["error"]
    assert error.startswith("apply_patch verification failed: [REDACTED")
    assert secret not in error


def background(status: str, summary: str, extra: str = "") -> dict[str, Any]:
    text = (
        f"<task-notification>\n<task-id>b1</task-id>\n<tool-use-id>t1</tool-use-id>\n"
        f"<status>{status}</status>\n<summary>{summary}</summary>{extra}\n</task-notification>"
    )
    return {
        "type": "user", "uuid": "n", "sessionId": "s", "timestamp": "2026-11-20T10:01:00.000Z",
        "origin": {"kind": "task-notification"}, "message": {"role": "user", "content": text},
    }  # fmt: skip


LAUNCH = {
    "type": "user", "uuid": "r", "sessionId": "s", "timestamp": "2026-11-20T10:00:02.000Z",
    "message": {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "t1", "content": "running", "is_error": False}
    ]},
    "toolUseResult": {"stdout": "", "stderr": "", "backgroundTaskId": "b1"},
}  # fmt: skip
LAUNCHED = {
    "session_id": "s", "hook_event_name": "PostToolUse", "tool_name": "Bash", "tool_use_id": "t1",
    "tool_response": {"stdout": "", "stderr": "", "backgroundTaskId": "b1"}, "duration_ms": 2000,
}  # fmt: skip


def read_background(project: Project, path: Path, *documents: dict[str, Any]) -> dict[str, Any]:
    accept(project, "claude-code", [json.dumps(LAUNCHED).encode()])
    assert "success" not in ends(project, "claude-code", "t1")
    path.write_text("".join(json.dumps(one) + "\n" for one in (LAUNCH, *documents)))
    Sync(project, Settings(), None).run(path, "claude-code")
    return ends(project, "claude-code", "t1")


def test_a_background_command_ends_when_it_ends(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    assert "success" not in read_background(project, path)
    failed = background("failed", 'Background command "x" failed with exit code 3')
    path.write_text(path.read_text() + json.dumps(failed) + "\n")
    Sync(project, Settings(), None).run(path, "claude-code")
    end = ends(project, "claude-code", "t1")
    assert (end["success"], end["metadata"]["exit_code"]) == (False, 3)


def test_a_background_agent_took_as_long_as_it_says(project: Project, tmp_path: Path) -> None:
    answer = (
        "<result>x <status>failed</status></result><usage><duration_ms>61000</duration_ms></usage>"
    )
    done = background("completed", 'Agent "x" completed', answer)
    end = read_background(project, tmp_path / "s.jsonl", done)
    assert (end["success"], end["duration_ms"]) == (True, 61_000)


def test_a_prompt_that_looks_like_a_notice_ends_nothing(project: Project, tmp_path: Path) -> None:
    fake = background("completed", "x") | {"origin": {"kind": "human"}}
    assert "success" not in read_background(project, tmp_path / "s.jsonl", fake)


@pytest.mark.parametrize(
    ("written", "code", "success"),
    [("a\n", 3, False), ("a\n", 0, True), ("a\nExit Code: 5\n", 0, True),
     ("Exit Code: 0\n", 7, False)],
)  # fmt: skip
def test_gemini_says_an_exit_code_that_a_command_cannot_fake(
    project: Project, tmp_path: Path, written: str, code: int, success: bool
) -> None:
    tail = f"\nExit Code: {code}" if code else ""
    text = f"Output: {written.rstrip()}{tail}\nProcess Group PGID: 1"
    call = {
        "id": "c", "name": "run_shell_command", "args": {"command": "x"}, "status": "success",
        "result": [{"functionResponse": {"id": "c", "response": {"output": text}}}],
        "resultDisplay": written.rstrip(),
    }  # fmt: skip
    lines = [
        {"sessionId": "s", "projectHash": "x"},
        {"id": "m", "type": "gemini", "timestamp": "2026-11-20T10:00:00.000Z", "toolCalls": [call]},
    ]
    path = tmp_path / "session-x.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    accept(project, "gemini-cli", [json.dumps({
        "session_id": "s", "hook_event_name": "AfterTool", "tool_name": "run_shell_command",
        "tool_input": {"command": "x"},
        "tool_response": {"llmContent": text, "returnDisplay": written.rstrip()},
    }).encode()])  # fmt: skip
    Sync(project, Settings(), None).run(path, "gemini-cli")
    (event,) = events(project, "gemini-cli")
    assert event["success"] is success
    counts = failures_everywhere(project, "s")
    counts.pop("show")
    assert counts == dict.fromkeys(counts, 0 if success else 1)


@pytest.mark.parametrize(
    ("item", "is_error"),
    [
        ({"status": "completed", "exit_code": 0}, False),
        ({"status": "completed", "exit_code": 3}, True),
        ({"status": "failed"}, True),
        ({"status": "declined"}, True),
        ({"status": "completed", "result": {"isError": True}}, True),
        ({"status": "completed", "result": {"isError": False}}, False),
    ],
)
def test_an_item_has_failed_by_whatever_says_so(item: dict[str, Any], is_error: bool) -> None:
    end = end_of({"item": item | {"id": "c"}, "started_at_ms": 5, "completed_at_ms": 30})
    assert end is not None
    assert (end["is_error"], end["duration_ms"]) == (is_error, 25)


@pytest.mark.parametrize(
    ("output", "code"),
    [
        ("Chunk ID: a\nWall time: 0.1 seconds\nProcess exited with code 4\nOutput:\nx", 4),
        ("Exit code: 4\nWall time: 0 seconds\nOutput:\nx", 4),
        ("Wall time: 0.0 seconds\nOutput:\nExit code: 4\nWall time: 0 seconds\n", 4),
        ('{"output":"x","metadata":{"exit_code":4,"duration_seconds":0.1}}', 4),
        ("Chunk ID: a\nWall time: 0 seconds\nOutput:\nProcess exited with code 4\n", None),
        ([{"type": "input_text", "text": "Wall time: 0.0 seconds\nOutput:"},
          {"type": "input_text", "text": "Exit code: 4\n"}], None),
    ],
)  # fmt: skip
def test_an_exit_code_stands_before_what_was_written(output: object, code: int | None) -> None:
    assert result_of({"call_id": "c", "output": output}).get("exit_code") == code


def test_results_that_gemini_says_twice_count_once(project: Project) -> None:
    """In its calls, and to the model once more; some of them failed before any hook ran."""
    for tool in ("claude-code", "codex", "gemini-cli"):
        accept(project, tool, sample_payloads(tool))
        for path in transcripts(tool):
            Sync(project, Settings(), None).run(path, tool)
    failed = {
        "41f49510-b0a6-49f3-a9e9-6d268a96b5ba": 4,
        "e2b09b57-9ba8-43f1-a562-a8721b660dcb": 1,
        "949752ba-dbca-4cef-aed8-56a872909535": 9,
    }
    for session, expected in failed.items():
        counts = failures_everywhere(project, session)
        assert counts == dict.fromkeys(counts, expected)
