"""What Droid's hooks sent, as events."""

import json
from pathlib import Path
from typing import Any

import pytest

from khive_persist.capture.client_recognition import client_of
from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.project import Project
from khive_persist.tools.droid.hooks import describe
from khive_persist.tools.droid.shell import shell_end
from tests import stored

RAW = Path(__file__).with_name("payloads.jsonl").read_text("utf-8").splitlines()
SENT: list[dict[str, Any]] = [json.loads(line) for line in RAW]


def sent(event: str, tool: str = "") -> list[dict[str, Any]]:
    return [
        payload
        for payload in SENT
        if payload["hook_event_name"] == event and payload.get("tool_name", "") == tool
    ]


def one(event: str, tool: str = "") -> dict[str, Any]:
    """Return the fields of the first event that was sent of a name and tool."""
    return describe(sent(event, tool)[0])


def test_a_command_says_its_output_and_its_end() -> None:
    done = one("PostToolUse", "Execute")
    assert done["event_type"] == "post_command"
    assert (done["command"], done["output"], done["success"]) == ("echo hello", "hello", True)
    payload = sent("PostToolUse", "Execute")[0]
    text = "Error: Command failed (exit code: 3)\nout\n\n\n[Process exited with code 3]"
    failed: dict[str, Any] = describe(payload | {"tool_response": text})
    assert (failed["success"], failed["output"], failed["error"]) == (False, "out", "Exit code: 3")
    assert failed["metadata"]["exit_code"] == 3


def test_an_edit_says_its_file_and_its_diff() -> None:
    edit = one("PostToolUse", "Edit")
    assert edit["event_type"] == "post_edit"
    assert edit["file_paths"] == ["/home/dev/src/proj/a b 🙂.txt"]
    assert edit["output"] == " one\n-two\n+three"
    assert one("PreToolUse", "Create")["event_type"] == "pre_edit"


def test_a_patch_says_its_files() -> None:
    patch = "*** Begin Patch\n*** Update File: /home/dev/a b.py\n@@\n-x\n+y\n*** End Patch"
    payload = sent("PreToolUse", "Edit")[0]
    fields = describe(payload | {"tool_name": "ApplyPatch", "tool_input": {"input": patch}})
    assert (fields["event_type"], fields["file_paths"]) == ("pre_edit", ["/home/dev/a b.py"])


def test_a_subagent_is_a_session_whose_task_is_no_prompt_of_the_user() -> None:
    types = {describe(p)["event_type"] for p in sent("UserPromptSubmit")}
    assert types == {"prompt_submitted", "agent_prompt_submitted"}
    (start,) = [p for p in sent("SessionStart") if "calling_session_id" in p]
    fields: dict[str, Any] = describe(start)
    parent = fields["metadata"]["parent_session_id"]
    assert parent == start["calling_session_id"] != start["session_id"]
    launched = one("PostToolUse", "Task")
    assert launched["event_type"] == "post_agent_spawn"
    assert "success" not in launched
    assert launched["metadata"] == {"background": True, "spawned_agent_type": "worker"}


def test_a_notification_says_its_message() -> None:
    assert one("Notification")["output"] == "Factory CLI needs permission to execute 1 tool(s)"
    assert one("PreCompact")["event_type"] == "pre_compact"


def test_every_payload_is_its_own_whoever_registered_the_hook() -> None:
    for payload in SENT:
        for registered in ("droid", "claude-code", "qwen-code"):
            assert client_of(registered, payload) == "droid"


def test_its_keys_tell_it_where_the_transcripts_path_does_not() -> None:
    told = {
        payload["hook_event_name"]: client_of("claude-code", payload | {"transcript_path": ""})
        for payload in SENT
    }
    own = ("SessionStart", "SessionEnd", "UserPromptSubmit", "Stop")
    assert {told[name] for name in own} == {"droid"}


def test_what_is_sent_is_stored_as_it_came(project: Project) -> None:
    spool = Spool(project)
    for line in RAW:
        spool.accept("droid", line.encode())
    drain(project)
    rows = stored.contents(project, HOOK_EVENTS["droid"].file).values()
    assert sorted(json.dumps(row["payload"]) for row in rows) == sorted(map(json.dumps, SENT))
    assert {row["tool"] for row in rows} == {"droid"}


@pytest.mark.parametrize(
    ("text", "output", "code", "is_running"),
    [
        ("[Process exited with code 0]", "", 0, False),
        ("a\n[Process exited with code 7]\nb\n\n[Process exited with code 0]",
         "a\n[Process exited with code 7]\nb", 0, False),
        ("Error: Command failed (exit code: 2)\n\n[Process exited with code 2]", "", 2, False),
        ("Background process started (PID: 3)\nCommand: x", None, None, True),
        ("no end", None, None, False),
    ],
)  # fmt: skip
def test_an_answer_to_a_command_is_read(
    text: str, output: str | None, code: int | None, is_running: bool
) -> None:
    assert shell_end(text) == (text if output is None else output, code, is_running)


@pytest.mark.parametrize("value", [None, 3, [], {}, "x", "{}", '{"diffLines": [3, {}]}', True])
@pytest.mark.parametrize("name", ["tool_response", "tool_input", "tool_name", "prompt"])
def test_odd_values_are_no_error(name: str, value: object) -> None:
    for payload in SENT:
        assert describe(payload | {name: value})["event_type"]
