"""What is told of an event by the words of each tool, on what the real tools sent."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_persist.capture import spool_writer
from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.tools import TOOLS, payload_fields
from khive_persist.tools.gemini_cli.hooks import without_conversation
from tests.cases import for_each
from tests.payloads import sample_payloads

STRINGS = {
    "event_type",
    "hook_event_name",
    "session_id",
    "tool_name",
    "tool_use_id",
    "command",
    "output",
    "cwd",
    "transcript_path",
    "agent_id",
    "agent_type",
    "turn_id",
    "prompt_id",
    "model",
    "error",
}
EIGHT_WORDS = {
    "prompt_submitted",
    "pre_command",
    "post_command",
    "pre_edit",
    "post_edit",
    "notification",
    "pre_agent_spawn",
    "post_agent_spawn",
}


# The later clients are tested each in tests/clients, on what they sent.
SAMPLED = [
    tool for tool in TOOLS if (files("khive_persist") / "samples" / f"{tool}.jsonl").is_file()
]


def samples(tool: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in sample_payloads(tool)]


def described(tool: str, event: str, name: str = "") -> Iterator[dict[str, Any]]:
    """The samples of one event, and of one of the tool's tools, described."""
    found = 0
    for payload in samples(tool):
        if payload["hook_event_name"] == event and payload.get("tool_name", "") == name:
            found += 1
            yield TOOLS[tool].describe(payload)
    assert found, f"{tool} has no sample of {event} {name}"


def first(tool: str, event: str, name: str = "") -> dict[str, Any]:
    return next(described(tool, event, name))


def check_shape(content: Mapping[str, Any]) -> None:
    """The types of the SQL contract, and nothing that is empty."""
    for key, value in content.items():
        if key in STRINGS:
            assert isinstance(value, str), key
            assert value, key
        elif key == "file_paths":
            assert 0 < len(value) <= 1_000
            assert all(isinstance(path, str) and path for path in value)
        elif key == "duration_ms":
            assert isinstance(value, int | float)
            assert not isinstance(value, bool)
        elif key == "success":
            assert isinstance(value, bool)
        else:
            assert key == "metadata"
            assert isinstance(value, dict)
            assert value
    assert content["event_type"]


@pytest.mark.parametrize("tool", SAMPLED)
def test_every_sample_is_described_in_the_types_of_the_contract(tool: str) -> None:
    for payload in samples(tool):
        content = TOOLS[tool].describe(payload)
        check_shape(content)
        assert content["hook_event_name"] == payload["hook_event_name"]
        assert content["session_id"] == payload["session_id"]


@pytest.mark.parametrize("tool", SAMPLED)
def test_a_tool_knows_its_own_words(tool: str) -> None:
    told = {TOOLS[tool].describe(payload)["event_type"] for payload in samples(tool)}
    expected = EIGHT_WORDS - ({"notification"} if tool == "codex" else set())
    assert expected <= told


@pytest.mark.parametrize(
    ("tool", "event", "name", "event_type"),
    [
        ("claude-code", "UserPromptSubmit", "", "prompt_submitted"),
        ("claude-code", "PreToolUse", "Bash", "pre_command"),
        ("claude-code", "PostToolUse", "Bash", "post_command"),
        ("claude-code", "PostToolUseFailure", "Bash", "post_command"),
        ("claude-code", "PreToolUse", "NotebookEdit", "pre_edit"),
        ("claude-code", "PostToolUse", "Write", "post_edit"),
        ("claude-code", "PreToolUse", "Agent", "pre_agent_spawn"),
        ("claude-code", "PostToolUse", "Agent", "post_agent_spawn"),
        ("claude-code", "PreToolUse", "TaskCreate", "pre_tool_use"),
        ("claude-code", "PostToolUse", "mcp__demo__echo", "post_tool_use"),
        ("claude-code", "PostToolUseFailure", "Read", "post_tool_use_failure"),
        ("claude-code", "PermissionRequest", "Bash", "permission_request"),
        ("claude-code", "PostToolBatch", "", "post_tool_batch"),
        ("claude-code", "SubagentStop", "", "subagent_stop"),
        ("codex", "UserPromptSubmit", "", "prompt_submitted"),
        ("codex", "PreToolUse", "Bash", "pre_command"),
        ("codex", "PostToolUse", "apply_patch", "post_edit"),
        ("codex", "PreToolUse", "spawn_agent", "pre_agent_spawn"),
        ("codex", "PostToolUse", "multi_agent_v1wait_agent", "post_tool_use"),
        ("codex", "Interrupt", "", "interrupt"),
        ("gemini-cli", "BeforeAgent", "", "prompt_submitted"),
        ("gemini-cli", "AfterAgent", "", "stop"),
        ("gemini-cli", "BeforeTool", "run_shell_command", "pre_command"),
        ("gemini-cli", "AfterTool", "replace", "post_edit"),
        ("gemini-cli", "AfterTool", "invoke_agent", "post_agent_spawn"),
        ("gemini-cli", "BeforeTool", "glob", "pre_tool_use"),
        ("gemini-cli", "AfterTool", "read_file", "post_tool_use"),
        ("gemini-cli", "PreCompress", "", "pre_compact"),
        ("gemini-cli", "Notification", "", "notification"),
        ("gemini-cli", "AfterModel", "", "after_model"),
    ],
)
def test_the_same_word_for_the_same_thing(
    tool: str, event: str, name: str, event_type: str
) -> None:
    assert {content["event_type"] for content in described(tool, event, name)} == {event_type}


