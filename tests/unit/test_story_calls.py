"""Prompts and tool calls of a story: every one that an event or a transcript tells of, once."""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest

from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.cli.root import run
from khive_persist.models.event_types import POST, PRE
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions.read import Session, read_session
from khive_persist.sessions.timeline.build import build_timeline
from khive_persist.sessions.timeline.entry import Entry
from khive_persist.sessions.timeline.labels import short_duration
from tests.factories import make_project
from tests.payloads import sample_payloads
from tests.transcripts.test_counts import synced
from tests.unit.test_story import call, event, message, result, told


def tools(entries: list[Entry]) -> list[tuple[str, tuple[str, ...]]]:
    return [(entry.title, entry.lines) for entry in entries if entry.kind == "tool"]


def prompts(entries: list[Entry]) -> list[str]:
    return [entry.title for entry in entries if entry.kind == "prompt"]


def begun(at: int, use_id: str | None, name: str = "Bash", **asked: Any) -> Any:
    fields = {} if use_id is None else {"tool_use_id": use_id}
    return event(at, "pre_command", tool_name=name, payload={"tool_input": asked}, **fields)


def ended(at: int, use_id: str | None, output: str, name: str = "Bash", **more: Any) -> Any:
    asked = more.pop("asked", None)
    fields: dict[str, Any] = {} if use_id is None else {"tool_use_id": use_id}
    fields |= {"payload": {} if asked is None else {"tool_input": asked}, "success": True, **more}
    return event(at, "post_command", tool_name=name, output=output, **fields)


def prompt(at: int, text: str, **fields: Any) -> Any:
    return event(at, "prompt_submitted", payload={"prompt": text}, **fields)


def test_a_transcript_that_has_little_hides_nothing_of_the_events() -> None:
    entries = told(
        messages=[message(0, "assistant", text="hello")],
        events=[
            prompt(1, "first prompt"),
            begun(2, "t1", command="ls"),
            ended(3, "t1", "x"),
            ended(4, "t2", "gone", asked={"command": "rm -rf build"}),
            prompt(5, "second prompt"),
        ],
    )
    assert prompts(entries) == ["first prompt", "second prompt"]
    assert tools(entries) == [("Bash ls", ("x",)), ("Bash rm -rf build", ("gone",))]


def test_a_prompt_that_a_transcript_has_is_told_once_and_the_others_too() -> None:
    wrapped = "<context>now</context>\nwrapped prompt"
    entries = told(
        messages=[
            message(0, "user", text="same"),
            message(10, "user", text="same"),
            message(20, "user", text="<command-name>/review</command-name>\n"
                                     "<command-args>all</command-args>", kind="command"),
            message(30, "user", text="another wording", turn_id="p4"),
            message(40, "user", text=wrapped),
        ],
        events=[
            prompt(0, "same"),
            prompt(10, "same\n"),
            prompt(15, "same"),
            prompt(20, "/review all"),
            prompt(30, "as it was typed", prompt_id="p4"),
            prompt(40, "wrapped prompt"),
            prompt(500, "prompt"),
            event(600, "prompt_submitted", payload={"head": "…"}),
        ],
    )  # fmt: skip
    assert prompts(entries) == [
        "same", "same", "same", "another wording", "<context>now</context>", "prompt",
        "(the text of this prompt was not kept)",
    ]  # fmt: skip
    assert "command /review all" in [entry.title for entry in entries]


def test_calls_without_ids_are_known_by_name_and_input() -> None:
    gemini: dict[str, Any] = {"tool": "gemini-cli"}
    entries = told(
        messages=[
            message(0, "assistant", **gemini, **call("a", "read_file", path="/x")),
            message(1, "assistant", **gemini, **call("b", "read_file", path="/rel")),
            message(2, "tool", **gemini, **result("a", "ok")),
        ],
        events=[
            begun(0, None, "read_file", path="/abs/rel"),
            begun(0, None, "read_file", path="/x"),
            ended(1, None, "of b", "read_file", asked={"path": "/abs/rel"}, duration_ms=40),
            ended(2, None, "ok", "read_file", asked={"path": "/x"}),
            begun(3, None, "glob", pattern="*"),
            begun(4, None, "glob", pattern="*"),
            ended(5, None, "one", "glob", asked={"pattern": "*"}),
            ended(6, None, "alone", "ls", asked={"path": "/"}),
        ],
    )
    assert tools(entries) == [
        ("read_file /x", ("ok",)),
        ("read_file /rel", ("of b",)),
        ("glob *", ("one",)),
        ("glob *  (no result)", ()),
        ("ls /", ("alone",)),
    ]
    took = [entry.duration_ms for entry in entries]
    assert took == [2000, 40, 2000, None, None]


