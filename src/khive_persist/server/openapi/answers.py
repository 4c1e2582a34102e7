"""The JSON Schemas of answers, from the Python types that the routes return.

Nothing of this is made before somebody asks for the document.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from functools import cache
from inspect import cleandoc
from pkgutil import resolve_name
from types import UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, WithJsonSchema, create_model
from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import is_typeddict

from khive_persist.clock import InstantText
from khive_persist.server.routes.read.schemas import INSTANT, Schema

_INSTANT: Final = Annotated[str, WithJsonSchema(INSTANT)]
# As what JSON has them.
_IN_JSON: Final[Mapping[Any, Any]] = {
    datetime: _INSTANT,
    # Figures are exact in tests alone.
    Fraction: float,
}
_ATTRIBUTE: Final = re.compile(r"^    (\w+): (.+(?:\n {8,}.+)*)", re.MULTILINE)


class _Schemas(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def answer_schema(answer: Any, components: dict[str, Schema]) -> Schema:
    """Return the schema of an answer of a type, with each NamedTuple as the object of its fields.

    Args:
        answer: The type, or the `module:name` of it.
        components: The schemas of classes, by name; those that the answer needs are added.

    Raises:
        TypeError: Another class has the name of one of them.
    """
    record = resolve_name(answer) if isinstance(answer, str) else answer
    schemas, definitions = TypeAdapter.json_schemas(
        [("answer", "serialization", TypeAdapter(_in_json(record)))],
        schema_generator=_Schemas,
        ref_template="#/components/schemas/{model}",
    )
    for name, schema in definitions.get("$defs", {}).items():
        schema.pop("title")
        if components.setdefault(name, schema) != schema:
            raise TypeError(f"two classes of answers are named {name}")
    return schemas["answer", "serialization"]


def _in_json(annotation: Any) -> Any:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _INSTANT if annotation == InstantText else annotation
    if origin in (Required, NotRequired):
        return _in_json(*arguments)
    if hasattr(annotation, "_fields") or is_typeddict(annotation):
        return _model(annotation)
    if origin in (None, Literal):
        return _IN_JSON.get(annotation, annotation)
    arguments = tuple(map(_in_json, arguments))
    return Union[arguments] if origin is UnionType else origin[arguments]  # noqa: UP007


@cache
def _model(record: Any) -> type[BaseModel]:
    """Return a model of a NamedTuple's or a TypedDict's fields, as its docstring describes them."""
    text = cleandoc(record.__doc__ or "").replace("None", "null")
    about, _, attributes = text.partition("\nAttributes:\n")
    described = {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(attributes)}
    hints = get_type_hints(record, include_extras=True)
    required = getattr(record, "__required_keys__", hints)
    fields: dict[str, Any] = {}
    for name, hint in hints.items():
        # A factory is not called: it says that the field may be missing, and gives no default.
        optional: dict[str, Any] = {} if name in required else {"default_factory": dict}
        fields[name] = _in_json(hint), Field(description=described.get(name), **optional)
    config = getattr(record, "__pydantic_config__", ConfigDict(extra="forbid"))
    return create_model(record.__name__, __config__=config, __doc__=about.strip(), **fields)
