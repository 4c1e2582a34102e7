"""Every tool call of a transcript has its events: some that came, or some made of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.copies import mirrored
from khive_persist.mirror.verify import compared
from khive_persist.models.purposes import EVENT_FILES
from khive_persist.project import Project
from khive_persist.sessions.lineage.endings import ending_of
from khive_persist.settings import Settings
from khive_persist.transcripts.reconciliation import Account, account, backfill, sessions_of
from khive_persist.transcripts.sync import Sync
from tests.payloads import sample_payloads
from tests.stored import contents
from tests.transcripts.test_counts import transcripts

CLAUDE = "949752ba-dbca-4cef-aed8-56a872909535"
TOOLS = ("claude-code", "codex", "gemini-cli")


@pytest.fixture
def synced(project: Project) -> Project:
    """The transcripts of all three tools, and some of the events that came with them."""
    spool = Spool(project)
    for tool in TOOLS:
        for payload in sample_payloads(tool):
            spool.accept(tool, payload)
        for path in transcripts(tool):
            Sync(project, Settings(), None).run(path, tool)
    drain(project)
    return project


def of(project: Project, session_id: str = CLAUDE) -> Account:
    return anyio.run(account, project, session_id)


def sessions(project: Project) -> list[str]:
    return anyio.run(sessions_of, project, [str(path) for t in TOOLS for path in transcripts(t)])


def events(project: Project) -> Iterator[Any]:
    for purpose in EVENT_FILES.values():
        yield from contents(project, purpose.file).values()


def test_events_and_backfill_together_cover_every_call(synced: Project) -> None:
    assert len(sessions(synced)) == 9
    before = {session: of(synced, session) for session in sessions(synced)}
    assert sum(len(one.incomplete) for one in before.values()) > 5
    written = sum(anyio.run(backfill, synced, session) for session in before)
    for session, one in before.items():
        now = of(synced, session)
        assert now.incomplete == []
        assert now.events == one.events
        assert [call.name for call in now.calls] == [call.name for call in one.calls]
    made = [event for event in events(synced) if event.get("metadata", {}).get("reconstructed")]
    assert len(made) == written
    assert all(event["payload"]["session_id"] in before for event in made)
    with compared(synced, mirrored(synced)) as comparison:
        assert comparison.is_equal


def test_backfill_again_writes_nothing(synced: Project) -> None:
    assert anyio.run(backfill, synced, CLAUDE) > 0
    count = len(list(events(synced)))
    assert anyio.run(backfill, synced, CLAUDE) == 0
    assert len(list(events(synced))) == count


def test_a_reconstructed_event_goes_when_the_real_one_comes(synced: Project) -> None:
    lacking = next(call for call in of(synced).incomplete if not call.has_pre)
    anyio.run(backfill, synced, CLAUDE)
    made = of(synced).reconstructed
    payload = {
        "session_id": CLAUDE,
        "hook_event_name": "PreToolUse",
        "tool_name": lacking.name,
        "tool_use_id": lacking.tool_use_id,
    }
    Spool(synced).accept("claude-code", json.dumps(payload).encode())
    drain(synced)
    anyio.run(backfill, synced, CLAUDE)
    assert of(synced).reconstructed == made - 1
    assert of(synced).incomplete == []


def test_what_is_reconstructed_says_what_a_real_event_says(synced: Project) -> None:
    anyio.run(backfill, synced, CLAUDE)
    made = [event for event in events(synced) if event.get("metadata", {}).get("reconstructed")]
    (command,) = [e for e in made if e.get("event_type") == "post_command" and e.get("success")][:1]
    assert command["tool"] == "claude-code"
    assert command["tool_use_id"]
    assert command["command"]
    assert command["payload"]["tool_response"]


def test_without_ids_calls_and_events_are_matched_by_name_and_input(project: Project) -> None:
    """As in Gemini CLI; two equal calls want two events."""
    path = project.root / "session-x.jsonl"
    call = {"name": "read_file", "args": {"file_path": "/a"}, "result": []}
    message = {"id": "m", "type": "gemini", "content": "", "timestamp": "2026-11-21T01:00:00Z"}
    document = message | {"toolCalls": [call | {"id": "1"}, call | {"id": "2"}]}
    header = {"sessionId": "s-1", "projectHash": "x"}
    path.write_text(json.dumps(header) + "\n" + json.dumps(document) + "\n")
    Sync(project, Settings(), None).run(path, "gemini-cli")
    event = {"session_id": "s-1", "tool_name": "read_file", "tool_input": {"file_path": "/a"}}
    for name in ("BeforeTool", "AfterTool"):
        payload = event | {"hook_event_name": name}
        Spool(project).accept("gemini-cli", json.dumps(payload).encode())
    drain(project)
    found = of(project, "s-1")
    assert [(c.has_pre, c.has_post) for c in found.calls] == [(True, True), (False, False)]


def test_reasons_and_events_after_the_end(project: Project) -> None:
    path = project.root / "t.jsonl"
    results = {"a": ("The user doesn't want to proceed", True), "b": ("Interrupted by user", True),
               "c": ("broken", True)}  # fmt: skip
    blocks = [{"type": "tool_use", "id": id, "name": "Bash", "input": {}} for id in "abcd"]
    lines: list[Any] = [{"type": "assistant", "uuid": "1", "sessionId": "s-2",
                         "message": {"id": "m", "content": blocks}}]  # fmt: skip
    lines += [
        {"type": "user", "uuid": id, "sessionId": "s-2", "message": {"content": [
            {"type": "tool_result", "tool_use_id": id, "content": text, "is_error": failed}]}}
        for id, (text, failed) in results.items()
    ]  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    Sync(project, Settings(), None).run(path, "claude-code")
    for name in ("SessionEnd", "Notification"):
        payload = {"session_id": "s-2", "hook_event_name": name}
        Spool(project).accept("claude-code", json.dumps(payload).encode())
    drain(project)
    found = of(project, "s-2")
    assert [call.reason for call in found.calls] == [
        "it was denied", "it was interrupted", "it failed",
        "the transcript has no result: it was interrupted, or still runs",
    ]  # fmt: skip
    assert found.after_end == 1


INPUTS = Path(__file__).parent / "identity"


def made_up(project: Project) -> list[Any]:
    return [event for event in events(project) if event.get("metadata", {}).get("reconstructed")]


def test_calls_that_no_hook_tells_of_are_no_gaps_and_nothing_is_invented(project: Project) -> None:
    """What the model's server runs by itself, and what only speaks to the client."""
    for path in sorted((INPUTS / "server_tools").iterdir()):
        tool = "codex" if path.name.startswith("rollout") else "claude-code"
        Sync(project, Settings(), None).run(path, tool)
    ids = anyio.run(sessions_of, project)
    assert len(ids) == 2
    for session in ids:
        assert of(project, session).incomplete == []
        assert anyio.run(backfill, project, session) == 0
    assert sorted(call.name for id in ids for call in of(project, id).calls) == [
        "advisor", "update_plan", "web_search",
    ]  # fmt: skip
    assert {call.ending for id in ids for call in of(project, id).calls} == {"done"}
    assert made_up(project) == []


