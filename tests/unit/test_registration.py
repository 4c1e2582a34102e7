"""Our hooks in the settings files of the first three tools: in, out, and what is there.

`test_hook_forms.py` has what holds for every tool, whatever form its hooks have.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from khive_persist.capture import hook_path
from khive_persist.capture.hook_config import install, settings_path, status, uninstall
from khive_persist.capture.hook_config.command import (
    SHARED,
    hook_command,
    is_ours,
    missing_part,
    resembles_ours,
)
from khive_persist.capture.hook_config.launcher import interpreter
from khive_persist.capture.spool import Spool
from khive_persist.errors import InvalidSettingsError
from khive_persist.project import Project
from khive_persist.tools import TOOLS, Registration, Scope
from tests.factories import make_project

THREE = ("claude-code", "codex", "gemini-cli")
SCOPES: tuple[Scope, ...] = ("project", "user")
NEWEST = "2.1.332"
THEIRS = "echo theirs >> /var/log/hooks; exit 0"


@pytest.fixture(autouse=True)
def newest_client(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A machine that has the newest Claude Code alone."""
    folder = tmp_path_factory.mktemp("programs")
    program(folder, NEWEST)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(folder: Path, version: str) -> Path:
    path = folder / "claude"
    path.write_text(f"#!/bin/sh\necho '{version} (Claude Code)'\n")
    path.chmod(0o755)
    return path


def registered(tool: str, event: str, directory: Path | None = None) -> str:
    """The command that is registered for an event."""
    blocks = {hook.event: hook.blocks for hook in TOOLS[tool].registration.hooks}[event]
    words = [str(Path.home() / ".khive" / "bin" / "khive-hook")]
    is_shared = directory is None
    return hook_command(tool, directory, blocks=blocks, is_shared=is_shared, words=words)


def settings_of(tool: str, scope: Scope, root: Path) -> dict[str, Any]:
    text = settings_path(tool, scope, root).read_text("utf-8-sig")
    value: dict[str, Any] = json.loads(text)
    return value


def write(path: Path, text: str) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return text.encode()


def commands(settings: dict[str, Any], event: str) -> list[str]:
    groups = [group["hooks"] for group in settings["hooks"][event] if isinstance(group, dict)]
    hooks = [hook for group in groups if isinstance(group, list) for hook in group]
    return [hook["command"] for hook in hooks if hook]


def run(command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["/bin/sh", "-c", command],
        input=b'{"hook_event_name": "Stop"}\n',
        capture_output=True,
        env={"PATH": os.environ["PATH"], **environment},
        check=False,
        timeout=30,
    )


def test_the_command_records_an_event(
    tmp_path: Path, home: Path, hold_off: Callable[[Project], None]
) -> None:
    project = make_project(tmp_path)
    hold_off(project)
    done = run(hook_command("codex", tmp_path), HOME=str(home))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert len(Spool(project).events()) == 1
    assert not (home / ".khive" / "spool").exists()


@pytest.mark.parametrize(
    "name",
    ["a b", "it's", 'say "no"', "$HOME", "${PATH}", "`id`; exit 2", "日本\nnew", "-x", "a\\"],
)
def test_a_path_may_have_any_characters(
    tmp_path: Path, home: Path, name: str, hold_off: Callable[[Project], None]
) -> None:
    project = make_project(tmp_path / name)
    hold_off(project)
    done = run(hook_command("gemini-cli", tmp_path / name), HOME=str(home))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert len(Spool(project).events()) == 1


def test_gemini_finds_no_variable_in_a_path(tmp_path: Path) -> None:
    for name in ("$HOME", "${HOME}", "$HOME's"):
        command = hook_command("gemini-cli", tmp_path / name)
        assert "$H" not in command
        assert "${" not in command


@pytest.mark.parametrize("missing", ["interpreter", "hook"])
def test_what_is_missing_is_one_line_and_never_blocks(tmp_path: Path, missing: str) -> None:
    there = {"interpreter": interpreter(), "hook": str(hook_path())}[missing]
    done = run(hook_command("gemini-cli").replace(there, str(tmp_path / "gone/capture/hook.py")))
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == 1
    assert str(tmp_path).encode() in done.stderr


