"""What Qwen Code's hooks sent, as events."""

import json
from pathlib import Path
from typing import Any

import pytest

from khive_persist.capture.client_recognition import client_of
from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.project import Project
from khive_persist.tools import TOOLS
from khive_persist.tools.qwen_code.hooks import describe
from khive_persist.tools.qwen_code.shell import shell_end
from tests import stored

RAW = Path(__file__).with_name("payloads.jsonl").read_text("utf-8").splitlines()
SENT: list[dict[str, Any]] = [json.loads(line) for line in RAW]
REGISTERED = [hook.event for hook in TOOLS["qwen-code"].registration.hooks]


def one(event: str, tool: str = "", **fields: Any) -> dict[str, Any]:
    """Return the fields of the first event that was sent of a name, tool and further keys."""
    return describe(sent(event, tool, **fields))


def sent(event: str, tool: str = "", **fields: Any) -> dict[str, Any]:
    return next(
        payload
        for payload in SENT
        if payload["hook_event_name"] == event
        and payload.get("tool_name", "") == tool
        and all(payload.get(name) == value for name, value in fields.items())
    )


def test_a_call_has_the_models_id_in_both_events_and_in_the_transcript() -> None:
    payloads = (
        sent("PreToolUse", "run_shell_command"),
        sent("PostToolUse", "run_shell_command"),
    )
    ids = [describe(payload)["tool_use_id"] for payload in payloads]
    assert ids == [payload["tool_call_id"] for payload in payloads]
    assert all(payload["tool_use_id"].startswith("toolu_") for payload in payloads)


def test_a_command_says_its_output_and_its_end() -> None:
    done = one("PostToolUse", "run_shell_command")
    assert done["event_type"] == "post_command"
    assert (done["command"], done["output"], done["success"]) == ("echo hello", "hello", True)
    assert isinstance(done["duration_ms"], int)
    failed = one("PostToolUseFailure", "run_shell_command")
    assert failed["event_type"] == "post_command"
    assert failed["success"] is False
    assert failed["error"] == "Exit code: 3"
    assert failed["metadata"]["exit_code"] == 3
    assert failed["output"].startswith("out\nls: cannot access")
    assert not failed["output"].endswith("(none)")


def test_an_edit_says_its_file_and_its_diff() -> None:
    edit = one("PostToolUse", "edit")
    assert edit["event_type"] == "post_edit"
    assert edit["file_paths"] == ["/home/dev/src/proj/a b 🙂.txt"]
    assert "-two\n+three" in edit["output"]
    assert one("PreToolUse", "write_file")["event_type"] == "pre_edit"


def test_a_tool_that_failed_says_why() -> None:
    failed = one("PostToolUseFailure", "read_file")
    assert failed["event_type"] == "post_tool_use_failure"
    assert failed["success"] is False
    assert "File not found" in failed["error"]


def test_an_agent_in_the_background_has_not_succeeded_yet() -> None:
    launched = one("PostToolUse", "agent")
    assert launched["event_type"] == "post_agent_spawn"
    assert "success" not in launched
    stop = one("SubagentStop")
    assert launched["metadata"] == {
        "background": True,
        "spawned_agent_type": "general-purpose",
        "spawned_agent_id": stop["agent_id"],
    }
    assert stop["output"] == "All done."


def test_results_that_go_to_the_model_are_no_prompt_of_the_user() -> None:
    prompts = [p for p in SENT if p["hook_event_name"] == "UserPromptSubmit"]
    types = {bool(p["prompt"]): describe(p)["event_type"] for p in prompts}
    assert types == {True: "prompt_submitted", False: "turn_continued"}


def test_every_payload_is_its_own_whoever_registered_the_hook() -> None:
    for payload in SENT:
        for registered in ("qwen-code", "gemini-cli", "claude-code"):
            assert client_of(registered, payload) == "qwen-code"


@pytest.mark.parametrize("keys", [{"transcript_path": ""}, {"transcript_path": "/srv/q/x.jsonl"}])
def test_its_keys_tell_it_where_the_transcripts_path_does_not(keys: dict[str, str]) -> None:
    call = sent("PreToolUse", "run_shell_command") | keys
    prompt = sent("UserPromptSubmit", prompt=sent("UserPromptSubmit")["prompt"]) | keys
    assert {client_of("claude-code", payload) for payload in (call, prompt)} == {"qwen-code"}


def test_what_is_sent_is_stored_once_as_it_came(project: Project) -> None:
    spool = Spool(project)
    for line in RAW * 2:
        spool.accept("qwen-code", line.encode())
    drain(project)
    rows = stored.contents(project, HOOK_EVENTS["qwen-code"].file).values()
    assert sorted(json.dumps(row["payload"]) for row in rows) == sorted(map(json.dumps, SENT))
    assert {row["tool"] for row in rows} == {"qwen-code"}


def test_what_doubles_or_blocks_a_list_is_not_registered() -> None:
    assert not {"TodoCreated", "TodoCompleted"} & set(REGISTERED)
    assert [h.event for h in TOOLS["qwen-code"].registration.hooks if h.model] == ["MessageDisplay"]


@pytest.mark.parametrize(
    ("text", "output", "code"),
    [
        ("Command: x\nDirectory: (root)\nOutput: a\nError: (none)\nExit Code: 0\nSignal: (none)\n"
         "Process Group PGID: 7", "a", 0),
        ("Command: x\nDirectory: (root)\nOutput: (empty)\nError: (none)\nExit Code: 2\n"
         "Signal: (none)\nProcess Group PGID: (none)\n\nNote: it was long.", "", 2),
        ("Command: x\nDirectory: /a\nOutput: \nError: mine\nExit Code: 9\nSignal: (none)\n"
         "Process Group PGID: 1\nmore\nError: (none)\nExit Code: 0\nSignal: (none)\n"
         "Process Group PGID: 7",
         "\nError: mine\nExit Code: 9\nSignal: (none)\nProcess Group PGID: 1\nmore", 0),
    ],
)  # fmt: skip
def test_an_output_may_look_like_what_the_client_adds(text: str, output: str, code: int) -> None:
    end = shell_end(text)
    assert (end.output, end.exit_code, end.success) == (output, code, code == 0)


def test_a_command_may_look_like_what_the_client_adds() -> None:
    command = "echo 1\nDirectory: x\nOutput: no"
    text = f"Command: {command}\nDirectory: (root)\nOutput: 1\nError: (none)\nExit Code: 0\n"
    assert shell_end(f"{text}Signal: (none)\nProcess Group PGID: 1", command).output == "1"


def test_a_command_that_did_not_end_says_so() -> None:
    assert shell_end("Command was cancelled by user before it could complete.").is_interrupted
    assert shell_end("Background shell started.\nid: bg_1").is_background
    assert shell_end('Foreground command "x" promoted to background as bg_1.').is_background
    assert shell_end("anything else").success is None


@pytest.mark.parametrize("value", [None, 3, [], {}, "x", [{"a": 1}], True, {"llmContent": 5}])
@pytest.mark.parametrize("name", ["tool_response", "tool_input", "error", "prompt", "tool_call_id"])
def test_odd_values_are_no_error(name: str, value: object) -> None:
    for payload in SENT:
        assert describe(payload | {name: value})["event_type"]
