"""Installing our hooks in a tool's settings, taking them out again, and what is there now.

The settings file alone tells what is installed: nothing is remembered elsewhere.
"""

import os
from pathlib import Path
from typing import Final, Literal, NamedTuple

from khive_persist.capture.registration.command import hook_command, missing_part
from khive_persist.capture.registration.entries import (
    Entry,
    find_entries,
    with_command,
    with_entry,
    without_entry,
)
from khive_persist.capture.registration.json_text import JsonText
from khive_persist.capture.registration.settings_file import SettingsFile
from khive_persist.capture.tools import TOOLS, Scope, Tool
from khive_persist.errors import InvalidSettingsError

State = Literal["not installed", "partly installed", "stale", "installed"]

_AGAIN: Final = "install the hooks again"
_OTHER_SCOPE: Final[dict[Scope, Scope]] = {"project": "user", "user": "project"}


class Change(NamedTuple):
    """What an install or an uninstall did to a settings file.

    Attributes:
        path: The settings file.
        written: Whether it was written or deleted; if not, it was as wanted already.
        events: The events whose hooks were added, updated or removed.
        by_hand: What the user must do in the tool for the hooks to run, as whole sentences;
            nothing after an uninstall.
    """

    path: Path
    written: bool
    events: tuple[str, ...]
    by_hand: tuple[str, ...]


class Status(NamedTuple):
    """What a settings file has of our hooks.

    Attributes:
        path: The settings file.
        state: `stale` where a hook runs an interpreter or a file that is not there.
        events: The events that have our hook, in the file's order.
        missing: The events that `install` would add it to. Those around the model's calls are
            registered only when asked, and not missed.
        problems: What keeps events from being recorded, or records them twice, a line each.
        by_hand: As in `Change`; nothing where no hook is installed.
    """

    path: Path
    state: State
    events: tuple[str, ...]
    missing: tuple[str, ...]
    problems: tuple[str, ...]
    by_hand: tuple[str, ...]


def settings_path(tool: str, scope: Scope, project_root: Path) -> Path:
    """The settings file of a scope; HOME, or the tool's own variable, says where the user's is."""
    registration = TOOLS[tool].registration
    if scope == "project":
        return project_root / registration.project_file
    moved = os.environ.get(registration.user_variable)
    if moved:
        return Path(moved) / registration.user_variable_file
    return Path.home() / registration.user_file


def install(
    tool: str,
    scope: Scope,
    project_root: Path,
    *,
    model_events: bool = False,
    directory: Path | None = None,
) -> Change:
    """Register our hook for the tool's events; what else the file has stays, byte for byte.

    A hook of ours that is there keeps its place, timeout and matcher, and only its command is
    updated; none is taken out. Run twice, it changes nothing the second time.

    Args:
        tool: The name of one of `TOOLS`.
        scope: The project's settings, or the user's.
        project_root: The project's directory.
        model_events: Also the events that fire around each call of the model.
        directory: The directory that is to hold `.khive`; none lets the hook find it.

    Raises:
        InvalidSettingsError: The file is not valid, or cannot be written; it is as it was.
    """
    known = TOOLS[tool]
    command = hook_command(tool, directory)
    changed: list[str] = []

    def with_hooks(settings: JsonText | None) -> str | None:
        changed.clear()
        for hook in known.registration.hooks:
            registered = {entry.event for entry in _entries(settings, known)}
            if hook.event not in registered and (model_events or not hook.model):
                settings = _parsed(with_entry(settings, known, hook, command), known)
                changed.append(hook.event)
        while settings is not None:
            old = next((e for e in _entries(settings, known) if e.command != command), None)
            if old is None:
                return settings.text
            settings = _parsed(with_command(settings, old, command), known)
            changed.append(old.event)
        return None

    file = _file(tool, scope, project_root)
    written = file.edit(with_hooks)
    return Change(file.path, written, tuple(changed), known.registration.by_hand[scope])


