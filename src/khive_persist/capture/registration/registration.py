"""Installing our hooks in a tool's settings, and taking them out again.

The settings file alone tells what is installed: nothing is remembered elsewhere.
"""

import os
from pathlib import Path
from typing import NamedTuple

from khive_persist.capture.registration import http_hook
from khive_persist.capture.registration.command import hook_command
from khive_persist.capture.registration.entries import (
    Entry,
    Target,
    find_entries,
    with_entry,
    with_target,
    without_entry,
)
from khive_persist.capture.registration.json_text import JsonText
from khive_persist.capture.registration.settings_file import SettingsFile
from khive_persist.capture.tools import TOOLS, Scope, Tool


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
    server: str | None = None,
) -> Change:
    """Register our hook for the tool's events; what else the file has stays, byte for byte.

    A hook of ours that is there keeps its place, timeout and matcher, and only what it does with an
    event is updated; none is taken out. Run twice, it changes nothing the second time.

    Args:
        tool: The name of one of `TOOLS`.
        scope: The project's settings, or the user's.
        project_root: The project's directory.
        model_events: Also the events that fire around each call of the model.
        directory: The directory that is to hold `.khive`; none lets the hook find it.
        server: The URL of a server of this machine: HTTP hooks send it the events of the tool that
            may go so. Without it, and for the others, there are command hooks.

    Raises:
        InvalidSettingsError: The file is not valid, or cannot be written, or the URL is no server
            of this machine; the file is as it was.
    """
    known = TOOLS[tool]
    command = Target(command=hook_command(tool, directory))
    sent = Target(url=http_hook.hook_url(tool, server)) if server is not None else command
    over_http = {hook.event for hook in known.registration.hooks if hook.http}

    def wanted(event: str) -> Target:
        return sent if event in over_http else command

    changed: list[str] = []

    def with_hooks(settings: JsonText | None) -> str | None:
        changed.clear()
        for hook in known.registration.hooks:
            registered = {entry.event for entry in entries_of(settings, known)}
            if hook.event not in registered and (model_events or not hook.model):
                settings = _parsed(with_entry(settings, known, hook, wanted(hook.event)), known)
                changed.append(hook.event)
        while settings is not None:
            entries = entries_of(settings, known)
            old = next((e for e in entries if e.target != wanted(e.event) or not e.is_whole), None)
            if old is None:
                return settings.text
            settings = _parsed(with_target(settings, old, wanted(old.event)), known)
            changed.append(old.event)
        return None

    file = settings_file(tool, scope, project_root)
    written = file.edit(with_hooks)
    told = by_hand(known, scope, is_http=server is not None)
    return Change(file.path, written, tuple(changed), told)


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
            entry = next(iter(entries_of(settings, known)), None)
            if entry is None:
                return settings.text
            rest = without_entry(settings, entry, known)
            settings = None if rest is None else _parsed(rest, known)
            removed.append(entry.event)
        return None

    file = settings_file(tool, scope, project_root)
    written = file.edit(without_hooks)
    return Change(file.path, written, tuple(dict.fromkeys(removed)), ())


def settings_file(tool: str, scope: Scope, project_root: Path) -> SettingsFile:
    """That file, to be read and edited."""
    path = settings_path(tool, scope, project_root)
    return SettingsFile(path, comments=TOOLS[tool].registration.comments)


def _parsed(text: str, tool: Tool) -> JsonText:
    return JsonText(text, comments=tool.registration.comments)


def entries_of(settings: JsonText | None, tool: Tool) -> list[Entry]:
    """Our hooks in it, in the file's order; none where there is no file."""
    return [] if settings is None else find_entries(settings, tool)


def by_hand(tool: Tool, scope: Scope, *, is_http: bool) -> tuple[str, ...]:
    """What the user must do in the tool, and for HTTP hooks besides it."""
    return tool.registration.by_hand[scope] + (http_hook.BY_HAND if is_http else ())
