"""The command that a tool runs for an event.

The tools hand it to a shell: Claude Code to `/bin/sh -c`, Gemini CLI to `bash -c`, Codex to the
user's own shell with `-c`. Quoted words and `||` mean the same in each, in zsh too. Gemini CLI also
puts in environment variables, wherever `$NAME` stands in its settings file and whatever the quotes
around it.

A missing interpreter is 127 in a shell, and a missing file 2 in Python: either would block the
user's tool. `|| exit 1` makes both a warning, of the one line that the shell or Python wrote. There
is no `exec`, as a shell whose `exec` fails ends before it comes to `||`.
"""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

from khive_persist.capture import hook_path
from khive_persist.errors import InvalidSettingsError

_HOOK_FILE: Final = "capture/hook.py"
_HOOK_SCRIPT: Final = "khive-hook"
_SCRIPT_START: Final = b"#!"
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


def hook_command(tool: str, directory: Path | None = None) -> str:
    """What to register for a tool.

    Args:
        tool: As `khive-hook --tool` takes it.
        directory: The directory that is to hold `.khive`, for `--dir`; none finds it anew for
            each event.

    Raises:
        InvalidSettingsError: A path in it is not text, which a settings file could not hold.
    """
    hook = os.path.abspath(hook_path())
    words = [interpreter(), "-I", "-S", hook, "--tool", tool]
    if directory is not None:
        words += ["--dir", os.path.abspath(directory)]
    command = " ".join(_quoted(word) for word in words) + " || exit 1"
    try:
        command.encode()
    except UnicodeEncodeError as error:
        raise InvalidSettingsError(
            f"{command!r} cannot be written to a settings file", hint="use a path in UTF-8"
        ) from error
    return command


def interpreter() -> str:
    """This Python, as a file that starts it without looking anything up.

    In a virtual environment it is the environment's own, which finds what is installed there. It is
    never a shim of a version manager, a script that would decide anew in each directory.
    """
    for candidate in (
        sys.executable,
        getattr(sys, "_base_executable", ""),
        os.path.realpath("/proc/self/exe"),
        os.path.join(sys.exec_prefix, "bin", "python3"),
    ):
        if candidate and _is_program(candidate):
            return os.path.abspath(candidate)
    return sys.executable


def is_ours(command: object, tool: str) -> bool:
    """Whether a command in a settings file is our hook for this tool."""
    return (
        isinstance(command, str)
        and (_HOOK_FILE in command or _HOOK_SCRIPT in command)
        and re.search(rf"--tool[= ]{re.escape(tool)}(?![\w-])", command) is not None
    )


def missing_part(command: str) -> str:
    """The interpreter or the file of one of our commands that is not there, or an empty string."""
    try:
        words = shlex.split(command)
    except ValueError:
        return command
    program = next(word for word in words if not _ASSIGNMENT.match(word))
    if shutil.which(program) is None:
        return program
    files = [word for word in words[1:] if word.endswith(_HOOK_FILE)]
    return next((file for file in files if not os.path.isfile(file)), "")


def _is_program(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            start = file.read(len(_SCRIPT_START))
    except OSError:
        return False
    return start != _SCRIPT_START and os.access(path, os.X_OK)


def _quoted(word: str) -> str:
    # In quotes, `$''` is the same as `$` to a shell, and no variable to Gemini CLI.
    return shlex.quote(word).replace("$", "$''")
