"""Prompts that were typed while Claude Code's agent worked.

They wait in a queue, of which the transcript has each change. One that the agent took in the middle
of its turn becomes no line of the user's: it stands in the queue's lines, or in an attachment, or
in both. One that waited for the end of the turn does.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from khive_persist.tools.message_part import text_of

_MAX_WAITING: Final = 100
_ABSORBED: Final = "absorbed"


class Queue:
    """The queue of a session, in the state of its reader.

    That has digests alone: it is no place for what was not redacted.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        # Each with when it was typed.
        self._waiting: list[list[str]] = state.setdefault("queued", [])
        # Prompts that one of the two forms told, for the other.
        self._absorbed: list[str] = state.setdefault("absorbed", [])
        self._attached: list[str] = state.setdefault("attached", [])

    def absorbed(self, document: Mapping[str, Any]) -> tuple[str, str | None] | None:
        """Return the prompt that a line says was taken, and when it was typed; None else.

        Earlier versions do not repeat the prompt in that line: there an attachment has it.
        """
        text, at = text_of(document.get("content")), text_of(document.get("timestamp"))
        operation = document.get("operation")
        if operation == "popAll":
            self._waiting.clear()
        if operation == "enqueue" and text is not None:
            self._waiting += [[digest_of(text), at or ""]]
            del self._waiting[:-_MAX_WAITING]
        if operation not in ("dequeue", "remove"):
            return None
        digest = digest_of(text) if text is not None else None
        number = next(
            (n for n, entry in enumerate(self._waiting) if digest in (None, entry[0])), None
        )
        typed_at = self._waiting.pop(number)[1] if number is not None else at
        reason = text_of(document.get("reason"))
        is_absorbed = reason is None or reason.startswith(_ABSORBED)
        if operation != "remove" or not is_absorbed or text is None or _take(self._attached, text):
            return None
        _note(self._absorbed, text)
        return text, typed_at or None

    def attached(self, text: str) -> bool:
        """Note the prompt of an attachment; False where the queue's lines told it already."""
        if _take(self._absorbed, text):
            return False
        _note(self._attached, text)
        return True


def digest_of(text: str) -> str:
    """Return what stands for a prompt where no text may."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _note(digests: list[str], text: str) -> None:
    digests.append(digest_of(text))
    del digests[:-_MAX_WAITING]


def _take(digests: list[str], text: str) -> bool:
    if (digest := digest_of(text)) not in digests:
        return False
    digests.remove(digest)
    return True
