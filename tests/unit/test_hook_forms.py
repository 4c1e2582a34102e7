"""What holds for our hooks of every tool, in every scope, whatever form they have there."""

import json
import multiprocessing
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from khive_persist.capture.hook_config import has_scope, install, settings_path, status, uninstall
from khive_persist.capture.hook_config.command import hook_command, is_ours
from khive_persist.capture.hook_config.install import hook_files
from khive_persist.errors import InvalidSettingsError
from khive_persist.tools import TOOLS, OwnFiles, Registration, Scope

SCOPES: tuple[Scope, ...] = get_args(Scope)
ALL = [(tool, scope) for tool in TOOLS for scope in SCOPES if has_scope(tool, scope)]
OF_FILES = [(t, s) for t, s in ALL if isinstance(TOOLS[t].registration, OwnFiles)]
OF_SETTINGS = [pair for pair in ALL if pair not in OF_FILES]
JSON_FORMS = [
    (tool, scope)
    for tool, scope in OF_SETTINGS
    if getattr(TOOLS[tool].registration, "form", "toml") != "toml"
]


@pytest.fixture(autouse=True)
def no_clients(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A machine without a client: what the oldest version knows is registered."""
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("programs")))


def form(tool: str) -> Registration:
    registration = TOOLS[tool].registration
    assert isinstance(registration, Registration)
    return registration


def snapshot(*roots: Path) -> dict[Path, bytes]:
    """Every file of some folders but those of ours in a state folder."""
    return {
        path: path.read_bytes()
        for root in roots
        for path in root.rglob("*")
        if path.is_file() and ".khive" not in path.parts
    }


def registered(tool: str, scope: Scope, root: Path) -> dict[str, dict[str, Any]]:
    """Our hooks in a settings file by their event, as the tool would read them."""
    text = settings_path(tool, scope, root).read_text("utf-8-sig")
    names = form(tool)
    if names.form == "toml":
        return {
            hook["event"]: hook
            for hook in tomllib.loads(text)["hooks"]
            if is_ours(hook["command"], tool)
        }
    value = json.loads(text)
    events = value if names.form == "root groups" else value["hooks"]
    hooks = {}
    for event, items in events.items():
        for item in items:
            for hook in [item] if names.form == "flat" else item["hooks"]:
                if is_ours(hook.get(names.command_key), tool):
                    assert event not in hooks
                    hooks[event] = hook
    return hooks


def due(tool: str) -> list[str]:
    return [hook.event for hook in TOOLS[tool].registration.hooks if not hook.model]


@pytest.mark.parametrize(("tool", "scope"), ALL)
def test_hooks_come_are_shown_and_go_without_a_trace(
    tool: str, scope: Scope, tmp_path: Path, home: Path
) -> None:
    root = tmp_path / "project"
    root.mkdir()
    before = snapshot(root, home)
    change = install(tool, scope, root)
    assert change.written
    assert not change.occupied
    assert change.path == settings_path(tool, scope, root)
    assert set(change.events) | set(change.left_out) == set(due(tool))
    once = snapshot(root, home)
    found = status(tool, scope, root)
    assert (found.state, found.missing, found.path) == ("installed", (), change.path)
    assert set(found.events) == set(change.events)
    if tool != "codex":  # Whose user must trust them.
        assert found.problems == ()
    again = install(tool, scope, root)
    assert (again.written, again.events) == (False, ())
    assert snapshot(root, home) == once
    removed = uninstall(tool, scope, root)
    assert removed.written
    assert set(removed.events) == set(change.events)
    assert snapshot(root, home) == before
    again = uninstall(tool, scope, root)
    assert (again.written, again.events) == (False, ())
    assert status(tool, scope, root).state == "not installed"


@pytest.mark.parametrize(("tool", "scope"), OF_SETTINGS)
def test_each_hook_is_as_the_tool_reads_it(tool: str, scope: Scope, tmp_path: Path) -> None:
    names = form(tool)
    change = install(tool, scope, tmp_path)
    hooks = registered(tool, scope, tmp_path)
    assert set(hooks) == set(change.events)
    for hook in names.hooks:
        if hook.event not in hooks:
            continue
        entry = dict(hooks[hook.event])
        command = entry.pop(names.command_key)
        # What can block ends in 0, whatever becomes of our hook.
        assert command.endswith("|| exit 0" if hook.blocks else "|| exit 1")
        assert str(Path.home()) not in command
        if names.timeout_key:
            assert entry.pop(names.timeout_key) == hook.timeout
        if names.form == "toml":
            assert entry.pop("event") == hook.event
        elif names.has_type:
            assert entry.pop("type") == "command"
        if names.entry_name:
            assert entry.pop("name") == names.entry_name
        if names.form in ("flat", "toml") and hook.matcher:
            assert entry.pop("matcher") == hook.matcher
        assert entry == {}
    if names.form != "toml":
        value = json.loads(change.path.read_text())
        assert {key: value[key] for key in names.head} == dict(names.head)


@pytest.mark.parametrize(("tool", "scope"), [p for p in ALL if p[1] == "user"])
def test_a_path_of_any_characters_is_read_back(tool: str, scope: Scope, tmp_path: Path) -> None:
    directory = tmp_path / 'it\'s "$HOME" `x` \\ \x7f 日本\u2028\n */ 🐝'
    directory.mkdir(parents=True)
    install(tool, scope, tmp_path, directory=directory)
    found = status(tool, scope, tmp_path)
    assert found.state == "installed"
    expected = hook_command(
        tool, directory, blocks=TOOLS[tool].registration.hooks[0].blocks,
        words=[str(Path.home() / ".khive/bin/khive-hook")],
    )  # fmt: skip
    commands = {
        entry.target.command
        for entry in hook_files(tool, scope, tmp_path).registered().entries
        if entry.event == TOOLS[tool].registration.hooks[0].event
    }
    assert commands == {expected}
    assert not install(tool, scope, tmp_path, directory=directory).written
    install(tool, scope, tmp_path)
    assert status(tool, scope, tmp_path).state == "installed"
    uninstall(tool, scope, tmp_path)
    assert status(tool, scope, tmp_path).state == "not installed"


@pytest.mark.parametrize(("tool", "scope"), ALL)
def test_commands_of_what_is_gone_are_stale_and_renewed(
    tool: str, scope: Scope, tmp_path: Path
) -> None:
    install(tool, scope, tmp_path, directory=tmp_path)
    path = settings_path(tool, scope, tmp_path)
    here = str(Path.home() / ".khive/bin/khive-hook")
    for file in [path] if path.is_file() else path.iterdir():
        file.write_text(file.read_text().replace(here, "/gone/khive-hook"))
    found = status(tool, scope, tmp_path)
    assert found.state == "stale"
    assert any("/gone/khive-hook, which is not there" in line for line in found.problems)
    assert install(tool, scope, tmp_path).written
    assert status(tool, scope, tmp_path).state == "installed"


@pytest.mark.parametrize("tool", [t for t in TOOLS if (t, "project") in ALL and (t, "user") in ALL])
def test_what_two_scopes_record_twice_is_told(tool: str, tmp_path: Path) -> None:
    install(tool, "project", tmp_path)
    change = install(tool, "user", tmp_path)
    told = [line for line in status(tool, "user", tmp_path).problems if " twice" in line]
    assert [line for line in change.problems if " twice" in line] == told
    client = TOOLS[tool]
    # What comes twice is one event where each has its time.
    assert bool(told) is not (client.registration.runs_once or client.has_times)
    uninstall(tool, "project", tmp_path)
    assert not [line for line in status(tool, "user", tmp_path).problems if " twice" in line]


@pytest.mark.parametrize(
    ("tool", "scope"), [(t, s) for t in TOOLS for s in SCOPES if (t, s) not in ALL]
)
def test_a_scope_that_a_tool_does_not_have_is_one_line(
    tool: str, scope: Scope, tmp_path: Path
) -> None:
    for act in (install, uninstall, status):
        with pytest.raises(InvalidSettingsError, match=r"has no settings of .*: use --scope ") as e:
            act(tool, scope, tmp_path)
        assert "\n" not in str(e.value)


@pytest.mark.parametrize("tool", [t for t in TOOLS if TOOLS[t].registration.user_variable])
def test_a_variable_moves_the_users_hooks(
    tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_home = settings_path(tool, "user", tmp_path)
    monkeypatch.setenv(TOOLS[tool].registration.user_variable, str(tmp_path / "moved"))
    path = install(tool, "user", tmp_path).path
    assert path.is_relative_to(tmp_path / "moved")
    assert path.exists()
    assert not at_home.exists()


def _install(tool: str, scope: Scope, root: Path, barrier: Any) -> None:
    barrier.wait()
    install(tool, scope, root)


@pytest.mark.parametrize("tool", ["copilot-cli", "cline", "kimi-code"])
def test_two_installs_at_once_are_one(tool: str, tmp_path: Path, home: Path) -> None:
    scope: Scope = "user"
    before = snapshot(home)
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(2)
    both = [
        context.Process(target=_install, args=(tool, scope, tmp_path, barrier)) for _ in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
        assert process.exitcode == 0
    assert status(tool, scope, tmp_path).state == "installed"
    assert not install(tool, scope, tmp_path).written
    uninstall(tool, scope, tmp_path)
    assert snapshot(home) == before


USERS = {
    "copilot-cli": [
        "{}",
        '{"version": 1}\n',
        '{"version": 1, "hooks": {}}',
        '{\n  "version": 1,\n  "hooks": {\n    "preToolUse": []\n  }\n}\n',
        '{"hooks":{"preToolUse":[{"type":"command","bash":"x","timeoutSec":3}]},"version":1}',
        '{"hooks":{}, "version": 2, "a": 1}',
        '{"a": 1}',
        '{"hooks": {"preToolUse": [null, 1, {"bash": 3}], "Newer": {}}}',
    ],
    "droid": [
        "{}",
        '{ }\n',
        '{"hooks": {"PreToolUse": 1}}',
        '{\n\t"PreToolUse": [\n\t\t{"matcher": "Execute", "hooks": [{"type": "command",'
        ' "command": "x"}]}\n\t],\n\t"Newer": 1\n}',
        '{"Stop": []}\r\n',
    ],
}  # fmt: skip
USERS["cursor"] = [
    text.replace('"bash"', '"command"').replace("timeoutSec", "timeout")
    for text in USERS["copilot-cli"]
]


@pytest.mark.parametrize(("tool", "text"), [(t, text) for t in USERS for text in USERS[t]])
def test_a_file_of_the_users_has_every_byte_back(tool: str, text: str, tmp_path: Path) -> None:
    path = settings_path(tool, "project", tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode())
    before = json.loads(text)
    install(tool, "project", tmp_path)
    after = json.loads(path.read_bytes())
    assert status(tool, "project", tmp_path).state == "installed"
    head = form(tool).head
    keys = [key for key in before if key != "hooks" and key not in form_events(tool)]
    assert {key: after[key] for key in keys} == {key: before[key] for key in keys}
    if "hooks" not in before and tool != "droid":
        assert all(after[key] == before.get(key, head[key]) for key in head)
    assert not install(tool, "project", tmp_path).written
    uninstall(tool, "project", tmp_path)
    assert path.read_bytes() == text.encode()


def form_events(tool: str) -> set[str]:
    return {hook.event for hook in form(tool).hooks}


@pytest.mark.parametrize("is_sorted", [False, True])
@pytest.mark.parametrize(("tool", "scope"), JSON_FORMS)
def test_a_file_of_ours_that_the_tool_wrote_anew_goes_too(
    tool: str, scope: Scope, is_sorted: bool, tmp_path: Path
) -> None:
    path = install(tool, scope, tmp_path).path
    value = json.loads(path.read_text())
    path.write_text(json.dumps(value, indent=2, sort_keys=is_sorted))
    assert status(tool, scope, tmp_path).state == "installed"
    assert not install(tool, scope, tmp_path).written
    uninstall(tool, scope, tmp_path)
    assert not path.exists()


@pytest.mark.parametrize("tool", ["copilot-cli", "cursor"])
def test_a_version_that_somebody_changed_stays(tool: str, tmp_path: Path) -> None:
    path = install(tool, "project", tmp_path).path
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    uninstall(tool, "project", tmp_path)
    assert json.loads(path.read_text()) == {"version": 2}


# `@` stands for an event of the tool.
DAMAGED = {
    "copilot-cli": ['{"hooks": []}', '{"hooks": {"@": {}}}', "{", "\ud800"],
    "droid": ['{"@": {}}', "[]", '{"Stop": [}'],
    "kimi-code": ["[hooks]\n", "hooks = 1\n", "hooks = [1]\n", "a = \n", "a = 1\na = 2\n", "x"],
    "cursor": ['{"hooks": {"@": "x"}}', "nonsense"],
}


@pytest.mark.parametrize(("tool", "text"), [(t, text) for t in DAMAGED for text in DAMAGED[t]])
def test_a_damaged_file_is_one_line_and_stays(tool: str, text: str, tmp_path: Path) -> None:
    scope: Scope = "user"
    path = settings_path(tool, scope, tmp_path)
    path.parent.mkdir(parents=True)
    event = TOOLS[tool].registration.hooks[0].event
    content = text.replace("@", event).encode("utf-8", "surrogatepass")
    path.write_bytes(content)
    for act in (install, uninstall, status):
        with pytest.raises(InvalidSettingsError) as error:
            act(tool, scope, tmp_path)
        assert str(error.value).startswith(str(path))
        assert "\n" not in str(error.value)
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == [path.name]


def events_without_end(tool: str) -> Iterator[str]:
    """The events of a tool whose command can end in another code than 0."""
    for hook in TOOLS[tool].registration.hooks:
        if not hook.blocks:
            yield hook.event


def test_no_hook_before_a_tool_call_can_refuse_it() -> None:
    for tool in TOOLS.values():
        assert tool.call_events[0] not in events_without_end(tool.name) or isinstance(
            tool.registration, OwnFiles
        )
