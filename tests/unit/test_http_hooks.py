"""Our HTTP hooks in a settings file of Claude Code: in, out, and against command hooks."""

import json
from pathlib import Path
from typing import Any

import pytest

from khive_persist.capture.hook_config import install, settings_path, status, uninstall
from khive_persist.capture.hook_config.command import hook_command
from khive_persist.capture.hook_config.http_hook import hook_url, is_our_http_hook
from khive_persist.errors import InvalidSettingsError
from khive_persist.tools import TOOLS

CLAUDE = "claude-code"
# Nothing listens on the port of discarding.
SERVER = "http://127.0.0.1:9"
URL = f"{SERVER}/hooks/claude-code"
SENT = {
    "UserPromptSubmit", "PreToolUse", "PostToolUse", "PostToolUseFailure", "PostToolBatch",
    "MessageDisplay", "Stop",
}  # fmt: skip
ENTRY = {
    "type": "http",
    "url": URL,
    "headers": {"Authorization": "Bearer $KHIVE_TOKEN", "Khive-Off": "$KHIVE_OFF"},
    "allowedEnvVars": ["KHIVE_TOKEN", "KHIVE_OFF"],
    "timeout": 5,
}
THEIRS = ENTRY | {"headers": {"Authorization": "Bearer $OTHER"}}


