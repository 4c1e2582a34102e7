"""The fields of a kind of record as columns with a type."""

from collections.abc import Mapping
from types import UnionType
from typing import Any, Final, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from khive_persist.purposes import Purpose
from khive_persist.records.node import Node

Kind = Literal["string", "int64", "double", "bool"]

# What every row has; a field of the same name would stand for something else.
ENVELOPE: Final = ("id", "purpose", "created_at", "content", "node_metadata", "embedding")
_KINDS: Final[dict[Any, Kind]] = {bool: "bool", int: "int64", float: "double"}


class Column(NamedTuple):
    """One field.

    Attributes:
        name: As the view of the purpose calls it.
        path: Its keys in `content`.
        kind: The type that the class of records gives it; `string` where it gives none.
    """

    name: str
    path: tuple[str, ...]
    kind: Kind

    def value(self, content: Any) -> Any:
        """The field's value in a record's content; None where it is missing."""
        for key in self.path:
            if not isinstance(content, Mapping):
                return None
            content = content.get(key)
        # JSON may hold half of a character as an escape; no file of text can.
        return content.encode("utf-8", "replace").decode() if isinstance(content, str) else content


def columns_of(record: type[Node], purpose: Purpose) -> list[Column]:
    """The fields that the view of a purpose shows, with the types of its class of records."""
    types = _types(record.model_fields["content"].annotation)
    found = [
        Column(path.replace(".", "_"), tuple(path.split(".")), types.get(path, "string"))
        for path in purpose.fields
    ]
    return [column for column in found if column.name not in ENVELOPE]


def _types(content: Any) -> dict[str, Kind]:
    # A content that is no TypedDict names no fields.
    hints = get_type_hints(content) if hasattr(content, "__required_keys__") else {}
    return {name: _KINDS.get(_plain(hint), "string") for name, hint in hints.items()}


def _plain(hint: Any) -> Any:
    """The type of `X | None`."""
    if get_origin(hint) in (Union, UnionType):
        (first, *_) = [part for part in get_args(hint) if part is not type(None)]
        return first
    return hint
