"""`focus`: the history of a to-do list, for a person and for a program."""

import json
from pathlib import Path
from typing import Any

import pytest

from khive_persist.project import Project
from tests.cli.conftest import Khive
from tests.payloads import Hook
from tests.transcripts import to_do_lines
from tests.transcripts.to_do_lines import SAMPLES, claude, codex

CLAUDE = "949752ba-dbca-4cef-aed8-56a872909535"
GEMINI = "41f49510-b0a6-49f3-a9e9-6d268a96b5ba"
CODEX = "01a1fba8-5999-72e2-af3b-725dbe705173"


def rows(out: str) -> list[list[str]]:
    """The cells of each line; columns stand two spaces apart."""
    return [[cell.strip() for cell in line.split("  ") if cell] for line in out.splitlines()]


def task(use_id: str, at: str, **given: str) -> list[dict[str, Any]]:
    return claude(use_id, "TaskUpdate", given, at)


def new_task(number: int, at: str, subject: str) -> list[dict[str, Any]]:
    result = {"task": {"id": str(number), "subject": subject}}
    given = {"subject": subject}
    return claude(f"new {number}", "TaskCreate", given, at, result=result)


@pytest.fixture
def worked(project: Project, khive: Khive) -> None:
    """A session with two agents: two tasks of one, of which the first took 65 seconds."""
    documents = [
        *new_task(1, "12:00:00", "first"),
        *new_task(2, "12:00:01", "second\x1b[2J"),
        *claude("other", "TodoWrite", {"todos": [{"content": "of the other"}]}, "12:00:02",
                agent_id="a3950f7d282fa0dfb"),
        *task("u1", "12:00:05", taskId="1", status="in_progress"),
        *task("u2", "12:01:10", taskId="1", status="completed"),
        *task("u3", "12:01:11", taskId="2", status="in_progress"),
    ]  # fmt: skip
    path = project.root / "transcript.jsonl"
    path.write_text(to_do_lines.text(documents))
    assert khive("sync", str(path)).code == 0


def test_a_person_sees_what_changed_and_how_long_items_took(worked: None, khive: Khive) -> None:
    done = khive("focus", CLAUDE[:6])
    assert done.code == 0
    assert done.err == ""
    assert "\x1b" not in done.out
    session, _, _, *told = rows(done.out)
    assert session == [f"session {CLAUDE}"]
    end = told.index([])
    assert [row[1:] for row in told[:end]] == [
        ["main", "1", "added", "first"],
        ["main", "2", "added", "second\\x1b[2J"],
        ["main", "3", "started", "first"],
        ["main", "4", "completed", "first"],
        ["main", "5", "started", "second\\x1b[2J"],
        ["a3950f7d282fa0dfb", "1", "added", "of the other"],
    ]
    assert told[0][0] == "2026-11-21 12:00:00.000000"
    assert told[end + 2 :] == [
        ["main", "completed", "1 min 05 s", "first"],
        ["main", "in_progress", "since 2026-11-21 12:01:11.000000", "second\\x1b[2J"],
        ["a3950f7d282fa0dfb", "pending", "-", "of the other"],
    ]


def test_a_program_gets_one_document_or_lines(worked: None, khive: Khive) -> None:
    found = khive("focus", CLAUDE, "--json").json
    main, other = found["agents"]
    assert (found["session_id"], main["agent_id"]) == (CLAUDE, None)
    assert other["agent_id"] == "a3950f7d282fa0dfb"
    assert main["work"][0] == {
        "text": "first", "start": "2026-11-21 12:00:05.000000", "seconds": 65.0,
        "end": "2026-11-21 12:01:10.000000", "ended": "completed",
    }  # fmt: skip
    assert [item["seconds_in_progress"] for item in main["current"]] == [65.0, None]
    assert [one["content"]["position"] for one in main["history"]] == [1, 2, 3, 4, 5]
    lines = khive("focus", CLAUDE, "--jsonl").lines
    assert lines == [*main["history"], *other["history"]]
    with_work = khive("focus", CLAUDE, "--jsonl", "--events").lines
    assert [one for one in with_work if "content" in one] == lines
    assert [one["text"][:6] for one in with_work if "content" not in one] == ["first", "second"]


