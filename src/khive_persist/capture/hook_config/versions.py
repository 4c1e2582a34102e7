"""Find the versions of a tool on this machine, and the events that the oldest of them knows.

Several read one settings file: an editor's extension, a program of an older Node. Claude Code up to
2.1.100 skips a settings file as a whole, the user's deny rules with it, for one event that it does
not know, and later ones stop with a dialog.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from khive_persist.capture.hook_config.launcher import numbers
from khive_persist.tools import Hook, Program, Tool

_SECONDS: Final = 10.0
_VERSION: Final = re.compile(r"\d+\.\d+\.\d+")


class Installation(NamedTuple):
    """A version of a tool, and the file or folder that has it."""

    version: str
    path: str


class KnownVersions(NamedTuple):
    """The versions of a tool that read a settings file.

    Attributes:
        installed: The installed ones, the oldest first.
        unknown: Programs of the tool that do not tell their version.
        oldest: The version that counts; an empty string where the tool takes any event's name.
        is_assumed: Whether it is only assumed, as none was found and none was named.
    """

    installed: tuple[Installation, ...] = ()
    unknown: tuple[str, ...] = ()
    oldest: str = ""
    is_assumed: bool = False

    def knows(self, hook: Hook) -> bool:
        """Return whether all of them know the event of a hook."""
        return not hook.since or not self.oldest or numbers(self.oldest) >= numbers(hook.since)


def known_versions(tool: Tool, extra_version: str = "") -> KnownVersions:
    """Return the versions of a tool on this machine, and one on another; each program is asked."""
    program = tool.registration.program
    if program is None:
        return KnownVersions()
    pairs = [(path, _reported_version(path)) for path in programs_of(tool)]
    installed = [Installation(version, path) for path, version in pairs if version]
    installed += _in_folders(program)
    installed.sort(key=lambda installation: numbers(installation.version))
    unknown = tuple(path for path, version in pairs if not version)
    versions = [installation.version for installation in installed]
    if extra_version:
        versions.append(extra_version)
    if unknown or not versions:
        oldest = min([*versions, program.oldest], key=numbers)
        return KnownVersions(tuple(installed), unknown, oldest, is_assumed=True)
    return KnownVersions(tuple(installed), (), min(versions, key=numbers))


def programs_of(tool: Tool) -> Iterator[str]:
    """Yield the paths of a tool's programs, each once.

    Where the tool does not say what its program is called, it is the first word of its own name.
    """
    program = tool.registration.program
    name = program.name if program is not None else tool.name.partition("-")[0]
    folders = [folder for folder in os.get_exec_path() if os.path.isabs(folder)]
    paths = [os.path.join(folder, name) for folder in folders]
    paths += [str(Path.home() / path) for path in (program.paths if program is not None else ())]
    real_paths = set()
    for path in paths:
        real = os.path.realpath(path)
        if real not in real_paths and os.path.isfile(real) and os.access(real, os.X_OK):
            real_paths.add(real)
            yield path


def _reported_version(path: str) -> str:
    """Return the version that a program reports; an empty string where it reports none."""
    try:
        result = subprocess.run(  # noqa: S603 - as the person would start it, by an absolute path
            [path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", check=False, timeout=_SECONDS, cwd="/",
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    match = _VERSION.search(result.stdout)
    return match[0] if match else ""


def _in_folders(program: Program) -> list[Installation]:
    folders = [path for pattern in program.folders for path in Path.home().glob(pattern)]
    return [
        Installation(match[0], str(path))
        for path in sorted(folders)
        if (match := _VERSION.search(path.name))
    ]