@pytest.mark.parametrize(
    ("name", "event_type"),
    [
        ("PreToolUse", "pre_tool_use"),
        ("HTTPServerStart", "http_server_start"),
        ("Some-New  Event2!", "some_new_event2"),
        ("'; DROP TABLE", "drop_table"),
        ("日本", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
        (7, "unknown"),
        (["Stop"], "unknown"),
    ],
)
@for_each("tool", TOOLS)
def test_an_event_of_a_newer_tool_has_a_word(tool: str, name: object, event_type: str) -> None:
    assert TOOLS[tool].describe({"hook_event_name": name})["event_type"] == event_type


def test_an_event_type_is_short_whatever_the_name() -> None:
    assert payload_fields.snake_case("A" * 1_000_000) == "a" * 64
    assert payload_fields.snake_case("x" * 63 + "Y") == "x" * 63
    assert TOOLS["codex"].describe({})["event_type"] == "unknown"


def test_a_command_of_claude_code() -> None:
    done = first("claude-code", "PostToolUse", "Bash")
    assert done["command"] == "echo hello"
    assert done["output"] == "hello"
    assert done["success"] is True
    assert done["duration_ms"] == 311
    assert done["tool_use_id"].startswith("toolu_")
    failed = first("claude-code", "PostToolUseFailure", "Bash")
    assert failed["success"] is False
    assert failed["error"] == "Exit code 1\nout\nerr"
    assert failed["metadata"] == {"exit_code": 1}
    assert "output" not in failed


def test_stdout_and_stderr_of_claude_code_are_both_output() -> None:
    payload = {
        "hook_event_name": "PostToolUse",
        "tool_name": "Bash",
        "tool_response": {"stdout": "out", "stderr": "err", "interrupted": True},
    }
    content = TOOLS["claude-code"].describe(payload)
    assert content["output"] == "out\nerr"
    assert content["success"] is False
    assert content["metadata"] == {"interrupted": True}


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("Read", "line one\nline two"),
        ("Write", "line one\nline two"),
        ("Edit", "-line one\n+LINE ONE ✅\n"),
        ("NotebookEdit", "print(1)"),
        ("Agent", "subagent finished"),
        ("EnterWorktree", "Created worktree at "),
        ("mcp__demo__echo", "hi héllo wörld — 日本語 🚀"),
        ("TaskCreate", '{"task":{"id":"1","subject":"Do the thing"}}'),
    ],
)
def test_output_of_claude_code_is_text(name: str, output: str) -> None:
    assert first("claude-code", "PostToolUse", name)["output"].startswith(output)


def test_an_image_is_not_put_into_the_output() -> None:
    payload = {
        "hook_event_name": "PostToolUse",
        "tool_name": "Read",
        "tool_response": {"type": "image", "file": {"base64": "iVBORw0KGgo" * 1_000}},
    }
    assert TOOLS["claude-code"].describe(payload)["output"] == "[image]"
    assert first("codex", "PostToolUse", "view_image")["output"] == "[input_image]"


