"""The command that a tool runs for an event.

The tools hand it to a shell: Claude Code to `/bin/sh -c`, Gemini CLI to `bash -c`, Codex to the
user's own shell with `-c`. Quoted words, `~/` and `||` mean the same in each, in zsh too. Gemini
CLI also puts in environment variables, wherever `$NAME` stands in its settings file and whatever
the quotes around it.

A missing interpreter is 127 in a shell, and a missing file 2 in Python: either would block the
user's tool, and Copilot CLI, which runs Claude Code's hooks, refuses a tool on any code but 0. So
the command of an event that can block ends in `|| exit 0`. The others end in `|| exit 1`, a warning
of the one line that the hook, the shell or Python wrote, and tell what those before them could not.

The compiled hook comes before the Python one where it is installed: `[ -x NATIVE ] && NATIVE … ||`.
Where it is not there, or the system cannot run it, the shell goes on to the Python hook, which is
told by `--fallback` that an event of nothing is one that the other has read. `$?` would say more,
but not in every shell. Without a shell only the compiled hook is run, and `--exit-zero` sees to it
that its code never blocks.

There is no `exec`, as a shell whose `exec` fails ends before it comes to `||`.
"""

import os
import re
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from khive_persist.capture import spool_writer
from khive_persist.capture.hook_config import launcher, native_copy
from khive_persist.errors import InvalidSettingsError
from khive_persist.tools import TOOLS

SHARED: Final = f"~/.khive/{launcher.FOLDER}/{launcher.NAME}"
SHARED_NATIVE: Final = f"~/.khive/{launcher.FOLDER}/{native_copy.NAME}"
_FLAGS: Final = (spool_writer.TELL_LOST, spool_writer.EXIT_ZERO, spool_writer.FALLBACK)
_PROGRAMS: Final = (launcher.NAME, native_copy.NAME)
_PYTHON_FLAGS: Final = re.compile(r"-[IsSEPBuIS]+")
_HOOK_FILES: Final = (
    ("khive_persist", "capture", "hook.py"),
    (".khive", launcher.FOLDER, "hook.py"),
)
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_OPTION: Final = re.compile(r"--(tool|dir)(?:=(.*))?", re.DOTALL)
_PRESENT: Final = ("[", "!", "-x")
_PRESENT_NATIVE: Final = ("[", "-x")
_ENDS: Final = ((), ("||", "exit", "0"), ("||", "exit", "1"), ("||", "true"), ("||", ":"))
_LIKENESS: Final = re.compile(r"(?:khive-hook|khive_persist/capture/hook\.py)\b")


def hook_command(
    tool: str,
    directory: Path | None = None,
    *,
    blocks: bool = False,
    is_shared: bool = False,
    words: Sequence[str] = (),
    native: Path | None = None,
) -> str:
    """Return the command to register for an event of a tool.

    Args:
        tool: The tool's name, as `khive-hook --tool` takes it.
        directory: The directory that is to hold `.khive`, for `--dir`; none finds it anew for
            each event.
        blocks: Whether the event can block the user's work.
        is_shared: Whether the file is read on other machines, too: no path of this one is in the
            command, and it does nothing where khive-persist is not installed.
        words: The words that start the hook; none for the package's own file.
        native: The compiled hook that comes before it.

    Raises:
        InvalidSettingsError: A path in it is not text, which a settings file could not hold.
    """
    options = [_quoted(word) for word in hook_options(tool, directory, blocks=blocks)]
    command = ""
    if native is not None:
        program = SHARED_NATIVE if is_shared else _quoted(str(native))
        command = " ".join([f"[ -x {program} ] && {program}", *options, "|| "])
        options += [] if spool_writer.FALLBACK in options else [spool_writer.FALLBACK]
    if is_shared:
        command += " ".join([f"[ ! -x {SHARED} ] || {SHARED}", *options])
    else:
        program = " ".join(_quoted(word) for word in words or launcher.package_words())
        command += " ".join([program, *options])
    command += " || exit 0" if blocks else " || exit 1"
    try:
        command.encode()
    except UnicodeEncodeError as error:
        raise InvalidSettingsError(
            f"{command!r} cannot be written to a settings file", hint="use a path in UTF-8"
        ) from error
    return command


