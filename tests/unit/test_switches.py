"""What keeps hooks from running, in every layer of each client's settings: told, or not there."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from khive_persist.capture.hook_config import install, settings_path, status, switches
from khive_persist.tools import Scope

CLAUDE, CODEX, GEMINI = "claude-code", "codex", "gemini-cli"


@pytest.fixture(autouse=True)
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose administrator's folders are the test's, and that has no client."""
    folder = tmp_path / "etc"
    for name in ("_CLAUDE_MANAGED", "_GEMINI_SYSTEM"):
        monkeypatch.setattr(switches, name, {"linux": str(folder), "darwin": str(folder)})
    monkeypatch.setattr(switches, "_CODEX_SYSTEM", str(folder))
    monkeypatch.setenv("PATH", str(tmp_path))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def write(path: Path, value: dict[str, Any] | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def off(tool: str, root: Path, scope: Scope = "project") -> list[str]:
    return [line for line in status(tool, scope, root).problems if " off" in line or "lets" in line]


@pytest.mark.parametrize(
    ("project", "local", "user", "managed", "where"),
    [
        (None, None, None, None, ""),
        (True, None, None, None, "project"),
        (None, True, None, None, "local"),
        (None, None, True, None, "user"),
        (None, None, None, True, "managed"),
        (False, None, True, None, ""),
        (True, False, None, None, ""),
        (None, None, True, False, ""),
        (False, True, False, None, "local"),
        (None, False, None, True, "managed"),
    ],
)
def test_the_highest_layer_of_claude_code_holds(
    root: Path,
    home: Path,
    system: Path,
    project: bool | None,
    local: bool | None,
    user: bool | None,
    managed: bool | None,
    where: str,
) -> None:
    paths = {
        "project": settings_path(CLAUDE, "project", root),
        "local": settings_path(CLAUDE, "local", root),
        "user": settings_path(CLAUDE, "user", root),
        "managed": system / "managed-settings.json",
    }
    for name, value in zip(paths, (project, local, user, managed), strict=True):
        if value is not None:
            write(paths[name], {"disableAllHooks": value})
    install(CLAUDE, "project", root)
    lines = [f"{paths[where]} turns all hooks off: disableAllHooks is true"] if where else []
    assert off(CLAUDE, root) == lines


@pytest.mark.parametrize("name", ["managed-settings.json", "managed-settings.d/10-x.json", "user"])
def test_an_administrator_can_turn_all_hooks_but_theirs_off(
    root: Path, home: Path, system: Path, name: str
) -> None:
    path = home / ".claude/remote-settings.json" if name == "user" else system / name
    write(path, {"allowManagedHooksOnly": True})
    install(CLAUDE, "project", root)
    (line,) = off(CLAUDE, root)
    assert line.startswith(f"{path} turns all hooks but an administrator's off")
    write(settings_path(CLAUDE, "local", root), {"allowManagedHooksOnly": True})
    assert len(off(CLAUDE, root)) == 1


@pytest.mark.parametrize(
    ("allowed", "is_off"),
    [
        ([], True),
        (["https://example.test/*"], True),
        (["http://127.0.0.1:*"], False),
        (["http://127.0.0.1:9/hooks/claude-code"], False),
        (["*"], False),
        ([3], True),
    ],
)
def test_urls_that_hooks_may_not_send_to(root: Path, allowed: list[Any], is_off: bool) -> None:
    install(CLAUDE, "project", root, server="http://127.0.0.1:9")
    write(settings_path(CLAUDE, "user", root), {"allowedHttpHookUrls": allowed})
    lines = status(CLAUDE, "project", root, asks_server=False).problems
    assert any("lets no hook send" in line for line in lines) is is_off


@pytest.mark.parametrize("name", ["hooks", "codex_hooks"])
@pytest.mark.parametrize("where", ["user", "project", "parent", "system", "managed"])
def test_a_feature_of_codex_that_is_off(
    root: Path, home: Path, system: Path, where: str, name: str
) -> None:
    path = {
        "user": home / ".codex/config.toml",
        "project": root / ".codex/config.toml",
        "parent": root.parent / ".codex/config.toml",
        "system": system / "config.toml",
        "managed": system / "requirements.toml",
    }[where]
    install(CODEX, "project", root)
    assert off(CODEX, root) == []
    write(path, f"[features]\n{name} = false\n")
    assert off(CODEX, root) == [f"{path} turns all hooks off: features.{name} is false"]


def test_a_higher_layer_of_codex_holds(root: Path, home: Path, system: Path) -> None:
    install(CODEX, "project", root)
    write(home / ".codex/config.toml", "[features]\nhooks = false\n")
    write(root / ".codex/config.toml", "[features]\nhooks = true\n")
    assert off(CODEX, root) == []
    path = write(system / "requirements.toml", "allow_managed_hooks_only = true\n")
    assert off(CODEX, root) == [
        f"{path} turns all hooks but an administrator's off: allow_managed_hooks_only is true"
    ]


def test_settings_that_cannot_be_read_are_told(root: Path, home: Path) -> None:
    install(CODEX, "project", root)
    path = write(home / ".codex/config.toml", "[features\n")
    assert any(
        f"{path}: not valid TOML" in line for line in status(CODEX, "project", root).problems
    )


@pytest.mark.parametrize(
    ("where", "value", "is_off"),
    [
        ("user", {"enabled": False}, True),
        ("project", {"enabled": False}, True),
        ("system", {"enabled": False}, True),
        ("defaults", {"enabled": False}, True),
        ("user", {"disabled": ["khive-persist"]}, True),
        ("project", {"disabled": ["other", "khive-persist"]}, True),
        ("system", {"disabled": ["khive-persist"]}, True),
        ("user", {"disabled": ["other"], "enabled": True}, False),
        ("user", {"disabled": "khive-persist"}, False),
    ],
)
def test_switches_of_gemini(
    root: Path, system: Path, where: str, value: dict[str, Any], is_off: bool
) -> None:
    path = {
        "user": settings_path(GEMINI, "user", root),
        "project": settings_path(GEMINI, "project", root),
        "system": system / "settings.json",
        "defaults": system / "system-defaults.json",
    }[where]
    write(path, {"hooksConfig": value})
    install(GEMINI, "project", root)
    lines = off(GEMINI, root)
    assert bool(lines) is is_off
    assert all(line.startswith(f"{path} turns ") for line in lines)


def test_the_command_of_a_hook_of_gemini_can_be_disabled(root: Path) -> None:
    install(GEMINI, "project", root)
    path = settings_path(GEMINI, "project", root)
    settings = json.loads(path.read_text())
    command = settings["hooks"]["BeforeTool"][0]["hooks"][0]["command"]
    write(path, settings | {"hooksConfig": {"disabled": [command]}})
    assert len(off(GEMINI, root)) == 1


def hash_of(event: str, command: str, timeout: int) -> str:
    hook = f'{{"async":false,"command":{json.dumps(command)},"timeout":{timeout},"type":"command"}}'
    text = f'{{"event_name":"{event}","hooks":[{hook}]}}'
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def trusted(path: Path, event: str, group: int = 0, more: str = "") -> str:
    name = "".join(word.capitalize() for word in event.split("_"))
    hook = json.loads(path.read_text())["hooks"][name][group]["hooks"][0]
    seen = hash_of(event, hook["command"], hook.get("timeout", 600))
    return f'[hooks.state."{path}:{event}:{group}:0"]\ntrusted_hash = "{seen}"\n{more}'


def test_the_hash_is_that_of_codex_itself() -> None:
    # As 0.171.0 wrote it into its config.toml for a hook that runs `true`.
    assert hash_of("pre_tool_use", "true", 30) == (
        "sha256:3e090fb4b9152d9fb4888d607c0cdda92da53888edba81069641afa35ead0d00"
    )


def test_hooks_that_codex_was_not_told_to_trust(root: Path, home: Path) -> None:
    path = settings_path(CODEX, "project", root)
    theirs = {"hooks": [{"type": "command", "command": "true"}]}
    write(path, {"hooks": {"PreToolUse": [theirs]}})
    install(CODEX, "project", root)
    (line,) = status(CODEX, "project", root).problems
    assert line.startswith(f"Codex trusts none of our hooks in {path}, and skips ")
    events = [
        "session_start", "session_end", "user_prompt_submit", "permission_request", "post_tool_use",
        "pre_compact", "post_compact", "subagent_start", "subagent_stop", "stop", "interrupt",
    ]  # fmt: skip
    config = "".join(trusted(path, event) for event in events)
    # Theirs is trusted at the first place of its event, ours is the second.
    write(home / ".codex/config.toml", config + trusted(path, "pre_tool_use"))
    (line,) = status(CODEX, "project", root).problems
    assert line.startswith(f"Codex trusts not all of our hooks in {path}, and skips PreToolUse:")
    write(home / ".codex/config.toml", config + trusted(path, "pre_tool_use", 1))
    assert status(CODEX, "project", root).problems == ()
    disabled = trusted(path, "pre_tool_use", 1, "enabled = false\n")
    write(home / ".codex/config.toml", config + disabled)
    (line,) = status(CODEX, "project", root).problems
    assert line == f"Codex has our hooks in {path} turned off for PreToolUse"


def test_hooks_that_changed_since_codex_was_told_to_trust_them(root: Path, home: Path) -> None:
    path = settings_path(CODEX, "project", root)
    install(CODEX, "project", root)
    names = json.loads(path.read_text())["hooks"]
    events = ["".join("_" + c.lower() if c.isupper() else c for c in n).strip("_") for n in names]
    write(home / ".codex/config.toml", "".join(trusted(path, event) for event in events))
    assert status(CODEX, "project", root).problems == ()
    install(CODEX, "project", root, directory=root)
    (line,) = status(CODEX, "project", root).problems
    assert line.startswith(f"Codex trusts what our hooks in {path} were before, and skips ")
