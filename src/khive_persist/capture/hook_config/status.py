"""Report our hooks in a settings file, and the problems that keep them from recording."""

import shlex
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from khive_persist.capture import spool_writer
from khive_persist.capture.hook_config import codex_trust, launcher, native_copy
from khive_persist.capture.hook_config.command import (
    launcher_of,
    missing_part,
    native_of,
    resembles_ours,
)
from khive_persist.capture.hook_config.entry import Entry, Target
from khive_persist.capture.hook_config.hook_files import Registered
from khive_persist.capture.hook_config.install import (
    by_hand,
    hook_files,
    problems_between_scopes,
)
from khive_persist.capture.hook_config.server_probe import problem_of
from khive_persist.capture.hook_config.switches import off_switches
from khive_persist.capture.hook_config.versions import KnownVersions, known_versions
from khive_persist.tools import TOOLS, OwnFiles, Scope, Tool

State = Literal["not installed", "partly installed", "stale", "installed"]
Transport = Literal["", "command", "http"]
HookKind = Literal["", "native", "python"]

AGAIN: Final = "install the hooks again"


class Status(NamedTuple):
    """The state of our hooks in a scope.

    Attributes:
        path: The settings file, our own file, or the folder of several.
        state: `stale` where a hook runs an interpreter or a file that is not there, or where a
            file of ours is not as this version writes it.
        transport: `http` where some events go to a server; an empty string without any hook.
        events: The events that have our hook, in the file's order.
        missing: The events that `install` would add it to. Those around the model's calls are
            registered only when asked, and not missed.
        problems: The problems that keep events from being recorded, or record them twice, a line
            each.
        by_hand: The steps for the user, as in `Change`; none where no hook is installed.
        version: The oldest version of the tool that reads the file, as in `Change`.
        left_out: The events that this version does not know.
        hook: The hook that the commands run here: `native`, where each runs the compiled one; an
            empty string without a command.
    """

    path: Path
    state: State
    transport: Transport
    events: tuple[str, ...]
    missing: tuple[str, ...]
    problems: tuple[str, ...]
    by_hand: tuple[str, ...]
    version: str = ""
    left_out: tuple[str, ...] = ()
    hook: HookKind = ""


def status(tool: str, scope: Scope, project_root: Path, *, asks_server: bool = True) -> Status:
    """Return the state of our hooks in the settings file of a scope; nothing is changed.

    Args:
        tool: The name of one of `TOOLS`.
        scope: The project's settings, this person's own in the project, or the user's.
        project_root: The project's directory.
        asks_server: Whether to ask the server of HTTP hooks if it takes events, with the token of
            our own environment.

    Raises:
        InvalidSettingsError: The file is not valid, or cannot be read, or the tool has no such
            scope.
    """
    client = TOOLS[tool]
    file = hook_files(tool, scope, project_root)
    registered = file.registered(lambda command: resembles_ours(command, tool))
    entries = registered.entries
    events = tuple(dict.fromkeys(entry.event for entry in entries))
    occupied_lines = [
        f"{path} is a file of your own in the place of ours: what ours would record is missing"
        for path in registered.occupied
    ]
    if not events:
        expected = tuple(hook.event for hook in client.registration.hooks if not hook.model)
        # A program of the user's for an event is nobody's problem; a plugin of our name is.
        is_program = isinstance(client.registration, OwnFiles) and client.registration.is_program
        told = () if is_program else tuple(occupied_lines)
        return Status(file.path, "not installed", "", (), expected, told, ())
    versions = known_versions(client)
    hooks = [hook for hook in client.registration.hooks if not hook.model]
    missing = tuple(h.event for h in hooks if versions.knows(h) and h.event not in events)
    # To install again would not change what a file of the user's own keeps away.
    occupied = {path.name for path in registered.occupied}
    left_out = tuple(h.event for h in hooks if not versions.knows(h) and h.event not in events)
    targets = [*dict.fromkeys(entry.target for entry in entries if entry.target.command)]
    servers = [*dict.fromkeys(entry.target.url for entry in entries if entry.target.url)]
    stale_lines = [*_stale(file.path, targets), *registered.problems]
    problems = [*stale_lines, *occupied_lines]
    if lacking := [event for event in missing if event not in occupied]:
        problems.append(f"{file.path} has no hook of ours for {', '.join(lacking)}: {AGAIN}")
    problems += _of_versions(file.path, client, versions, events)
    problems += _of_codes(file.path, client, entries)
    problems += _of_doubles(file.path, registered)
    problems += off_switches(tool, project_root, entries)
    if tool == "codex":
        problems += codex_trust.problems_of(file.path, entries, project_root)
    problems += _problems_of_http(file.path, entries)
    if asks_server:
        problems += [problem for url in servers if (problem := problem_of(url))]
    problems += problems_between_scopes(tool, scope, project_root, entries)
    state: State = "stale" if stale_lines else "partly installed" if missing else "installed"
    instructions = by_hand(client, scope, project_root, is_http=bool(servers), versions=versions)
    transport: Transport = "http" if servers else "command"
    return Status(
        file.path, state, transport, events, missing, tuple(dict.fromkeys(problems)), instructions,
        versions.oldest, left_out, _hook_of(targets),
    )  # fmt: skip


