"""Copilot CLI's events: both dialects, whose session they are of, and each of them once."""

import json
import os
from collections import Counter
from typing import Any

import pytest

from khive_persist.capture.client_recognition import client_of, in_our_words
from khive_persist.capture.drain import drain
from khive_persist.capture.hook_config.install import install, uninstall
from khive_persist.project import Project
from khive_persist.tools.copilot_cli.hooks import TOOL, event_name
from tests.cases import for_each
from tests.clients.copilot_cli.recorded import REGISTERED, SENT, Sent, sent_in, session_of
from tests.payloads import Hook
from tests.stored import contents


def environment() -> dict[str, str]:
    return dict(os.environ) | {"COPILOT_CLI": "1"}


def one(scenario: str, event_type: str) -> dict[str, Any]:
    found = [s.fields for s in sent_in(scenario) if s.fields["event_type"] == event_type]
    assert found, event_type
    return found[0]


def milliseconds(sent: Sent) -> object:
    return sent.payload["timestamp"]


@for_each("sent", SENT)
def test_what_it_sends_is_its_own_whoever_registered(sent: Sent) -> None:
    assert client_of("copilot-cli", sent.payload) == "copilot-cli"
    assert client_of("claude-code", sent.payload, "copilot-cli") == "copilot-cli"


def test_a_payload_that_does_not_name_its_event_is_known_by_its_keys() -> None:
    names = {sent.event for sent in SENT}
    assert {name for name in names if name[0].islower()} >= {
        "sessionStart", "sessionEnd", "userPromptSubmitted", "userPromptTransformed", "preToolUse",
        "postToolUse", "postToolUseFailure", "agentStop", "subagentStart", "subagentStop",
        "permissionRequest", "notification", "preMcpToolCall",
    }  # fmt: skip
    for sent in SENT:
        if sent.event[0].islower():
            assert event_name(in_our_words(sent.payload)) == sent.event


def test_both_dialects_give_the_same_fields() -> None:
    """Each event was sent in both, to hooks of one file."""
    dialects: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for sent in SENT:
        fields = sent.fields
        in_both = sent.event != "userPromptTransformed" and sent.settings == "own"
        # There Copilot's own names were not registered.
        if in_both and fields["session_id"] != session_of("interrupt"):
            dialects[sent.event[0].isupper()][json.dumps(fields, sort_keys=True)] += 1
    assert dialects[True] == dialects[False]
    assert dialects[True].total() > 90


def test_a_run_is_these_events() -> None:
    assert [sent.fields["event_type"] for sent in sent_in("command")] == [
        "prompt_submitted", "session_start", "user_prompt_transformed", "pre_command",
        "permission_request", "post_command", "stop", "session_end",
    ]  # fmt: skip
    ended = one("command", "post_command")
    assert ended["tool_name"] == "Bash"
    assert ended["command"] == "echo hello-from-tool"
    assert (ended["success"], ended["output"]) == (True, "hello-from-tool")


def test_a_command_that_fails_is_told_by_its_exit_code() -> None:
    ended = one("failure", "post_command")
    assert (ended["success"], ended["error"]) == (False, "Exit code: 3")
    assert ended["output"] == "out\nerr"
    assert ended["metadata"] == {"exit_code": 3}


def test_an_edit_names_its_file() -> None:
    begun = one("edit", "pre_edit")
    assert begun["tool_name"] == "Write"
    assert begun["file_paths"] == ["/home/dev/src/proj/note.txt"]
    last = [s.fields for s in sent_in("edit") if s.fields["event_type"] == "post_edit"][-1]
    assert (last["success"], last["error"]) == (False, "Tool 'apply_patch' does not exist.")


def test_a_command_in_the_background_has_not_ended() -> None:
    started = one("shell", "post_command")
    assert "success" not in started
    assert started["metadata"] == {"background": True}
    assert "output" not in started


def test_a_server_is_named() -> None:
    for kind in ("pre_tool_use", "post_tool_use", "pre_mcp_tool_call", "permission_request"):
        assert one("mcp", kind)["metadata"]["mcp_server"] == "mock"
    failed = one("mcp", "post_tool_use_failure")
    assert (failed["success"], failed["error"]) == (False, "MCP server 'mock': it failed")
    assert one("mcp", "pre_mcp_tool_call")["metadata"]["tool_call_id"] == "call_1_0"


