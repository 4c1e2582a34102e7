"""Read the text that Kimi Code answers to a tool call: how the call ended, and what goes on."""

import re
from typing import Final, NamedTuple

# The last line of a failed command's text, which is the client's.
_EXIT_CODE: Final = re.compile(r"(?:\A|\n)Command failed with exit code: (-?\d{1,10})\.\Z")
_TAIL_CHARACTERS: Final = 100
_INTERRUPTED: Final = (
    "Interrupted by user",
    "Aborted by user",
)
# The first lines of a call that went to the background: `task_id: …`, some more, `status: running`.
_TASK: Final = re.compile(r"task_id: \S+\n(?:[a-z_]+: [^\n]*\n)*?status: running(?:\n|\Z)")
_AGENT: Final = re.compile(r"(?:task_id: \S+\n)?(?:[a-z_]+: [^\n]*\n)*?agent_id: (\S+)(?:\n|\Z)")
_HEAD_CHARACTERS: Final = 2_000


class Failure(NamedTuple):
    """The end of a call that failed.

    Attributes:
        output: The text that a command wrote, where its exit code is known; an empty text else.
        exit_code: A command's exit code, or None where it is not known.
        is_interrupted: Whether the user stopped it.
    """

    output: str
    exit_code: int | None
    is_interrupted: bool


def failure_of(text: str) -> Failure:
    """Read the text of a call that failed."""
    end = _EXIT_CODE.search(text, max(0, len(text) - _TAIL_CHARACTERS))
    if end is None:
        return Failure("", None, text.startswith(_INTERRUPTED))
    return Failure(text[: end.start()], int(end[1]), is_interrupted=False)


def is_launch(text: str) -> bool:
    """Return whether a call was answered before its end: it goes on in the background."""
    return _TASK.match(text[:_HEAD_CHARACTERS]) is not None


def agent_of(text: str) -> str:
    """Return the subagent that a call of `Agent` started; an empty text where none is named."""
    match = _AGENT.match(text[:_HEAD_CHARACTERS])
    return match[1] if match else ""
