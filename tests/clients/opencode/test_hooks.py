"""What OpenCode 1.18.33 sent through the plugin, as events."""

import json
from pathlib import Path
from typing import Any

import pytest

from khive_persist.capture.client_recognition import client_of, in_our_words
from khive_persist.tools import TOOLS

PAYLOADS = [
    json.loads(line) for line in Path(__file__).with_name("payloads.jsonl").read_text().splitlines()
]
SESSION = "ses_dd66b39e7ffeWHkKaNZWiJw1Tl"
AGENT = "ses_dd66a777effe3ZR1bjFQMNJtuv"


def described(payload: dict[str, Any]) -> dict[str, Any]:
    return TOOLS[payload["client"]].describe(in_our_words(payload))


def of_call(use_id: str) -> list[dict[str, Any]]:
    return [described(payload) for payload in PAYLOADS if payload.get("tool_use_id") == use_id]


def test_a_session_in_our_words() -> None:
    contents = [described(payload) for payload in PAYLOADS if payload["session_id"] == SESSION]
    assert [content["event_type"] for content in contents] == [
        "session_start", "prompt_submitted", "pre_command", "post_command", "message_updated",
        "pre_command", "post_command", "message_updated", "pre_command", "permission_denied",
        "message_updated", "pre_agent_spawn", "subagent_start", "subagent_prompt",
        "message_updated", "subagent_stop", "post_agent_spawn", "message_updated", "pre_tool_use",
        "todo_updated", "post_tool_use", "message_updated", "message_updated", "stop",
    ]  # fmt: skip
    assert {content["cwd"] for content in contents} == {"/home/dev/src/proj"}
    agents = [content for content in contents if "agent_id" in content]
    assert {content["agent_id"] for content in agents} == {AGENT}
    assert [content.get("agent_type") for content in agents] == ["general", None, "general", None]


def test_a_command_ends_as_its_exit_code_says() -> None:
    done, failed, denied = (of_call(f"call_{number}")[1] for number in (1, 2, 3))
    assert (done["command"], done["output"], done["success"]) == ("echo hello", "hello\n", True)
    assert (failed["success"], failed["metadata"]) == (False, {"exit_code": 3})
    assert denied["success"] is False
    assert denied["error"].startswith("The user has specified a rule which prevents you")


def test_a_call_names_the_agent_that_it_started() -> None:
    started = of_call("call_4")[1]
    assert started["metadata"] == {"spawned_agent_type": "general", "spawned_agent_id": AGENT}


def test_an_answer_has_its_tokens_and_cost() -> None:
    answers = [described(p) for p in PAYLOADS if p["hook_event_name"] == "message.updated"]
    tokens = [answer["metadata"]["tokens"].get("input") for answer in answers]
    assert tokens == [0, 900, 900, 900, 900, 900, 900, 900]
    assert answers[1]["metadata"]["cost"] == 0.0010121
    assert {answer["model"] for answer in answers} == {"mock-model"}


def test_a_turn_that_failed_says_why() -> None:
    (error,) = (described(p) for p in PAYLOADS if p["hook_event_name"] == "session.error")
    assert (error["event_type"], error["success"]) == ("stop_failure", False)
    assert error["error"].startswith("Cannot connect to API")


def test_an_aborted_turn_is_an_interrupt() -> None:
    error = {"name": "MessageAbortedError", "data": {"message": "Aborted"}}
    event = {"type": "session.error", "properties": {"sessionID": SESSION, "error": error}}
    content = described({"client": "opencode", "hook_event_name": "session.error", "event": event})
    assert (content["event_type"], content["metadata"]) == ("interrupt", {"interrupted": True})


@pytest.mark.parametrize("registered", ["opencode", "kilo", "claude-code"])
@pytest.mark.parametrize("client", ["opencode", "kilo"])
def test_the_client_is_told_by_the_payload(registered: str, client: str) -> None:
    for payload in PAYLOADS:
        moved = payload["transcript_path"].replace("opencode", client)
        named = payload | {"client": client}
        assert client_of(registered, named | {"transcript_path": moved}) == client
        del named["transcript_path"]
        assert client_of(registered, named) == client


def test_another_clients_transcript_below_a_folder_of_that_name_is_not_its() -> None:
    path = "/home/opencode/.claude/projects/-opencode-opencode/x.jsonl"
    payload = {"session_id": "s", "hook_event_name": "Stop", "transcript_path": path}
    assert client_of("opencode", payload) == "claude-code"


@pytest.mark.parametrize("value", [None, 1, True, "x", [], {}, [{}], {"a": {"b": []}}, 1e400])
def test_any_value_in_any_place_is_read(value: Any) -> None:
    keys = {key for payload in PAYLOADS for key in payload}
    for payload in PAYLOADS:
        for key in keys - {"client"}:
            described(payload | {key: value})
        event = payload.get("event", {})
        for key in ("info", "error", "part"):
            properties = event.get("properties", {}) | {key: value}
            described(payload | {"event": event | {"properties": properties}})
        for key in ("output", "metadata"):
            response = payload.get("tool_response", {}) | {key: value}
            described(payload | {"tool_response": response})
