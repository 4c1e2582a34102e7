"""What Cline 3.0.65 sent: a session with a subagent; and the programs that it starts."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from khive_persist.capture.client_recognition import client_of, in_our_words
from khive_persist.capture.drain import drain
from khive_persist.capture.hook_config.command import hook_command
from khive_persist.capture.spool import Spool
from khive_persist.project import Project
from khive_persist.tools import TOOLS
from khive_persist.tools.tool import OwnFiles
from tests import stored
from tests.factories import make_project

LINES = Path(__file__).with_name("payloads.jsonl").read_bytes().splitlines()
PAYLOADS: list[dict[str, Any]] = [json.loads(line) for line in LINES]
SESSION = "1795993390433_1cay1"
ANSWER = {"cancel": False}


def described(payload: dict[str, Any]) -> dict[str, Any]:
    return TOOLS["cline"].describe(in_our_words(payload))


def of(hook: str, text: str = "") -> dict[str, Any]:
    """Return the fields of the first payload of a hook that has a text in it."""
    return next(
        described(payload)
        for payload, line in zip(PAYLOADS, LINES, strict=True)
        if payload["hookName"] == hook and text in line.decode()
    )


def contents(project: Project) -> list[dict[str, Any]]:
    drain(project)
    return [*stored.contents(project, "agent_hooks.db").values()]


def test_what_two_hooks_are_given_is_one_row_as_it_came(project: Project) -> None:
    for line in LINES:
        Spool(project).accept("cline", line)
        Spool(project).accept("cline", line)
    drain(project)
    Spool(project).accept("cline", LINES[0])
    rows = contents(project)
    assert sorted(json.dumps(row["payload"]) for row in rows) == sorted(map(json.dumps, PAYLOADS))
    assert {row["session_id"] for row in rows} == {SESSION}
    assert {row["tool"] for row in rows} == {"cline"}


def test_whoever_runs_the_hook_it_is_clines() -> None:
    assert {client_of("claude-code", payload) for payload in PAYLOADS} == {"cline"}


def test_events_have_our_words() -> None:
    types = {
        p["hookName"]: described(p)["event_type"] for p in PAYLOADS if not p["parent_agent_id"]
    }
    assert types["agent_start"] == "session_start"
    assert types["agent_end"] == "stop"
    assert of("agent_end")["output"] == "All done."


def test_a_subagent_is_one_of_its_session() -> None:
    ours = [described(p) for p in PAYLOADS if p["parent_agent_id"]]
    assert [fields["event_type"] for fields in ours] == [
        "subagent_start", "pre_command", "post_command", "subagent_stop",
    ]  # fmt: skip
    assert {fields["session_id"] for fields in ours} == {SESSION}
    assert len({fields["agent_id"] for fields in ours}) == 1
    assert all("agent_id" not in described(p) for p in PAYLOADS if not p["parent_agent_id"])


def test_a_command_that_failed_has_failed() -> None:
    fields = of("tool_result", "exit 3")
    assert (fields["event_type"], fields["command"]) == ("post_command", "echo hi; exit 3")
    assert (fields["success"], fields["output"]) == (False, "hi\n")
    assert fields["metadata"]["exit_code"] == 3
    assert fields["duration_ms"] > 0
    assert of("tool_call", "exit 3")["tool_use_id"] == fields["tool_use_id"]


def test_an_edit_and_a_read_name_their_files() -> None:
    assert of("tool_result", '"name":"editor"')["event_type"] == "post_edit"
    assert of("tool_call", '"name":"editor"')["file_paths"] == ["/home/dev/src/proj/a b.txt"]
    read = of("tool_result", '"name":"read_files"')
    assert read["file_paths"] == ["/home/dev/src/proj/a b.txt", "/nope"]


def test_where_the_transcript_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/dev")
    folder = "/home/dev/.cline/data/sessions"
    assert of("agent_end")["transcript_path"] == f"{folder}/{SESSION}/{SESSION}.messages.json"
    for name in ("../../x", "a/b", "", ".", "..", "x" * 200):
        other = PAYLOADS[0] | {"sessionContext": {"rootSessionId": name}}
        assert "transcript_path" not in described(other)


def test_an_error_and_a_cancel_have_words() -> None:
    error = PAYLOADS[0] | {"hookName": "agent_error", "error": {"message": "no answer"}}
    assert described(error)["event_type"] == "stop_failure"
    assert described(error)["error"] == "no answer"
    assert described(PAYLOADS[0] | {"hookName": "agent_abort"})["event_type"] == "interrupt"


def test_an_event_made_of_a_transcript_has_the_same_words() -> None:
    output = [{"query": "x", "result": "[Command exited with code 2]\nno",
               "error": "Command exited with code 2", "success": False}]  # fmt: skip
    fields = described(
        {"hook_event_name": "tool_result", "session_id": "s", "tool_name": "run_commands",
         "tool_use_id": "c", "tool_input": {"commands": ["x"]}, "tool_response": output}
    )  # fmt: skip
    assert (fields["event_type"], fields["tool_use_id"]) == ("post_command", "c")
    assert (fields["success"], fields["metadata"]["exit_code"]) == (False, 2)


@pytest.mark.parametrize("odd", [None, 1, True, "x", [], [1, None], {"a": []}, {"output": [1]}])
def test_odd_values_are_left_out(odd: object) -> None:
    keys = ("tool_call", "tool_result", "turn", "error", "sessionContext", "workspaceRoots",
            "parent_agent_id", "agent_id", "taskId", "hookName")  # fmt: skip
    for payload in PAYLOADS:
        for key in keys:
            described(payload | {key: odd})
        for key in ("id", "name", "input", "output", "durationMs", "error"):
            for record in ("tool_call", "tool_result"):
                described(payload | {record: {"name": "run_commands"} | {key: odd}})
        described(payload | {"tool_call": {"name": "run_commands", "input": {"commands": odd}}})
        described(payload | {"tool_call": {"name": "read_files", "input": {"files": odd}}})


def program(path: Path, command: str) -> Path:
    registration = TOOLS["cline"].registration
    assert isinstance(registration, OwnFiles)
    path.write_text(registration.contents(lambda _hook: command)["PreToolUse"])
    return path


def run(
    path: Path, at: Path, stdin: bytes = LINES[0], **environment: str
) -> "subprocess.CompletedProcess[bytes]":
    """Start a program as Cline does: by the interpreter that its first line names."""
    return subprocess.run(
        ["sh", str(path)], cwd=at, env=os.environ | environment, input=stdin,
        capture_output=True, check=False, timeout=30,
    )  # fmt: skip


def test_the_event_is_of_the_project_of_the_session(project: Project, tmp_path: Path) -> None:
    """The environment is that of the shell which started the hub, in whatever project."""
    other = make_project(tmp_path / "other")
    path = program(tmp_path / "PreToolUse", hook_command("cline", blocks=True))
    ended = run(path, project.root, KHIVE_DIR=str(other.root), PWD=str(other.root))
    assert (ended.returncode, json.loads(ended.stdout), ended.stderr) == (0, ANSWER, b"")
    # At Ctrl-C it ends before it has said which event it is.
    run(path, project.root, b"")
    assert [row["payload"] for row in contents(project)] == [PAYLOADS[0]]
    assert contents(other) == []


@pytest.mark.parametrize(
    "command",
    ["/nonexistent/khive-hook --tool cline || exit 0", "exit 127", "kill -9 $$", "echo no; exit 2",
     "echo '{\"cancel\":true}'", "cat >&2"],
)  # fmt: skip
def test_the_answer_is_the_same_whatever_becomes_of_the_hook(tmp_path: Path, command: str) -> None:
    ended = run(program(tmp_path / "PreToolUse", command), tmp_path)
    assert json.loads(ended.stdout) == ANSWER
    assert ended.stderr == b""


def test_where_the_project_cannot_be_written_the_answer_is_there(
    project: Project, tmp_path: Path
) -> None:
    path = program(tmp_path / "PreToolUse", hook_command("cline", blocks=True))
    ended = run(path, project.root, HOME="/nonexistent", KHIVE_HOME="/nonexistent")
    assert (ended.returncode, json.loads(ended.stdout)) == (0, ANSWER)