def hook_options(tool: str, directory: Path | None, *, blocks: bool) -> list[str]:
    """Return the options of the hook, as `hook_command` takes them."""
    options = ["--tool", tool]
    if directory is not None:
        options += ["--dir", os.path.abspath(directory)]
    if TOOLS[tool].ends_hooks:
        options.append(spool_writer.FALLBACK)
    return options if blocks else [*options, spool_writer.TELL_LOST]


def native_arguments(tool: str, directory: Path | None, *, blocks: bool) -> tuple[str, ...]:
    """Return the arguments of the compiled hook that is started without a shell."""
    options = hook_options(tool, directory, blocks=blocks)
    return (*options, spool_writer.EXIT_ZERO) if blocks else tuple(options)


def is_ours(command: object, tool: str) -> bool:
    """Return whether a command in a settings file is our hook for this tool, and nothing else.

    The forms of earlier versions count. A user's own command that runs our hook, too, does not.
    """
    return isinstance(command, str) and _tool_of(command) == tool


def resembles_ours(command: object, tool: str) -> bool:
    """Return whether a command that is not ours seems to run our hook for this tool."""
    return (
        isinstance(command, str)
        and _LIKENESS.search(command) is not None
        and re.search(rf"--tool[= ]{re.escape(tool)}(?![\w-])", command) is not None
        and not is_ours(command, tool)
    )


def missing_part(command: str) -> str:
    """Return the program or file of one of our commands that is missing, or an empty string."""
    words = _words(command)
    if not words:
        return command
    program = os.path.expanduser(words[0])
    if shutil.which(program) is None:
        return program
    files = [word for word in words[1:] if word.endswith(f"/{_HOOK_FILES[0][2]}")]
    return next((file for file in files if not os.path.isfile(file)), "")


def launcher_of(command: str) -> Path | None:
    """Return the copy in a state folder that one of our commands runs; None for another form."""
    words = _words(command)
    program = os.path.expanduser(words[0]) if words else ""
    parts = Path(program).parts
    is_copy = parts[-3:-1] == (".khive", launcher.FOLDER)
    return Path(program) if is_copy and parts[-1] == launcher.NAME else None


def native_of(command: str) -> Path | None:
    """Return the compiled hook's copy that one of our commands names; None without one."""
    native, rest = _parts(command)
    words = native or rest
    if not words or Path(words[0]).name != native_copy.NAME:
        return None
    return Path(os.path.expanduser(words[0]))


def _tool_of(command: str) -> str:
    """Return the tool that one of our commands is for; an empty string where it is not ours."""
    native, words = _parts(command)
    if not words:
        return ""
    tool = _tool_of_words(words)
    return tool if not native or _tool_of_words(native) == tool else ""


def _tool_of_words(words: list[str]) -> str:
    program, arguments = Path(words[0]), words[1:]
    if program.name not in _PROGRAMS:
        while arguments and _PYTHON_FLAGS.fullmatch(arguments[0]):
            arguments = arguments[1:]
        if not program.name.startswith(("python", "pypy")) or not arguments:
            return ""
        if Path(arguments[0]).parts[-3:] not in _HOOK_FILES:
            return ""
        arguments = arguments[1:]
    options = {"tool": "", "dir": ""}
    while arguments and arguments[0] != "||":
        word, *arguments = arguments
        match = _OPTION.fullmatch(word)
        if match is None or (match[2] is None and not arguments):
            if word not in _FLAGS:
                return ""
            continue
        options[match[1]] = match[2] if match[2] is not None else arguments.pop(0)
    return options["tool"] if tuple(arguments) in _ENDS else ""


def _words(command: str) -> list[str]:
    """Return a command's words from its program on; none where it is no such command."""
    return _parts(command)[1]


def _parts(command: str) -> tuple[list[str], list[str]]:
    """Return the words of the compiled hook that comes first, and those of the other program."""
    try:
        words = shlex.split(command)
    except ValueError:
        return [], []
    native: list[str] = []
    if tuple(words[:2]) == _PRESENT_NATIVE and words[3:5] == ["]", "&&"] and "||" in words:
        end = words.index("||")
        native, words = words[5:end], words[end + 1 :]
    if tuple(words[:3]) == _PRESENT and words[4:6] == ["]", "||"]:
        words = words[6:]
    while words and _ASSIGNMENT.match(words[0]):
        words = words[1:]
    return native, words


def _quoted(word: str) -> str:
    # In quotes, `$''` is the same as `$` to a shell, and no variable to Gemini CLI.
    return shlex.quote(word).replace("$", "$''")