def test_what_was_said_last_is_the_output_of_a_stop() -> None:
    assert first("claude-code", "Stop")["output"] == "short answer"
    assert first("claude-code", "SubagentStop")["output"] == "subagent finished"
    assert first("codex", "Stop")["output"] == "All done: created hello.txt"
    assert "All done: created hello.txt" in first("gemini-cli", "AfterAgent")["output"]


def test_what_was_refused_or_broke_is_no_success() -> None:
    denied = first("claude-code", "PermissionDenied", "Bash")
    assert denied["success"] is False
    assert denied["error"].startswith("Auto mode could not evaluate this action")
    assert denied["command"].startswith("rm -rf")
    stopped = first("claude-code", "StopFailure")
    assert (stopped["success"], stopped["error"]) == (False, "unknown")
    assert stopped["output"] == "API Error: 400 mock: bad request"
    for failed in described("claude-code", "PostToolUseFailure", "Read"):
        assert failed["success"] is False
        assert failed["error"]


def test_a_started_agent_is_named() -> None:
    kind, agent = "spawned_agent_type", "spawned_agent_id"
    claude = first("claude-code", "PostToolUse", "Agent")["metadata"]
    assert claude == {kind: "general-purpose", agent: "a3950f7d282fa0dfb"}
    started = first("codex", "SubagentStart")
    assert first("codex", "PostToolUse", "spawn_agent")["metadata"] == {agent: started["agent_id"]}
    gemini = first("gemini-cli", "BeforeTool", "invoke_agent")["metadata"]
    assert gemini == {kind: "codebase_investigator"}


@pytest.mark.parametrize(
    ("tool", "event", "name", "server"),
    [
        ("claude-code", "PreToolUse", "mcp__demo__echo", "demo"),
        ("codex", "PreToolUse", "mcp__echosrv__echo", "echosrv"),
        ("gemini-cli", "BeforeTool", "mcp_echosrv_echo", "echosrv"),
    ],
)
def test_an_mcp_server_is_named(tool: str, event: str, name: str, server: str) -> None:
    assert first(tool, event, name)["metadata"]["mcp_server"] == server


def test_success_of_a_codex_command_is_not_guessed() -> None:
    for content in described("codex", "PostToolUse", "Bash"):
        assert "success" not in content
        assert content["output"]
    for name in ("apply_patch", "spawn_agent", "mcp__echosrv__echo"):
        assert first("codex", "PostToolUse", name)["success"] is True


@pytest.mark.parametrize(
    ("name", "response", "expected"),
    [
        (
            "apply_patch",
            "Exit code: 1\nWall time: 0 seconds\nOutput:\nno such file",
            {"success": False, "error": "Exit code: 1", "metadata": {"exit_code": 1}},
        ),
        # A command may write what a patch's answer begins with.
        ("Bash", "Exit code: 0\nWall time: 1 seconds\nOutput:\nx", {}),
        ("Bash", "Exit code: 7\nsaid the program", {}),
        (
            "mcp__a__b",
            {"content": [{"type": "text", "text": "broken"}], "isError": True},
            {"success": False, "error": "broken", "metadata": {"mcp_server": "a"}},
        ),
    ],
)
def test_what_codex_says_of_success(
    name: str, response: object, expected: dict[str, object]
) -> None:
    payload = {"hook_event_name": "PostToolUse", "tool_name": name, "tool_response": response}
    content = TOOLS["codex"].describe(payload)
    told = {key: content[key] for key in ("success", "error", "metadata") if key in content}
    assert told == expected


def test_paths_of_a_patch() -> None:
    patch = (
        "*** Begin Patch\n*** Update File: a b.py\n*** Move to: c.py\n@@\n-x\n+*** Add File: no\n"
        "*** Add File: new.py\r\n+x\n*** Delete File: old.py\n*** Update File: a b.py\n"
        "*** End Patch"
    )
    payload = {"hook_event_name": "PreToolUse", "tool_name": "apply_patch"}
    content = TOOLS["codex"].describe(payload | {"tool_input": {"command": patch}})
    assert content["file_paths"] == ["a b.py", "c.py", "new.py", "old.py"]
    assert "command" not in content
    by_shell = [c for c in described("codex", "PreToolUse", "Bash") if "file_paths" in c]
    assert [c["file_paths"] for c in by_shell] == [["/home/dev/src/proj/hello.txt"]]
    assert by_shell[0]["command"].startswith("apply_patch <<'EOF'")


