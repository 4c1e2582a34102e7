"""The fields of a kind of record as columns with a type."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from types import UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NamedTuple,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import BaseModel

from khive_persist import clock
from khive_persist.models.field_types import Instant
from khive_persist.models.node import Node
from khive_persist.models.purposes import Purpose
from khive_persist.store import codec

Kind = Literal["string", "int64", "double", "bool", "instant", "date"]

# What every row has; a field of the same name would stand for something else.
ENVELOPE: Final = ("id", "purpose", "created_at", "content", "node_metadata", "embedding")
INT64: Final = range(-(2**63), 2**63)
_KINDS: Final[dict[Any, Kind]] = {
    bool: "bool",
    int: "int64",
    float: "double",
    Decimal: "double",
    datetime: "instant",
    date: "date",
}


class Column(NamedTuple):
    """One field.

    Attributes:
        name: The name in the view of the purpose.
        path: The keys in `content`.
        kind: The type that the class of records gives it; `string` where it gives none.
    """

    name: str
    path: tuple[str, ...]
    kind: Kind

    def value(self, content: Any) -> Any:
        """Return the field's value in a record's content; None where it is missing."""
        for key in self.path:
            if not isinstance(content, Mapping):
                return None
            content = content.get(key)
        # JSON may hold half of a character as an escape; no file of text can.
        return content.encode("utf-8", "replace").decode() if isinstance(content, str) else content


def typed(value: Any, kind: Kind) -> Any:
    """Return the value in the column's type; None where it is of another: `content` has it."""
    if kind == "string":
        if value is None or isinstance(value, str):
            return value
        return codec.dump_lossy(value)
    if kind == "instant":
        return clock.from_column(value) if isinstance(value, str) else None
    if kind == "date":
        try:
            return date.fromisoformat(value) if isinstance(value, str) else None
        except ValueError:
            return None
    if kind == "bool":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if kind == "double":
        return float(value) if isinstance(value, float) or value in INT64 else None
    return value if isinstance(value, int) and value in INT64 else None


def columns_of(record: type[Node], purpose: Purpose) -> list[Column]:
    """Return the fields in the view of a purpose, with the types of its class of records."""
    types = _types(record.model_fields["content"].annotation)
    columns = [
        Column(name, tuple(path.split(".")), types.get(path, "string"))
        for path, name in purpose.column_names().items()
    ]
    return [column for column in columns if column.name not in ENVELOPE]


def _types(content: Any) -> dict[str, Kind]:
    if isinstance(content, type) and issubclass(content, BaseModel):
        fields = content.model_fields.items()
        return {field.alias or name: _kind(field.annotation) for name, field in fields}
    # A content that is no TypedDict names no fields.
    is_typed = hasattr(content, "__required_keys__")
    hints = get_type_hints(content, include_extras=True) if is_typed else {}
    return {name: _kind(hint) for name, hint in hints.items()}


def _kind(hint: Any) -> Kind:
    hint = _plain(hint)
    if hint == Instant:
        return "instant"
    if get_origin(hint) is Annotated:
        hint = _plain(get_args(hint)[0])
    return _KINDS.get(hint, "string")


def _plain(hint: Any) -> Any:
    """Return the type of `X | None`, and of `Required[X]`."""
    while get_origin(hint) in (Required, NotRequired):
        (hint,) = get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        (first, *_) = [part for part in get_args(hint) if part is not type(None)]
        return first
    return hint
