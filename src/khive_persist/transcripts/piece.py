"""What one line of a transcript says about one message."""

from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

_NAMESPACE: Final = UUID("7d1b8f0e-5c3a-4c55-9f0e-3a4f0c2b9d11")


class Piece(NamedTuple):
    """A part of a message, or all of it.

    Attributes:
        key: What the tool calls the message, unique among all of that tool's.
        part: What the tool calls this part; one that was seen before adds nothing.
        fields: Fields of the message's content.
        created_at: The instant that the tool gave, or None.
        is_whole: Whether it takes the place of all parts before it.
    """

    key: str
    part: str
    fields: dict[str, Any]
    created_at: str | None = None
    is_whole: bool = False


class Line(NamedTuple):
    """What a line of a transcript is.

    Attributes:
        kind: The tool's word for it.
        pieces: What it says of messages; none where it is about something else.
        is_known: Whether the kind is one that we have seen.
    """

    kind: str
    pieces: tuple[Piece, ...] = ()
    is_known: bool = True


def row_id(tool: str, key: str) -> str:
    """The id of a message's row: the same whenever and wherever it is read."""
    return str(uuid5(_NAMESPACE, f"{tool} {key}"))


def text_of(value: Any) -> str | None:
    """A non-empty text, or None."""
    return value if isinstance(value, str) and value else None


def present(**fields: Any) -> dict[str, Any]:
    """The fields that there are: None, and what is empty, is absent."""
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}
