"""`ContentSchema`: decide whether JSON alone gives back what a class's content may hold."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

# Types that are the same before and after JSON.
_PLAIN: Final = frozenset(
    {
        "any", "bool", "default", "definition-ref", "definitions", "dict", "float", "int", "list",
        "literal", "none", "nullable", "str", "typed-dict", "typed-dict-field", "union",
    }
)  # fmt: skip
_FUNCTIONS: Final = frozenset({"default", "function-before", "function-after", "function-wrap"})
_OF_RECORDS: Final = frozenset({"definitions", "model"})
_OURS: Final = "khive_persist."


class ContentSchema:
    """The declaration of a class's content and of its own fields.

    Attributes:
        is_plain: Whether it needs no validation to be read: dicts, lists, text, numbers.
        is_any: Whether content may be anything, unchecked.
        has_validator: Whether the class checks the whole content, or itself, by a function.
        has_own_validator: Whether the class checks the whole content by a function of a user's.
        may_have_numbers: Whether a Decimal, or a float, can be in it.
    """

    def __init__(self, schema: Any, columns: frozenset[str]) -> None:
        """Examine pydantic's schema of a record class."""
        fields, of_record = _without_functions(schema, of_record=True)
        content = fields["fields"]["content"]["schema"]
        own_fields = [field for name, field in fields["fields"].items() if name not in columns]
        definitions = schema.get("definitions", []) if schema["type"] == "definitions" else []
        inner, of_content = _without_functions(content)
        functions = [*of_record, *of_content]
        self.has_validator = bool(functions)
        self.has_own_validator = not all(map(_is_ours, functions))
        self.is_any = inner["type"] == "any" and not functions
        parts = [*_nodes(inner), *_nodes(own_fields), *_nodes(definitions)]
        self.is_plain = all(map(_is_plain, parts))
        self.may_have_numbers = any(part["type"] in ("any", "decimal", "float") for part in parts)


def _nodes(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the schema and those within it."""
    if isinstance(schema, Mapping):
        if "type" in schema:
            yield schema
        for name, part in schema.items():
            if name not in ("metadata", "serialization", "function", "config"):
                yield from _nodes(part)
    elif isinstance(schema, list | tuple):
        for part in schema:
            yield from _nodes(part)


def _without_functions(
    schema: Any, *, of_record: bool = False
) -> tuple[Any, list[Mapping[str, Any]]]:
    """Return the schema below the functions that check it, and these functions."""
    functions = []
    while schema["type"] in (_FUNCTIONS | _OF_RECORDS if of_record else _FUNCTIONS):
        if schema["type"].startswith("function-"):
            functions.append(schema)
        schema = schema["schema"]
    return schema, functions


def _is_plain(node: Mapping[str, Any]) -> bool:
    if "validation_alias" in node:
        return False
    kind = node["type"]
    if kind == "literal":
        return all(type(value) in (str, int, bool) for value in node["expected"])
    # Ours give what JSON has.
    return kind in _PLAIN or (str(kind).startswith("function-") and _is_ours(node))


def _is_ours(node: Mapping[str, Any]) -> bool:
    function = node["function"]["function"]
    return str(getattr(function, "__module__", "")).startswith(_OURS)