def test_an_end_without_its_beginning_is_told() -> None:
    entries = told(
        messages=[message(3, "tool", **result("t9", "late", is_error=True), agent_id="a")],
        events=[ended(1, "t1", "out", success=False, error="broken")],
    )
    assert [(e.title, e.lines, e.is_failed, e.agent_id) for e in entries] == [
        ("Bash", ("broken",), True, None),
        ("the end of a call whose beginning is not known", ("late",), True, "a"),
    ]


def test_what_is_recorded_twice_is_told_once() -> None:
    twice = [begun(1, "t1", command="make"), ended(2, "t1", "ok")]
    entries = told(
        messages=[
            message(0, "assistant", **call("m", command="x")),
            message(0, "assistant", **call("m", command="x")),
            # Clients there are that begin their ids anew with each answer.
            message(5, "assistant", **call("m", command="y")),
        ],
        events=sorted([*twice, *twice], key=lambda one: one.created_at),
    )
    assert tools(entries) == [
        ("Bash x  (no result)", ()),
        ("Bash make", ("ok",)),
        ("Bash y  (no result)", ()),
    ]


def test_either_of_the_two_completes_the_other() -> None:
    entries = told(
        messages=[
            message(0, "assistant", agent_id="a", **call("t1", command="one")),
            message(3, "tool", **result("t2", "from the transcript")),
        ],
        events=[
            ended(1, "t1", "from the event", duration_ms=7),
            begun(2, "t2", command="two"),
        ],
    )
    assert [(e.title, e.lines, e.agent_id, e.duration_ms) for e in entries] == [
        ("Bash one", ("from the event",), "a", 7),
        ("Bash two", ("from the transcript",), None, 1000),
    ]


def test_a_call_says_how_long_it_took() -> None:
    late = (datetime(2026, 11, 21, 12, 0, 9, tzinfo=UTC)).isoformat()
    asked = {"tool_use_id": "t2", "name": "Bash", "input": {}, "result": "x", "ended_at": late}
    entries = told(
        messages=[
            message(0, "assistant", **call("t1")),
            message(4, "tool", **result("t1", "")),
            message(5, "assistant", tool_calls=[asked]),
        ],
        events=[begun(6, "t3"), ended(8, "t3", ""), begun(9, "t4")],
    )
    assert [entry.duration_ms for entry in entries] == [4000, 4000, 2000, None]
    assert [short_duration(ms) for ms in (0.4, 999, 1200, 59_900, 184_000)] == [
        "0ms", "999ms", "1.2s", "59.9s", "3m 4s"
    ]  # fmt: skip


def test_agents_of_events_are_told_and_indented() -> None:
    entries = told(
        events=[
            begun(0, "t1", command="top"),
            event(1, "subagent_start", agent_id="a"),
            event(2, "pre_command", tool_use_id="t2", tool_name="Bash", agent_id="a",
                  payload={"tool_input": {"command": "deep"}}),
            event(3, "notification", agent_id="a", output="said"),
        ]
    )  # fmt: skip
    assert [(entry.agent_id, entry.depth) for entry in entries] == [
        (None, 0), ("a", 1), ("a", 1), ("a", 1)
    ]  # fmt: skip


def test_a_call_that_only_its_batch_tells_of_is_told() -> None:
    refused = {"tool_name": "Nope", "tool_input": {"x": 1}, "tool_use_id": "t2",
               "tool_response": "<tool_use_error>Error: No such tool"}  # fmt: skip
    known = {"tool_name": "Bash", "tool_input": {"command": "ls"}, "tool_use_id": "t1"}
    entries = told(
        events=[
            begun(0, "t1", command="ls"),
            ended(1, "t1", "x"),
            event(2, "post_tool_batch", payload={"tool_calls": [known, refused]}),
        ]
    )
    assert [(e.title, e.lines, e.is_failed) for e in entries] == [
        ("Bash ls", ("x",), False),
        ("Nope", ("[x=1]", "<tool_use_error>Error: No such tool"), True),
    ]


