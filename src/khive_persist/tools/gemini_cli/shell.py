"""Read Gemini CLI's answer to a shell command: its output, and how it ended."""

import re
from typing import Final, NamedTuple

# What the tool adds behind the output of a command, in this order; it says an exit code only where
# that is not 0.
_TAIL: Final = re.compile(
    r"(?:\nExit Code: (\d{1,10}))?(?:\nSignal: (\S+))?"
    r"(?:\nBackground PIDs: [^\n]*)?(?:\nProcess Group PGID: \d+)?\Z"
)
_TAIL_CHARACTERS: Final = 2_000
_OUTPUT: Final = "Output: "
_NO_OUTPUT: Final = "(empty)"
_NOT_STARTED: Final = "(empty)\nError: "
_CANCELLED: Final = ("Command was cancelled", "Command was automatically cancelled")
_WRAPPER: Final = ("<untrusted_context>\n", "\n</untrusted_context>")


class ShellEnd(NamedTuple):
    """The end of a shell command.

    Attributes:
        output: The command's output, without what Gemini adds.
        success: None where it runs on in the background.
        exit_code: The exit code, or None where it is not known.
        error: The reason of a failure; an empty text where it did not fail.
        is_interrupted: Whether it was cancelled.
    """

    output: str
    success: bool | None
    exit_code: int | None = None
    error: str = ""
    is_interrupted: bool = False


def unwrapped(text: str) -> str:
    """Take off the tags that mark text as untrusted for the model."""
    start_tag, end_tag = _WRAPPER
    if text.startswith(start_tag) and text.endswith(end_tag):
        return text[len(start_tag) : len(text) - len(end_tag)]
    return text


def shell_end(text: str, display: object = None) -> ShellEnd:
    """Read what a command's answer says, without its wrapper.

    `display` is the text for the person: the output alone, so that a line of it that looks like an
    exit code is known for what it is.
    """
    if text.startswith(_CANCELLED):
        return ShellEnd("", False, error=text, is_interrupted=True)
    if not text.startswith(_OUTPUT):
        return ShellEnd(text, None)
    tail = _TAIL.search(text, max(0, len(text) - _TAIL_CHARACTERS))
    code, signal = tail.groups() if tail else (None, None)
    output = text[len(_OUTPUT) : tail.start() if tail else None]
    if code and isinstance(display, str):
        line = f"\nExit Code: {code}"
        if display.rstrip().endswith(line) and not output.rstrip().endswith(line):
            output, code = output + line, None
    if output.startswith(_NOT_STARTED):
        return ShellEnd("", False, error=output.removeprefix(_NOT_STARTED))
    output = "" if output == _NO_OUTPUT else output
    if code or not signal:
        number = int(code or 0)
        return ShellEnd(output, number == 0, number, f"Exit code: {number}" if number else "")
    return ShellEnd(output, False, error=f"Signal: {signal}")
