"""What each version of a client knows is registered, nothing else: an unknown event harms it."""

import json
from pathlib import Path

import pytest

from khive_persist.capture.hook_config import install, settings_path, status
from khive_persist.capture.hook_config.versions import known_versions
from khive_persist.tools import TOOLS

CLAUDE = TOOLS["claude-code"]
# What the programs themselves list, of these four versions.
OF_2_1_100 = {
    "PreToolUse", "PostToolUse", "PostToolUseFailure", "Notification", "UserPromptSubmit",
    "SessionStart", "SessionEnd", "Stop", "StopFailure", "SubagentStart", "SubagentStop",
    "PreCompact", "PostCompact", "PermissionRequest", "PermissionDenied", "Setup", "TeammateIdle",
    "TaskCreated", "TaskCompleted", "Elicitation", "ElicitationResult", "ConfigChange",
    "InstructionsLoaded", "CwdChanged", "FileChanged",
}  # fmt: skip
OF_2_1_117 = OF_2_1_100 | {"UserPromptExpansion"}
OF_2_1_197 = OF_2_1_117 | {"PostToolBatch", "MessageDisplay"}
OF_2_1_332 = OF_2_1_197 | {
    "PreModelSwitch", "PostModelSwitch", "DirectoryAdded", "PreSkillShellCommand",
}  # fmt: skip


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that alone is on PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{says}\n")
    path.chmod(0o755)
    return path


def told(version: str) -> str:
    return f"echo '{version} (Claude Code)'"


def events(root: Path) -> set[str]:
    return set(json.loads(settings_path("claude-code", "project", root).read_text())["hooks"])


@pytest.mark.parametrize(
    ("version", "known"),
    [
        ("2.1.100", OF_2_1_100),
        ("2.1.117", OF_2_1_117),
        ("2.1.197", OF_2_1_197),
        ("2.1.332", OF_2_1_332),
        ("2.2.0", OF_2_1_332),
        ("10.0.0", OF_2_1_332),
    ],
)
def test_what_a_version_knows_is_registered(
    tmp_path: Path, programs: Path, version: str, known: set[str]
) -> None:
    program(programs / "claude", told(version))
    change = install("claude-code", "project", tmp_path)
    assert events(tmp_path) == known
    assert (change.version, set(change.left_out)) == (version, OF_2_1_332 - known)
    found = status("claude-code", "project", tmp_path)
    assert (found.state, found.version, found.problems) == ("installed", version, ())
    assert set(found.left_out) == OF_2_1_332 - known


def test_the_oldest_of_all_that_read_the_file_counts(
    tmp_path: Path, programs: Path, home: Path
) -> None:
    program(programs / "claude", told("2.1.332"))
    assert known_versions(CLAUDE).oldest == "2.1.332"
    (home / ".vscode/extensions/anthropic.claude-code-2.1.197-linux-x64").mkdir(parents=True)
    assert known_versions(CLAUDE).oldest == "2.1.197"
    program(home / ".local/bin/claude", told("2.1.117"))
    assert known_versions(CLAUDE).oldest == "2.1.117"
    assert known_versions(CLAUDE, "2.1.90").oldest == "2.1.90"
    assert known_versions(CLAUDE, "2.1.300").oldest == "2.1.117"
    install("claude-code", "project", tmp_path)
    assert events(tmp_path) == OF_2_1_117


def test_a_version_that_is_named_counts_besides(tmp_path: Path, programs: Path) -> None:
    program(programs / "claude", told("2.1.332"))
    install("claude-code", "project", tmp_path, version="2.1.100")
    assert events(tmp_path) == OF_2_1_100


@pytest.mark.parametrize("says", ["exit 3", "echo what", "echo 2.1 >&2"])
def test_a_client_that_does_not_tell_is_taken_for_the_oldest(
    tmp_path: Path, programs: Path, says: str
) -> None:
    path = program(programs / "claude", says)
    change = install("claude-code", "project", tmp_path)
    assert events(tmp_path) == OF_2_1_100
    assert any(f"{path} does not tell its version" in line for line in change.by_hand)


def test_where_none_is_found_the_oldest_is_assumed_and_said(tmp_path: Path, programs: Path) -> None:
    change = install("claude-code", "project", tmp_path)
    assert (change.version, events(tmp_path)) == ("2.1.100", OF_2_1_100)
    assert any("No Claude Code was found" in line for line in change.by_hand)
    # A folder of PATH that is relative is the working directory's.
    assert known_versions(CLAUDE).is_assumed


def test_a_relative_folder_of_path_is_not_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "claude", told("2.1.332"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f".:{tmp_path.name}:")
    assert known_versions(CLAUDE).is_assumed


def test_what_an_older_version_would_skip_the_file_for_is_told_and_taken_out(
    tmp_path: Path, programs: Path
) -> None:
    program(programs / "claude", told("2.1.332"))
    install("claude-code", "project", tmp_path)
    program(programs / "claude", told("2.1.100"))
    (problem,) = status("claude-code", "project", tmp_path).problems
    assert "PostToolBatch" in problem
    assert f"Claude Code 2.1.100 ({programs / 'claude'}) does not know" in problem
    install("claude-code", "project", tmp_path)
    assert events(tmp_path) == OF_2_1_100
    assert status("claude-code", "project", tmp_path).problems == ()
    program(programs / "claude", told("2.1.332"))
    assert "PostToolBatch" in status("claude-code", "project", tmp_path).missing


def test_an_event_of_the_users_own_stays(tmp_path: Path, programs: Path) -> None:
    program(programs / "claude", told("2.1.100"))
    path = settings_path("claude-code", "project", tmp_path)
    path.parent.mkdir()
    theirs = [{"hooks": [{"type": "command", "command": "true"}]}]
    path.write_text(json.dumps({"hooks": {"PostToolBatch": theirs}}))
    install("claude-code", "project", tmp_path)
    assert json.loads(path.read_text())["hooks"]["PostToolBatch"] == theirs


@pytest.mark.parametrize("tool", ["codex", "gemini-cli"])
def test_the_other_tools_take_any_event(tmp_path: Path, programs: Path, tool: str) -> None:
    change = install(tool, "project", tmp_path)
    assert (change.version, change.left_out) == ("", ())
