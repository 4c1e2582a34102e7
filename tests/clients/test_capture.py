"""The sample of a client's events that a user can send to others."""

import json
import os
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from khive_persist.project import Project
from tests.payloads import Hook
from tests.server.process import until

SECRET = "ghp_" + "A1b2" * 9
SECONDS = 60.0


def payload(project: Project, number: int) -> bytes:
    """An event with a secret, an address, and paths of the project and the home directory."""
    home = os.environ["HOME"]
    return json.dumps(
        {
            "hook_event_name": "preToolUse",
            "conversation_id": f"conv-{number}",
            "generation_id": "gen-1",
            "cursor_version": "3.18.2",
            "workspace_roots": [str(project.root)],
            "user_email": "me@firm.example",
            "transcript_path": f"{home}/.cursor/projects/{str(project.root)[1:].replace('/', '-')}",
            "tool_name": "Shell",
            "tool_use_id": f"t{number}",
            "tool_input": {"command": f"export TOKEN={SECRET}; ls {project.root}/src {home}rest"},
        }
    ).encode()


def capture(project: Project, *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "khive_persist.cli", "hooks", "capture", *words]
    return subprocess.Popen(
        command, cwd=project.root, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # Whoever started the tests in the background has it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def finished(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out, err


def documents(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_line_has_what_is_needed_and_nothing_of_the_person(project: Project, hook: Hook) -> None:
    hook(payload(project, 1), "cursor")
    code, out, _ = finished(capture(project, "cursor", "--last", "5"))
    assert code == 0
    path = project.root / "cursor-sample.jsonl"
    (document,) = documents(path)
    assert document["argv"] == ["khive-hook", "--tool", "cursor"]
    assert (document["client"], document["client_version"]) == ("cursor", "3.18.2")
    assert document["event_type"] == "pre_command"
    sent = document["payload"]
    assert sent["workspace_roots"] == ["/home/user/project"]
    assert sent["user_email"] == "user@example.com"
    assert sent["transcript_path"] == "/home/user/.cursor/projects/home-user-project"
    assert "ls /home/user/project/src" in sent["tool_input"]["command"]
    text = path.read_text("utf-8")
    assert SECRET not in text
    assert str(project.root) not in text
    # Another path, which only begins like the home directory's.
    assert f"{os.environ['HOME']}rest" in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "1 events of Cursor" in out
    assert "look at it before you send it" in out


def test_redaction_that_is_off_is_on_for_a_sample(project: Project, hook: Hook) -> None:
    project.config.write_text("[redaction]\nenabled = false\n")
    hook(payload(project, 1), "cursor")
    assert finished(capture(project, "cursor", "--last", "1", "--output", "s.jsonl"))[0] == 0
    assert SECRET not in (project.root / "s.jsonl").read_text("utf-8")


def test_events_are_taken_from_now_on_until_ctrl_c(project: Project, hook: Hook) -> None:
    hook(payload(project, 1), "cursor")
    hook(b'{"hook_event_name":"Stop","session_id":"s"}', "claude-code")
    process = capture(project, "cursor")
    assert process.stderr is not None
    assert "until Ctrl-C" in process.stderr.readline()
    path = project.root / "cursor-sample.jsonl"
    number = 1
    # What came before it listens is no part of the sample: one is sent after another.
    while not path.read_text("utf-8"):
        number += 1
        hook(payload(project, number), "cursor")
        hook(b'{"hook_event_name":"Stop","session_id":"s"}', "claude-code")
        # Sent without a pause, they would be all that the machine does.
        with suppress(AssertionError):
            until(lambda: bool(path.read_text("utf-8")), 1)
    process.send_signal(signal.SIGINT)
    code, out, _ = finished(process)
    taken = documents(path)
    assert (code, "are in cursor-sample.jsonl" in out) == (0, True)
    assert {document["client"] for document in taken} == {"cursor"}
    assert "conv-1" not in {document["payload"]["conversation_id"] for document in taken}


def test_nothing_is_a_failure_and_leaves_no_file(project: Project) -> None:
    code, _, err = finished(capture(project, "kimi-code", "--seconds", "0.1"))
    assert code == 1
    assert "no event of Kimi Code came" in err
    assert not (project.root / "kimi-code-sample.jsonl").exists()


@pytest.mark.parametrize("is_link", [False, True])
def test_a_file_that_is_there_stays(project: Project, hook: Hook, is_link: bool) -> None:
    hook(payload(project, 1), "cursor")
    path = project.root / "cursor-sample.jsonl"
    kept = project.root / "kept"
    kept.write_text("mine")
    if is_link:
        path.symlink_to(kept)
    else:
        path.write_text("mine")
    assert finished(capture(project, "cursor", "--last", "1"))[0] == 1
    assert path.read_text() == kept.read_text() == "mine"
