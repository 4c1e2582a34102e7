"""What Kimi Code's payloads say, and which hooks are registered."""

import json
from collections import Counter
from typing import Any

import pytest

from khive_persist.capture.client_recognition import client_of
from khive_persist.capture.drain import drain
from khive_persist.capture.hook_config.command import hook_command
from khive_persist.capture.spool_writer import FALLBACK
from khive_persist.models.event_types import POST
from khive_persist.models.purposes import AGENT_HOOKS
from khive_persist.project import Project
from khive_persist.tools.kimi_code.hooks import TOOL, describe, sends
from tests.clients.kimi_code.recorded import PAYLOADS
from tests.payloads import Hook
from tests.stored import contents


def of(event: str, **fields: object) -> list[dict[str, Any]]:
    found = [
        payload
        for payload in PAYLOADS
        if payload["hook_event_name"] == event
        and all(payload.get(name) == value for name, value in fields.items())
    ]
    assert found, f"no {event} {fields}"
    return found


def first(event: str, **fields: object) -> dict[str, Any]:
    return describe(of(event, **fields)[0])


def test_the_types_are_those_of_all_clients() -> None:
    types = {
        (p["hook_event_name"], p.get("tool_name"), describe(p)["event_type"]) for p in PAYLOADS
    }
    assert types == {
        ("SessionStart", None, "session_start"),
        ("SessionEnd", None, "session_end"),
        ("UserPromptSubmit", None, "prompt_submitted"),
        ("TurnStarted", None, "turn_started"),
        ("PreToolUse", "Bash", "pre_command"),
        ("PostToolUse", "Bash", "post_command"),
        ("PostToolUseFailure", "Bash", "post_command"),
        ("PreToolUse", "Write", "pre_edit"),
        ("PostToolUse", "Write", "post_edit"),
        ("PreToolUse", "TodoList", "pre_tool_use"),
        ("PostToolUse", "TodoList", "post_tool_use"),
        ("PreToolUse", "Agent", "pre_agent_spawn"),
        ("PostToolUse", "Agent", "post_agent_spawn"),
        ("PermissionRequest", "Bash", "permission_request"),
        ("PermissionResult", "Bash", "permission_result"),
        ("SubagentStart", None, "subagent_start"),
        ("SubagentStop", None, "subagent_stop"),
        ("TaskStarted", None, "task_started"),
        ("Notification", None, "notification"),
        ("PreCompact", None, "pre_compact"),
        ("PostCompact", None, "post_compact"),
        ("Interrupt", None, "interrupt"),
        ("Stop", None, "stop"),
    }


def test_a_call_ends_once_whatever_was_asked_of_the_user() -> None:
    ends = Counter(p["tool_call_id"] for p in PAYLOADS if describe(p)["event_type"] in POST)
    assert ends.most_common(1)[0][1] == 1
    assert first("PermissionResult", decision="rejected")["metadata"]["decision"] == "rejected"


def test_a_command_that_works() -> None:
    content = first("PostToolUse", tool_name="Bash")
    assert content["success"] is True
    assert content["command"] == "echo hello-from-tool"
    assert content["output"] == "hello-from-tool\n"
    assert str(content["tool_use_id"]).startswith("call_")
    assert "metadata" not in content


def test_a_command_that_fails_has_its_output_and_exit_code() -> None:
    content = first("PostToolUseFailure", tool_name="Bash")
    assert content["success"] is False
    assert content["error"] == "before\nCommand failed with exit code: 3."
    assert content["output"] == "before"
    assert content["metadata"] == {"exit_code": 3}


def test_a_call_that_the_user_refuses() -> None:
    (payload,) = (p for p in of("PostToolUseFailure") if "denied-file" in json.dumps(p))
    content = describe(payload)
    assert content["success"] is False
    assert str(content["error"]).endswith("the user rejected the approval request.")
    assert "output" not in content


def test_a_command_in_the_background_has_not_ended() -> None:
    (payload,) = (p for p in of("PostToolUse") if p["tool_input"].get("run_in_background"))
    content = describe(payload)
    assert "success" not in content
    assert content["metadata"] == {"background": True}


def test_a_subagent_is_named_by_the_call_that_started_it() -> None:
    assert first("PostToolUse", tool_name="Agent")["metadata"] == {
        "spawned_agent_type": "explore",
        "spawned_agent_id": "agent-0",
    }
    assert first("SubagentStart")["agent_type"] == "explore"
    assert first("SubagentStop")["output"] == "All done 33."


def test_the_sessions_own_agent_is_no_subagent() -> None:
    assert of("PermissionRequest")[0]["agent_id"] == "main"
    assert "agent_id" not in first("PermissionRequest")
    assert describe({"agent_id": "agent-1"})["agent_id"] == "agent-1"


def test_paths_are_absolute_and_turns_are_texts() -> None:
    assert first("PostToolUse", tool_name="Write")["file_paths"] == ["/home/dev/src/proj/a.txt"]
    assert first("TurnStarted")["turn_id"] == "0"
    assert "metadata" not in first("TurnStarted")


@pytest.mark.parametrize("value", [None, 0, True, 1e400, "x", [], {}, [{}], "\ud800", 10**400])
def test_any_value_in_any_field_is_described(value: object) -> None:
    for payload in PAYLOADS:
        for name in payload:
            content = describe({**payload, name: value})
            assert isinstance(content["event_type"], str)
    sends({"client_type": value})


def test_its_payloads_are_known_whoever_runs_the_hook() -> None:
    assert all(sends(payload) for payload in PAYLOADS)
    assert {client_of("claude-code", payload) for payload in PAYLOADS} == {"kimi-code"}


def test_each_payload_is_one_event_as_it_came(project: Project, hook: Hook) -> None:
    lines = [json.dumps(payload, ensure_ascii=False) for payload in PAYLOADS]
    for line in lines:
        assert hook(line.encode(), "kimi-code").returncode == 0
    drain(project)
    stored = contents(project, AGENT_HOOKS.file, AGENT_HOOKS.table)
    assert [content["tool"] for content in stored.values()] == ["kimi-code"] * len(lines)
    assert [content["payload"] for content in stored.values()] == PAYLOADS


def test_what_can_refuse_is_registered_so_that_it_does_not() -> None:
    hooks = {hook.event: hook for hook in TOOL.registration.hooks}
    assert {event for event, hook in hooks.items() if hook.blocks} == {
        "PreToolUse", "UserPromptSubmit", "Stop"
    }  # fmt: skip
    # Kimi Code takes no other timeout, and would pass over all hooks for one.
    assert all(1 <= hook.timeout <= 600 for hook in hooks.values())
    assert "SessionHeartbeat" not in hooks


def test_a_question_about_a_call_is_no_part_of_it() -> None:
    for event in ("PermissionRequest", "PermissionResult"):
        content = first(event)
        assert "tool_use_id" not in content
        assert content["metadata"]["about_call"] == of(event)[0]["tool_call_id"]


def test_a_hook_that_is_told_nothing_has_no_event(project: Project, hook: Hook) -> None:
    """Kimi Code starts one for a call that the user stopped, and ends it before it says more."""
    command = hook_command("kimi-code", project.root)
    assert FALLBACK in command
    assert hook(b"", "kimi-code", FALLBACK).returncode == 1
    drain(project)
    assert contents(project, AGENT_HOOKS.file, AGENT_HOOKS.table) == {}
