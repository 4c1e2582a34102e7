"""Install our hooks in a tool's settings or among its files, and take them out again.

What is there alone tells what is installed: nothing is remembered elsewhere.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from khive_persist.capture import native_hook_path
from khive_persist.capture.hook_config import http_hook, launcher, native_copy
from khive_persist.capture.hook_config.command import hook_command, native_arguments
from khive_persist.capture.hook_config.entry import Entry, Target
from khive_persist.capture.hook_config.hook_files import HookFiles, Plan
from khive_persist.capture.hook_config.own_files import OwnHookFiles
from khive_persist.capture.hook_config.settings_hooks import SettingsHooks
from khive_persist.capture.hook_config.versions import KnownVersions, known_versions
from khive_persist.errors import InvalidSettingsError
from khive_persist.tools import TOOLS, OwnFiles, Registration, Scope, Tool

HookChoice = Literal["auto", "native", "python"]

_SUB_DIRECTORIES = (
    "{title} reads only the settings of the directory that it is started in{but}: for sessions that"
    " begin in a sub-directory use --scope user, or install there, too."
)
_BUT = ", and above it those of a git repository, which this is not"
_NOT_SHARED = (
    "{path} names paths of this machine: where others share it, use --scope local or --scope user."
)


class Change(NamedTuple):
    """The change of a scope by an install or an uninstall.

    Attributes:
        path: The settings file, our own file, or the folder of several.
        written: Whether it was written or deleted; if not, it was as wanted already.
        events: The events whose hooks were added, updated or removed.
        by_hand: The steps that the user must take in the tool for the hooks to run, as whole
            sentences; none after an uninstall.
        version: The oldest version of the tool that reads the file, as far as that matters; an
            empty string where it does not.
        left_out: The events that this version does not know: they are not registered.
        occupied: The files of the user's own that stand in the place of ours: they were left as
            they are, and what ours would record is not.
        problems: The problems that the hooks of other scopes make for these, a line each.
    """

    path: Path
    written: bool
    events: tuple[str, ...]
    by_hand: tuple[str, ...]
    version: str = ""
    left_out: tuple[str, ...] = ()
    occupied: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()


def has_scope(tool: str, scope: Scope) -> bool:
    """Return whether a tool has settings of that scope."""
    registration = TOOLS[tool].registration
    if isinstance(registration, OwnFiles):
        places = {"project": registration.project_folder, "user": registration.user_folder}
    else:
        places = {
            "project": registration.project_file,
            "local": registration.local_file,
            "user": registration.user_file,
        }
    return bool(places.get(scope))


def hook_files(tool: str, scope: Scope, project_root: Path) -> HookFiles:
    """Return the place of our hooks in a scope, to be read and edited.

    HOME, or the tool's variable, says where the user's is.

    Raises:
        InvalidSettingsError: The tool has no settings of that scope.
    """
    registration = TOOLS[tool].registration
    if not has_scope(tool, scope):
        raise InvalidSettingsError(_without_scope(tool, scope), hint=_scopes_of(tool))
    if isinstance(registration, OwnFiles):
        names = (
            registration.project_folder,
            registration.user_folder,
            registration.user_variable_folder,
        )
        folder = _place(scope, project_root, *names, registration.user_variable)
        inside = None if scope == "user" else project_root
        return OwnHookFiles(folder, tool, registration, inside=inside)
    project_file = registration.local_file if scope == "local" else registration.project_file
    names = (project_file, registration.user_file, registration.user_variable_file)
    path = _place(scope, project_root, *names, registration.user_variable)
    return SettingsHooks(path, tool, registration)


def settings_path(tool: str, scope: Scope, project_root: Path) -> Path:
    """Return the path of our hooks in a scope, as `hook_files` does."""
    return hook_files(tool, scope, project_root).path


def problems_between_scopes(
    tool: str, scope: Scope, project_root: Path, entries: Sequence[Entry]
) -> list[str]:
    """Return the problems that the other scopes' settings make for the hooks of this one."""
    client = TOOLS[tool]
    path = settings_path(tool, scope, project_root)
    problems = []
    mine = {(entry.event, entry.target) for entry in entries}
    events = {event for event, _ in mine}
    others: tuple[Scope, ...] = get_args(Scope)
    for other in others:
        if other == scope or not has_scope(tool, other):
            continue
        file = hook_files(tool, other, project_root)
        if os.path.realpath(file.path) == os.path.realpath(path):
            continue
        try:
            theirs = file.registered().entries
        except InvalidSettingsError as error:
            problems.append(str(error))
            continue
        twice = {
            entry.event
            for entry in theirs
            if entry.event in events
            and not client.has_times
            and not (client.registration.runs_once and (entry.event, entry.target) in mine)
        }
        if twice:
            first, second = sorted((path, file.path))
            problems.append(
                f"{client.title} records {len(twice)} events twice, as {first} and {second} both"
                " have hooks of ours: uninstall one of the two"
            )
    return problems


