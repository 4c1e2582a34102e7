"""Find the lines of a Claude Code transcript that are parts of one answer.

A model server gives each answer an id of its own, and a relay may give one to all. An answer stands
on several lines, between which results of its first tool calls may come.
"""

from collections.abc import Mapping
from typing import Any, Final

# Enough for a chain of lines, and for answers that come at once.
_MAX_ANSWERS: Final = 16
_MAX_LINES: Final = 64
_PROMPT_TOKENS: Final = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


class Answers:
    """The answers of a transcript that may have more lines.

    They are kept in the reader's state: by the names that the server gave, the key of the message,
    the uuids of its lines, what came after them (`prompt`, or `results` of tools), how long its
    prompt was, and whether it has its stop reason.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self._open: dict[str, dict[str, Any]] = state.setdefault("answers", {})

    def key_of(
        self, document: Mapping[str, Any], message_id: str, request_id: str, at: str | None
    ) -> str:
        """Return the key of the message that a line is a part of: the same in each copy of it."""
        uuid, parent = document.get("uuid"), document.get("parentUuid")
        message = document["message"]
        usage = message.get("usage")
        prompt = _prompt_tokens(usage if isinstance(usage, dict) else {})
        name = f"{message_id} {request_id}"
        answer = self._open.pop(name, None)
        is_first = answer is None
        if answer is None or self._is_new(answer, uuid, parent, prompt, bool(request_id)):
            key = name if is_first and request_id else f"{name} {at or uuid or ''}"
            answer = {"key": key, "lines": [], "after": "", "prompt": prompt, "stopped": False}
        if uuid not in answer["lines"]:
            answer["lines"] = [*answer["lines"], uuid][-_MAX_LINES:]
            answer["after"] = ""
        answer["stopped"] |= message.get("stop_reason") is not None
        self._open[name] = answer
        while len(self._open) > _MAX_ANSWERS:
            self._open.pop(next(iter(self._open)))
        return str(answer["key"])

    def see_user(self, *, is_result: bool) -> None:
        """Note that the user, or the results of tools, came."""
        for answer in self._open.values():
            if answer["after"] != "prompt":
                answer["after"] = "results" if is_result else "prompt"

    @staticmethod
    def _is_new(
        answer: Mapping[str, Any], uuid: Any, parent: Any, prompt: int, has_request_id: bool
    ) -> bool:
        if uuid in answer["lines"] or not answer["after"]:
            return False
        is_longer = prompt != answer["prompt"]
        if has_request_id:
            return is_longer and bool(answer["stopped"])
        if answer["after"] == "prompt":
            return True
        return parent not in answer["lines"] and (is_longer or bool(answer["stopped"]))


def _prompt_tokens(usage: Mapping[str, Any]) -> int:
    counts = (usage.get(name) for name in _PROMPT_TOKENS)
    return sum(count for count in counts if isinstance(count, int))
