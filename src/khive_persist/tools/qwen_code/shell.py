"""Read Qwen Code's answer to a shell command: its output, and how it ended."""

import re
from typing import Final, NamedTuple

# What it says before the output and behind it. The output may have such lines, too: its own head is
# the first, its own tail the last.
_HEAD: Final = re.compile(r"(?:Command: .*?\n)?Directory: [^\n]*\nOutput: ", re.DOTALL)
_TAIL: Final = re.compile(
    r"\nExit Code: (-?\d{1,10}|\(none\))\nSignal: ([^\n]*)\nProcess Group PGID: [^\n]*(?=\n\n|\Z)"
)
_ERROR: Final = "\nError: "
_TAIL_CHARACTERS: Final = 10_000
_NO_OUTPUT: Final = "(empty)"
_NONE: Final = "(none)"
_CANCELLED: Final = ("Command was cancelled", "Command timed out")
_BACKGROUND: Final = ("Background shell started", "Foreground command ")
_PROMOTED: Final = re.compile(r"Foreground command .* promoted to background as ", re.DOTALL)


class ShellEnd(NamedTuple):
    """The end of a shell command.

    Attributes:
        output: The command's output, without what Qwen Code adds.
        success: None where it runs on in the background, or the text does not say.
        exit_code: The exit code, or None where it is not known.
        error: The reason of a failure; an empty text where it did not fail.
        is_interrupted: Whether it was cancelled, by the user or its time limit.
        is_background: Whether it runs on in the background.
    """

    output: str
    success: bool | None = None
    exit_code: int | None = None
    error: str = ""
    is_interrupted: bool = False
    is_background: bool = False


def shell_end(text: str, command: str = "") -> ShellEnd:
    """Read what the answer to a command says; `command` is the one that was run, where known."""
    if text.startswith(_CANCELLED):
        return ShellEnd("", False, error=text.partition("\n")[0], is_interrupted=True)
    if text.startswith(_BACKGROUND) and (text.startswith(_BACKGROUND[0]) or _PROMOTED.match(text)):
        return ShellEnd(text, is_background=True)
    # A command may have lines as those that come after it.
    said = f"Command: {command}\n"
    head = _HEAD.match(text, len(said) if command and text.startswith(said) else 0)
    tails = list(_TAIL.finditer(text, max(0, len(text) - _TAIL_CHARACTERS)))
    if head is None or not tails:
        return ShellEnd(text)
    code, signal = tails[-1].groups()
    error_at = text.rfind(_ERROR, head.end() - 1, tails[-1].start())
    end = tails[-1].start() if error_at < 0 else error_at
    output = text[head.end() : end]
    output = "" if output == _NO_OUTPUT else output
    if code != _NONE:
        number = int(code)
        return ShellEnd(output, number == 0, number, f"Exit code: {number}" if number else "")
    if signal != _NONE:
        return ShellEnd(output, False, error=f"Signal: {signal}")
    error = text[error_at + len(_ERROR) : tails[-1].start()] if error_at >= 0 else ""
    return ShellEnd(output, False, error="" if error == _NONE else error)
