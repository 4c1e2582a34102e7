"""What a settings file has of our hooks, and what keeps them from recording."""

import os
from pathlib import Path
from typing import Final, Literal, NamedTuple

from khive_persist.capture.registration.answering import problem_of
from khive_persist.capture.registration.command import missing_part
from khive_persist.capture.registration.entries import Entry
from khive_persist.capture.registration.json_text import JsonText
from khive_persist.capture.registration.registration import (
    by_hand,
    entries_of,
    settings_file,
    settings_path,
)
from khive_persist.capture.tools import TOOLS, Scope, Tool
from khive_persist.errors import InvalidSettingsError

State = Literal["not installed", "partly installed", "stale", "installed"]
Transport = Literal["", "command", "http"]

_AGAIN: Final = "install the hooks again"
_OTHER_SCOPE: Final[dict[Scope, Scope]] = {"project": "user", "user": "project"}


class Status(NamedTuple):
    """What a settings file has of our hooks.

    Attributes:
        path: The settings file.
        state: `stale` where a hook runs an interpreter or a file that is not there.
        transport: `http` where some events go to a server; an empty string without any hook.
        events: The events that have our hook, in the file's order.
        missing: The events that `install` would add it to. Those around the model's calls are
            registered only when asked, and not missed.
        problems: What keeps events from being recorded, or records them twice, a line each.
        by_hand: As in `Change`; nothing where no hook is installed.
    """

    path: Path
    state: State
    transport: Transport
    events: tuple[str, ...]
    missing: tuple[str, ...]
    problems: tuple[str, ...]
    by_hand: tuple[str, ...]


def status(tool: str, scope: Scope, project_root: Path, *, asks_server: bool = True) -> Status:
    """What the settings file of a scope has of our hooks; nothing is changed.

    Args:
        tool: The name of one of `TOOLS`.
        scope: The project's settings, or the user's.
        project_root: The project's directory.
        asks_server: Whether to ask the server of HTTP hooks if it takes events, with the token of
            our own environment.

    Raises:
        InvalidSettingsError: The file is not valid, or cannot be read.
    """
    known = TOOLS[tool]
    file = settings_file(tool, scope, project_root)
    entries, off = file.read(lambda settings: _looked_at(settings, known))
    events = tuple(dict.fromkeys(entry.event for entry in entries))
    expected = (hook.event for hook in known.registration.hooks if not hook.model)
    missing = tuple(event for event in expected if event not in events)
    if not events:
        return Status(file.path, "not installed", "", (), missing, (), ())
    targets = [entry.target for entry in entries]
    commands = [target.command for target in targets if target.command]
    servers = [*dict.fromkeys(target.url for target in targets if target.url)]
    gone = dict.fromkeys(part for command in commands if (part := missing_part(command)))
    problems = [f"{file.path} runs {part}, which is not there: {_AGAIN}" for part in gone]
    if missing:
        problems.append(f"{file.path} has no hook of ours for {', '.join(missing)}: {_AGAIN}")
    if off:
        problems.append(_all_off(file.path, off))
    problems += _problems_of_http(file.path, entries)
    if asks_server:
        problems += [problem for url in servers if (problem := problem_of(url))]
    problems += _problems_between_scopes(tool, scope, project_root, entries)
    state: State = "stale" if gone else "partly installed" if missing else "installed"
    told = by_hand(known, scope, is_http=bool(servers))
    transport: Transport = "http" if servers else "command"
    return Status(file.path, state, transport, events, missing, tuple(problems), told)


def _problems_of_http(path: Path, entries: list[Entry]) -> list[str]:
    """What is wrong with the HTTP hooks of a file by themselves."""
    problems = []
    tokenless = [entry.event for entry in entries if not entry.is_whole]
    if tokenless:
        problems.append(f"{path} sends {', '.join(tokenless)} without a token: {_AGAIN}")
    sent = [entry.event for entry in entries if entry.target.url]
    run = {entry.event for entry in entries if entry.target.command}
    twice = [event for event in dict.fromkeys(sent) if event in run]
    if twice:
        problems.append(
            f"{path} records {', '.join(twice)} twice, by a command and over HTTP: {_AGAIN}"
        )
    return problems


def _looked_at(settings: JsonText | None, tool: Tool) -> tuple[list[Entry], str]:
    """Our hooks, and the setting that turns all hooks off, or an empty string."""
    if settings is None or tool.registration.off_switch is None:
        return entries_of(settings, tool), ""
    path, off = tool.registration.off_switch
    value: object = settings.value
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    switch = f"{'.'.join(path)} is {str(off).lower()}" if value is off else ""
    return entries_of(settings, tool), switch


def _all_off(path: Path, switch: str) -> str:
    return f"{path} turns all hooks off: {switch}"


def _problems_between_scopes(
    tool: str, scope: Scope, project_root: Path, entries: list[Entry]
) -> list[str]:
    """What the other scope's settings do to the hooks of this one."""
    known = TOOLS[tool]
    path = settings_path(tool, scope, project_root)
    other = settings_file(tool, _OTHER_SCOPE[scope], project_root)
    if os.path.realpath(other.path) == os.path.realpath(path):
        return []
    try:
        others, off = other.read(lambda settings: _looked_at(settings, known))
    except InvalidSettingsError as error:
        return [str(error)]
    problems = [_all_off(other.path, off)] if off else []
    mine = {(entry.event, entry.target) for entry in entries}
    events = {event for event, _ in mine}
    twice = {
        theirs.event
        for theirs in others
        if theirs.event in events
        and not (known.registration.runs_once and (theirs.event, theirs.target) in mine)
    }
    if twice:
        first, second = sorted((path, other.path))
        problems.append(
            f"{known.title} records {len(twice)} events twice, as {first} and {second} both have"
            " hooks of ours: uninstall one of the two"
        )
    return problems
