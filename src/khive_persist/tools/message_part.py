"""The parts of messages that the lines of a transcript hold."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

# 7d1b8f0e-5c3a-4c55-9f0e-3a4f0c2b9d11
_NAMESPACE: Final = bytes.fromhex("7d1b8f0e5c3a4c559f0e3a4f0c2b9d11")

# The role of what is kept of a line that is no message.
NO_MESSAGE: Final = "none"
# The kind of a line that tells of a hook that ran: `payload` is what that was sent.
HOOK: Final = "hook"


class MessagePart(NamedTuple):
    """A part of a message, or all of it.

    Attributes:
        key: The tool's name of the message, unique among all of that tool's.
        part_id: The tool's name of this part; one that was seen before adds nothing.
        fields: Fields of the message's content.
        created_at: The time that the tool gave, or None.
        is_whole: Whether it takes the place of all parts before it.
        is_copy: Whether the line repeats what was said to another session or agent, as in a fork.
        is_reminder: Whether it says anew, and in less detail, what may stand there already.
    """

    key: str
    part_id: str
    fields: dict[str, Any]
    created_at: str | None = None
    is_whole: bool = False
    is_copy: bool = False
    is_reminder: bool = False


class Line(NamedTuple):
    """A line of a transcript, as its tool's reader understands it.

    Attributes:
        kind: The tool's word for it.
        parts: The parts of messages in it; none where it is about something else.
        is_known: Whether the kind is one that we have seen.
    """

    kind: str
    parts: tuple[MessagePart, ...] = ()
    is_known: bool = True


def row_id(tool: str, key: str) -> str:
    """Return the id of a message's row: the same whenever and wherever it is read."""
    name = f"{tool} {key}".encode("utf-8", "surrogatepass")
    digits = hashlib.sha1(_NAMESPACE + name, usedforsecurity=False).hexdigest()
    # A UUID of version 5 (RFC 9562 §5.5). `uuid.uuid5` takes four times as long.
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def text_of(value: Any) -> str | None:
    """Return a value that is a non-empty text, or None."""
    return value if isinstance(value, str) and value else None


def mapping_of(value: Any) -> Mapping[str, Any]:
    """Return a value that is an object, or an empty one."""
    return value if isinstance(value, Mapping) else {}


def mappings_in(value: Any) -> list[Mapping[str, Any]]:
    """Return the objects in a value that is a list; none of any other."""
    return [part for part in value if isinstance(part, Mapping)] if isinstance(value, list) else []


def count_in(counts: Mapping[str, Any], name: str) -> int:
    """Return a whole number above 0, or 0."""
    value = counts.get(name)
    return value if isinstance(value, int) and value > 0 else 0


def present(**fields: Any) -> dict[str, Any]:
    """Return the fields that have a value: without None and what is empty, with 0 and False."""
    return {
        name: value for name, value in fields.items() if value or isinstance(value, (int, float))
    }
