"""Read Droid's answer to a shell command: its output, and how it ended."""

import re
from typing import Final, NamedTuple

# The last line of an answer, which Droid adds behind what the command wrote.
_LAST: Final = re.compile(r"(?:\A|\n)\[Process exited with code (-?\d{1,10})\]\s*\Z")
_LAST_CHARACTERS: Final = 200
# What it puts before the output of a command that failed.
_FAILED: Final = re.compile(r"Error: Command failed(?: \(exit code: -?\d{1,10}\))?\n?")
_BACKGROUND: Final = "Background process started"


class ShellEnd(NamedTuple):
    """The end of a shell command.

    Attributes:
        output: The text that the command wrote, without what Droid adds.
        exit_code: The exit code, or None where it is not told.
        is_running: Whether the command goes on in the background.
    """

    output: str
    exit_code: int | None = None
    is_running: bool = False


def shell_end(text: str) -> ShellEnd:
    """Read the answer to a shell command."""
    if text.startswith(_BACKGROUND):
        return ShellEnd(text, is_running=True)
    last = _LAST.search(text, max(0, len(text) - _LAST_CHARACTERS))
    if last is None:
        return ShellEnd(text)
    failed = _FAILED.match(text)
    output = text[failed.end() if failed else 0 : last.start()]
    return ShellEnd(output.rstrip("\n"), int(last[1]))