REJECTED = "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if"
NO_TOOL = "<tool_use_error>Error: No such tool available: Glob</tool_use_error>"


def claude_session(project: Project, texts: dict[str, str], failed: bool = True) -> None:
    blocks = [{"type": "tool_use", "id": id, "name": "Bash", "input": {"command": id}}
              for id in texts]  # fmt: skip
    lines: list[Any] = [{"type": "assistant", "uuid": "1", "sessionId": "s",
                         "timestamp": "2026-11-21T01:00:00Z",
                         "message": {"id": "m", "content": blocks}}]  # fmt: skip
    lines += [
        {"type": "user", "uuid": id, "sessionId": "s", "timestamp": "2099-11-21T01:00:09Z",
         "message": {"content": [{"type": "tool_result", "tool_use_id": id, "content": text,
                                  "is_error": failed}]}}
        for id, text in texts.items()
    ]  # fmt: skip
    path = project.root / "t.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    Sync(project, Settings(), None).run(path, "claude-code")


def send(project: Project, name: str, **fields: Any) -> None:
    payload = {"session_id": "s", "hook_event_name": name, "tool_name": "Bash"} | fields
    Spool(project).accept("claude-code", json.dumps(payload).encode())


def test_denied_interrupted_refused_and_failed_are_told_apart(project: Project) -> None:
    texts = {
        "denied": REJECTED, "stopped": REJECTED, "rule": "Permission to use Bash has been denied.",
        "escaped": "[Request interrupted by user for tool use]", "unknown": NO_TOOL,
        "broken": "Exit code 1", "says so": "grep: permission denied, interrupted, rejected",
    }  # fmt: skip
    claude_session(project, texts)
    for id in texts:
        if id != "unknown":
            send(project, "PreToolUse", tool_use_id=id, tool_input={"command": id})
    for id in ("broken", "says so"):
        send(project, "PostToolUseFailure", tool_use_id=id, error=texts[id])
    send(project, "PermissionRequest", tool_input={"command": "denied"})
    drain(project)
    found = of(project, "s")
    assert {call.tool_use_id: call.ending for call in found.calls} == {
        "denied": "denied", "stopped": "interrupted", "rule": "denied", "escaped": "interrupted",
        "unknown": "invalid", "broken": "failed", "says so": "failed",
    }  # fmt: skip
    assert found.endings == {"denied": 2, "interrupted": 2, "invalid": 1, "failed": 2}
    assert found.incomplete == []
    assert anyio.run(backfill, project, "s") == 0