def test_a_beginning_that_a_transcript_completed_says_how_it_ended() -> None:
    one = event(0, "pre_command", tool_use_id="t1", tool_name="Bash", success=False,
                error="Exit code: 2", duration_ms=5, metadata={"has_no_end_event": True},
                payload={"tool_input": {"command": "false"}})  # fmt: skip
    (entry,) = told(events=[one])
    assert (entry.title, entry.lines, entry.is_failed, entry.duration_ms) == (
        "Bash false", ("Exit code: 2",), True, 5
    )  # fmt: skip


def test_all_that_a_tool_was_asked_is_told() -> None:
    asked = {"query": "a\nb", "depth": 2, "tags": ["x"], "dry_run": False, "note": ""}
    entries = told(
        messages=[
            message(0, "assistant", **call("t1", "mcp__db__find", **asked)),
            message(1, "assistant", **call("t2", "Grep", pattern="x", path="/p", glob="*.py")),
            message(2, "assistant", **call("t3", "Edit", file_path="/f", old_string="a",
                                           new_string="b")),
            message(3, "assistant", **call("t4", "Long", text="x" * 600)),
        ]
    )  # fmt: skip
    assert tools(entries) == [
        ("mcp__db__find  (no result)", ('[query=a b depth=2 tags=["x"]]',)),
        ("Grep /p  (no result)", ("[pattern=x glob=*.py]",)),
        ("Edit /f  (no result)", ("@@ -1 +1 @@", "-a", "+b")),
        ("Long  (no result)", ("[text=" + "x" * 495 + "… 105 more characters]",)),
    ]


def tell_sessions(project: Project, tool: str) -> dict[str, tuple[Session, list[Entry]]]:
    ids = {json.loads(payload)["session_id"] for payload in sample_payloads(tool)}
    sessions = {id: anyio.run(read_session, project.root, id) for id in sorted(ids)}
    return {id: (one, build_timeline(one, PriceTable())) for id, one in sessions.items()}


@pytest.mark.parametrize("tool", ["claude-code", "codex", "gemini-cli"])
def test_real_sessions_have_every_prompt_and_call_of_both_sources_once(
    tmp_path_factory: pytest.TempPathFactory, tool: str
) -> None:
    stories = []
    for has_events, has_messages in ((True, False), (False, True), (True, True)):
        project = make_project(tmp_path_factory.mktemp("sources"))
        if has_events:
            spool = Spool(project)
            for payload in sample_payloads(tool):
                spool.accept(tool, payload)
            drain(project)
        if has_messages:
            synced(project, tool)
        stories.append(tell_sessions(project, tool))
    events, messages, both = stories
    has_common = False
    for id, (session, entries) in both.items():
        of_events, of_messages = (Counter(prompts(one[id][1])) for one in (events, messages))
        assert Counter(prompts(entries)) == of_events | of_messages
        contents: list[Any] = [one.content for one in session.events]
        use_ids = {c.get("tool_use_id") for c in contents if c["event_type"] in (*PRE, *POST)}
        contents = [one.content for one in session.messages]
        asked = {c["tool_use_id"] for one in contents for c in one.get("tool_calls", ())}
        has_common |= bool(asked) and bool(use_ids)
        calls = len(tools(entries))
        if None in use_ids:
            assert calls == max(len(tools(events[id][1])), len(asked))
        else:
            batches = {
                c["tool_use_id"]
                for one in session.events
                if one.content["event_type"] == "post_tool_batch"
                for c in one.content["payload"]["tool_calls"]
            }
            assert calls == len(use_ids | asked | batches)
    assert has_common


def test_durations_are_shown(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    for payload in (
        {"session_id": "s1", "hook_event_name": "PostToolUse", "tool_name": "Bash",
         "tool_input": {"command": "ls"}, "tool_use_id": "t1", "tool_response": "x",
         "duration_ms": 1234},
    ):  # fmt: skip
        Spool(project).accept("claude-code", json.dumps(payload).encode())
    assert run(["--dir", str(project.root), "show", "s1"]) == 0
    assert "Bash ls  1.2s" in capfd.readouterr().out