def uninstall(tool: str, scope: Scope, project_root: Path) -> Change:
    """Take our hooks out: after `install` alone, the file is as it was before, byte for byte.

    What others added meanwhile stays. A file that `install` made, and that has nothing else, is
    deleted; the directory that it is in stays.

    Raises:
        InvalidSettingsError: The file is not valid, or cannot be written; it is as it was.
    """
    known = TOOLS[tool]
    removed: list[str] = []

    def without_hooks(settings: JsonText | None) -> str | None:
        removed.clear()
        while settings is not None:
            entry = next(iter(_entries(settings, known)), None)
            if entry is None:
                return settings.text
            rest = without_entry(settings, entry, known)
            settings = None if rest is None else _parsed(rest, known)
            removed.append(entry.event)
        return None

    file = _file(tool, scope, project_root)
    written = file.edit(without_hooks)
    return Change(file.path, written, tuple(dict.fromkeys(removed)), ())


def status(tool: str, scope: Scope, project_root: Path) -> Status:
    """What the settings file of a scope has of our hooks; nothing is changed.

    Raises:
        InvalidSettingsError: The file is not valid, or cannot be read.
    """
    known = TOOLS[tool]
    file = _file(tool, scope, project_root)
    entries, off = file.read(lambda settings: _looked_at(settings, known))
    events = tuple(dict.fromkeys(entry.event for entry in entries))
    expected = (hook.event for hook in known.registration.hooks if not hook.model)
    missing = tuple(event for event in expected if event not in events)
    if not events:
        return Status(file.path, "not installed", (), missing, (), ())
    gone = dict.fromkeys(part for entry in entries if (part := missing_part(entry.command)))
    problems = [f"{file.path} runs {part}, which is not there: {_AGAIN}" for part in gone]
    if missing:
        problems.append(f"{file.path} has no hook of ours for {', '.join(missing)}: {_AGAIN}")
    if off:
        problems.append(_all_off(file.path, off))
    problems += _problems_between_scopes(tool, scope, project_root, entries)
    state: State = "stale" if gone else "partly installed" if missing else "installed"
    by_hand = known.registration.by_hand[scope]
    return Status(file.path, state, events, missing, tuple(problems), by_hand)


def _file(tool: str, scope: Scope, project_root: Path) -> SettingsFile:
    path = settings_path(tool, scope, project_root)
    return SettingsFile(path, comments=TOOLS[tool].registration.comments)


def _parsed(text: str, tool: Tool) -> JsonText:
    return JsonText(text, comments=tool.registration.comments)


def _entries(settings: JsonText | None, tool: Tool) -> list[Entry]:
    return [] if settings is None else find_entries(settings, tool)


def _looked_at(settings: JsonText | None, tool: Tool) -> tuple[list[Entry], str]:
    """Our hooks, and the setting that turns all hooks off, or an empty string."""
    if settings is None or tool.registration.off_switch is None:
        return _entries(settings, tool), ""
    path, off = tool.registration.off_switch
    value: object = settings.value
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    switch = f"{'.'.join(path)} is {str(off).lower()}" if value is off else ""
    return _entries(settings, tool), switch


def _all_off(path: Path, switch: str) -> str:
    return f"{path} turns all hooks off: {switch}"


def _problems_between_scopes(
    tool: str, scope: Scope, project_root: Path, entries: list[Entry]
) -> list[str]:
    """What the other scope's settings do to the hooks of this one."""
    known = TOOLS[tool]
    path = settings_path(tool, scope, project_root)
    other = _file(tool, _OTHER_SCOPE[scope], project_root)
    if os.path.realpath(other.path) == os.path.realpath(path):
        return []
    try:
        others, off = other.read(lambda settings: _looked_at(settings, known))
    except InvalidSettingsError as error:
        return [str(error)]
    problems = [_all_off(other.path, off)] if off else []
    mine = {(entry.event, entry.command) for entry in entries}
    events = {event for event, _ in mine}
    twice = {
        theirs.event
        for theirs in others
        if theirs.event in events
        and not (known.registration.runs_once and (theirs.event, theirs.command) in mine)
    }
    if twice:
        first, second = sorted((path, other.path))
        problems.append(
            f"{known.title} records {len(twice)} events twice, as {first} and {second} both have"
            " hooks of ours: uninstall one of the two"
        )
    return problems
