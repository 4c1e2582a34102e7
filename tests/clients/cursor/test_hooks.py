"""What Cursor documents, of which no program was run: fields, refusals, and events that come twice.

`payloads.jsonl` has the examples of its documents, with values and the fields that all events have.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from khive_persist.capture.client_recognition import client_of
from khive_persist.capture.drain import drain
from khive_persist.models.event_types import POST
from khive_persist.models.purposes import AGENT_HOOKS
from khive_persist.project import Project
from khive_persist.tools.cursor.hooks import TOOL, describe, event_key
from tests.payloads import Hook
from tests.stored import contents

COMMON = {
    "conversation_id": "conv-1",
    "generation_id": "gen-1",
    "model": "gpt-5",
    "cursor_version": "3.18.2",
    "workspace_roots": ["/home/dev/src/proj"],
    "user_email": None,
    "transcript_path": None,
}
LINES = (Path(__file__).parent / "payloads.jsonl").read_text("utf-8").splitlines()
PAYLOADS: list[dict[str, Any]] = [json.loads(line) for line in LINES]
# The events that Cursor maps to those of Claude Code, and how that one names them.
MAPPED = {
    "preToolUse": "PreToolUse",
    "postToolUse": "PostToolUse",
    "beforeSubmitPrompt": "UserPromptSubmit",
    "stop": "Stop",
    "subagentStop": "SubagentStop",
    "sessionStart": "SessionStart",
    "sessionEnd": "SessionEnd",
    "preCompact": "PreCompact",
}


def of(event: str, tool: str = "") -> dict[str, object]:
    (payload, *_) = (
        p for p in PAYLOADS if p["hook_event_name"] == event and p.get("tool_name", "") == tool
    )
    return describe(payload)


def test_each_event_has_the_session_turn_and_directory() -> None:
    for payload in PAYLOADS:
        content = describe(payload)
        assert content["session_id"] == "conv-1"
        assert content["turn_id"] == "gen-1"
        assert content["cwd"] == "/home/dev/src/proj"
        assert client_of("cursor", payload) == client_of("claude-code", payload) == "cursor"


def test_the_types_are_those_of_all_clients() -> None:
    assert of("preToolUse", "Shell")["event_type"] == "pre_command"
    assert of("postToolUse", "Write")["event_type"] == "post_edit"
    assert of("postToolUse", "Task")["event_type"] == "post_agent_spawn"
    assert of("beforeSubmitPrompt")["event_type"] == "prompt_submitted"
    assert of("afterMCPExecution", "search")["event_type"] == "after_mcp_execution"
    assert of("sessionStart")["event_type"] == "session_start"


def test_a_call_ends_once() -> None:
    """What comes besides the events of calls is no end of one."""
    ends = [p["tool_use_id"] for p in PAYLOADS if describe(p)["event_type"] in POST]
    assert ends == ["t1", "t2", "t3", "t4"]


def test_a_command() -> None:
    content = of("postToolUse", "Shell")
    assert (content["command"], content["output"]) == ("npm test", "All tests passed")
    assert (content["success"], content["duration_ms"]) == (True, 5432)
    failed = of("postToolUseFailure", "Shell")
    assert (failed["success"], failed["error"]) == (False, "Command timed out after 30s")
    assert failed["metadata"] == {"failure_type": "timeout"}
    shell = of("afterShellExecution")
    assert (shell["command"], shell["output"]) == ("npm test", "All tests passed\n")


def test_an_exit_code_is_a_failure() -> None:
    payload = {**COMMON, "hook_event_name": "postToolUse", "tool_name": "Shell"}
    content = describe({**payload, "tool_output": '{"output":"no","exitCode":2}'})
    assert (content["success"], content["output"]) == (False, "no")
    assert content["metadata"] == {"exit_code": 2}


def test_paths_and_agents() -> None:
    assert of("postToolUse", "Write")["file_paths"] == ["/home/dev/src/proj/a.py"]
    assert of("subagentStop")["file_paths"] == ["/home/dev/src/proj/a.py"]
    assert of("subagentStop")["output"] == "Nothing there"
    assert of("subagentStart")["agent_id"] == "agent-1"


@pytest.mark.parametrize("value", [None, 0, True, 1e400, "x", [], {}, [{}], "\ud800", 10**400])
def test_any_value_in_any_field_is_described(value: object) -> None:
    for payload in PAYLOADS:
        for name in payload:
            changed = {**payload, name: value}
            assert isinstance(describe(changed)["event_type"], str)
            assert isinstance(event_key(changed), str)


def stored(project: Project) -> list[dict[str, Any]]:
    drain(project)
    return list(contents(project, AGENT_HOOKS.file, AGENT_HOOKS.table).values())


@pytest.mark.parametrize("in_claude_words", [False, True])
@pytest.mark.parametrize("first", ["cursor", "claude-code"])
def test_what_comes_by_both_hooks_is_one_event_of_cursor(
    project: Project,
    hook: Hook,
    monkeypatch: pytest.MonkeyPatch,
    first: str,
    in_claude_words: bool,
) -> None:
    """Whichever comes first, and whether it is said in Cursor's words or in Claude Code's."""
    monkeypatch.setenv("CURSOR_VERSION", "3.18.2")
    for payload in PAYLOADS:
        name = payload["hook_event_name"]
        tools = ["cursor", "claude-code"] if name in MAPPED else ["cursor"]
        for tool in sorted(tools, key=lambda tool: tool != first):
            is_mapped = in_claude_words and tool == "claude-code"
            sent = {**payload, "hook_event_name": MAPPED[name] if is_mapped else name}
            assert hook(json.dumps(sent).encode(), tool).returncode == 0
    events = stored(project)
    assert [event["tool"] for event in events] == ["cursor"] * len(PAYLOADS)
    types = sorted(str(describe(payload)["event_type"]) for payload in PAYLOADS)
    assert sorted(event["event_type"] for event in events) == types


def test_what_happens_twice_is_two_events(project: Project, hook: Hook) -> None:
    """The same file read twice, two calls, two prompts: the same but for what tells them apart."""
    read = next(p for p in PAYLOADS if p["hook_event_name"] == "beforeReadFile")
    call = next(p for p in PAYLOADS if p["hook_event_name"] == "preToolUse")
    prompt = next(p for p in PAYLOADS if p["hook_event_name"] == "beforeSubmitPrompt")
    unnamed = {name: value for name, value in call.items() if name != "tool_use_id"}
    for sent in (
        read, read, call, {**call, "tool_use_id": "t9"}, prompt,
        {**prompt, "generation_id": "gen-2"}, unnamed, unnamed,
        {**call, "conversation_id": "conv-2"},
    ):  # fmt: skip
        hook(json.dumps(sent).encode(), "cursor")
    assert len(stored(project)) == 9


def test_a_user_hook_finds_the_project_by_its_variable(
    project: Project, hook: Hook, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cursor runs it in `~/.cursor`."""
    monkeypatch.setenv("CURSOR_PROJECT_DIR", str(project.root))
    assert hook(json.dumps(PAYLOADS[0]).encode(), "cursor", cwd=home).returncode == 0
    assert len(stored(project)) == 1


def test_only_documented_events_are_registered() -> None:
    documented = {json.loads(line)["hook_event_name"] for line in LINES} | {"workspaceOpen"}
    hooks = {hook.event: hook for hook in TOOL.registration.hooks}
    assert set(hooks) == documented
    assert len(hooks) == 21
    refusing = {"preToolUse", "beforeShellExecution", "beforeMCPExecution", "beforeReadFile"}
    assert all(hooks[event].blocks for event in refusing | {"beforeSubmitPrompt", "subagentStart"})
