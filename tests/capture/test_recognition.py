"""Whose event it is: every client's own payloads, run by another one's settings."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from khive_persist import HookEvent
from khive_persist.capture.client_recognition import client_of, in_our_words, shared_id
from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.project import Project
from tests import stored
from tests.cases import for_each
from tests.payloads import Hook

SENT: list[dict[str, Any]] = [
    json.loads(line) for line in Path(__file__).with_name("clients.jsonl").read_text().splitlines()
]
BY_ENVIRONMENT = {"COPILOT_CLI": "copilot-cli"}
THREE = ("claude-code", "codex", "gemini-cli")


def contents(project: Project, file: str) -> list[dict[str, Any]]:
    return [*stored.contents(project, file).values()]


def hint(sent: dict[str, Any]) -> str:
    return next((BY_ENVIRONMENT[e] for e in sent["environment"] if e in BY_ENVIRONMENT), "")


@for_each("sent", SENT)
def test_every_payload_is_its_clients_own(sent: dict[str, Any]) -> None:
    payload = json.loads(sent["raw"])
    registered = sent["client"] if sent["client"] in THREE else "claude-code"
    assert client_of(registered, payload, hint(sent)) == sent["client"]
    assert in_our_words(payload).get("session_id")


@pytest.mark.parametrize("registered", THREE)
@pytest.mark.parametrize("client", ["claude-code", "codex", "gemini-cli", "copilot-cli"])
def test_a_transcript_says_more_than_the_settings(registered: str, client: str) -> None:
    path = {
        "claude-code": "/home/dev/.claude/projects/-x/s.jsonl",
        "codex": "/srv/state/sessions/2026/11/21/rollout-2026-11-21T01-11-11-01a1.jsonl",
        "gemini-cli": "/home/dev/.gemini/tmp/proj/chats/session-1.jsonl",
        "copilot-cli": "/home/dev/.copilot/session-state/s/events.jsonl",
    }[client]
    payload = {"session_id": "s", "hook_event_name": "Stop", "transcript_path": path}
    assert client_of(registered, payload, "cursor") == client


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"session_id": "s"},
        {"hook_event_name": "Stop"},
        {"transcript_path": None, "session_id": "s", "hook_event_name": "Stop"},
        {"transcript_path": "/tmp/x", "session_id": 3},
        {"anything": 1},
    ],
)
def test_what_tells_nothing_is_the_registered_tools(payload: dict[str, Any]) -> None:
    for tool in THREE:
        assert client_of(tool, payload) == tool
    assert client_of("codex", payload, "copilot-cli") == "codex"


@pytest.mark.parametrize("key", ["sessionId", "conversation_id", "taskId", "threadId"])
def test_an_unknown_client_is_called_so_and_has_its_session(key: str, project: Project) -> None:
    raw = json.dumps({key: "s7", "what": "else"}).encode()
    assert client_of("claude-code", json.loads(raw)) == "unknown"
    Spool(project).accept("claude-code", raw)
    drain(project)
    (content,) = contents(project, "agent_hooks.db")
    assert (content["tool"], content["session_id"]) == ("unknown", "s7")
    assert content["payload"] == json.loads(raw)


def test_the_hook_tells_who_ran_it(project: Project, hook: Hook) -> None:
    raw = b'{"session_id":"s","hook_event_name":"PreToolUse","tool_name":"bash","cwd":"/x"}'
    for name, client, file in (
        ("COPILOT_CLI", "copilot-cli", "agent_hooks.db"),
        ("CURSOR_VERSION", "cursor", "agent_hooks.db"),
        ("GROK_SESSION", "grok-build", "agent_hooks.db"),
        ("NOBODY", "claude-code", "claude_hooks.db"),
    ):
        assert hook(raw, env=dict(os.environ) | {name: "1"}).returncode == 0
        assert hook(raw, "codex", env=dict(os.environ) | {name: "1"}).returncode == 0
        drain(project)
        assert contents(project, file)[-1]["tool"] == client
        assert contents(project, "codex_hooks.db")[-1]["tool"] == "codex"


def test_an_event_lives_in_the_file_of_its_client(project: Project) -> None:
    for sent in SENT:
        if sent["client"] == "codex":
            Spool(project).accept("claude-code", sent["raw"].encode())
    drain(project)
    assert not project.database("claude_hooks.db").exists()
    found = contents(project, "codex_hooks.db")
    assert {content["tool"] for content in found} == {"codex"}
    assert {content["metadata"]["registered_for"] for content in found} == {"claude-code"}


def test_what_two_settings_files_ran_is_stored_once(project: Project, hook: Hook) -> None:
    raw = b'{"session_id":"s","hook_event_name":"Stop","timestamp":"2026-11-28T15:03:12.555Z"}'
    later = raw.replace(b"12.555", b"12.556")
    copilot = dict(os.environ) | {"COPILOT_CLI": "1"}
    for payload in (raw, raw, later):
        assert hook(payload, env=copilot).returncode == 0
    drain(project)
    assert hook(raw, env=copilot).returncode == 0
    drain(project)
    assert len(contents(project, "agent_hooks.db")) == 2
    assert Spool(project).is_empty()
    # Claude Code itself has no time in its payloads, and each is an event of its own.
    for _ in range(2):
        assert hook(raw).returncode == 0
    drain(project)
    assert len(contents(project, "claude_hooks.db")) == 2


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"[]", b"{}", b"not json", b'{"timestamp":null}', b'{"timestamp":"soon"}',
        b'{"timestamp":-5}', b'{"timestamp":1e300}', b'{"timestamp":99999999999999999999}',
        b'{"tool_input":{"timestamp":1795878172027}}',
    ],
)  # fmt: skip
def test_without_a_time_of_its_own_there_is_no_shared_id(raw: bytes) -> None:
    assert shared_id(raw) == ""


def test_records_of_other_clients_are_found_and_saved() -> None:
    assert HookEvent.purpose_of({"tool": "copilot-cli"}).file == "agent_hooks.db"
    assert HookEvent.purpose_of({"tool": "unknown"}).file == "agent_hooks.db"
