"""Fields of an event whose whole text stands in its payload: how much of each is kept twice."""

from collections.abc import Mapping
from typing import Any, Final

from khive_persist.capture import client_recognition
from khive_persist.models.purposes import PREVIEW_CHARACTERS
from khive_persist.tools import TOOLS

FIELD_CHARACTERS: Final = 16_384
_LIMITS: Final = PREVIEW_CHARACTERS | {"error": 2_000}
# Always previews: to mark each of them would take as much as many of them do.
_UNMARKED: Final = frozenset({"output", "error"})


def shorten(fields: dict[str, Any]) -> dict[str, Any]:
    """Cut the fields that are too long to stand twice.

    Returns:
        The marks for `metadata`: `cut_fields` names what was cut, but for `output` and `error`.
    """
    cut = [
        name
        for name, value in fields.items()
        if isinstance(value, str) and len(value) > _LIMITS.get(name, FIELD_CHARACTERS)
    ]
    for name in cut:
        fields[name] = fields[name][: _LIMITS.get(name, FIELD_CHARACTERS)]
    marked = [name for name in cut if name not in _UNMARKED]
    return {"cut_fields": marked} if marked else {}


def with_whole_texts(content: dict[str, Any]) -> dict[str, Any]:
    """Return an event's content with the whole of `output`, `command` and `error`.

    A text that the payload has not, as where it was left out or is another's, stays as it is.
    """
    cut = {
        name: text
        for name, limit in _LIMITS.items()
        if isinstance(text := content.get(name), str) and len(text) >= limit
    }
    if not cut:
        return content
    texts = texts_of(content)
    return content | {
        name: texts[name]
        for name, beginning in cut.items()
        if name in texts and texts[name].startswith(beginning)
    }


def texts_of(content: Mapping[str, Any]) -> dict[str, str]:
    """Return the whole of `output`, `command` and `error` that an event's payload has."""
    payload, metadata = content.get("payload"), content.get("metadata")
    registered = metadata.get("registered_for") if isinstance(metadata, Mapping) else None
    tool = TOOLS.get(client_recognition.words_of(str(content.get("tool")), str(registered)))
    if tool is None or not isinstance(payload, Mapping):
        return {}
    fields = tool.describe(client_recognition.in_our_words(payload))
    return {name: text for name in _LIMITS if isinstance(text := fields.get(name), str)}