@pytest.mark.parametrize(
    ("tool", "event", "name", "path"),
    [
        ("claude-code", "PreToolUse", "Write", "/home/dev/src/proj/work/a.txt"),
        ("claude-code", "PostToolUse", "NotebookEdit", "/home/dev/src/proj/work/n.ipynb"),
        ("claude-code", "FileChanged", "", "/home/dev/src/proj/work/watched.txt"),
        ("claude-code", "InstructionsLoaded", "", "/home/dev/src/proj/inc.md"),
        ("claude-code", "ConfigChange", "", "/home/dev/src/projI/.claude/settings.local.json"),
        ("codex", "PreToolUse", "view_image", "/home/dev/src/proj/dot.png"),
        ("gemini-cli", "BeforeTool", "replace", "/home/dev/src/proj/hello.txt"),
        ("gemini-cli", "BeforeTool", "list_directory", "/home/dev/src/proj"),
    ],
)
def test_file_paths(tool: str, event: str, name: str, path: str) -> None:
    assert first(tool, event, name)["file_paths"] == [path]


def test_file_paths_are_not_endless() -> None:
    paths = [f"/{number}" for number in range(5_000)]
    payload = {"tool_input": {"paths": [*paths, 7, None, ""], "path": "/" + "x" * 5_000}}
    assert TOOLS["gemini-cli"].describe(payload)["file_paths"] == paths[:1_000]


def test_a_command_of_gemini_cli() -> None:
    done, failed, *_, silent = described("gemini-cli", "AfterTool", "run_shell_command")
    assert (done["output"], done["success"]) == ('hi\ncafé € \\ "q"', True)
    assert (failed["output"], failed["success"]) == ("oops", False)
    assert failed["error"] == "Exit code: 3"
    assert failed["metadata"] == {"exit_code": 3}
    assert "output" not in silent
    assert silent["success"] is True


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Output: a\nExit Code: 9\nExit Code: 3\nProcess Group PGID: 1", (False, "Exit code: 3")),
        ("Output: a\nSignal: 9\nProcess Group PGID: 1", (False, "Signal: 9")),
        ("Output: (empty)\nError: spawn bash ENOENT", (False, "spawn bash ENOENT")),
        ("Command was cancelled by user before it could complete.", (False, "Command was canc")),
        ("Command moved to background (PID: 4). Output hidden.", (None, "")),
        ("Output: Error: all is well\nProcess Group PGID: 1", (True, "")),
    ],
)
def test_what_gemini_says_of_success(said: str, expected: tuple[bool | None, str]) -> None:
    for text in (said, f"<untrusted_context>\n{said}\n</untrusted_context>"):
        payload = {
            "hook_event_name": "AfterTool",
            "tool_name": "run_shell_command",
            "tool_response": {"llmContent": text},
        }
        content: Mapping[str, Any] = TOOLS["gemini-cli"].describe(payload)
        success, error = expected
        assert content.get("success") is success
        assert content.get("error", "").startswith(error)
        assert bool(content.get("error")) is bool(error)


def test_an_error_of_gemini_cli() -> None:
    failed = [c for c in described("gemini-cli", "AfterTool", "replace") if not c["success"]]
    assert [c["error"][:31] for c in failed] == ["Could not find an exact match f"]
    assert "output" not in failed[0]


def test_the_model_of_gemini_cli_is_in_its_request() -> None:
    assert first("gemini-cli", "BeforeModel")["model"] == "gemini-2.5-flash"


def test_the_conversation_is_left_out_of_model_events_only() -> None:
    shortened = 0
    for payload in samples("gemini-cli"):
        lean = without_conversation(payload)
        if "llm_request" not in payload:
            assert lean is None
            continue
        shortened += 1
        assert lean is not None
        messages = payload["llm_request"]["messages"]
        size = len(json.dumps(messages, ensure_ascii=False, separators=(",", ":")).encode())
        assert lean["llm_request"] == {
            **payload["llm_request"],
            "messages": {"omitted": "conversation", "messages": len(messages), "bytes": size},
        }
        assert {**lean, "llm_request": 0} == {**payload, "llm_request": 0}
        assert payload["llm_request"]["messages"] is messages
        assert without_conversation(lean) is None
    assert shortened
    assert TOOLS["codex"].without_conversation({"llm_request": {"messages": []}}) is None


