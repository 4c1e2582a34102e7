"""Texts that stand in a conversation in the user's name, and that the user did not type."""

from fnmatch import fnmatchcase
from typing import Final

# As GLOB of SQL spells them.
UNTYPED: Final = (
    "<*_context>*", "<*_instructions>*", "<*_notification>*", "<command-*>*", "<local-command-*>*",
)  # fmt: skip


def is_typed(text: str) -> bool:
    """Return whether a text in the user's name is a prompt: the client did not write it."""
    return not (text.startswith("<") and any(fnmatchcase(text, glob) for glob in UNTYPED))