def test_one_agent_alone(worked: None, khive: Khive) -> None:
    for agent, ids in (("main", [None]), ("a39", ["a3950f7d282fa0dfb"])):
        found = khive("focus", CLAUDE, "--agent", agent, "--json").json
        assert [one["agent_id"] for one in found["agents"]] == ids
    done = khive("focus", CLAUDE, "--agent", "zz")
    assert (done.code, done.out) == (1, "")
    assert done.err.count("\n") == 1
    assert "main, a3950f7d282fa0dfb" in done.err


def test_the_events_of_an_item_are_those_while_it_was_in_progress(
    project: Project, khive: Khive, hook: Hook
) -> None:
    def sent(name: str, tool: str, given: Any, response: Any = None) -> None:
        payload = {
            "session_id": "s", "hook_event_name": name, "tool_name": tool, "tool_input": given,
            "tool_use_id": f"{tool} {given}",
        }  # fmt: skip
        if response is not None:
            payload["tool_response"] = response
        assert hook(json.dumps(payload).encode()).returncode == 0

    def todo(status: str) -> None:
        given = {"todos": [{"content": "build", "status": status}]}
        sent("PostToolUse", "TodoWrite", given, {"oldTodos": []})

    sent("PostToolUse", "Bash", {"command": "before"}, {"stdout": ""})
    todo("in_progress")
    sent("PreToolUse", "Bash", {"command": "make"})
    sent("PostToolUse", "Bash", {"command": "make"}, {"stdout": "ok"})
    sent("PostToolUse", "Edit", {"file_path": "/a.py"}, {"filePath": "/a.py"})
    sent("PreToolUse", "Bash", {"command": "never ended"})
    todo("completed")
    sent("PostToolUse", "Bash", {"command": "after"}, {"stdout": ""})
    ((agent),) = khive("focus", "s", "--events", "--json").json["agents"]
    (work,) = agent["work"]
    assert [(one["event_type"], one.get("command")) for one in work["events"]] == [
        ("post_command", "make"), ("post_edit", None), ("pre_command", "never ended"),
    ]  # fmt: skip
    assert work["events"][1]["file_paths"] == ["/a.py"]
    table = rows(khive("focus", "s", "--events").out)
    assert [row[4:] for row in table[-3:]] == [
        ["ok", "make"], ["ok", "/a.py"], ["-", "never ended"],
    ]  # fmt: skip
    assert {row[0] for row in table[-3:]} == {"build"}


def test_the_samples_of_the_three_tools(project: Project, khive: Khive, tmp_path: Path) -> None:
    path = tmp_path / "codex.jsonl"
    plan = [{"step": "look", "status": "in_progress"}]
    path.write_text(to_do_lines.text(codex(plan)))
    others = [str(SAMPLES / tool) for tool in ("claude-code", "gemini-cli")]
    assert khive("sync", *others, str(path)).code == 0
    for session, texts in ((CLAUDE, ["Do the thing"]), (GEMINI, ["a", "b"]), (CODEX, ["look"])):
        found = khive("focus", session, "--json").json
        assert [item["text"] for item in found["agents"][0]["current"]] == texts
    assert ["because", "because"] in [row[3:] for row in rows(khive("focus", CODEX).out)]


def test_a_session_that_is_not_there_is_one_line(worked: None, khive: Khive) -> None:
    done = khive("focus", "nobody")
    assert (done.code, done.out) == (1, "")
    assert done.err.count("\n") == 1
    assert "'nobody'" in done.err
    assert khive("focus").code == 2


def test_a_beginning_that_several_sessions_share_is_refused(
    project: Project, khive: Khive, hook: Hook
) -> None:
    for session in ("abc1", "abc2", "abc"):
        payload = {
            "session_id": session, "hook_event_name": "PostToolUse", "tool_name": "TodoWrite",
            "tool_input": {"todos": [{"content": session}]}, "tool_use_id": session,
        }  # fmt: skip
        assert hook(json.dumps(payload).encode()).returncode == 0
    done = khive("focus", "ab")
    assert done.code == 1
    assert "abc, abc1, abc2" in done.err
    assert khive("focus", "abc", "--json").json["session_id"] == "abc"