def test_a_value_of_the_wrong_type_is_named_and_left_out() -> None:
    payload = {
        "session_id": 7,
        "cwd": ["/"],
        "transcript_path": None,
        "agent_type": "",
        "duration_ms": "5",
        "hook_event_name": "Stop",
    }
    for tool in TOOLS.values():
        content: dict[str, Any] = tool.describe(payload)
        assert content["metadata"]["odd_fields"] == ["session_id", "cwd", "duration_ms"]
        assert not content.keys() & {
            "session_id",
            "cwd",
            "transcript_path",
            "agent_type",
            "duration_ms",
        }


@pytest.mark.parametrize("duration", [float("nan"), float("inf"), 10**400, True, -1e300])
def test_a_duration_is_a_number_that_sqlite_can_hold(duration: object) -> None:
    content = TOOLS["codex"].describe({"duration_ms": duration})
    assert "duration_ms" not in content
    assert content["metadata"] == {"odd_fields": ["duration_ms"]}


def test_text_nested_without_end_is_no_output() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    for tool, event in (
        ("claude-code", "PostToolUse"),
        ("codex", "PostToolUse"),
        ("gemini-cli", "AfterTool"),
    ):
        payload = {"hook_event_name": event, "tool_name": "x", "tool_response": {"y": nested}}
        assert "output" not in TOOLS[tool].describe(payload)


KEYS = sorted(
    {key for tool in SAMPLED for payload in samples(tool) for key in payload}
    | {key for tool in SAMPLED for p in samples(tool) for key in (p.get("tool_input") or {})}
    | {"llmContent", "error", "isError", "stdout", "structuredPatch", "file", "lines", "text"}
)
NAMES = sorted(
    {
        p.get(key, "")
        for tool in SAMPLED
        for p in samples(tool)
        for key in ("hook_event_name", "tool_name")
    }
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(NAMES),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=6)
    ),
    max_leaves=20,
)


@given(
    tool=st.sampled_from(sorted(TOOLS)),
    payload=st.dictionaries(st.sampled_from(KEYS) | st.text(), VALUES),
    event=st.sampled_from(NAMES),
    name=st.sampled_from(NAMES),
)
def test_no_payload_breaks_a_description(
    tool: str, payload: dict[str, object], event: str, name: str
) -> None:
    whole = payload | {"hook_event_name": event, "tool_name": name}
    for one in (payload, whole):
        check_shape(TOOLS[tool].describe(one))
        TOOLS[tool].without_conversation(one)


def test_tools_have_the_names_that_the_hook_and_the_files_use() -> None:
    assert tuple(TOOLS) == tuple(HOOK_EVENTS) == spool_writer.TOOLS


@pytest.mark.parametrize("tool", SAMPLED)
def test_all_events_are_registered_but_those_that_a_hook_would_change(tool: str) -> None:
    seen = {payload["hook_event_name"] for payload in samples(tool)}
    registered = [hook.event for hook in TOOLS[tool].registration.hooks]
    assert len(registered) == len(set(registered))
    never = {"WorktreeCreate", "WorktreeRemove"} if tool == "claude-code" else set()
    assert seen - set(registered) == never


def test_timeouts_are_in_the_unit_of_the_tool() -> None:
    timeouts = {
        name: {hook.event: hook.timeout for hook in tool.registration.hooks}
        for name, tool in TOOLS.items()
    }
    assert set(timeouts["claude-code"].values()) == {5}
    assert set(timeouts["gemini-cli"].values()) == {5_000}
    assert timeouts["codex"].pop("SessionEnd") <= 3
    assert timeouts["codex"].pop("Interrupt") <= 3
    assert set(timeouts["codex"].values()) == {5}


def test_only_events_around_the_model_wait_to_be_asked_for() -> None:
    asked = {
        (tool.name, hook.event)
        for tool in TOOLS.values()
        for hook in tool.registration.hooks
        if hook.model
    }
    assert asked == {
        ("gemini-cli", "BeforeModel"),
        ("gemini-cli", "AfterModel"),
        ("gemini-cli", "BeforeToolSelection"),
        ("qwen-code", "MessageDisplay"),
    }