def _place(
    scope: Scope, project_root: Path, of_project: str, of_user: str, of_moved: str, variable: str
) -> Path:
    if scope != "user":
        return project_root / of_project
    moved = os.environ.get(variable) if variable else None
    return Path(moved) / of_moved if moved else Path.home() / of_user


def _without_scope(tool: str, scope: Scope) -> str:
    what = "of one person in a project" if scope == "local" else f"of a {scope}"
    return f"{TOOLS[tool].title} has no settings {what}"


def _scopes_of(tool: str) -> str:
    scopes: tuple[Scope, ...] = get_args(Scope)
    names = [f"--scope {other}" for other in scopes if has_scope(tool, other)]
    return f"use {' or '.join(names)}"


def install(
    tool: str,
    scope: Scope,
    project_root: Path,
    *,
    model_events: bool = False,
    directory: Path | None = None,
    server: str | None = None,
    version: str = "",
    hook: HookChoice = "auto",
    shell: bool = True,
) -> Change:
    """Register our hook for the tool's events; what else is there stays, byte for byte.

    A hook of ours that is there keeps its place, timeout and matcher, and only what it does with an
    event is updated. One for an event that a version of the tool does not know is taken out: the
    version would skip the whole file for it. Run twice, it changes nothing the second time. Where
    a tool has files instead, a file of the user's own in the place of ours stays, too.

    Args:
        tool: The name of one of `TOOLS`.
        scope: The project's settings, this person's own in the project, or the user's.
        project_root: The project's directory.
        model_events: Also the events that fire around each call of the model.
        directory: The directory that is to hold `.khive`; none lets the hook find it.
        server: The URL of a server of this machine: HTTP hooks send it the events of the tool that
            may go so. Without it, and for the others, there are command hooks.
        version: A version of the tool that reads the file, too, as on another machine.
        hook: The compiled hook or the Python one; `auto` is the compiled one where it can be run.
        shell: Whether a shell starts the hook. Without one it is the compiled hook that a tool
            starts, and nothing comes in its place where it is gone.

    Raises:
        InvalidSettingsError: The file is not valid, or cannot be written, or the URL is no server
            of this machine; the file is as it was. Or the tool has no such scope, there is no
            compiled hook, or the tool cannot start it without a shell.
    """
    client = TOOLS[tool]
    files = hook_files(tool, scope, project_root)
    url = http_hook.hook_url(tool, server) if server is not None else ""
    versions = known_versions(client, version)
    words = launcher.project_launcher()
    native = None if hook == "python" else native_copy.project_native()
    if native is None and (hook == "native" or not shell):
        raise _without_native()
    if not shell:
        _check_shell(client, scope, versions)
    # The same in all scopes: what is registered in two of them Claude Code and Gemini CLI run once.
    is_shared = (
        directory is None and launcher.is_below_home() and words == [str(launcher.launcher_path())]
    )
    hooks = {hook.event: hook for hook in client.registration.hooks}

    def target_of(event: str) -> Target:
        hook = hooks.get(event)
        if url and hook is not None and hook.http:
            return Target(url=url)
        blocks = hook is None or hook.blocks
        if not shell:
            return Target(
                command=str(native), args=native_arguments(tool, directory, blocks=blocks)
            )
        command = hook_command(
            tool, directory, blocks=blocks, is_shared=is_shared, words=words, native=native
        )
        return Target(command=command)

    plan = Plan(
        is_due=lambda hook: versions.knows(hook) and (model_events or not hook.model),
        is_unknown=lambda event: event in hooks and not versions.knows(hooks[event]),
        target_of=target_of,
    )
    done = files.install(plan)
    left_out = tuple(hook.event for hook in hooks.values() if not versions.knows(hook))
    instructions = by_hand(
        client, scope, project_root, is_http=server is not None, versions=versions
    )
    if scope == "project" and not is_shared:
        instructions += (_NOT_SHARED.format(path=files.path),)
    entries = files.registered().entries
    problems = problems_between_scopes(tool, scope, project_root, entries)
    return Change(
        files.path, done.written, done.events, instructions, versions.oldest, left_out,
        done.occupied, tuple(problems),
    )  # fmt: skip


