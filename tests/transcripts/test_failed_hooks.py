"""What a transcript says of hooks that failed: counted against the events, and written anew."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.cli.root import run
from khive_persist.copies import mirrored
from khive_persist.mirror.verify import compared
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.transcripts.reconciliation import Account, account, backfill
from khive_persist.transcripts.sync import Sync

SESSION = "s-http"
REFUSED = {"stderr": "connect ECONNREFUSED 127.0.0.1:8423", "stdout": "", "exitCode": 0}


class Transcript:
    """A session as Claude Code writes it: each line comes a tenth of a second later."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def add(self, type: str, **fields: Any) -> None:
        second, tenth = divmod(len(self.lines), 10)
        line = {
            "type": type,
            "uuid": f"u{len(self.lines)}",
            "sessionId": SESSION,
            "cwd": "/project",
            "timestamp": f"2026-11-21T18:12:{second:02}.{tenth}00Z",
        }
        self.lines.append(line | fields)

    def failed(self, event: str, subject: str = "hook-1", **fields: Any) -> None:
        told = {"type": "hook_non_blocking_error", "hookEvent": event, "toolUseID": subject}
        self.add("attachment", attachment=told | REFUSED | fields)

    def prompt(self, id: str, text: str) -> None:
        self.add("user", promptId=id, message={"content": text})

    def said(self, id: str, *blocks: dict[str, Any]) -> None:
        self.add("assistant", message={"id": id, "content": list(blocks)})

    def result(self, id: str, prompt_id: str) -> None:
        block = {"type": "tool_result", "tool_use_id": id, "content": f"out {id}"}
        self.add("user", promptId=prompt_id, message={"content": [block]})


