"""The kind of a tool call: what is tried again when a call has failed.

Of a shell it is the program and what it is told to do, as `git push` or `npm run build`, whatever
the directory, the variables and the options. Of another tool it is the tool and the file.
"""

import os.path
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from khive_persist.sessions.timeline.tool_call import paths_of

# What stands before a program and is none: as `env A=1`, `sudo -E`, `timeout 5`.
_WRAPPERS: Final = frozenset(
    {"env", "sudo", "time", "nice", "nohup", "timeout", "command", "exec", "stdbuf", "xargs"}
)
# Their first word says what they do; of any other program it is an argument.
_WITH_VERBS: Final = frozenset(
    {
        "apt", "apt-get", "brew", "bun", "bundle", "cargo", "composer", "deno", "docker", "dotnet",
        "gh", "git", "go", "gradle", "gradlew", "hatch", "helm", "just", "kubectl", "make", "mix",
        "mvn", "mvnw", "npm", "npx", "nx", "php", "pip", "pip3", "pnpm", "poetry", "rails", "rake",
        "ruby", "rustup", "swift", "systemctl", "terraform", "tox", "uv", "yarn", "zig", "bash",
        "sh", "zsh", "node", "perl",
    }
)  # fmt: skip
_PYTHON: Final = re.compile(r"(?:python|pypy)[\d.]*")
# Options whose value comes before the verb.
_WITH_VALUES: Final = frozenset({"-C", "--prefix", "--cwd", "--git-dir", "--work-tree"})
_RUNNERS: Final = frozenset({"run", "exec", "x", "dlx"})
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*=")
_DURATION: Final = re.compile(r"[\d.]+[smhd]?")
_SEPARATORS: Final = frozenset({"&&", "||", ";", "|", "&", "(", ")", "|&", ";;"})
_PASSING: Final = frozenset(
    {"cd", "export", "source", ".", "set", "pushd", "popd", "umask", "true"}
)
_SHELL_NAMES: Final = ("command", "cmd", "script")
_PATCH: Final = "*** Begin Patch"
_MOST_CHARACTERS: Final = 8_192


class CallKind(NamedTuple):
    """The kind of a call.

    Attributes:
        tool_name: The tool.
        words: Of a shell the programs of its command with their verbs; of another tool its file.
    """

    tool_name: str
    words: tuple[str, ...]


def kind_of(tool_name: str, arguments: Any) -> CallKind:
    """Return the kind of a call."""
    command = command_of(arguments)
    if command:
        return CallKind("", programs_of(command))
    return CallKind(tool_name, tuple(os.path.normpath(path) for path in paths_of(arguments)[:1]))


def is_same(kind: CallKind, other: CallKind) -> bool:
    """Tell whether a call does what another one did: its tool and file, or one of its programs."""
    if kind.tool_name or other.tool_name:
        return kind == other
    # The first of a line is what it is for; the others, as `tail`, look at its output.
    return bool(kind.words) and kind.words[0] in other.words


def command_of(arguments: Any) -> str:
    """Return the command that a call gives to a shell; an empty string where it gives none."""
    if not isinstance(arguments, Mapping):
        return ""
    for name in _SHELL_NAMES:
        value = arguments.get(name)
        if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
            # As `["bash", "-lc", "…"]`.
            value = value[-1] if "-lc" in value or "-c" in value else shlex.join(value)
        if isinstance(value, str) and value.strip() and not value.startswith(_PATCH):
            return value
    return ""


def programs_of(command: str) -> tuple[str, ...]:
    """Return the programs that a command line starts, each with its verb, in their order."""
    programs = []
    for words in _parts(command[:_MOST_CHARACTERS]):
        program = _program_of(words)
        if program and program.partition(" ")[0] not in _PASSING:
            programs.append(program)
    return tuple(dict.fromkeys(programs))


def _parts(command: str) -> list[list[str]]:
    """Divide a command line into the words of its commands."""
    parts: list[list[str]] = [[]]
    for line in command.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:
            # An open quote, as of a text that was cut.
            words = line.split()
        for word in words:
            if word in _SEPARATORS:
                parts.append([])
            else:
                parts[-1].append(word)
        parts.append([])
    return [part for part in parts if part]


def _program_of(words: Sequence[str]) -> str:
    remaining = list(words)
    while remaining and (
        _ASSIGNMENT.match(remaining[0])
        or os.path.basename(remaining[0]) in _WRAPPERS
        or remaining[0].startswith("-")
        or _DURATION.fullmatch(remaining[0])
    ):
        del remaining[0]
    if not remaining:
        return ""
    program, arguments = os.path.basename(remaining[0]), remaining[1:]
    if _PYTHON.fullmatch(program):
        return _python_of(arguments)
    if program not in _WITH_VERBS:
        return program
    verbs = [
        word
        for preceding, word in zip(["", *arguments], arguments, strict=False)
        if not word.startswith("-") and preceding not in _WITH_VALUES
    ]
    if not verbs:
        return program
    verb = os.path.basename(verbs[0])
    if verb in _RUNNERS and len(verbs) > 1:
        return f"{program} {verb} {os.path.basename(verbs[1])}"
    return f"{program} {verb}"


def _python_of(arguments: Sequence[str]) -> str:
    """Return what Python is told to run: a module is its own program, as `pytest` is."""
    for position, word in enumerate(arguments):
        if word == "-m" and position + 1 < len(arguments):
            module = arguments[position + 1]
            verb = next((w for w in arguments[position + 2 :] if not w.startswith("-")), "")
            return f"{module} {verb}" if module in _WITH_VERBS and verb else module
        if word == "-c":
            return "python -c"
        if not word.startswith("-"):
            return f"python {os.path.basename(word)}"
    return "python"
