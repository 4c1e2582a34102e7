"""What the model answers: scripts of turns, told apart by a tag in the prompt.

The model keeps no state. Which turn is next is told by the answers that stand in a request behind
the last prompt with a tag, so that two clients, or a subagent, can ask the same model at once.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

_TAG: Final = re.compile(r"\[script ([a-z_0-9]+)\]")
DONE: Final = "All done."


class Call(NamedTuple):
    """A call of a tool.

    Attributes:
        tool: The tool's name, as the client offers it.
        arguments: The arguments, or the plain text that a tool without a schema takes.
    """

    tool: str
    arguments: Mapping[str, Any] | str


class Said(NamedTuple):
    """A part of a conversation: whether the model said it, and its text."""

    is_answer: bool
    text: str


# A text, or a call, or several of which the first counts whose tool the client offers.
Turn = str | Call | tuple[Call, ...]
Script = Sequence[Turn]


def tagged(script: str, text: str) -> str:
    """Return a prompt that asks for a script."""
    return f"[script {script}] {text}"


def position(conversation: Sequence[Said]) -> tuple[str, int]:
    """Return the script that a conversation is in, and the number of the turn that is next.

    The script is an empty string where no prompt has a tag.
    """
    for index in range(len(conversation) - 1, -1, -1):
        said = conversation[index]
        tags = [] if said.is_answer else _TAG.findall(said.text)
        if tags:
            return tags[-1], sum(later.is_answer for later in conversation[index + 1 :])
    return "", 0


def next_answer(script: Script, step: int, offered: Collection[str]) -> str | Call:
    """Return the turn of a script; `DONE` behind its end.

    A call of a tool that the client does not offer is a text that says so.
    """
    turn = script[step] if step < len(script) else DONE
    if isinstance(turn, str):
        return turn
    calls = (turn,) if isinstance(turn, Call) else turn
    names = " or ".join(call.tool for call in calls)
    return next((call for call in calls if call.tool in offered), f"There is no tool {names}.")
