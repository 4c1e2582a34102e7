"""A session as one story: what is told, in which order, once, and how deep."""

from datetime import UTC, datetime, timedelta
from typing import Any

from khive_persist.models.focus_chain import FocusChain
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.message import Message
from khive_persist.models.planner_session import PlannerSession
from khive_persist.prices import PriceTable
from khive_persist.sessions.read import Session
from khive_persist.sessions.timeline.build import build_timeline
from khive_persist.sessions.timeline.entry import Entry
from khive_persist.sessions.timeline.labels import duration
from khive_persist.sessions.timeline.tool_call import diff
from tests import factories

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PRICES = PriceTable(["m input=1 output=2"])


def message(at: int, role: str, **fields: Any) -> Message:
    return factories.message("s", at / 60, **{"role": role, "kind": "message", **fields})


def event(at: int, event_type: str, **fields: Any) -> HookEvent:
    return factories.event(event_type, at=at / 60, **{"session_id": "s", **fields})


def told(**session: Any) -> list[Entry]:
    return build_timeline(Session(**session), PRICES)


def call(use_id: str, name: str = "Bash", **asked: Any) -> dict[str, Any]:
    return {"tool_calls": [{"tool_use_id": use_id, "name": name, "input": asked}]}


def result(use_id: str, output: Any, *, is_error: bool = False) -> dict[str, Any]:
    one = {"tool_use_id": use_id, "output": output, "is_error": is_error}
    return {"tool_results": [one]}


def test_a_call_and_its_result_are_one_entry_and_its_events_add_nothing() -> None:
    entries = told(
        messages=[
            message(0, "user", text="do it\nplease"),
            message(1, "assistant", text="I will", **call("t1", command="make")),
            message(2, "tool", **result("t1", "ok\nfine")),
        ],
        events=[
            event(1, "pre_command", tool_use_id="t1"),
            event(2, "post_command", tool_use_id="t1"),
            event(0, "prompt_submitted"),
            event(3, "stop"),
        ],
    )
    assert [(e.kind, e.title, e.lines) for e in entries] == [
        ("prompt", "do it", ("please",)),
        ("message", "I will", ()),
        ("tool", "Bash make", ("ok", "fine")),
    ]


def test_without_a_transcript_events_tell() -> None:
    entries = told(
        events=[
            event(0, "prompt_submitted", payload={"prompt": "do it"}),
            event(1, "pre_command", tool_use_id="t1", tool_name="Bash",
                  payload={"tool_input": {"command": "make"}}),
            event(2, "post_command", tool_use_id="t1", success=False, error="broken"),
            event(3, "post_command", tool_name="run_shell_command", success=True, output="done",
                  payload={"tool_input": {"command": "ls"}}),
        ]
    )  # fmt: skip
    assert [(e.kind, e.title, e.lines, e.is_failed) for e in entries] == [
        ("prompt", "do it", (), False),
        ("tool", "Bash make", ("broken",), True),
        ("tool", "run_shell_command ls", ("done",), False),
    ]


def test_failures_of_all_tools_are_seen() -> None:
    # What a command wrote is no failure: the reader of the transcript says which one is.
    outputs = [("x", True), ("Process exited with code 2\nOutput:\nx", False),
               ("Process exited with code 0\nx", False)]  # fmt: skip
    messages = []
    for number, (output, is_error) in enumerate(outputs):
        messages.append(message(number, "assistant", **call(f"t{number}")))
        messages.append(message(number, "tool", **result(f"t{number}", output, is_error=is_error)))
    assert [entry.is_failed for entry in told(messages=messages)] == [True, False, False]
    (lost,) = told(messages=[message(0, "assistant", **call("t9", command="sleep"))])
    assert lost.title == "Bash sleep  (no result)"


def test_tokens_and_costs_run_and_an_unknown_price_is_none() -> None:
    used = {"model": "m", "tokens": {"input": 10**6, "output": 10**6, "reasoning": 5}}
    entries = told(
        messages=[
            message(0, "assistant", text="a", model="?", tokens={"output": 3}),
            message(1, "assistant", text="b", **used),
            message(2, "assistant", **used),
            message(3, "user", text="c"),
        ]
    )
    assert [(e.tokens, e.cost) for e in entries] == [
        (3, None), (2_000_003, 3.0), (4_000_003, 6.0), (4_000_003, 6.0)
    ]  # fmt: skip


def test_subagents_are_indented_to_any_depth() -> None:
    entries = told(
        messages=[
            message(0, "assistant", text="top"),
            message(1, "assistant", text="c", agent_id="c", parent_agent_id="b"),
            message(2, "assistant", text="a", agent_id="a"),
            message(3, "assistant", text="b", agent_id="b", parent_agent_id="a"),
        ]
    )
    assert {entry.title: entry.depth for entry in entries} == {"top": 0, "a": 1, "b": 2, "c": 3}