def _hook_of(targets: Collection[Target]) -> HookKind:
    """Return the hook that commands run on this machine."""
    if not targets:
        return ""
    # What no shell runs is the compiled one, or nothing.
    copies = {native_of(target.command) for target in targets if not target.args}
    is_native = all(copy is not None and native_copy.is_used(copy) for copy in copies)
    return "native" if is_native else "python"


def _stale(path: Path, targets: Iterable[Target]) -> list[str]:
    """Return lines that name the programs of our commands that are missing or cannot be run."""
    lines: dict[str, None] = {}
    for target in targets:
        command = shlex.quote(target.command) if target.args else target.command
        if part := missing_part(command):
            lines[f"{path} runs {part}, which is not there: {AGAIN}"] = None
        elif problem := _problem_of_copies(command, is_alone=bool(target.args)):
            lines[f"{problem}: {AGAIN}"] = None
    return [*lines]


def _problem_of_copies(command: str, *, is_alone: bool) -> str:
    """Return the problem of the copies that one of our commands names, or an empty string.

    Args:
        is_alone: Whether no shell runs it.
    """
    native, copy = native_of(command), launcher_of(command)
    problem = native_copy.problem_of(native, is_alone=is_alone) if native is not None else ""
    if native is not None and is_alone:
        return problem or launcher.problem_of_environment(native.parent)
    return problem or (launcher.problem_of(copy) if copy is not None else "")


def _of_versions(
    path: Path, tool: Tool, versions: KnownVersions, events: Iterable[str]
) -> list[str]:
    """Return a line that names the events of ours that a version does not know."""
    hooks = {hook.event: hook for hook in tool.registration.hooks}
    unknown = [event for event in events if event in hooks and not versions.knows(hooks[event])]
    if not unknown:
        return []
    location = next(
        (
            f" ({installation.path})"
            for installation in versions.installed
            if installation.version == versions.oldest
        ),
        "",
    )
    title = f"{tool.title} {versions.oldest}{location}"
    if versions.is_assumed:
        title = f"{title}, which is assumed as none was found,"
    return [
        f"{path} registers {', '.join(unknown)}, which {title} does not know: it may skip the whole"
        f" file, the permissions in it included; {AGAIN}, with --client-version where it is newer"
    ]


def _of_codes(path: Path, tool: Tool, entries: Sequence[Entry]) -> list[str]:
    """Return a line that names our commands that could end with a code that blocks a tool."""
    blocking = {hook.event for hook in tool.registration.hooks if hook.blocks}
    events = [
        entry.event
        for entry in entries
        if entry.event in blocking
        and entry.target.command
        and not entry.target.command.endswith(("|| exit 0", "|| true", "|| :"))
        and spool_writer.EXIT_ZERO not in entry.target.args
    ]
    if not events:
        return []
    return [
        f"{path} can end {', '.join(dict.fromkeys(events))} with a code that makes some clients"
        f" refuse a tool: {AGAIN}"
    ]


def _of_doubles(path: Path, registered: Registered) -> list[str]:
    """Return lines that name the events that one file records twice."""
    lines = []
    events = {entry.event for entry in registered.entries}
    by_user = [event for event in dict.fromkeys(registered.alike) if event in events]
    if by_user:
        lines.append(
            f"{path} records {', '.join(by_user)} twice, as a command of your own runs our hook"
            " there, too"
        )
    targets = [(e.event, e.target) for e in registered.entries if e.target.command]
    several = [event for event in events if len({t for e, t in targets if e == event}) > 1]
    if several:
        names = ", ".join(sorted(several))
        lines.append(f"{path} records {names} twice, by several hooks of ours: take one out")
    return lines


def _problems_of_http(path: Path, entries: Sequence[Entry]) -> list[str]:
    """Return the problems of the HTTP hooks of a file by themselves."""
    problems = []
    tokenless = [entry.event for entry in entries if not entry.is_whole]
    if tokenless:
        problems.append(f"{path} sends {', '.join(tokenless)} without a token: {AGAIN}")
    http_events = [entry.event for entry in entries if entry.target.url]
    command_events = {entry.event for entry in entries if entry.target.command}
    twice = [event for event in dict.fromkeys(http_events) if event in command_events]
    if twice:
        problems.append(
            f"{path} records {', '.join(twice)} twice, by a command and over HTTP: {AGAIN}"
        )
    return problems


def as_row(tool: str, scope: Scope, hook_status: Status) -> dict[str, Any]:
    """Return a status as JSON has it."""
    return {"tool": tool, "scope": scope} | hook_status._asdict() | {"path": str(hook_status.path)}