def _without_native() -> InvalidSettingsError:
    """Return the error that says why there is no compiled hook to register."""
    if native_hook_path() is None:
        return InvalidSettingsError(
            "this installation has no compiled hook",
            hint="install a wheel of your platform, or a C compiler before pip builds it",
        )
    return InvalidSettingsError(
        "the compiled hook cannot be run here", hint="register the Python one: --hook python"
    )


def _check_shell(tool: Tool, scope: Scope, versions: KnownVersions) -> None:
    """Raise where a tool cannot start a hook without a shell, or others read its settings."""
    registration = tool.registration
    since = registration.args_since if isinstance(registration, Registration) else ""
    if not since or scope != "user":
        raise InvalidSettingsError(
            f"{tool.title} starts no hook of --scope {scope} without a shell",
            hint="leave --no-shell out; Claude Code has it for --scope user",
        )
    if versions.oldest and launcher.numbers(versions.oldest) < launcher.numbers(since):
        raise InvalidSettingsError(
            f"{tool.title} {versions.oldest} would start the hook without its arguments",
            hint=f"leave --no-shell out; {since} and later know them",
        )


def uninstall(tool: str, scope: Scope, project_root: Path) -> Change:
    """Take our hooks out: after `install` alone, all is as it was before, byte for byte.

    What others added meanwhile stays. A file that `install` made, and that has nothing else, is
    deleted; the directory that it is in stays.

    Raises:
        InvalidSettingsError: The file is not valid, or cannot be written; it is as it was.
    """
    files = hook_files(tool, scope, project_root)
    done = files.uninstall()
    return Change(files.path, done.written, done.events, ())


def by_hand(
    tool: Tool,
    scope: Scope,
    project_root: Path,
    *,
    is_http: bool,
    versions: KnownVersions | None = None,
) -> tuple[str, ...]:
    """Return the steps that the user must take in the tool, and for HTTP hooks besides it."""
    lines = list(tool.registration.by_hand[scope])
    topmost = tool.registration.topmost
    if scope != "user" and not _is_below(project_root, topmost):
        lines.append(_SUB_DIRECTORIES.format(title=tool.title, but=topmost and _BUT))
    if versions is not None and versions.oldest:
        lines += _of_versions(tool, scope, versions)
    return (*lines, *(http_hook.BY_HAND if is_http else ()))


def _is_below(directory: Path, topmost: str) -> bool:
    """Return whether a file or folder of that name lies in a directory or above it."""
    path = directory.absolute()
    return bool(topmost) and any((folder / topmost).exists() for folder in (path, *path.parents))


def _of_versions(tool: Tool, scope: Scope, versions: KnownVersions) -> list[str]:
    """Return the notes on the versions that read the settings."""
    lines = []
    if versions.unknown:
        programs = ", ".join(versions.unknown)
        lines.append(f"{programs} does not tell its version: {versions.oldest} is assumed.")
    elif versions.is_assumed:
        lines.append(
            f"No {tool.title} was found here, so that what {versions.oldest} knows is registered:"
            " name yours with --client-version."
        )
    newest = max(
        (hook.since for hook in tool.registration.hooks if hook.since and versions.knows(hook)),
        key=launcher.numbers,
        default="",
    )
    if scope == "project" and newest and not versions.is_assumed:
        lines.append(
            f"{tool.title} before {newest} does not read a file with these events, the permissions"
            " in it included: where others use an older one, name it with --client-version."
        )
    return lines
