"""python -m tests.server.api_types: make the dashboard's types of answers anew.

They are the named shapes of the OpenAPI document, where the meaning of each field stands.
"""

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from docs.reference_text import http_document

FILE: Final = Path(__file__).parents[2] / "web" / "src" / "lib" / "api-types.ts"
HEAD: Final = "// Made by `make api-types` of the OpenAPI document, which says what fields mean.\n"
_PLAIN: Final = {"integer": "number", "array": "unknown[]", "object": "Record<string, unknown>"}
_WIDTH: Final = 100


def text() -> str:
    """Return the file as it is to be."""
    return HEAD + "".join(_declared(http_document()["components"]["schemas"]))


def _declared(schemas: dict[str, Any]) -> Iterator[str]:
    for name, schema in sorted(schemas.items()):
        # A line ends between two fields alone.
        words = (field.replace(" ", "\0") for field in _fields(schema))
        lines = textwrap.wrap(
            " ".join(words), _WIDTH, initial_indent="  ", subsequent_indent="  ",
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
        fields = "\n".join(lines).replace("\0", " ")
        yield f"\nexport type {name} = {{\n{fields}\n}};\n"


def _fields(schema: dict[str, Any]) -> Iterator[str]:
    for name, field in schema["properties"].items():
        yield f"{name}{'' if name in schema['required'] else '?'}: {_type(field)};"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " | ".join(map(_type, schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(json.dumps(value).replace('"', "'") for value in schema["enum"])
    if isinstance(kind := schema.get("type", "unknown"), list):
        return " | ".join(_type({"type": name}) for name in kind)
    if "items" in schema:
        item = _type(schema["items"])
        return f"({item})[]" if " | " in item else f"{item}[]"
    if "properties" in schema:
        return f"{{ {' '.join(_fields(schema))} }}"
    if isinstance(values := schema.get("additionalProperties"), dict):
        return f"Record<{_type(schema.get('propertyNames', {'type': 'string'}))}, {_type(values)}>"
    return _PLAIN.get(kind, str(kind))


if __name__ == "__main__":
    FILE.write_text(text())