def test_agents_that_are_each_other_s_parents_end() -> None:
    entries = told(
        messages=[
            message(0, "assistant", text="a", agent_id="a", parent_agent_id="b"),
            message(1, "assistant", text="b", agent_id="b", parent_agent_id="a"),
        ]
    )
    assert len(entries) == 2


def test_plans_to_dos_gaps_and_thinking() -> None:
    plan = PlannerSession(
        content={"session_id": "s", "task_description": "task", "confidence": 0.5}, created_at=NOON
    )
    focus = FocusChain.model_validate({
        "content": {"session_id": "s", "items": [], "added": ["one"], "completed": ["two"]},
        "created_at": NOON + timedelta(seconds=1),
    })  # fmt: skip
    messages = [message(3_600, "assistant", text="late", thinking="hm")]
    session = Session(plans=[plan], focus_chains=[focus], messages=messages)
    assert [(e.kind, e.title) for e in build_timeline(session, PRICES)] == [
        ("plan", "task"), ("focus", "to-dos"), ("gap", "nothing for 59m 59s"), ("message", "late"),
    ]  # fmt: skip
    assert "thinking" in [entry.kind for entry in build_timeline(session, PRICES, thinking=True)]


def test_edits_are_diffs() -> None:
    assert diff({"old_string": "a\nb", "new_string": "a\nc"}) == [
        "@@ -1,2 +1,2 @@",
        " a",
        "-b",
        "+c",
    ]
    assert diff({"edits": [{"old_string": "a", "new_string": "b"}]})[1:] == ["-a", "+b"]
    assert diff({"input": "*** Begin Patch\n+x"}) == ["*** Begin Patch", "+x"]
    assert diff({"file_path": "/f", "content": "x\ny"}) == ["+x", "+y"]
    for odd in ({}, {"edits": [None, 5]}, {"content": 5}, {"old_string": 1, "new_string": "x"}):
        assert diff(odd) == []


def test_durations() -> None:
    seconds = [0, 12, 184, 7_500, 90_000]
    assert [duration(timedelta(seconds=s)) for s in seconds] == [
        "0s", "12s", "3m 4s", "2h 5m", "1d 1h"
    ]  # fmt: skip


def test_an_output_of_events_is_told_from_the_payload_and_not_from_its_preview() -> None:
    lines = [f"line {number} of the output" for number in range(20)]
    text = "\n".join(lines)
    asked = {"tool_use_id": "t1", "tool_name": "Bash", "tool": "claude-code"}
    payload = {
        "hook_event_name": "PostToolUse",
        "tool_name": "Bash",
        "tool_response": {"stdout": text, "stderr": ""},
    }
    said = {"hook_event_name": "Notification", "message": text}
    entries = told(
        events=[
            event(1, "pre_command", **asked, payload={"tool_input": {"command": "make"}}),
            event(2, "post_command", **asked, success=True, output=text[:200], payload=payload),
            event(3, "notification", tool="claude-code", output=text[:200], payload=said),
        ]
    )
    assert entries[0].lines == (*lines[:12], "… 8 more lines")
    assert entries[1].title == "notification: " + " ".join(lines)


def test_what_was_denied_or_interrupted_says_so_and_what_a_command_wrote_does_not() -> None:
    denied = "The user doesn't want to proceed with this tool use."
    outputs = {"a": denied, "b": "[Request interrupted by user for tool use]", "c": "Exit code 1"}
    messages = [message(0, "assistant", **call(id, command=id)) for id in [*outputs, "d"]]
    messages += [message(1, "tool", **result(id, o, is_error=True)) for id, o in outputs.items()]
    messages.append(message(1, "tool", **result("d", denied)))
    assert [(e.title, e.is_failed) for e in told(messages=messages)] == [
        ("Bash a  (denied)", True), ("Bash b  (interrupted)", True), ("Bash c", True),
        ("Bash d", False),
    ]  # fmt: skip


def test_what_the_client_says_in_the_users_name_is_no_prompt() -> None:
    messages = [
        message(0, "user", text="do it"),
        message(1, "user", text="<command-name>/exit</command-name>", kind="command"),
        message(2, "user", text="<local-command-stdout>", kind="command_output"),
        message(3, "user", text="<task-notification>", kind="task_notification"),
        message(4, "user", text="[Request interrupted by user]", kind="interruption"),
        message(5, "none", kind="brand-new", payload={"text": "x"}),
    ]
    assert [(e.kind, e.title) for e in told(messages=messages)] == [
        ("prompt", "do it"), ("event", "command /exit"), ("event", "the user interrupted"),
    ]  # fmt: skip