def test_a_command_that_succeeded_is_done_whatever_it_wrote(project: Project) -> None:
    claude_session(project, {"a": REJECTED, "b": NO_TOOL}, failed=False)
    assert of(project, "s").endings == {"done": 2}


def test_of_a_call_that_was_denied_no_end_is_made_up(project: Project) -> None:
    claude_session(project, {"a": REJECTED, "b": "Exit code 1", "c": NO_TOOL})
    assert anyio.run(backfill, project, "s") == 3
    assert sorted((e["tool_use_id"], e["hook_event_name"]) for e in made_up(project)) == [
        ("a", "PreToolUse"), ("b", "PostToolUseFailure"), ("b", "PreToolUse"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("tool", "output", "status", "ending"),
    [
        ("codex", "Wall time: 1.8 seconds\naborted by user", None, "interrupted"),
        ("codex", "exec command rejected by user", None, "denied"),
        ("codex", "anything", "declined", "denied"),
        ("codex", "apply_patch verification failed: no file", None, "refused"),
        ("codex", "unsupported call: x", None, "invalid"),
        ("codex", "Chunk ID: 1\nProcess exited with code 1\nOutput:\naborted by user", None,
         "failed"),
        ("gemini-cli", [{"functionResponse": {"response": {
            "error": "[Operation Cancelled] Reason: User denied execution."}}}], "cancelled",
         "denied"),
        ("gemini-cli", [{"functionResponse": {"response": {"error": "stopped"}}}], "cancelled",
         "interrupted"),
        ("gemini-cli", {"error": 'Tool "x" not found.'}, "error", "invalid"),
        ("gemini-cli", {"error": "Could not find an exact match"}, "error", "failed"),
        ("cline", '{"error":"Tool \\"run_commands\\" requires approval in a TTY session"}', None,
         "denied"),
        ("cline", '{"error":"Tool call x was rejected before execution: why"}', None, "invalid"),
        ("cline", '{"error":"oops"}', None, "failed"),
        ("cline", [{"query": "q", "error": "Command failed: Command was aborted"}], None,
         "interrupted"),
        ("claude-code", None, None, "failed"),
        ("claude-code", [{"type": "text", "text": REJECTED}], None, "denied"),
    ],
)  # fmt: skip
def test_how_a_call_ended(tool: str, output: Any, status: Any, ending: str) -> None:
    assert ending_of(tool, {"output": output, "is_error": True}, status) == ending
    assert ending_of(tool, {"output": output, "is_error": False}) == "done"
    assert ending_of(tool, None) == "unknown"
