"""What pi 1.6.0 sent through the extension: 37 events of a session, and of one that went on."""

import json
from pathlib import Path
from typing import Any

import pytest

from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.project import Project
from khive_persist.tools import TOOLS
from tests import stored

LINES = Path(__file__).with_name("payloads.jsonl").read_bytes().splitlines()
PAYLOADS: list[dict[str, Any]] = [json.loads(line) for line in LINES]
SESSION = "01a2298d-9567-7313-ae49-2f187abe8775"
describe = TOOLS["pi"].describe


def of(event: str, tool: str = "", command: str = "") -> dict[str, Any]:
    """Return the fields of the one payload of an event, a tool and a command."""
    (payload,) = [
        payload
        for payload in PAYLOADS
        if payload["hook_event_name"] == event
        and tool in ("", payload["event"].get("toolName"))
        and command in json.dumps(payload["event"])
    ]
    return describe(payload)


def test_every_payload_is_stored_as_it_came(project: Project) -> None:
    for line in LINES:
        Spool(project).accept("pi", line)
    drain(project)
    contents = stored.contents(project, "agent_hooks.db").values()
    assert [content["payload"] for content in contents] == PAYLOADS
    assert {content["tool"] for content in contents} == {"pi"}
    assert {content["session_id"] for content in contents} == {SESSION}
    assert {content["cwd"] for content in contents} == {"/home/dev/src/proj"}


def test_events_have_our_words() -> None:
    types = {p["hook_event_name"]: describe(p)["event_type"] for p in PAYLOADS}
    assert types["session_start"] == "session_start"
    assert types["session_shutdown"] == "session_end"
    assert types["input"] == "prompt_submitted"
    assert types["agent_end"] == "stop"
    assert types["turn_start"] == "turn_start"


def test_a_command_that_failed_says_its_code() -> None:
    fields = of("tool_result", "bash", "exit 3")
    assert fields["event_type"] == "post_command"
    assert fields["command"] == "echo hi; exit 3"
    assert (fields["success"], fields["error"]) == (False, "Exit code: 3")
    assert fields["metadata"] == {"exit_code": 3}
    before = of("tool_execution_start", "bash", "exit 3")
    assert before["event_type"] == "pre_command"
    assert before["tool_use_id"] == fields["tool_use_id"]


def test_the_end_of_a_call_that_ran_is_no_second_end_of_it() -> None:
    fields = of("tool_execution_end", "bash", "code 3")
    assert fields["event_type"] == "tool_execution_end"
    assert fields["duration_ms"] > 0


def test_a_call_that_did_not_run_has_its_end_from_the_other_event() -> None:
    fields = of("tool_execution_end", "nosuch")
    assert fields["event_type"] == "post_tool_use"
    assert (fields["success"], fields["error"]) == (False, "Tool nosuch not found")


@pytest.mark.parametrize("tool", ["write", "edit"])
def test_an_edit_names_its_file(tool: str) -> None:
    fields = of("tool_result", tool)
    assert fields["event_type"] == "post_edit"
    assert fields["file_paths"] == ["/home/dev/src/proj/a b.txt"]
    assert fields["success"] is True


def test_what_the_agent_said_last_is_the_output() -> None:
    fields = of("agent_end")
    assert (fields["output"], fields["model"]) == ("All done.", "mock-model")


def test_an_aborted_run_says_so() -> None:
    message = {
        "role": "assistant",
        "content": [],
        "stopReason": "aborted",
        "errorMessage": "by user",
    }
    fields = describe({"hook_event_name": "agent_end", "event": {"messages": [message]}})
    assert (fields["success"], fields["error"]) == (False, "by user")
    assert fields["metadata"] == {"interrupted": True}


def test_an_event_made_of_a_transcript_has_the_same_words() -> None:
    fields = describe(
        {"hook_event_name": "tool_result", "tool_name": "bash", "tool_use_id": "c",
         "tool_input": {"command": "echo"}, "tool_response": "out"}
    )  # fmt: skip
    assert (fields["event_type"], fields["command"]) == ("post_command", "echo")
    assert (fields["output"], fields["tool_use_id"]) == ("out", "c")


@pytest.mark.parametrize("odd", [None, 1, "x", [], [1], {"content": 1}, {"isError": "x"}, True])
def test_odd_values_are_left_out(odd: object) -> None:
    for name in ("tool_result", "tool_execution_end", "agent_end", "turn_end", "user_bash"):
        describe({"hook_event_name": name, "event": odd})
        for key in ("result", "content", "message", "messages", "structuredContent", "input",
                    "args", "durationMs", "toolName", "toolCallId"):  # fmt: skip
            describe({"hook_event_name": name, "event": {key: odd}})
