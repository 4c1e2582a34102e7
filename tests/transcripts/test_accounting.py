"""Every tool call of a transcript has its events: some that came, or some made of it."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import anyio
import pytest

from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.copies import mirrored
from khive_persist.mirror.verify import compared
from khive_persist.place import Place
from khive_persist.purposes import HOOK_EVENTS
from khive_persist.settings import Settings
from khive_persist.transcripts.accounting import Account, account, backfill, sessions_of
from khive_persist.transcripts.sync import Sync
from tests.payloads import sample_payloads
from tests.transcripts.test_counts import transcripts

CLAUDE = "949752ba-dbca-4cef-aed8-56a872909535"
TOOLS = ("claude-code", "codex", "gemini-cli")


@pytest.fixture
def synced(place: Place) -> Place:
    """The transcripts of all three tools, and some of the events that came with them."""
    spool = Spool(place)
    for tool in TOOLS:
        for payload in sample_payloads(tool):
            spool.accept(tool, payload)
        for path in transcripts(tool):
            Sync(place, Settings(), None).run(path, tool)
    drain(place)
    return place


def of(place: Place, session_id: str = CLAUDE) -> Account:
    return anyio.run(account, place, session_id)


def sessions(place: Place) -> list[str]:
    return anyio.run(sessions_of, place, [str(path) for t in TOOLS for path in transcripts(t)])


def events(place: Place) -> Iterator[Any]:
    for purpose in HOOK_EVENTS.values():
        with closing(sqlite3.connect(place.database(purpose.file))) as connection:
            rows = connection.execute("SELECT content FROM hook_events").fetchall()
            yield from (json.loads(content) for (content,) in rows)


def test_events_and_backfill_together_cover_every_call(synced: Place) -> None:
    assert len(sessions(synced)) == 9
    before = {session: of(synced, session) for session in sessions(synced)}
    assert sum(len(one.incomplete) for one in before.values()) > 10
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


def test_backfill_again_writes_nothing(synced: Place) -> None:
    assert anyio.run(backfill, synced, CLAUDE) > 0
    count = len(list(events(synced)))
    assert anyio.run(backfill, synced, CLAUDE) == 0
    assert len(list(events(synced))) == count


def test_a_reconstructed_event_goes_when_the_real_one_comes(synced: Place) -> None:
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


def test_what_is_reconstructed_says_what_a_real_event_says(synced: Place) -> None:
    anyio.run(backfill, synced, CLAUDE)
    made = [event for event in events(synced) if event.get("metadata", {}).get("reconstructed")]
    (command,) = [e for e in made if e.get("event_type") == "post_command" and e.get("success")][:1]
    assert command["tool"] == "claude-code"
    assert command["tool_use_id"]
    assert command["command"]
    assert command["payload"]["tool_response"]


def test_without_ids_calls_and_events_are_matched_by_name_and_input(place: Place) -> None:
    """As in Gemini CLI; two equal calls want two events."""
    path = place.root / "session-x.jsonl"
    call = {"name": "read_file", "args": {"file_path": "/a"}, "result": []}
    message = {"id": "m", "type": "gemini", "content": "", "timestamp": "2026-11-21T01:00:00Z"}
    document = message | {"toolCalls": [call | {"id": "1"}, call | {"id": "2"}]}
    header = {"sessionId": "s-1", "projectHash": "x"}
    path.write_text(json.dumps(header) + "\n" + json.dumps(document) + "\n")
    Sync(place, Settings(), None).run(path, "gemini-cli")
    event = {"session_id": "s-1", "tool_name": "read_file", "tool_input": {"file_path": "/a"}}
    for name in ("BeforeTool", "AfterTool"):
        payload = event | {"hook_event_name": name}
        Spool(place).accept("gemini-cli", json.dumps(payload).encode())
    drain(place)
    found = of(place, "s-1")
    assert [(c.has_pre, c.has_post) for c in found.calls] == [(True, True), (False, False)]


def test_reasons_and_events_after_the_end(place: Place) -> None:
    path = place.root / "t.jsonl"
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
    Sync(place, Settings(), None).run(path, "claude-code")
    for name in ("SessionEnd", "Notification"):
        payload = {"session_id": "s-2", "hook_event_name": name}
        Spool(place).accept("claude-code", json.dumps(payload).encode())
    drain(place)
    found = of(place, "s-2")
    assert [call.reason for call in found.calls] == [
        "it was denied", "it was interrupted", "it failed",
        "the transcript has no result: it was interrupted, or still runs",
    ]  # fmt: skip
    assert found.after_end == 1
