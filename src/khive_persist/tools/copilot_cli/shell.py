"""Read what Copilot CLI answers to a shell command: what that wrote, and how it ended."""

import re
from typing import Final, NamedTuple

# The line that Copilot adds behind what a command wrote.
_LAST: Final = re.compile(
    r"(?:\A|\n)<(?:shellId: \S+|detached command with shellId: \S+)"
    r" completed with exit code (-?\d{1,10})>\s*\Z"
)
_RUNNING: Final = re.compile(
    r"(?:\A|\n)<command (?:started in .{1,40} with shellId: |with shellId: \S+ is (?:still|already)"
    r" running)[^\n]*>\s*\Z"
)
_LAST_CHARACTERS: Final = 500


class ShellEnd(NamedTuple):
    """The end of a shell command.

    Attributes:
        output: The text that the command wrote, without the line that Copilot adds.
        exit_code: The exit code, or None where it is not told.
        is_running: Whether the command goes on in the background.
    """

    output: str
    exit_code: int | None = None
    is_running: bool = False


def shell_end(text: str) -> ShellEnd:
    """Read the answer to a shell command."""
    start = max(0, len(text) - _LAST_CHARACTERS)
    if match := _LAST.search(text, start):
        return ShellEnd(text[: match.start()], int(match[1]))
    if match := _RUNNING.search(text, start):
        return ShellEnd(text[: match.start()], is_running=True)
    return ShellEnd(text)