@pytest.fixture(autouse=True)
def newest_client(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A machine that has the newest Claude Code alone."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "claude").write_text("#!/bin/sh\necho 2.1.332\n")
    (folder / "claude").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def command_of(event: str, directory: Path | None = None) -> str:
    """The command that is registered for an event."""
    blocks = {hook.event: hook.blocks for hook in TOOLS[CLAUDE].registration.hooks}[event]
    words = [str(Path.home() / ".khive/bin/khive-hook")]
    is_shared = directory is None
    return hook_command(CLAUDE, directory, blocks=blocks, is_shared=is_shared, words=words)


def path_in(root: Path) -> Path:
    path = settings_path(CLAUDE, "project", root)
    path.parent.mkdir(exist_ok=True)
    return path


def hooks_of(root: Path) -> dict[str, list[dict[str, Any]]]:
    """Every hook by its event."""
    events = json.loads(path_in(root).read_text())["hooks"]
    return {
        event: [h for group in groups for h in group["hooks"]] for event, groups in events.items()
    }


def write(root: Path, *hooks: dict[str, Any]) -> None:
    groups = [{"matcher": "", "hooks": [hook]} for hook in hooks]
    path_in(root).write_text(json.dumps({"hooks": {"Stop": groups}}))


def told(root: Path) -> tuple[str, ...]:
    return status(CLAUDE, "project", root, asks_server=False).problems


def test_what_comes_often_is_sent_and_the_rest_comes_by_command(tmp_path: Path) -> None:
    change = install(CLAUDE, "project", tmp_path, directory=tmp_path, server=SERVER)
    hooks = hooks_of(tmp_path)
    assert set(hooks) == {hook.event for hook in TOOLS[CLAUDE].registration.hooks}
    for event, (hook,) in hooks.items():
        if event in SENT:
            assert hook == ENTRY
        else:
            assert hook["command"] == command_of(event, tmp_path)
    assert any("KHIVE_TOKEN" in line for line in change.by_hand)
    found = status(CLAUDE, "project", tmp_path, asks_server=False)
    assert (found.state, found.transport, found.problems) == ("installed", "http", ())
    assert not install(CLAUDE, "project", tmp_path, directory=tmp_path, server=SERVER).written
    uninstall(CLAUDE, "project", tmp_path)
    assert not path_in(tmp_path).exists()


def test_a_transport_takes_the_project_of_the_other(tmp_path: Path) -> None:
    original = json.dumps({"hooks": {"Stop": [{"hooks": [THEIRS]}]}, "a": 1}, indent="\t")
    path_in(tmp_path).write_text(original)
    install(CLAUDE, "project", tmp_path)
    commands = path_in(tmp_path).read_bytes()
    assert status(CLAUDE, "project", tmp_path).transport == "command"
    change = install(CLAUDE, "project", tmp_path, server=SERVER)
    assert set(change.events) == SENT
    assert hooks_of(tmp_path)["Stop"] == [THEIRS, ENTRY]
    again = install(CLAUDE, "project", tmp_path, server=SERVER)
    assert (again.written, again.events) == (False, ())
    assert set(install(CLAUDE, "project", tmp_path).events) == SENT
    assert path_in(tmp_path).read_bytes() == commands
    install(CLAUDE, "project", tmp_path, server=SERVER)
    uninstall(CLAUDE, "project", tmp_path)
    assert path_in(tmp_path).read_text() == original


def test_a_hook_keeps_its_place_and_its_timeout(tmp_path: Path) -> None:
    ours = {"type": "command", "command": command_of("Stop"), "timeout": 30}
    group = {"matcher": "x", "hooks": [THEIRS, ours, THEIRS]}
    path_in(tmp_path).write_text(json.dumps({"hooks": {"Stop": [group]}}))
    install(CLAUDE, "project", tmp_path, server=SERVER)
    assert hooks_of(tmp_path)["Stop"] == [THEIRS, ENTRY | {"timeout": 30}, THEIRS]
    install(CLAUDE, "project", tmp_path, server="http://localhost:8")
    assert hooks_of(tmp_path)["Stop"][1]["url"] == "http://localhost:8/hooks/claude-code"
    assert hooks_of(tmp_path)["Stop"][1]["timeout"] == 30
    install(CLAUDE, "project", tmp_path)
    assert hooks_of(tmp_path)["Stop"] == [THEIRS, ours, THEIRS]


@pytest.mark.parametrize(
    ("change", "ours"),
    [
        ({}, True),
        ({"url": "https://localhost:1/hooks/claude-code", "timeout": 99, "once": True}, True),
        ({"url": "http://[::1]:8423/hooks/claude-code"}, True),
        ({"headers": {"Authorization": "Bearer ${KHIVE_TOKEN}", "X-Mine": "1"}}, True),
        ({"url": "http://127.0.0.1:9/hooks/codex"}, False),
        ({"url": "http://127.0.0.1:9/x/hooks/claude-code"}, False),
        ({"url": "http://example.test:9/hooks/claude-code"}, False),
        ({"url": "http://[::1/hooks/claude-code"}, False),
        ({"url": None}, False),
        ({"headers": None}, False),
        ({"headers": {}}, False),
        ({"headers": {"Authorization": "Bearer $OTHER"}}, False),
        ({"type": "command"}, False),
    ],
)
def test_ours_are_known_by_url_and_header(change: dict[str, Any], ours: bool) -> None:
    assert is_our_http_hook(ENTRY | change, CLAUDE) is ours


@pytest.mark.parametrize(
    "server",
    [
        "", "8423", "127.0.0.1:8423", "ftp://127.0.0.1:1", "http://example.test:8423",
        "http://10.0.0.1:8423", "http://127.0.0.1", "http://127.0.0.1:8423/x",
        "http://127.0.0.1:99999", "http://a:b@127.0.0.1:1", "http://[::1:1", "http://127.0.0.1:1?a",
    ],
)  # fmt: skip
def test_only_a_server_of_this_machine_is_sent_to(tmp_path: Path, server: str) -> None:
    with pytest.raises(InvalidSettingsError, match="no server of this machine"):
        install(CLAUDE, "project", tmp_path, server=server)
    assert not path_in(tmp_path).exists()


@pytest.mark.parametrize(
    "server", ["http://127.0.0.1:8423/", "http://[::1]:1", "https://localhost:2"]
)
def test_a_url_is_taken_as_serve_prints_it(server: str) -> None:
    assert hook_url(CLAUDE, server) == server.rstrip("/") + "/hooks/claude-code"


def test_an_entry_that_gets_no_token_is_told_and_mended(tmp_path: Path) -> None:
    write(tmp_path, {key: of for key, of in ENTRY.items() if key != "allowedEnvVars"})
    install(CLAUDE, "user", tmp_path)
    assert any("sends Stop without a token" in problem for problem in told(tmp_path))
    install(CLAUDE, "project", tmp_path, server=SERVER)
    assert hooks_of(tmp_path)["Stop"] == [ENTRY]


def test_an_event_with_both_is_told_and_mended(tmp_path: Path) -> None:
    write(tmp_path, {"type": "command", "command": hook_command(CLAUDE), "timeout": 5}, ENTRY)
    (problem,) = [one for one in told(tmp_path) if "twice" in one]
    assert "Stop twice, by a command and over HTTP" in problem
    install(CLAUDE, "project", tmp_path, server=SERVER)
    # The same URL twice is sent to once, as Claude Code sees to.
    assert hooks_of(tmp_path)["Stop"] == [ENTRY, ENTRY]
    assert told(tmp_path) == ()


def test_scopes_of_two_transports_record_twice(tmp_path: Path) -> None:
    install(CLAUDE, "project", tmp_path, server=SERVER)
    install(CLAUDE, "user", tmp_path, server=SERVER)
    assert told(tmp_path) == ()
    install(CLAUDE, "user", tmp_path)
    (problem,) = told(tmp_path)
    assert f"records {len(SENT)} events twice" in problem