def test_a_subagents_events_are_its_sessions() -> None:
    agent = one("agent", "subagent_start")["agent_id"]
    assert agent != session_of("agent")
    kinds = [s.fields["event_type"] for s in sent_in("agent") if s.fields.get("agent_id") == agent]
    assert kinds == [
        "subagent_start", "agent_prompt_submitted", "user_prompt_transformed", "pre_command",
        "permission_request", "post_command", "agent_stop", "subagent_stop",
    ]  # fmt: skip
    assert one("agent", "subagent_stop")["output"] == "All done."
    assert one("agent", "pre_agent_spawn")["metadata"]["spawned_agent_type"] == "general-purpose"
    assert [s.fields["event_type"] for s in sent_in("agent")].count("stop") == 1


def test_an_agents_agent_is_the_sessions_where_a_transcript_is_named() -> None:
    nested = [s.fields for s in sent_in("nested") if s.fields["event_type"] == "subagent_start"]
    assert [fields["session_id"] for fields in nested] == [session_of("nested")] * 2
    assert nested[1]["metadata"]["parent_agent_id"] == nested[0]["agent_id"]


def test_what_the_client_says_in_the_users_name_is_marked() -> None:
    prompts = [s.fields for s in sent_in("background") if s.event == "UserPromptSubmit"]
    assert [fields.get("metadata") for fields in prompts if "agent_id" not in fields] == [
        None,
        {"injected": "task_notification"},
    ]


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"sessionId": 3, "timestamp": None},
        {"sessionId": "s", "agentId": [], "agent_id": {}, "toolName": 7},
        {"session_id": "s", "agent_id": "s", "hook_event_name": "Stop", "transcript_path": "x"},
        {"sessionId": "s", "toolName": "bash", "toolArgs": "x", "toolResult": ["y"]},
        {"sessionId": "s", "toolName": "bash", "toolArgs": {}, "toolResult": {"resultType": 1}},
        {"sessionId": "s", "toolName": "-", "error": {"message": 5}},
        {"sessionId": "s", "errorContext": 1, "error": "broke"},
        {"sessionId": "s", "transformedPrompt": []},
        {"hook_event_name": "\ud800", "tool_name": "\ud800-x"},
    ],
)
def test_odd_payloads_have_fields(payload: dict[str, Any]) -> None:
    fields = TOOL.describe(in_our_words(payload))
    assert isinstance(fields["event_type"], str)
    json.dumps(fields)


def test_what_several_settings_files_ran_is_one_event(project: Project, hook: Hook) -> None:
    """Claude Code's project settings, ours of the project and ours of the user."""
    claude = [s for s in sent_in("command", settings="claude") if s.event in REGISTERED]
    own = sent_in("command")
    assert {s.raw for s in claude} < {s.raw for s in own}
    for sent in claude:
        assert hook(sent.raw.encode(), "claude-code", env=environment()).returncode == 0
    for _ in range(2):
        drain(project)
        for sent in own:
            assert hook(sent.raw.encode(), "copilot-cli", env=environment()).returncode == 0
    drain(project)
    stored = contents(project, "agent_hooks.db").values()
    assert Counter(json.dumps(c["payload"]) for c in stored) == Counter(
        json.dumps(s.payload) for s in own
    )
    assert {content["tool"] for content in stored} == {"copilot-cli"}
    assert not project.database("claude_hooks.db").exists()


def test_different_calls_of_one_millisecond_are_different_events(
    project: Project, hook: Hook
) -> None:
    begun = [s for s in sent_in("parallel") if s.event == "PreToolUse"]
    assert len({milliseconds(s) for s in begun}) == 1
    assert [s.fields["command"] for s in begun] == ["echo a", "echo b", "echo a"]
    for sent in begun:
        assert hook(sent.raw.encode(), "copilot-cli", env=environment()).returncode == 0
    drain(project)
    stored = contents(project, "agent_hooks.db").values()
    assert sorted(content["command"] for content in stored) == ["echo a", "echo b"]


def test_its_file_is_ours_alone_and_goes_again(project: Project) -> None:
    path = project.root / ".github/hooks/khive-persist.json"
    install("copilot-cli", "project", project.root)
    document = json.loads(path.read_text())
    assert document["version"] == 1
    assert set(document["hooks"]) == REGISTERED
    for event, entries in document["hooks"].items():
        (entry,) = entries
        assert (entry["type"], entry["timeoutSec"]) == ("command", 5)
        assert event != "PreToolUse" or entry["bash"].endswith("|| exit 0")
    uninstall("copilot-cli", "project", project.root)
    assert not path.exists()