def test_importing_the_tools_costs_the_standard_library_and_orjson_only() -> None:
    code = (
        "import sys; before = set(sys.modules); import khive_persist.tools;"
        "print({name.partition('.')[0] for name in set(sys.modules) - before}"
        " - set(sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert sorted(done.stdout.strip()[2:-2].split("', '")) == ["khive_persist", "orjson"]


@pytest.mark.parametrize(
    ("cwd", "path", "absolute"),
    [("/p/q", "a.py", "/p/q/a.py"), ("/p/q", "./b/../c.py", "/p/q/c.py"), ("/p", "/x.py", "/x.py"),
     ("C:\\p", "a.py", "C:\\p\\a.py"), ("C:\\p", "D:\\x.py", "D:\\x.py"), ("/p", "~/x", "~/x"),
     ("/p", "https://a/b", "https://a/b"), ("", "a.py", "a.py"), ("rel", "a.py", "a.py")],
)  # fmt: skip
@pytest.mark.parametrize(
    ("tool", "event"),
    [("claude-code", "PreToolUse"), ("codex", "PreToolUse"), ("gemini-cli", "BeforeTool")],
)
def test_paths_are_absolute_for_all_clients(
    tool: str, event: str, cwd: str, path: str, absolute: str
) -> None:
    payload = {"hook_event_name": event, "tool_name": "x", "cwd": cwd}
    content = TOOLS[tool].describe(payload | {"tool_input": {"file_path": path}})
    assert content["file_paths"] == [absolute]


def test_files_that_a_shell_command_changed_are_paths_of_its_event() -> None:
    content = TOOLS["claude-code"].describe({
        "hook_event_name": "PostToolUse", "tool_name": "Bash", "cwd": "/home/dev/src/proj",
        "tool_input": {"command": "echo changed > watched.txt"},
        "tool_response": {"stdout": "", "bashEditDiff": {
            "files": [], "moreFiles": 0, "changedFiles": ["/home/dev/src/proj/watched.txt"]}},
    })  # fmt: skip
    assert content["file_paths"] == ["/home/dev/src/proj/watched.txt"]


@pytest.mark.parametrize("event", ["PreModelSwitch", "PostModelSwitch"])
def test_a_switch_has_the_model_that_it_leads_to(event: str) -> None:
    payload = {"hook_event_name": event, "from_model": "claude-opus-5-5", "to_model": "claude-x"}
    content = TOOLS["claude-code"].describe(payload)
    assert content["model"] == "claude-x"
    assert content["metadata"] == {"from_model": "claude-opus-5-5"}


@pytest.mark.parametrize("tool", ["claude-code", "codex"])
def test_a_servers_name_may_have_two_underscores(tool: str) -> None:
    payload = {"hook_event_name": "PreToolUse", "tool_name": "mcp__my__server__echo"}
    assert TOOLS[tool].describe(payload)["metadata"] == {"mcp_server": "my__server"}


def test_a_server_is_called_as_the_client_says() -> None:
    payload = {"hook_event_name": "PreToolUse", "tool_name": "mcp__demo__a__b"}
    told = payload | {"mcp_server": {"name": "demo", "source": "project"}}
    assert TOOLS["claude-code"].describe(told)["metadata"] == {"mcp_server": "demo"}


def test_a_call_that_goes_on_in_the_background_has_not_succeeded() -> None:
    payload = {"hook_event_name": "PostToolUse", "tool_name": "Bash"}
    for response in (
        {"stdout": "", "backgroundTaskId": "b1", "timedOutAfterMs": 1},
        {"isAsync": True, "status": "async_launched", "agentId": "a"},
    ):
        content = TOOLS["claude-code"].describe(payload | {"tool_response": response})
        assert "success" not in content
        assert content["metadata"] == {"background": True}


def test_gemini_commands_cannot_fake_how_they_ended() -> None:
    payload = {"hook_event_name": "AfterTool", "tool_name": "run_shell_command"}
    said = {"llmContent": "Output: a\nExit Code: 5\nProcess Group PGID: 1"}
    wrote = TOOLS["gemini-cli"].describe(
        payload | {"tool_response": said | {"returnDisplay": "a\nExit Code: 5"}}
    )
    assert (wrote["success"], wrote["output"]) == (True, "a\nExit Code: 5")
    failed = TOOLS["gemini-cli"].describe(
        payload | {"tool_response": said | {"returnDisplay": "a"}}
    )
    assert (failed["success"], failed["metadata"]) == (False, {"exit_code": 5})