def call(id: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": "Bash", "input": {"command": f"echo {id}"}}


@pytest.fixture
def outage(project: Project) -> Project:
    """A first turn that was recorded, and a second in which no server answered."""
    told = Transcript()
    told.prompt("p1", "first")
    told.said("m1", {"type": "text", "text": "It runs."}, call("a"))
    told.result("a", "p1")
    told.said("m2", {"type": "text", "text": "First done."})
    told.prompt("p2", "second")
    told.failed("UserPromptSubmit")
    told.said("m3", {"type": "text", "text": "Two at once."}, call("b"), call("c"))
    for id in "bc":
        told.failed("PreToolUse", id)
    for id in "bc":
        told.result(id, "p2")
        told.failed("PostToolUse", id)
    told.failed("PostToolBatch")
    told.said("m4", {"type": "text", "text": "Second done."})
    told.failed("Stop")
    synced(project, told)
    send(project, "SessionStart")
    send(project, "UserPromptSubmit", prompt_id="p1")
    for name in ("PreToolUse", "PostToolUse"):
        send(project, name, prompt_id="p1", tool_use_id="a", tool_name="Bash")
    send(project, "PostToolBatch", prompt_id="p1", tool_calls=[{"tool_use_id": "a"}])
    send(project, "Stop", prompt_id="p1")
    send(project, "SessionEnd")
    return project


def synced(project: Project, told: Transcript) -> None:
    Sync(project, Settings(), None).run(write(project, told), "claude-code")


def write(project: Project, told: Transcript) -> Path:
    path = project.root / "transcript.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in told.lines))
    return path


def send(project: Project, name: str, **fields: Any) -> None:
    payload = {"session_id": SESSION, "hook_event_name": name} | fields
    Spool(project).accept("claude-code", json.dumps(payload).encode())
    drain(project)


def of(project: Project) -> Account:
    return anyio.run(account, project, SESSION)


def events(project: Project) -> dict[tuple[str, bool], list[dict[str, Any]]]:
    """The payloads by the event's name, and whether it was reconstructed."""
    found: dict[tuple[str, bool], list[dict[str, Any]]] = {}
    with closing(sqlite3.connect(project.database("claude_hooks.db"))) as connection:
        rows = connection.execute("SELECT content FROM hook_events ORDER BY created_at").fetchall()
    for content in (json.loads(text) for (text,) in rows):
        made = content.get("metadata", {}).get("reconstructed", False)
        key = content["payload"]["hook_event_name"], made
        found.setdefault(key, []).append(content["payload"])
    return found


def test_hooks_that_failed_are_counted(outage: Project) -> None:
    found = of(outage)
    assert found.failed_hooks == 7
    assert [one.event for one in found.lost] == [
        "UserPromptSubmit", "PreToolUse", "PreToolUse", "PostToolUse", "PostToolUse",
        "PostToolBatch", "Stop",
    ]  # fmt: skip
    assert {one.reason for one in found.lost} == {REFUSED["stderr"]}
    assert [call.tool_use_id for call in found.incomplete] == ["b", "c"]


def test_all_that_failed_comes_back(outage: Project) -> None:
    assert anyio.run(backfill, outage, SESSION) == 7
    found = of(outage)
    assert (found.failed_hooks, found.lost, found.incomplete) == (7, [], [])
    made = {name: payloads for (name, is_made), payloads in events(outage).items() if is_made}
    assert {name: len(payloads) for name, payloads in made.items()} == {
        "UserPromptSubmit": 1, "PreToolUse": 2, "PostToolUse": 2, "PostToolBatch": 1, "Stop": 1,
    }  # fmt: skip
    common = {"session_id": SESSION, "cwd": "/project", "prompt_id": "p2"}
    (prompt,), (stop,), (batch,) = (
        made[name] for name in ("UserPromptSubmit", "Stop", "PostToolBatch")
    )
    assert (prompt["prompt"], stop["last_assistant_message"]) == ("second", "Second done.")
    assert common.items() <= prompt.items()
    assert common.items() <= stop.items()
    assert batch["tool_calls"] == [
        {
            "tool_name": "Bash",
            "tool_input": {"command": f"echo {id}"},
            "tool_use_id": id,
            "tool_response": f"out {id}",
        }
        for id in "bc"
    ]
    with compared(outage, mirrored(outage)) as comparison:
        assert comparison.is_equal


def test_the_sync_that_reads_of_a_failure_brings_its_event_back(project: Project) -> None:
    told = Transcript()
    told.prompt("p1", "hello")
    told.failed("UserPromptSubmit")
    told.said("m1", call("a"))
    told.result("a", "p1")
    path = write(project, told)
    send(project, "SessionEnd")
    assert run(["--dir", str(project.root), "sync", str(path)]) == 0
    assert [name for name, is_made in events(project) if is_made] == [
        "UserPromptSubmit", "PreToolUse", "PostToolUse",
    ]  # fmt: skip


def test_a_sync_makes_no_event_where_none_was_lost(project: Project) -> None:
    told = Transcript()
    told.prompt("p1", "hello")
    told.failed("UserPromptSubmit")
    told.said("m1", call("a"))
    told.result("a", "p1")
    send(project, "UserPromptSubmit", prompt_id="p1")
    assert run(["--dir", str(project.root), "sync", str(write(project, told))]) == 0
    assert list(events(project)) == [("UserPromptSubmit", False)]


def test_again_nothing_is_written(outage: Project) -> None:
    anyio.run(backfill, outage, SESSION)
    before = events(outage)
    assert anyio.run(backfill, outage, SESSION) == 0
    assert events(outage) == before


def test_an_event_that_came_after_all_takes_the_project(outage: Project) -> None:
    """As one that the server had stored before its answer was lost."""
    anyio.run(backfill, outage, SESSION)
    send(outage, "UserPromptSubmit", prompt_id="p2")
    send(outage, "PostToolBatch", tool_calls=[{"tool_use_id": "b"}, {"tool_use_id": "c"}])
    anyio.run(backfill, outage, SESSION)
    found = events(outage)
    assert ("UserPromptSubmit", True) not in found
    assert ("PostToolBatch", True) not in found
    assert len(found["Stop", True]) == 1


def test_a_failure_of_anothers_hook_is_none_of_ours(project: Project) -> None:
    told = Transcript()
    told.prompt("p1", "hello")
    told.failed("UserPromptSubmit")
    told.failed("Stop", command="/opt/notify.sh", stderr="no such host")
    told.failed("SubagentStop")
    synced(project, told)
    send(project, "UserPromptSubmit", prompt_id="p1")
    found = of(project)
    # The first may have been ours, but its event is there.
    assert (found.failed_hooks, found.lost) == (1, [])


def test_a_command_of_ours_that_failed_counts_and_so_does_a_late_answer(project: Project) -> None:
    told = Transcript()
    told.prompt("p1", "hello")
    command = "/usr/bin/python3 -I -S /x/khive_persist/capture/hook.py --tool claude-code || exit 1"
    told.failed("UserPromptSubmit", command=command, stderr="no space left")
    late = {"type": "hook_cancelled", "hookEvent": "Stop", "toolUseID": "1", "timedOut": True}
    told.add("attachment", attachment=late)
    synced(project, told)
    assert [(one.event, one.reason) for one in of(project).lost] == [
        ("UserPromptSubmit", "no space left"), ("Stop", "it did not end in time"),
    ]  # fmt: skip


def test_what_subagents_say_is_not_taken_for_the_main_agents(project: Project) -> None:
    told = Transcript()
    told.prompt("p1", "hello")
    told.said("m1", {"type": "text", "text": "Mine."})
    told.add("assistant", agentId="x", isSidechain=True,
             message={"id": "m2", "content": [{"type": "text", "text": "Its own."}]})  # fmt: skip
    told.failed("Stop")
    synced(project, told)
    anyio.run(backfill, project, SESSION)
    ((stop,),) = [payloads for (name, _), payloads in events(project).items() if name == "Stop"]
    assert stop["last_assistant_message"] == "Mine."
