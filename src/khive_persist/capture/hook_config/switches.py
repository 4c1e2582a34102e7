"""Find the switches that turn a tool's hooks off, in each layer of its settings.

The lines name the file and the switch. A file that cannot be read is a line of its own.
"""

import os
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from khive_persist.capture.hook_config.entry import Entry
from khive_persist.capture.hook_config.install import has_scope, settings_path
from khive_persist.capture.hook_config.json_edit import InvalidJsonError, JsonText
from khive_persist.tools import TOOLS, Registration, Scope

_CLAUDE_MANAGED: Final = {
    "darwin": "/Library/Application Support/ClaudeCode",
    "linux": "/etc/claude-code",
}
_CODEX_SYSTEM: Final = "/etc/codex"
_GEMINI_SYSTEM: Final = {
    "darwin": "/Library/Application Support/GeminiCli",
    "linux": "/etc/gemini-cli",
}
_CODEX_FEATURES: Final = ("hooks", "codex_hooks")


class Layer(NamedTuple):
    """One file of a tool's settings, empty where it is not there; an administrator's is managed."""

    path: Path
    values: Mapping[str, Any]
    is_managed: bool = False


def off_switches(tool: str, project_root: Path, entries: Sequence[Entry]) -> list[str]:
    """Return the switches that keep our hooks of a tool from running, each one line."""
    problems: list[str] = []
    if switches := _TOOL_LAYERS.get(tool):
        layers = list(switches.layers(project_root, problems))
        problems += switches.problems(layers, entries)
    return problems


def _claude_layers(root: Path, problems: list[str]) -> Iterator[Layer]:
    yield from _own_layers("claude-code", root, ("user", "project", "local"))
    managed = Path(_CLAUDE_MANAGED.get(sys.platform, _CLAUDE_MANAGED["linux"]))
    user = settings_path("claude-code", "user", root).parent
    paths = [
        managed / "managed-settings.json",
        *sorted((managed / "managed-settings.d").glob("*.json")),
        user / "remote-settings.json",
    ]
    yield from (_read(path, problems, is_managed=True) for path in paths)


def _claude_problems(layers: list[Layer], entries: Sequence[Entry]) -> list[str]:
    problems = []
    deciding = [layer for layer in layers if "disableAllHooks" in layer.values]
    # The highest layer that says anything holds.
    if deciding and deciding[-1].values["disableAllHooks"] is True:
        problems.append(f"{deciding[-1].path} turns all hooks off: disableAllHooks is true")
    problems += _managed_only(layers, "allowManagedHooksOnly")
    urls = {entry.target.url for entry in entries if entry.target.url}
    for layer in layers:
        allowed = layer.values.get("allowedHttpHookUrls")
        if isinstance(allowed, list):
            problems += [
                f"{layer.path} lets no hook send to {url}: allowedHttpHookUrls does not name it"
                for url in sorted(urls)
                if not any(_matches(url, pattern) for pattern in allowed)
            ]
    return problems


def _codex_layers(root: Path, problems: list[str]) -> Iterator[Layer]:
    user = settings_path("codex", "user", root).parent
    folders = [user, *(folder / ".codex" for folder in reversed([root, *root.parents]))]
    yield _read(Path(_CODEX_SYSTEM, "config.toml"), problems)
    for folder in dict.fromkeys(folders):
        yield _read(folder / "config.toml", problems)
    for name in ("managed_config.toml", "requirements.toml"):
        yield _read(Path(_CODEX_SYSTEM, name), problems, is_managed=True)


def _codex_problems(layers: list[Layer], _entries: Sequence[Entry]) -> list[str]:
    problems = []
    for name in _CODEX_FEATURES:
        deciding = [layer for layer in layers if name in _table(layer.values, "features")]
        if deciding and deciding[-1].values["features"][name] is False:
            problems.append(f"{deciding[-1].path} turns all hooks off: features.{name} is false")
    return problems + _managed_only(layers, "allow_managed_hooks_only")


def _gemini_layers(root: Path, problems: list[str]) -> Iterator[Layer]:
    system = Path(_GEMINI_SYSTEM.get(sys.platform, _GEMINI_SYSTEM["linux"]))
    defaults = os.environ.get("GEMINI_CLI_SYSTEM_DEFAULTS_PATH")
    highest = os.environ.get("GEMINI_CLI_SYSTEM_SETTINGS_PATH")
    yield _read(Path(defaults or system / "system-defaults.json"), problems)
    yield from _own_layers("gemini-cli", root, ("user", "project"))
    yield _read(Path(highest or system / "settings.json"), problems, is_managed=True)


def _gemini_problems(layers: list[Layer], entries: Sequence[Entry]) -> list[str]:
    problems = []
    deciding = [layer for layer in layers if "enabled" in _table(layer.values, "hooksConfig")]
    if deciding and deciding[-1].values["hooksConfig"]["enabled"] is False:
        problems.append(f"{deciding[-1].path} turns all hooks off: hooksConfig.enabled is false")
    ours = {_settings_of("gemini-cli").entry_name}
    ours |= {entry.target.command for entry in entries}
    for layer in layers:
        disabled = _table(layer.values, "hooksConfig").get("disabled")
        if isinstance(disabled, list) and any(name in ours for name in disabled):
            problems.append(f"{layer.path} turns our hooks off: hooksConfig.disabled names them")
    return problems


def _managed_only(layers: list[Layer], switch: str) -> list[str]:
    return [
        f"{layer.path} turns all hooks but an administrator's off: {switch} is true"
        for layer in layers
        if layer.is_managed and layer.values.get(switch) is True
    ]


def _own_layers(tool: str, root: Path, scopes: tuple[Scope, ...]) -> Iterator[Layer]:
    """Yield the files that `status` reads, too, and whose errors it reports."""
    comments = _settings_of(tool).comments
    paths = [settings_path(tool, scope, root) for scope in scopes if has_scope(tool, scope)]
    for path in dict.fromkeys(paths):
        yield _read(path, [], comments=comments)


def _settings_of(tool: str) -> Registration:
    registration = TOOLS[tool].registration
    # A tool of files has no layers of settings here.
    assert isinstance(registration, Registration)
    return registration


def _read(
    path: Path, problems: list[str], *, is_managed: bool = False, comments: bool = False
) -> Layer:
    try:
        text = path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return Layer(path, {}, is_managed)
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}")
        return Layer(path, {}, is_managed)
    try:
        if path.suffix == ".toml":
            return Layer(path, tomllib.loads(text), is_managed)
        if not text.strip():
            return Layer(path, {}, is_managed)
        return Layer(path, JsonText(text, comments=comments).value, is_managed)
    except InvalidJsonError as error:
        problems.append(f"{path}:{error.line}:{error.column}: {error}")
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{path}: not valid TOML ({error})")
    return Layer(path, {}, is_managed)


def _table(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = values.get(name)
    return value if isinstance(value, dict) else {}


def _matches(url: str, pattern: object) -> bool:
    """Return whether a URL fits a pattern, in which `*` stands for anything."""
    if not isinstance(pattern, str):
        return False
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), url) is not None


class _ToolLayers(NamedTuple):
    layers: Callable[[Path, list[str]], Iterator[Layer]]
    problems: Callable[[list[Layer], Sequence[Entry]], list[str]]


_TOOL_LAYERS: Final = {
    "claude-code": _ToolLayers(_claude_layers, _claude_problems),
    "codex": _ToolLayers(_codex_layers, _codex_problems),
    "gemini-cli": _ToolLayers(_gemini_layers, _gemini_problems),
}
