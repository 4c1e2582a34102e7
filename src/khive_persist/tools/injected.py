"""Texts that a client puts into a conversation as the user's, and which no user typed."""

from collections.abc import Iterable, Mapping
from typing import Final

PROMPT: Final = "message"
# Typed by the user, and no prompt: a command of the client, or of the shell.
COMMAND: Final = "command"


def kind_of(injected: Mapping[str, str], texts: Iterable[str]) -> str:
    """Return the kind of a user's message: a prompt where any of its blocks is one.

    `injected` has the kinds of the client's own texts, by their beginnings.
    """
    kinds = [
        next((kind for prefix, kind in injected.items() if text.startswith(prefix)), PROMPT)
        for text in map(str.lstrip, texts)
        if text
    ]
    return kinds[0] if kinds and PROMPT not in kinds else PROMPT