def test_an_event_that_is_not_kept_is_no_more_than_a_warning() -> None:
    done = run(hook_command("claude-code", Path("/proc")), HOME="/proc", KHIVE_HOME="/proc")
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1


def test_a_path_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidSettingsError, match="cannot be written to a settings file"):
        hook_command("codex", Path(os.fsdecode(b"/tmp/\xff")))


def test_the_interpreter_is_the_environments_own() -> None:
    assert interpreter() == sys.executable
    code = "import sys; print(sys.prefix)"
    done = subprocess.run([interpreter(), "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == sys.prefix


def test_the_interpreter_is_never_a_shim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shim = tmp_path / "python3"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    shim.chmod(0o755)
    real = Path(sys.executable).resolve()
    monkeypatch.setattr(sys, "executable", str(shim))
    assert interpreter() != str(shim)
    assert Path(interpreter()).resolve() == real
    monkeypatch.setattr(sys, "_base_executable", str(shim))
    assert Path(interpreter()).resolve() == real


@pytest.mark.parametrize(
    ("command", "ours"),
    [
        (hook_command("codex"), True),
        (hook_command("codex", Path("/a b")), True),
        ("khive-hook --tool codex", True),
        ("/opt/bin/khive-hook --tool=codex --dir x || exit 1", True),
        ("khive-hook --tool codex-next", False),
        ("khive-hook --tool claude-code", False),
        ("khive-hook", False),
        ("my-hook --tool codex", False),
        (["khive-hook", "--tool", "codex"], False),
        (None, False),
    ],
)
def test_ours_are_known_by_their_command(command: object, ours: bool) -> None:
    assert is_ours(command, "codex") is ours


def test_what_a_command_lacks_is_named() -> None:
    assert missing_part(hook_command("codex", Path("/a b"))) == ""
    assert missing_part("X=1 /bin/sh /gone/capture/hook.py --tool codex") == (
        "/gone/capture/hook.py"
    )
    assert missing_part("/gone/python -I x/capture/hook.py --tool codex") == "/gone/python"
    assert missing_part("khive-hook 'open") == "khive-hook 'open"


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("tool", THREE)
def test_a_file_that_was_not_there_comes_and_goes(tmp_path: Path, tool: str, scope: Scope) -> None:
    path = settings_path(tool, scope, tmp_path)
    change = install(tool, scope, tmp_path)
    assert change.path == path
    assert change.written
    assert set(TOOLS[tool].registration.by_hand[scope]) <= set(change.by_hand)
    settings = settings_of(tool, scope, tmp_path)
    expected = [hook for hook in TOOLS[tool].registration.hooks if not hook.model]
    assert list(settings) == ["hooks"]
    assert list(settings["hooks"]) == list(change.events) == [hook.event for hook in expected]
    for hook in expected:
        (group,) = settings["hooks"][hook.event]
        assert group.get("matcher", "") == hook.matcher
        (entry,) = group["hooks"]
        assert entry["type"] == "command"
        assert entry["command"] == registered(tool, hook.event)
        assert entry["timeout"] == hook.timeout
        assert entry.get("name") == ("khive-persist" if tool == "gemini-cli" else None)
    removed = uninstall(tool, scope, tmp_path)
    assert removed.events == change.events
    assert removed.by_hand == ()
    assert not path.exists()


@pytest.mark.parametrize("tool", THREE)
def test_twice_changes_nothing(tmp_path: Path, tool: str) -> None:
    install(tool, "project", tmp_path, model_events=True)
    path = settings_path(tool, "project", tmp_path)
    before, written = path.read_bytes(), path.stat()
    for model_events in (False, True):
        again = install(tool, "project", tmp_path, model_events=model_events)
        assert (again.written, again.events) == (False, ())
    assert path.read_bytes() == before
    assert path.stat() == written
    assert uninstall(tool, "project", tmp_path).written
    again = uninstall(tool, "project", tmp_path)
    assert (again.written, again.events) == (False, ())


def test_events_around_the_model_are_registered_when_asked_for(tmp_path: Path) -> None:
    model = ("BeforeModel", "AfterModel", "BeforeToolSelection")
    assert not set(install("gemini-cli", "user", tmp_path).events) & set(model)
    assert status("gemini-cli", "user", tmp_path).state == "installed"
    assert install("gemini-cli", "user", tmp_path, model_events=True).events == model
    assert set(model) <= set(status("gemini-cli", "user", tmp_path).events)


OTHERS = {
    "an empty object": "{}",
    "white space": " \n{ \t}\r\n\n",
    "other settings": '{\n  "model": "opus",\n  "permissions": {"allow": ["Bash(ls)"]}\n}\n',
    "empty hooks": '{\n  "hooks": {},\n  "a": 1\n}',
    "hooks on lines": '{\n\t"hooks": {\n\t}\n}\n',
    "an empty event": '{"hooks": {"SessionStart": [], "Stop": [\n ]}}',
    "CRLF": '{\r\n    "a": "é日本",\r\n    "b": []\r\n}\r\n',
    "a byte order mark": '\ufeff{"a": 1}',
    "theirs": '{"hooks":{"Stop":[{"hooks":[{"type":"command","command":"x"}]}]},"z":1e5}',
    "a key twice": '{"a": 1, "hooks": {}, "a": 2, "hooks": {"SessionStart": []}}',
    "odd groups": '{"hooks": {"SessionStart": [null, 1, {"hooks": 3}, {"hooks": [{}, null]}]}}',
    "events of others": '{"hooks": {"enabled": true, "Newer": {}, "SessionEnd": []}}',
}


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("tool", THREE)
def test_an_uninstall_gives_every_byte_back(tmp_path: Path, tool: str, text: str) -> None:
    path = settings_path(tool, "project", tmp_path)
    before = write(path, text)
    install(tool, "project", tmp_path, model_events=True)
    found = commands(settings_of(tool, "project", tmp_path), "SessionStart")
    assert registered(tool, "SessionStart") in found
    assert status(tool, "project", tmp_path).state == "installed"
    uninstall(tool, "project", tmp_path)
    assert path.read_bytes() == before


def test_comments_stay_in_a_file_of_gemini(tmp_path: Path) -> None:
    path = settings_path("gemini-cli", "project", tmp_path)
    text = (
        '{ // mine: {"hooks": 1}\n  "hooks": { /* none yet */ },\n'
        '  "ui": {"theme": "a//b"} // the last\n}\n// end'
    )
    before = write(path, text)
    install("gemini-cli", "project", tmp_path)
    for comment in ("// mine", "/* none yet */", "// the last\n", "// end"):
        assert comment in path.read_text()
    assert status("gemini-cli", "project", tmp_path).state == "installed"
    uninstall("gemini-cli", "project", tmp_path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("before", "after"), [("\ufeff", ""), ("// mine\n", ""), ("", "// mine")])
def test_a_file_that_has_more_than_our_hooks_is_not_deleted(
    tmp_path: Path, before: str, after: str
) -> None:
    install("gemini-cli", "project", tmp_path)
    path = settings_path("gemini-cli", "project", tmp_path)
    write(path, before + path.read_text() + after)
    uninstall("gemini-cli", "project", tmp_path)
    assert path.read_bytes() == f"{before}{{}}\n{after}".encode()


def test_what_came_later_stays(tmp_path: Path) -> None:
    path = settings_path("claude-code", "project", tmp_path)
    write(path, '{\n  "a": 1\n}\n')
    install("claude-code", "project", tmp_path)
    settings = settings_of("claude-code", "project", tmp_path)
    theirs = {"matcher": "Bash", "hooks": [{"type": "command", "command": THEIRS}]}
    settings["hooks"]["PreToolUse"].insert(0, theirs)
    settings["hooks"]["PostToolUse"].append(theirs)
    settings["hooks"]["Stop"][0]["hooks"].append(theirs["hooks"][0])
    settings["hooks"]["Newer"] = [theirs]
    settings["b"] = 2
    write(path, json.dumps(settings, indent=2))
    uninstall("claude-code", "project", tmp_path)
    assert settings_of("claude-code", "project", tmp_path) == {
        "a": 1,
        "hooks": {
            "PreToolUse": [theirs],
            "PostToolUse": [theirs],
            "Stop": [{"hooks": theirs["hooks"]}],
            "Newer": [theirs],
        },
        "b": 2,
    }


def test_hooks_of_others_keep_their_project(tmp_path: Path) -> None:
    path = settings_path("codex", "user", tmp_path)
    theirs = {"hooks": [{"type": "command", "command": THEIRS, "timeout": 60}]}
    write(path, json.dumps({"hooks": {"Stop": [theirs, theirs]}}))
    install("codex", "user", tmp_path)
    stop = settings_of("codex", "user", tmp_path)["hooks"]["Stop"]
    assert stop[:2] == [theirs, theirs]
    assert len(stop) == 3


@pytest.mark.parametrize("tool", THREE)
def test_a_file_that_the_tool_wrote_anew_is_cleared_too(tmp_path: Path, tool: str) -> None:
    path = settings_path(tool, "project", tmp_path)
    write(path, '{"a": 1}')
    install(tool, "project", tmp_path)
    settings = settings_of(tool, "project", tmp_path)
    write(path, json.dumps(settings, indent=2, ensure_ascii=False) + "\n")
    assert status(tool, "project", tmp_path).state == "installed"
    assert not install(tool, "project", tmp_path).written
    uninstall(tool, "project", tmp_path)
    assert settings_of(tool, "project", tmp_path) == {"a": 1}


def test_a_moved_interpreter_is_updated_in_place(tmp_path: Path) -> None:
    path = settings_path("claude-code", "project", tmp_path)
    old = hook_command("claude-code", blocks=True).replace(interpreter(), "/gone/bin/python")
    ours = {"type": "command", "command": old, "timeout": 9}
    theirs = {"type": "command", "command": THEIRS}
    write(
        path,
        json.dumps({"hooks": {"Stop": [{"matcher": "x", "hooks": [ours, theirs]}]}}, indent="\t"),
    )
    assert status("claude-code", "project", tmp_path).state == "stale"
    assert "/gone/bin/python" in status("claude-code", "project", tmp_path).problems[0]
    change = install("claude-code", "project", tmp_path)
    assert change.events[-1] == "Stop"
    settings = settings_of("claude-code", "project", tmp_path)
    now = {"type": "command", "command": registered("claude-code", "Stop"), "timeout": 9}
    assert settings["hooks"]["Stop"] == [{"matcher": "x", "hooks": [now, theirs]}]
    assert status("claude-code", "project", tmp_path).state == "installed"
    install("claude-code", "project", tmp_path, directory=tmp_path)
    settings = settings_of("claude-code", "project", tmp_path)
    assert commands(settings, "Stop") == [registered("claude-code", "Stop", tmp_path), THEIRS]


def test_a_missing_hook_file_is_stale(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone" / "khive_persist" / "capture" / "hook.py")
    command = hook_command("codex", blocks=True).replace(str(hook_path()), gone)
    ours = {"hooks": [{"type": "command", "command": command}]}
    write(settings_path("codex", "project", tmp_path), json.dumps({"hooks": {"Stop": [ours]}}))
    found = status("codex", "project", tmp_path)
    assert found.state == "stale"
    assert gone in found.problems[0]


def test_what_is_missing_is_listed(tmp_path: Path) -> None:
    nothing = status("codex", "project", tmp_path)
    every = tuple(hook.event for hook in TOOLS["codex"].registration.hooks)
    assert (nothing.state, nothing.events, nothing.missing) == ("not installed", (), every)
    assert nothing.problems == nothing.by_hand == ()
    install("codex", "project", tmp_path)
    settings = settings_of("codex", "project", tmp_path)
    del settings["hooks"]["Stop"]
    write(settings_path("codex", "project", tmp_path), json.dumps(settings))
    partly = status("codex", "project", tmp_path)
    assert (partly.state, partly.missing) == ("partly installed", ("Stop",))
    assert "no hook of ours for Stop" in partly.problems[0]
    assert install("codex", "project", tmp_path).events == ("Stop",)
    found = status("codex", "project", tmp_path)
    assert (found.state, found.missing) == ("installed", ())
    assert any("Trust all and continue" in line for line in found.by_hand)


@pytest.mark.parametrize("tool", THREE)
def test_hooks_in_both_scopes_are_told_where_the_tool_runs_both(tmp_path: Path, tool: str) -> None:
    def told(scope: Scope) -> list[str]:
        return [line for line in status(tool, scope, tmp_path).problems if " twice" in line]

    for scope in SCOPES:
        install(tool, scope, tmp_path)
    count = len(status(tool, "user", tmp_path).events)
    assert told("project") == told("user")
    assert bool(told("user")) is (tool == "codex")
    install(tool, "user", tmp_path, directory=tmp_path)
    for scope in SCOPES:
        (problem,) = told(scope)
        assert f"records {count} events twice" in problem


def test_one_file_of_both_scopes_is_not_two(home: Path) -> None:
    install("claude-code", "project", home)
    assert status("claude-code", "user", home).problems == ()


@pytest.mark.parametrize(
    ("tool", "switch"),
    [
        ("claude-code", {"disableAllHooks": True}),
        ("gemini-cli", {"hooksConfig": {"enabled": False}}),
    ],
)
def test_hooks_that_are_turned_off_are_told(
    tmp_path: Path, tool: str, switch: dict[str, object]
) -> None:
    write(settings_path(tool, "user", tmp_path), json.dumps(switch))
    assert status(tool, "user", tmp_path).problems == ()
    install(tool, "project", tmp_path)
    (problem,) = status(tool, "project", tmp_path).problems
    assert problem.startswith(f"{settings_path(tool, 'user', tmp_path)} turns all hooks off: ")
    install(tool, "user", tmp_path)
    assert status(tool, "user", tmp_path).problems == (problem,)


def test_other_settings_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    install("claude-code", "project", tmp_path)
    path = settings_path("claude-code", "user", tmp_path)
    write(path, "{")
    (problem,) = status("claude-code", "project", tmp_path).problems
    assert f"{path}:1:2: not valid JSON" in problem


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{\n  "hooks": []\n}', '2:12: "hooks" is not an object'),
        ('{"hooks": null}', '1:11: "hooks" is not an object'),
        ('{"hooks": {\n"Stop": {}}}', '2:9: "Stop" in "hooks" is not an array'),
        ('{"hooks": {"Stop": "x"}}', '1:20: "Stop" in "hooks" is not an array'),
        ('{"hooks": {"Stop": [}}', "1:21: not valid JSON"),
    ],
)
def test_settings_of_a_wrong_shape_are_left_alone(tmp_path: Path, text: str, where: str) -> None:
    path = settings_path("claude-code", "project", tmp_path)
    before = write(path, text)
    for act in (install, uninstall, status):
        with pytest.raises(InvalidSettingsError) as caught:
            act("claude-code", "project", tmp_path)
        assert str(caught.value).startswith(f"{path}:{where}")
        assert caught.value.hint
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize(
    ("tool", "variable", "below"),
    [
        ("claude-code", "CLAUDE_CONFIG_DIR", "settings.json"),
        ("codex", "CODEX_HOME", "hooks.json"),
        ("gemini-cli", "GEMINI_CLI_HOME", ".gemini/settings.json"),
    ],
)
def test_the_user_settings_are_where_the_tool_looks(
    tmp_path: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    tool: str,
    variable: str,
    below: str,
) -> None:
    at_home = settings_path(tool, "user", tmp_path)
    registration = TOOLS[tool].registration
    assert isinstance(registration, Registration)
    assert at_home == home / registration.user_file
    monkeypatch.setenv(variable, str(tmp_path / "moved"))
    assert settings_path(tool, "user", tmp_path) == tmp_path / "moved" / below
    install(tool, "user", tmp_path)
    assert (tmp_path / "moved" / below).is_file()
    assert not at_home.exists()


@pytest.mark.parametrize("shell", ["/bin/sh", "bash", "zsh", "dash"])
def test_the_command_means_the_same_in_every_shell(tmp_path: Path, home: Path, shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        return
    directory = tmp_path / "it's $HOME"
    spool = make_project(directory, "[capture]\nlinger_seconds = 0.2\n").spool
    good = hook_command("codex", directory)
    for command, code in ((good, 0), (good.replace(interpreter(), "/gone/python"), 1)):
        done = subprocess.run(
            [program, "-c", command],
            input=b"{}",
            capture_output=True,
            env={"HOME": str(home)},
            check=False,
            timeout=30,
        )
        assert (done.returncode, done.stdout) == (code, b"")
    assert spool.is_dir()


def test_settings_of_one_person_are_those_of_claude_code_alone(tmp_path: Path) -> None:
    change = install("claude-code", "local", tmp_path)
    assert change.path == tmp_path / ".claude/settings.local.json"
    assert status("claude-code", "local", tmp_path).problems == ()
    assert status("claude-code", "project", tmp_path).state == "not installed"
    uninstall("claude-code", "local", tmp_path)
    assert not change.path.exists()
    for tool in ("codex", "gemini-cli"):
        with pytest.raises(InvalidSettingsError, match="no settings of one person"):
            install(tool, "local", tmp_path)


def test_doubles_in_any_two_layers_are_told(tmp_path: Path) -> None:
    install("claude-code", "project", tmp_path)
    path = settings_path("claude-code", "project", tmp_path)
    others: tuple[Scope, ...] = ("local", "user")
    for scope in others:
        other = settings_path("claude-code", scope, tmp_path)
        write(other, path.read_text().replace("--tool claude-code", "--tool claude-code --dir /x"))
        found = status("claude-code", "project", tmp_path)
        assert any(str(other) in line and " twice" in line for line in found.problems)
        other.unlink()
    assert status("claude-code", "project", tmp_path).problems == ()


LIKE_OURS = [
    "python3 /home/dev/screen-capture/hook.py --tool claude-code",
    "notify-send working; khive-hook --tool claude-code",
    "khive-hook --tool claude-code && notify-send done",
    "khive-hook --tool claude-code | tee /tmp/x",
    "tee /tmp/x | khive-hook --tool claude-code",
    "echo khive-hook --tool claude-code",
    "/usr/bin/python3 -I -S /home/dev/capture/hook.py --tool claude-code",
    "khive-hook-wrapper --tool claude-code",
    "khive-hook --tool claude-code --mine x",
    "khive-hook --tool claude-code; exit 0",
]


@pytest.mark.parametrize("command", LIKE_OURS)
def test_a_hook_of_the_users_that_resembles_ours_is_not_ours(tmp_path: Path, command: str) -> None:
    assert not is_ours(command, "claude-code")
    path = settings_path("claude-code", "project", tmp_path)
    theirs = {"hooks": {"Stop": [{"hooks": [{"type": "command", "command": command}]}]}}
    before = write(path, json.dumps(theirs))
    install("claude-code", "project", tmp_path)
    assert commands(settings_of("claude-code", "project", tmp_path), "Stop")[0] == command
    uninstall("claude-code", "project", tmp_path)
    assert path.read_bytes() == before


def test_one_that_runs_our_hook_too_is_told(tmp_path: Path) -> None:
    command = "notify-send working; khive-hook --tool claude-code"
    assert resembles_ours(command, "claude-code")
    assert not resembles_ours(LIKE_OURS[0], "claude-code")
    path = settings_path("claude-code", "project", tmp_path)
    theirs = {"hooks": {"Stop": [{"hooks": [{"type": "command", "command": command}]}]}}
    write(path, json.dumps(theirs))
    install("claude-code", "project", tmp_path)
    (problem,) = status("claude-code", "project", tmp_path).problems
    assert problem.startswith(f"{path} records Stop twice, as a command of your own")


@pytest.mark.parametrize(
    "command",
    [
        "/opt/venv/bin/python3 -I -S /opt/venv/lib/khive_persist/capture/hook.py --tool codex"
        " || exit 1",
        "khive-hook --tool codex || exit 1",
        "/usr/bin/khive-hook --dir '/a b' --tool=codex",
        f"[ ! -x {SHARED} ] || {SHARED} --tool codex || exit 0",
        "KHIVE_HOME=/x /y/.khive/bin/khive-hook --tool codex --tell-lost || exit 1",
    ],
)
def test_every_form_that_was_registered_is_ours(command: str) -> None:
    assert is_ours(command, "codex")
    assert not resembles_ours(command, "codex")
    assert not is_ours(command, "claude-code")


def test_hooks_of_an_earlier_version_are_brought_up_to_date(tmp_path: Path) -> None:
    path = settings_path("claude-code", "project", tmp_path)
    old = f"{interpreter()} -I -S {hook_path()} --tool claude-code || exit 1"
    install("claude-code", "project", tmp_path)
    settings = settings_of("claude-code", "project", tmp_path)
    for groups in settings["hooks"].values():
        groups[0]["hooks"][0]["command"] = old
    write(path, json.dumps(settings))
    (problem,) = status("claude-code", "project", tmp_path).problems
    assert "with a code that makes some clients refuse a tool" in problem
    assert "PreToolUse" in problem
    assert "SessionStart" not in problem
    assert install("claude-code", "project", tmp_path).written
    assert status("claude-code", "project", tmp_path).problems == ()


@pytest.mark.parametrize("tool", THREE)
def test_what_can_block_ends_in_0_and_the_rest_is_a_warning(tmp_path: Path, tool: str) -> None:
    install(tool, "project", tmp_path, model_events=True)
    settings = settings_of(tool, "project", tmp_path)
    ends = {event: commands(settings, event)[0][-9:] for event in settings["hooks"]}
    before = {event for event, end in ends.items() if end == "|| exit 0"}
    assert set(ends.values()) == {"|| exit 0", "|| exit 1"}
    must = {
        "claude-code": {
            "PreToolUse", "PermissionRequest", "UserPromptSubmit", "Stop", "SubagentStop",
            "PreCompact",
        },
        "codex": {
            "PreToolUse", "PermissionRequest", "UserPromptSubmit", "Stop", "SubagentStop",
            "PreCompact",
        },
        "gemini-cli": {"BeforeTool", "BeforeAgent", "AfterAgent", "PreCompress", "BeforeModel"},
    }[tool]  # fmt: skip
    assert must <= before
    assert not before & {"SessionStart", "SessionEnd", "PostToolUse", "AfterTool", "Notification"}


@pytest.mark.parametrize("text", ["", "\n", " \t\r\n"])
@pytest.mark.parametrize("tool", THREE)
def test_an_empty_file_is_an_empty_object(tmp_path: Path, tool: str, text: str) -> None:
    path = settings_path(tool, "project", tmp_path)
    before = write(path, text)
    assert status(tool, "project", tmp_path).state == "not installed"
    assert not uninstall(tool, "project", tmp_path).written
    assert path.read_bytes() == before
    install(tool, "project", tmp_path)
    assert status(tool, "project", tmp_path).state == "installed"
    uninstall(tool, "project", tmp_path)
    assert path.read_bytes() == b"{}\n"


@pytest.mark.parametrize(
    ("repository", "told"),
    [
        (None, ["claude-code", "codex", "gemini-cli"]),
        (".", ["claude-code", "gemini-cli"]),
        ("..", ["claude-code", "gemini-cli"]),
    ],
)
def test_sessions_of_sub_directories_are_told_of(
    tmp_path: Path, repository: str | None, told: list[str]
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    if repository is not None:
        # That of a worktree is a file.
        (project / repository / ".git").write_text("gitdir: /elsewhere\n")

    def names(lines: Iterable[str]) -> bool:
        return any("sub-directory" in line for line in lines)

    for tool in THREE:
        assert names(install(tool, "project", project).by_hand) is (tool in told)
        assert names(status(tool, "project", project).by_hand) is (tool in told)
        assert not names(install(tool, "user", project).by_hand)
